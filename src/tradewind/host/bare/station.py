"""The station: answers for a host as long as somebody is connected, one line of JSON for each question.

It keeps nothing itself: what it says is read from the run directories, and what it starts doesn't need it. When its
standard input ends, it does.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import platform
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from tradewind.host.bare.facts import claim_in, contact_in, crew_in, end_in
from tradewind.host.bare.ground import (
    LOADER,
    VARIABLE,
    birth_of,
    is_alive,
    last_lines,
    machine_boot,
    read_text,
    remove,
    say,
    write,
)
from tradewind.host.bare.packing import dies_with_its_parent
from tradewind.host.bare.silence import Silence, since_boot
from tradewind.host.bare.starter import start

NOTES = ("ready", "stopping")
KEPT_DEAD = 200
KEPT_FOR_S = 7 * 86400.0
DRAFT = re.compile(r"\.[0-9a-f]{8}$")
"""How a file's name ends that is still being brought."""
DRAFT_FOR_S = 3600.0
"""For how long nobody may have written to one that is."""
CLAIM_WITHIN_S = 20.0
LINGER = "/var/lib/systemd/linger"
"""Where systemd notes whose processes it keeps."""
LOCK_WITHIN_S = 10.0
WATCHED_S = 0.1
"""How often what starts or stops is looked at, unasked: somebody waits for it."""
QUIET_S = 2.0
"""The same, of what only runs."""


def main() -> None:
    """Be what the first line says."""
    first = json.loads(sys.stdin.buffer.readline())
    if first["as"] == "starter":
        start(json.loads(sys.stdin.buffer.read()))
    else:
        Station(os.path.expanduser(first["root"])).run()


