"""What both programs stand on: which process lives, and files that are whole or absent."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import sys
import time
from datetime import datetime, timezone
from typing import Any, Optional

VARIABLE = "TRADEWIND_INSTANCE"
"""Set in every process of an instance to its handle, and so in everything that it starts."""
ROOM = "room"
"""A file of each run, as large as its last words may be: given back to the disk before they are written, so that what
ends because its disk is full can still say so."""
ROOM_BYTES = 32768
RECORD_LIMIT = 1 << 20
"""Bytes of a record; one that is larger is none of ours."""
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.ELOOP, errno.ENXIO)
"""Why there is no plain file to read; of other errors nobody knows what they hide."""

# Python reads the program's length, then the program, from its standard input, where further lines follow. No single
# quote, backslash or exclamation mark: every login shell takes it between single quotes.
LOADER = (
    "import sys;"
    'sys.version_info>=(3,9) or sys.exit("Python 3.9 or newer is needed, and this is "+sys.version.split()[0]);'
    'sys.platform=="linux" or sys.exit("Linux is needed, and this is "+sys.platform);'
    "n=int(sys.stdin.buffer.readline());PROGRAM=sys.stdin.buffer.read(n);"
    'exec(compile(PROGRAM,"tradewind","exec"),globals())'
)


def machine_boot() -> str:
    """Return what tells this run of this machine from another."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def birth_of(pid: int, boot: str) -> Optional[str]:  # noqa: UP045 - Python 3.9 reads this
    """Return when process ``pid`` was born, as :func:`tradewind.boot.birth.birth_of`; None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat[stat.rindex(b")") + 2 :].split()
    return None if state in {b"Z", b"X"} else f"{boot}:{fields[18].decode()}"


def is_alive(claim: dict[str, Any], boot: str) -> bool:
    """Whether the keeper that made this claim still is."""
    return bool(claim.get("boot") == boot and birth_of(int(claim["pid"]), boot) == claim["birth"])


def own_claim(boot: str) -> dict[str, Any]:
    """Return what of a claim says which process made it, and when."""
    return {
        "pid": os.getpid(),
        "birth": birth_of(os.getpid(), boot),
        "host": socket.gethostname(),
        "boot": boot,
        "started_at": iso(time.time()),
    }


def iso(moment: float) -> str:
    """Return a POSIX time as text."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat()  # noqa: UP017 - Python 3.9 reads this


def plain(path: str) -> Any:
    """Return a file, open for bytes; None where there is none, or something that isn't a plain file."""
    try:
        # A pipe in its place would have us wait for a writer.
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    return None


def read_json(path: str, limit: int = RECORD_LIMIT) -> Any:
    """Return what a file holds; None if there is no such file, or nothing that can be read in ``limit`` bytes."""
    file = plain(path)
    if file is None:
        return None
    with file:
        text = file.read(limit + 1)
    try:
        return json.loads(text) if len(text) <= limit else None
    except (ValueError, RecursionError):
        return None


def read_text(path: str) -> str:
    """Return a short text; empty where there is none."""
    file = plain(path)
    if file is None:
        return ""
    with file:
        return str(file.read(10_000).decode(errors="replace").strip())


def last_lines(path: str, lines: int) -> list[str]:
    """Return the last lines of a file, reading no more of it than 1 KiB for each; empty where there is none."""
    file = plain(path)
    if file is None:
        return []
    with file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - lines * 1024)
        file.seek(start)
        text = file.read(lines * 1024).decode(errors="replace")
    found = text.splitlines()
    return (found[1:] if start and len(found) > lines else found)[-lines:] if lines > 0 else []


def write(path: str, text: str) -> None:
    """Write a file so that a reader sees the old or the new one whole."""
    directory, name = os.path.split(path)
    draft = os.path.join(directory, f".{name}-{os.getpid()}")
    try:
        with open(draft, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(draft, path)
    except OSError:
        remove(draft)
        raise


def keep_room(directory: str) -> None:
    """Take the room that the last words in ``directory`` need. Raises OSError where there is none."""
    with open(os.path.join(directory, ROOM), "wb") as file:
        # Something in it: nothing but zeros takes no room on a disk that packs them.
        file.write(os.urandom(ROOM_BYTES))


def remove(path: str) -> None:
    """Remove a file that may be gone."""
    try:
        os.unlink(path)
    except OSError:
        return


def say(answer: dict[str, Any]) -> None:
    """Say one line of JSON."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
