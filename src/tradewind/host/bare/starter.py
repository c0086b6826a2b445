"""The starter: claims an order, has the software made, and becomes the keeper of the instance.

It leads a session of its own and needs nobody: whoever started it may go at once. Until its environment stands it holds
the instance to its end by itself; then its process becomes ``python -m tradewind.host`` of that environment, under the
same claim, since it is still the same process.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

from tradewind.host.bare.ground import (
    LOADER,
    ROOM,
    VARIABLE,
    iso,
    keep_room,
    last_lines,
    machine_boot,
    own_claim,
    remove,
    say,
    write,
)
from tradewind.host.bare.packing import dies_with_its_parent, pack_later
from tradewind.host.bare.silence import Silence

SIGNALS = (signal.SIGTERM, signal.SIGINT)
ASKED = "was asked to end"
GRACE_S = 5.0
"""Between asking what makes the software to end and killing it."""
NOTE_EVERY_S = 0.5
WORDS = {
    "uv": "getting uv",
    "python": "finding Python",
    "packages": "installing packages",
    "conda": "installing conda packages",
    "artifacts": "installing your own code",
    "fetch": "fetching the packed environment",
    "unpack": "unpacking the environment",
    "verify": "checking the environment",
    "wait": "waiting for another instance that makes the same environment",
}
"""What a person reads while a step of the restoring goes on; of others, their own name."""


def start(order: dict[str, Any]) -> None:
    """Claim ``order`` and see it through; returns if somebody else has it, or it can't be had."""
    directory = os.path.join(order["root"], "runs", order["order"])
    try:
        claimed = _claim(directory, order)
    except OSError as error:
        # Nothing of it may stay: without a claim nobody would know what it is.
        shutil.rmtree(directory, ignore_errors=True)
        say({"refused": error.strerror or str(error)})
        return
    say({"claimed": claimed})
    if claimed:
        _Start(directory, order).run()


def _claim(directory: str, order: dict[str, Any]) -> bool:
    os.makedirs(directory, mode=0o700, exist_ok=True)
    draft = os.path.join(directory, f".claim-{os.getpid()}")
    try:
        with open(draft, "w", encoding="utf-8") as file:
            json.dump({**own_claim(machine_boot()), "marks": order["marks"], **order["share"]}, file)
        keep_room(directory)
        # A link fails if its name exists, so that of two claimants one wins, and nobody sees half a file.
        os.link(draft, os.path.join(directory, "instance.json"))
    except FileExistsError:
        return False
    finally:
        remove(draft)
    return True


class _Start:
    def __init__(self, directory: str, order: dict[str, Any]) -> None:
        self.directory = directory
        self.order = order
        self.asked = ""
        self.noted_at = 0.0
        self.silence = Silence(order["root"], order["marks"]["installation"], machine_boot())

    def run(self) -> None:
        log = os.open(os.path.join(self.directory, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in SIGNALS:
            signal.signal(number, self._hear)
        os.environ[VARIABLE] = self.order["order"]
        try:
            python = self.order["python"] or self._restored()
        except (OSError, ValueError) as error:
            python = self._end(1, f"the software couldn't be made: {error}")
        if python and self.asked:
            python = self._end(None, self.asked)
        if python:
            self._become(python)

    def _hear(self, number: int, _: Any) -> None:
        self.asked = self.asked or ASKED

    def _restored(self) -> str:
        """Have the environment made; returns its Python, or nothing where the instance has ended instead."""
        work = self.order["restore"]
        program = work["program"].encode()
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", LOADER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            cwd=self.directory,
            preexec_fn=dies_with_its_parent,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(b"%d\n" % len(program) + program + json.dumps(work["order"]).encode())
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended, and what it said, or didn't, is read below
        said: dict[str, Any] = {}
        lines = b""
        kill_at = 0.0
        while True:
            readable, _, _ = select.select([process.stdout], [], [], 0.2)
            if readable:
                data = os.read(process.stdout.fileno(), 65536)
                if not data:
                    break
                *whole, lines = (lines + data).split(b"\n")
                for line in whole:
                    said = self._heard(line, said)
            ends_at = self.order["ends_at"]
            if ends_at is not None and time.time() >= ends_at:
                self.asked = self.asked or f"its time was over: it was to end at {iso(ends_at)}"
            self.asked = self.asked or self.silence.words(self.order["share"]["alone_s"], self.directory)
            if self.asked and not kill_at:
                kill_at = time.monotonic() + GRACE_S
                self._note("stopping", "")
                _signal(process.pid, signal.SIGTERM)
            if kill_at and time.monotonic() >= kill_at:
                _signal(process.pid, signal.SIGKILL)
        code = process.wait()
        if self.asked:
            return self._end(None, self.asked)
        if "python" in said and code == 0:
            self._note("progress", "starting Dask")
            return str(said["python"])
        words = last_lines(os.path.join(self.directory, "log"), 1)
        why = f"what makes the software ended with exit code {code}: {words[-1].strip() if words else 'without a word'}"
        return self._end(code, str(said.get("reason") or why))

    def _heard(self, line: bytes, said: dict[str, Any]) -> dict[str, Any]:
        """Return what it said last of its end; a step goes on a note, and what is no JSON to the log."""
        try:
            words = json.loads(line)
        except ValueError:
            words = None
        if not isinstance(words, dict):
            self._log(line.decode(errors="replace"))
            return said
        if "failed" in words:
            remove(os.path.join(self.directory, ROOM))
            self._log(f"{words.get('reason')}\n{words.get('detail', '')}")
        if "failed" in words or "python" in words:
            return words
        if "note" in words:
            self._log(words["note"])
        if "step" in words and time.monotonic() >= self.noted_at + NOTE_EVERY_S:
            self.noted_at = time.monotonic()
            step = str(words["step"])
            number = f" {words['done']} of {words['of']}" if words.get("of") else ""
            self._note("progress", WORDS.get(step, step) + number)
        return said

    def _note(self, name: str, words: str) -> None:
        try:
            write(os.path.join(self.directory, name), words)
        except OSError:
            return  # a full disk ends it, with a reason, where something is needed

    def _log(self, words: str) -> None:
        try:
            os.write(2, f"{words}\n".encode())
        except OSError:
            return  # the same; the reason isn't in the log alone

    def _end(self, code: Any, detail: str) -> str:
        remove(os.path.join(self.directory, ROOM))
        end = {"stopped_at": iso(time.time()), "exit_code": code, "detail": detail}
        write(os.path.join(self.directory, "exit.json"), json.dumps(end))
        return ""

    def _become(self, python: str) -> None:
        """Turn this process into the keeper."""
        # What is asked from here on waits until the keeper listens.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        receive, send = os.pipe()
        if os.fork() == 0:
            # A writer of its own: what is longer than the pipe's buffer would wait for a reader that isn't there yet.
            os.close(receive)
            with open(send, "wb") as pipe:
                pipe.write(json.dumps(self.order["task"]).encode())
            os._exit(0)
        os.close(send)
        os.dup2(receive, 0)
        os.close(receive)
        os.chdir(os.path.expanduser("~"))
        pack_later(self.directory, self.order["restore"])
        # The caller's win, also over what this host sets for all.
        environ = {**os.environ, **self.order["variables"]}
        # Of no use to Python: for who looks at the list of processes.
        title = [self.order["marks"][key] for key in ("role", "cluster", "instance")]
        try:
            os.execve(python, [python, "-P", "-m", "tradewind.host", *title], environ)
        except OSError as error:
            self._end(1, f"{python} can't be run: {error.strerror}")


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