def glibc() -> str:
    """Return the version of the C library that wheels are built for, as ``2.36``; empty where it is another one."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, ValueError, OSError):
        return ""
    return ".".join(version.split(".")[:2]) if name == "glibc" else ""


class Station:
    """Answers questions about the run directories below ``root``."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.runs = os.path.join(root, "runs")
        self.boot = machine_boot()
        self.told: dict[str, Any] = {}
        """What the other end knows, by handle."""
        self.buried: dict[str, Any] = {}
        """The dead don't change."""
        self.looks: dict[str, Any] = {}
        self.watched_at = 0.0
        """By the monotonic clock; set back where something was just started or asked to end."""
        self.children: list[subprocess.Popen[bytes]] = []
        self.makers: list[subprocess.Popen[bytes]] = []
        """What is made ahead of an order."""
        self.scope: Any = None

    def run(self) -> None:
        """Answer until nobody asks any more."""
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.makedirs(self.runs, mode=0o700, exist_ok=True)
        self.prune()
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        version = ".".join(map(str, sys.version_info[:3]))
        say({"station": 1, "now": time.time(), "python": version, "root": self.root, "host": socket.gethostname(),
             "cores": len(os.sched_getaffinity(0)), "memory": memory, "platform": f"linux-{platform.machine()}",
             "glibc": glibc()})  # fmt: skip
        waiting = b""
        while True:
            pause = WATCHED_S if any(look["changing"] for look in self.looks.values()) else QUIET_S
            # By the clock and not by the calm: who asks each second would never let it come to a look.
            left = self.watched_at + pause - time.monotonic()
            readable, _, _ = select.select([0], [], [], max(0.0, left))
            self.children = [child for child in self.children if child.poll() is None]
            if left <= 0 or not readable:
                self.watched_at = time.monotonic()
                self.watch()
                continue
            data = os.read(0, 1 << 16)
            if not data:
                return
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                self.answer(json.loads(line))

    def answer(self, question: dict[str, Any]) -> None:
        """Answer one question."""
        verbs = {"list": self.report, "start": self.start, "end": self.end, "announce": self.announce,
                 "tail": self.tail, "have": self.have, "keep": self.keep, "ahead": self.ahead}  # fmt: skip
        try:
            answer = verbs[question["verb"]](question)
        except OSError as error:
            answer = {"error": f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")}
        say({"id": question["id"], "now": time.time(), "at": [self.boot, since_boot()], **answer})

    # What is there

    def report(self, question: dict[str, Any]) -> dict[str, Any]:
        """Say what changed since this was last asked: the facts of each run, None of what was forgotten."""
        boot, moment = question.get("heard") or ("", 0.0)
        if boot == self.boot:
            Silence(self.root, question["installation"], self.boot).heard(moment)
        facts = {handle: self.facts(handle) for handle in self.handles()}
        facts = {handle: found for handle, found in facts.items() if found is not None}
        changed = {handle: found for handle, found in facts.items() if self.told.get(handle) != found}
        gone = {handle: None for handle in self.told if handle not in facts}
        self.told = facts
        return {"runs": {**changed, **gone}}

    def handles(self) -> Iterator[str]:
        """Yield the names of all run directories."""
        with os.scandir(self.runs) as entries:
            yield from [entry.name for entry in entries]

    def facts(self, handle: str) -> Any:
        """Return what stands on disk about a run; None where nobody claimed it here."""
        if handle in self.buried:
            return self.buried[handle]
        directory = os.path.join(self.runs, handle)
        claim = claim_in(directory)
        if claim is None or (claim["boot"] != self.boot and claim["host"] != socket.gethostname()):
            return None  # of another machine, on a shared disk
        # Asked before the exit is read: a keeper that ends in between has written it.
        alive = is_alive(claim, self.boot)
        end = end_in(directory)
        found = {
            "claim": claim,
            "alive": alive,
            "same_boot": claim["boot"] == self.boot,
            "exit": end,
            "contact": contact_in(directory),
            "crew": crew_in(directory),
            "notes": [name for name in NOTES if os.path.exists(os.path.join(directory, name))],
            "progress": read_text(os.path.join(directory, "progress")) if alive else "",
        }
        if end is not None or not alive:
            if end is None:
                lines = last_lines(os.path.join(directory, "log"), 1)
                found["last_words"] = lines[-1] if lines else ""
                self.sweep(handle, claim, directory)
            self.buried[handle] = found
        return found

    def watch(self) -> None:
        """Poke the other end when something changed that it may want to know."""
        looks = {}
        for handle in self.handles():
            if handle in self.buried:
                continue
            directory = os.path.join(self.runs, handle)
            claim = self.told.get(handle, {}).get("claim") or claim_in(directory)
            if claim is None or not is_alive(claim, self.boot):
                continue
            try:
                notes, changed_at = set(os.listdir(directory)), os.stat(directory).st_mtime_ns
            except OSError:
                continue  # the next look says what became of it
            is_up = "ready" in notes or "contact.json" in notes
            looks[handle] = {"mtime": changed_at, "changing": not is_up or "stopping" in notes}
        if looks != self.looks:
            self.looks = looks
            say({"poke": True})

    # What is done

    def start(self, question: dict[str, Any]) -> dict[str, Any]:
        """Have an order claimed, if it isn't yet and there is room."""
        order = question["order"]
        directory = os.path.join(self.runs, order["order"])
        if os.path.exists(os.path.join(directory, "instance.json")):
            return {"claimed": False}
        if time.time() > question["until"]:
            return {"refused": "the order arrived so late that nobody waits for it any more"}
        Silence(self.root, order["marks"]["installation"], self.boot).begin()
        with open(os.path.join(self.root, ".lock"), "w", encoding="utf-8") as lock:
            until = time.monotonic() + LOCK_WITHIN_S
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        return {"refused": "somebody else has been starting instances there for 10 s"}
                    time.sleep(0.01)
            full = self.take(order, question["limits"])
            if full:
                return {"full": full}
            return self.spawn(order)

    def take(self, order: dict[str, Any], limits: dict[str, Any]) -> str:
        """Give the order its share; return what is missing, or nothing."""
        shares = []
        for handle in self.handles():
            found = self.facts(handle)
            if found is not None and found["alive"] and found["exit"] is None:
                shares.append(found["claim"])
        share = order["share"]
        for what, unit in (("cpus", "cores"), ("memory", "bytes of memory")):
            taken = sum(other.get(what) or 0 for other in shares)
            if share[what] and taken + share[what] > limits[what] * 1.000001:
                return f"{taken:g} of {limits[what]:g} {unit} are taken, and {share[what]:g} are needed"
        busy = {index for other in shares for index in other.get("gpus") or ()}
        free = [index for index in range(limits["gpus"]) if index not in busy]
        if share["gpus"] > len(free):
            return f"{len(busy)} of {limits['gpus']} GPUs are taken, and {share['gpus']} are needed"
        order["share"] = {**share, "gpus": free[: share["gpus"]]}
        if share["gpus"]:
            order["variables"]["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, order["share"]["gpus"]))
        return ""

    def spawn(self, order: dict[str, Any]) -> dict[str, Any]:
        """Start a starter and hear whether it has claimed the order."""
        program: bytes = globals()["PROGRAM"]
        marks = order["marks"]
        # The last words mean nothing to Python: they are for who looks at the list of processes.
        title = ["tradewind", marks["role"], marks["cluster"], marks["instance"]]
        child = subprocess.Popen(
            [*self.scope_command(), sys.executable, "-I", "-c", LOADER, *title],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        assert child.stdin is not None
        assert child.stdout is not None
        self.children.append(child)
        order["root"] = self.root
        try:
            head = json.dumps({"as": "starter"}).encode()
            child.stdin.write(b"%d\n" % len(program) + program + head + b"\n" + json.dumps(order).encode())
            child.stdin.close()
        except BrokenPipeError:
            return {"refused": "its Python ended at once"}
        readable, _, _ = select.select([child.stdout], [], [], CLAIM_WITHIN_S)
        line = child.stdout.readline() if readable else b""
        child.stdout.close()
        if not line:
            child.kill()  # it has claimed nothing that anybody heard of; a claim, if any, is a dead one's
            return {"refused": f"it couldn't start a process within {CLAIM_WITHIN_S:.0f} s"}
        answer: dict[str, Any] = json.loads(line)
        self.watched_at = 0.0
        return answer

    def ahead(self, question: dict[str, Any]) -> dict[str, Any]:
        """Begin to make what an order will need, that is yet to come; it is no instance, and ends with this station."""
        if any(child.poll() is None for child in self.makers):
            return {"begun": False}
        program, order = question["program"].encode(), {**question["order"], "cache": self.root}
        child = subprocess.Popen(
            [sys.executable, "-I", "-c", LOADER, "-", "tradewind", "ahead"],  # "-": its order comes as it did
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            # Asked and not killed, so that it ends what it has started and removes what is half made.
            preexec_fn=lambda: dies_with_its_parent(signal.SIGTERM),
        )
        assert child.stdin is not None
        self.makers = [child]
        try:
            child.stdin.write(b"%d\n" % len(program) + program + json.dumps(order).encode())
            child.stdin.close()
        except BrokenPipeError:
            return {"begun": False}
        return {"begun": True}

    def scope_command(self) -> list[str]:
        """Return what puts a process into a scope of its own, where that outlives this login; else nothing.

        Without lingering, systemd ends all scopes of a user with the last login: then a plain session lives longer.
        """
        if self.scope is None:
            user = os.environ.get("USER") or os.environ.get("LOGNAME") or ""
            command = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "--"]
            lingers = user and os.path.exists(os.path.join(LINGER, user)) and shutil.which("systemd-run")
            self.scope = command if lingers and _works([*command, "true"]) else []
        found: list[str] = self.scope
        return found

    def end(self, question: dict[str, Any]) -> dict[str, Any]:
        """Ask the keepers of these to end them."""
        self.watched_at = 0.0
        for handle in question["handles"]:
            claim = claim_in(os.path.join(self.runs, handle))
            if claim and claim["marks"]["installation"] == question["installation"] and is_alive(claim, self.boot):
                try:
                    os.kill(claim["pid"], signal.SIGTERM)
                except ProcessLookupError:
                    continue
        return {}

    def sweep(self, handle: str, claim: dict[str, Any], directory: str) -> None:
        """Kill what a dead keeper has left: found by its session, or by a variable that even strangers inherited."""
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            pid = int(name)
            try:
                if os.stat(f"/proc/{name}").st_uid != os.getuid():
                    continue
                # While a session has members its number is given to no new process, but it may be another's leader.
                is_ours = os.getsid(pid) == claim["pid"] and claim["boot"] == self.boot and not _exists(claim["pid"])
                if not is_ours:
                    with open(f"/proc/{name}/environ", "rb") as file:
                        is_ours = f"{VARIABLE}={handle}".encode() in file.read().split(b"\0")
                if is_ours and birth_of(pid, self.boot) is not None:
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                continue  # it has ended meanwhile, or isn't ours to look at
        shutil.rmtree(os.path.join(directory, "scratch"), ignore_errors=True)

    def announce(self, question: dict[str, Any]) -> dict[str, Any]:
        """Write down where a cluster's scheduler on another host listens, for workers here."""
        directory = os.path.join(self.root, "clusters")
        os.makedirs(directory, mode=0o700, exist_ok=True)
        write(os.path.join(directory, f"{question['cluster']}.json"), json.dumps(question["contact"]))
        return {}

    def prune(self) -> None:
        """Remove the directories of the long dead, and the oldest beyond the newest 200."""
        dead = []
        for handle in self.handles():
            directory = os.path.join(self.runs, handle)
            claim = claim_in(directory)
            if claim is None or not is_alive(claim, self.boot):
                dead.append((os.stat(directory).st_mtime, directory))
        now = time.time()
        for path in glob.glob(os.path.join(self.root, "asked", "*")):
            if os.stat(path).st_ctime < now - KEPT_FOR_S:
                remove(path)
        for path in glob.glob(os.path.join(self.root, "artifacts", "*", "*")):
            if DRAFT.search(path) and os.stat(path).st_mtime < now - DRAFT_FOR_S:
                remove(path)  # its connection broke on the way
        for place, (changed_at, directory) in enumerate(sorted(dead, reverse=True)):
            # A directory without a claim may be one that is being made right now.
            if changed_at < now - KEPT_FOR_S or (place >= KEPT_DEAD and changed_at < now - 60):
                shutil.rmtree(directory, ignore_errors=True)

    # Files

    def tail(self, question: dict[str, Any]) -> dict[str, Any]:
        """Say the last lines of a log."""
        return {"lines": last_lines(os.path.join(self.runs, question["handle"], "log"), question["lines"])}

    def have(self, question: dict[str, Any]) -> dict[str, Any]:
        """Say where these files are to lie, and which lie there already."""
        answer = {}
        for sha256, (name, size) in question["files"].items():
            seen = question.get("shared", {}).get(sha256, "")
            if seen and os.path.exists(seen) and os.path.getsize(seen) == size:
                answer[sha256] = {"path": seen, "there": True}  # on a disk of both; its hash is checked by who uses it
                continue
            path = os.path.join(self.root, "artifacts", sha256, name)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            is_there = os.path.exists(path) and os.path.getsize(path) == size
            answer[sha256] = {"path": path, "there": is_there}
            if is_there:
                os.utime(path)  # what is used is kept
        return {"files": answer}

    def keep(self, question: dict[str, Any]) -> dict[str, Any]:
        """Check a file that was brought, and put it in its place."""
        found = hashlib.sha256()
        with open(question["draft"], "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                found.update(block)
        if found.hexdigest() != question["sha256"]:
            remove(question["draft"])
            return {"error": "it arrived broken"}
        os.replace(question["draft"], question["path"])
        return {}


def _exists(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def _works(command: list[str]) -> bool:
    try:
        return (
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=3, check=False).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
