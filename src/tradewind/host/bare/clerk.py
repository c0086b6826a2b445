"""The clerk: does on a login node what a batch provider does on its own machine, as long as somebody is connected.

It runs the queue's commands, puts letters where jobs find them, and tells of the notes that instances leave: one line
of JSON for each question. Nothing that runs or waits needs it. When its standard input ends, it does.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from tradewind.host.bare.ground import LOADER, last_lines, read_text, remove
from tradewind.host.bare.starter import WORDS
from tradewind.host.bare.station import KEPT_FOR_S, Station, glibc

TOLD = ("instance.json", "contact.json", "ready", "stopping", "exit.json")
"""Notes of an instance, in the order in which they are left."""
HEARD_NOTE = "heard"
LOOKED_AT_S = 0.25
"""How often what isn't up yet is looked at, unasked."""
LOCK_EVERY_S = 0.05
LOGIN_WITHIN_S = 15.0
STEP_WITHIN_S = 2.0
"""How long the answer on software that is being made is kept back: what is there already takes no second question."""
BATCHES_FOR_S = 60 * 86400.0
"""Longer than any job waits and runs."""


def main() -> None:
    """Answer whoever has sent this program."""
    head = json.loads(sys.stdin.buffer.readline())
    root = head["root"]
    if "$" in root:  # sites name their scratch by a variable that only a login sets
        os.environ.update(_after_login())
        root = os.path.expandvars(root)
    Clerk(os.path.expanduser(root), head).run()


