"""The doors of this process: opens them for what was granted, and keeps somebody standing at them."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from tradewind.boot.credentials.doors import Opening, Place, open_for, past_proxies
from tradewind.boot.credentials.grant import Grant

logger = logging.getLogger("distributed.worker.tradewind")

PORTER = Path(__file__).with_name("porter.py")
PREFIX = "tradewind-credentials-"
SHARED_MEMORY = "/dev/shm"
BACKLOG = 128
ENDS_WITHIN_S = 5.0


class Doorway:
    """Makes grants found by the libraries of this process and its children. One for each process."""

    def __init__(self) -> None:
        self._grants: dict[str, Grant] = {}
        self._lock = threading.Lock()
        self._place: Place | None = None
        self._socket: socket.socket | None = None
        self._porter: subprocess.Popen[str] | None = None
        self._said = ""
        self._closed = False

    def update(self, grants: Mapping[str, Grant]) -> None:
        """Add ``grants``, in place of those of the same name. Blocks for some milliseconds; may be called twice.

        Raises
        ------
        OSError
            The machine has no room for a small file, or no process to spare.
        """
        with self._lock:
            if self._closed:
                return
            self._grants.update(grants)
            place = self._place or self._make_place()
            opening = open_for(tuple(self._grants.values()), place)
            for name, text in opening.files.items():
                _write(Path(place.directory, name), text)
            if opening.answers or opening.files:
                self._tell(opening, place)
            # Last, so that nobody is sent to a door where nobody stands.
            for name in opening.hidden:
                os.environ.pop(name, None)
            for name, text in opening.defaults.items():
                os.environ.setdefault(name, text)
            os.environ.update(opening.variables)
            if opening.answers:
                os.environ.update(past_proxies(os.environ))

    def close(self) -> None:
        """Close the doors and take the files away; may be called twice."""
        with self._lock:
            self._closed = True
            porter, self._porter = self._porter, None
            if porter is not None:
                _hang_up(porter)
                with suppress(subprocess.TimeoutExpired):
                    porter.wait(ENDS_WITHIN_S)
            if self._socket is not None:
                self._socket.close()
            if self._place is not None:
                shutil.rmtree(self._place.directory, ignore_errors=True)

    def _make_place(self) -> Place:
        sweep()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self._place = Place(
            address=f"127.0.0.1:{self._socket.getsockname()[1]}",
            token=secrets.token_urlsafe(32),
            directory=tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=_memory()),
            python=sys.executable,
        )
        return self._place

    def _tell(self, opening: Opening, place: Place) -> None:
        answers = {path: asdict(answer) for path, answer in opening.answers.items()}
        said = {"token": place.token, "directory": place.directory, "files": dict(opening.files), "answers": answers}
        self._said = json.dumps(said)
        if self._porter is None:
            self._hire()
        else:
            self._say(self._porter)

    def _hire(self) -> None:
        assert self._socket is not None
        number = self._socket.fileno()
        self._porter = subprocess.Popen(
            [sys.executable, "-I", "-S", str(PORTER), str(number), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(number,),
            cwd="/",
            env={},
            # A signal to all of this process's group would leave nobody to take the files away.
            start_new_session=True,
            text=True,
        )
        self._say(self._porter)
        threading.Thread(target=self._replace, args=(self._porter,), daemon=True, name="tradewind-doorway").start()

    def _say(self, porter: subprocess.Popen[str]) -> None:
        assert porter.stdin is not None
        assert porter.stdout is not None
        # One who has just died is replaced, and the next is told the same.
        with suppress(BrokenPipeError):
            porter.stdin.write(self._said + "\n")
            porter.stdin.flush()
            porter.stdout.readline()

    def _replace(self, porter: subprocess.Popen[str]) -> None:
        """Wait for the end of a porter, and if the doors are still open, put another there."""
        porter.wait()
        with self._lock:
            if not self._closed and self._porter is porter:
                logger.warning("Who answers for credentials here has died (%s): starting another", porter.returncode)
                _hang_up(porter)
                try:
                    self._hire()
                except OSError as error:
                    self._porter = None
                    logger.warning("No other could be started, until credentials are renewed: %s", error)


def sweep() -> None:
    """Take away what processes left that were killed together with whoever would have cleaned up after them."""
    directory = _memory() or tempfile.gettempdir()
    for path in Path(directory).glob(f"{PREFIX}*"):
        pid = re.match(rf"{PREFIX}(\d+)-", path.name)
        if pid is None:
            continue
        with suppress(OSError):
            if (
                path.stat().st_uid == os.getuid()
                and not Path(f"/proc/{pid[1]}").exists()
                and Path("/proc/self").exists()
            ):
                shutil.rmtree(path, ignore_errors=True)


def _memory() -> str | None:
    """Return a directory that is kept in memory and never on a disk; None where this machine has none."""
    # First, since the other is taken away with all its directories when the user logs out.
    for path in (SHARED_MEMORY, os.environ.get("XDG_RUNTIME_DIR", "")):
        if path and os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK):
            return path
    return None


def _write(path: Path, text: str) -> None:
    """Write a file whole, readable by its user alone; one that says so already is left."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    new = path.with_name(f".{path.name}")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(new, path)


def _hang_up(porter: subprocess.Popen[str]) -> None:
    for line in (porter.stdin, porter.stdout):
        if line is not None:
            with suppress(BrokenPipeError):
                line.close()