class Clerk(Station):
    """Answers questions about the queue and about what stands below ``root``, several at a time."""

    def __init__(self, root: str, head: dict[str, Any]) -> None:
        super().__init__(root)
        self.batches = os.path.join(root, "batches")
        self.head = head
        self.speaking = threading.Lock()
        self.asking = threading.Lock()
        self.found: Any = None
        self.is_blind = False
        """Whether a login showed no variables."""
        self.lock = -1
        self.makings: dict[str, Making] = {}
        self.awaited: set[str] = set()
        """Orders of which the next note is waited for."""
        self.known: dict[str, list[str]] = {}
        """Which notes of these orders the other end has, as it said last."""

    def run(self) -> None:
        """Answer until nobody asks any more."""
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        try:
            for directory in (self.batches, self.runs, os.path.join(self.root, "clusters")):
                os.makedirs(directory, mode=0o700, exist_ok=True)
        except OSError as error:
            self.tell({"refused": f"{self.root} can't be made: {error.strerror}", "now": time.time()})
            return
        self.tell({"clerk": 1, "now": time.time(), "python": platform.python_version(), "root": self.root,
                   "host": socket.gethostname(), "platform": f"linux-{platform.machine()}", "glibc": glibc(),
                   "user": pwd.getpwuid(os.getuid()).pw_name, "uid": os.getuid()})  # fmt: skip
        for work in (self.login, self.look_out, self.tidy):
            threading.Thread(target=work, daemon=True).start()
        for line in sys.stdin.buffer:
            threading.Thread(target=self.answer, args=(json.loads(line),), daemon=True).start()
        os._exit(0)  # commands go on, and hold the lock for as long as they do

    def tell(self, words: dict[str, Any]) -> None:
        """Say one line, whole, whatever others say."""
        with self.speaking:
            sys.stdout.write(json.dumps(words) + "\n")
            sys.stdout.flush()

    def answer(self, question: dict[str, Any]) -> None:
        """Answer one question."""
        verbs = {"run": self.execute, "lock": self.take_lock, "unlock": self.give_lock, "deliver": self.deliver,
                 "look": self.look, "give_up": self.give_up, "tail": self.last_words, "have": self.have,
                 "keep": self.keep, "furnish": self.furnish}  # fmt: skip
        try:
            answer = verbs[question["verb"]](question)
        except OSError as error:
            answer = {"error": f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")}
        self.tell({"id": question["id"], "now": time.time(), **answer})

    # The queue's commands

    def login(self) -> dict[str, str]:
        """Return the variables that the user has after a login: sites put their queue's commands on that PATH alone."""
        with self.asking:
            if self.found is None:
                after = _after_login()
                self.is_blind = not after
                self.found = {**os.environ, **after}
            found: dict[str, str] = self.found
            return found

    def execute(self, question: dict[str, Any]) -> dict[str, Any]:
        """Run a command to its end, in an environment of its own."""
        kept, beginnings = set(self.head["kept"]), tuple(self.head["beginnings"])
        environ = {n: v for n, v in self.login().items() if n in kept or n.startswith(beginnings)}
        command = question["command"]
        program = shutil.which(command[0], path=environ.get("PATH"))
        if program is None:
            why = f"; your login shell, {_shell()}, told nothing of its own" if self.is_blind else ""
            return {"absent": f"no {command[0]} on its PATH ({environ.get('PATH', '')}{why})"}
        keeps = (self.lock,) if question["holds"] and self.lock >= 0 else ()
        process = subprocess.Popen(
            [program, *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environ, **question["variables"]},
            pass_fds=keeps,
            start_new_session=True,
            cwd=os.path.expanduser("~"),
        )
        try:
            out, error = process.communicate(question["text"].encode(), timeout=question["within_s"])
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return {"late": True}
        return {"code": process.returncode, "out": out.decode(errors="replace"), "err": error.decode(errors="replace")}

    def take_lock(self, question: dict[str, Any]) -> dict[str, Any]:
        """Keep all others who submit from this directory out, until it is given back or nobody is connected."""
        lock = os.open(os.path.join(self.root, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + question["within_s"]
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    os.close(lock)
                    return {"held": True}
                time.sleep(LOCK_EVERY_S)
            else:
                self.lock = lock
                return {}

    def give_lock(self, _: dict[str, Any]) -> dict[str, Any]:
        """Let others submit."""
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1
        return {}

    # Letters and notes

    def deliver(self, question: dict[str, Any]) -> dict[str, Any]:
        """Put letters where the jobs of a submission find them; they hold keys."""
        directory = os.path.join(self.batches, question["batch"])
        os.makedirs(directory, mode=0o700, exist_ok=True)
        for index, letter in enumerate(question["letters"]):
            path = os.path.join(directory, f"order-{index}.json")
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(letter, file)
        return {}

    def look(self, question: dict[str, Any]) -> dict[str, Any]:
        """Say what notes there are besides those that the other end has; by asking, what runs is looked after.

        It says itself which it has: what was told once may never have arrived.
        """
        heard = os.path.join(self.root, HEARD_NOTE)
        with open(heard, "a", encoding="utf-8"):
            os.utime(heard)
        for batch in question["closed"]:
            shutil.rmtree(os.path.join(self.batches, batch), ignore_errors=True)
        found = {order: self.notes(order, known) for order, known in question["orders"].items()}
        if question["orders"]:
            self.known = {order: [*known, *found[order]] for order, known in question["orders"].items()}
        self.awaited = {order for order in question["awaited"] if not _is_settled(self.known.get(order, []))}
        return {"notes": {order: notes for order, notes in found.items() if notes}}

    def notes(self, order: str, known: list[str]) -> dict[str, str]:
        """Return the notes that an instance has left, but for those that are known."""
        directory = os.path.join(self.runs, order)
        try:
            there = set(os.listdir(directory))
        except OSError:
            return {}
        return {name: read_text(os.path.join(directory, name)) for name in TOLD if name in there and name not in known}

    def look_out(self) -> None:
        """Poke the other end as soon as one that is waited for has left a note."""
        while True:
            time.sleep(LOOKED_AT_S)
            for order in list(self.awaited):
                if _is_settled([*self.notes(order, self.known.get(order, []))]):
                    self.awaited.discard(order)
                    self.tell({"poke": True})

    def give_up(self, question: dict[str, Any]) -> dict[str, Any]:
        """Take away what jobs would be told, so that they start nothing."""
        for batch, index in question["letters"]:
            remove(os.path.join(self.batches, batch, f"order-{index}.json"))
        return {}

    def last_words(self, question: dict[str, Any]) -> dict[str, Any]:
        """Say the last lines of an instance, or what the queue wrote in its place."""
        found = last_lines(os.path.join(self.runs, question["order"], "log"), question["lines"])
        if not found and question["first"]:
            found = last_lines(os.path.join(self.batches, question["first"]), question["lines"])
        return {"lines": found}

    # Software

    def furnish(self, question: dict[str, Any]) -> dict[str, Any]:
        """Have an environment made, once for all jobs; say how far that is."""
        key = question["key"]
        making = self.makings.get(key)
        if making is None:
            making = self.makings[key] = Making(question["program"], question["order"])
            making.start()
        making.join(STEP_WITHIN_S)
        if making.is_alive():
            return {"step": making.step}
        if "python" not in making.said:
            del self.makings[key]  # who asks again has it tried again
        return making.said

    def tidy(self) -> None:
        """Remove what ended long ago."""
        now = time.time()
        for directory, oldest in ((self.runs, now - KEPT_FOR_S), (self.batches, now - BATCHES_FOR_S)):
            with contextlib.suppress(OSError):
                for name in os.listdir(directory):
                    path = os.path.join(directory, name)
                    of = os.path.join(path, "exit.json") if directory == self.runs else path
                    with contextlib.suppress(OSError):
                        if os.stat(of).st_mtime < oldest:
                            shutil.rmtree(path, ignore_errors=True)


class Making(threading.Thread):
    """An environment that is being made."""

    def __init__(self, program: str, order: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.program = program.encode()
        self.order = order
        self.step = "making the software"
        self.said: dict[str, Any] = {}

    def run(self) -> None:
        """See it through."""
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", LOADER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            self.said = {"failed": f"the software can't be made: {error.strerror}"}
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # what became of it is said below
            process.stdin.write(b"%d\n" % len(self.program) + self.program + json.dumps(self.order).encode())
            process.stdin.close()
        for line in process.stdout:
            self.hear(line)
        code = process.wait()
        if not self.said:
            self.said = {"failed": f"what makes the software ended with exit code {code}, without a word"}

    def hear(self, line: bytes) -> None:
        """Take note of what it says."""
        try:
            words = json.loads(line)
        except ValueError:
            return
        if "failed" in words:
            self.said = {"failed": str(words.get("reason") or words["failed"])}
        elif "python" in words:
            self.said = {"python": str(words["python"])}
        elif "step" in words:
            number = f" {words['done']} of {words['of']}" if words.get("of") else ""
            self.step = WORDS.get(str(words["step"]), str(words["step"])) + number


def _is_settled(notes: list[str]) -> bool:
    """Whether an instance is up or has ended."""
    return bool({"contact.json", "ready", "exit.json"} & set(notes))


def _shell() -> str:
    return pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"


def _after_login() -> dict[str, str]:
    mark = f"tradewind-{os.getpid()}-"
    program = f"import json, os; print({mark!r} + json.dumps(dict(os.environ)))"
    shell = _shell()
    try:
        said = subprocess.run(
            # The dash makes it a shell of a login, as it does for login itself: those of csh's kind take no -l.
            ["-" + os.path.basename(shell), "-c", f'exec {sys.executable} -I -c "{program}"'],
            executable=shell,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LOGIN_WITHIN_S,
            check=False,
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return {}  # a login shell that hangs says nothing of value; the plain one's variables have to do
    line = next((line for line in said.splitlines() if line.startswith(mark)), "")
    try:
        found: dict[str, str] = json.loads(line[len(mark) :])
    except ValueError:
        return {}
    return found
