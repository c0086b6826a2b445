"""What of a machine's cache is kept: what was used last, up to so many bytes, and whatever is in use."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tradewind.boot.restore.place import MARKER, NO_LOCKS, is_same

RECENT_S = 3600.0
"""Who was told that something is there uses it within this time; who uses it for longer says so anew within it."""
EVERY_S = 86400.0
"""Between two times that a cache is gone through, which takes as long as it has files."""
USERS = ".users"
"""After the name of an environment: a directory of marks, each of one process that runs of it."""
STAMP = ".pruned"
KINDS = ("artifacts", "packed", "conda", "conda/unpacked", "tools")
"""Directories whose entries are made again, or brought again, by whoever needs them."""


@dataclass(frozen=True)
class Kept:
    """Something in the cache that can go as a whole."""

    path: str
    used_at: float
    """POSIX, by the clock of the file system: other machines may write there too."""
    size: int
    is_shared: bool
    """Whether whoever makes an environment may be reading it right now."""


def prune(cache: str, *, keep_days: float, keep_bytes: float, keep: str = "") -> list[str]:
    """Remove what nobody used in so many days, then what was used longest ago, beyond so many bytes of all.

    Never an environment that a process of this machine has open, that one of any machine has marked as in use, that
    was asked for within the last hour, or ``keep``; and nothing that making one reads, while anybody here makes one.
    Others make and use what they like meanwhile: they wait only while names are changed. Returns the paths of what it
    removed.
    """
    now = _now_there(cache)
    found = sorted(_found(cache, now), key=lambda one: -one.used_at)
    running = _open_here()  # after the walk, which takes minutes
    if running is None:  # no way to know what is in use
        return []
    gone: dict[str, str] = {}
    total = 0
    with _locked(cache) as locks:
        for one in found:
            total += one.size
            is_old = now - one.used_at > keep_days * 86400 or total > keep_bytes
            is_needed = os.path.basename(one.path) == keep or any(one.path in text for text in running)
            if not is_old or is_needed or now - one.used_at < RECENT_S or (one.is_shared and not locks.is_quiet):
                continue
            if aside := _set_aside(one, now, locks):
                gone[one.path] = aside
                total -= one.size
    for aside in gone.values():
        shutil.rmtree(aside, ignore_errors=True)
    return list(gone)


def is_due(cache: str) -> bool:
    """Whether it is time to go through the cache; if it is, the next time is a day later."""
    stamp = os.path.join(cache, STAMP)
    with suppress(OSError):
        if time.time() - os.stat(stamp).st_mtime < EVERY_S:
            return False
    with open(stamp, "w", encoding="utf-8"):
        return True


def _found(cache: str, now: float) -> Iterator[Kept]:
    seen: set[tuple[int, int]] = set()
    for path, is_shared in _places(cache):
        with suppress(FileNotFoundError):  # gone since it was listed
            used_at = _used_at(path, now)
            if used_at is not None:
                yield Kept(path=path, used_at=used_at, size=_size(path, seen), is_shared=is_shared)


def _places(cache: str) -> Iterator[tuple[str, bool]]:
    """Yield what may go, and whether whoever makes an environment may be reading it."""
    for entry in _entries(os.path.join(cache, "environments")):
        yield entry.path, False
    for kind in KINDS:
        for entry in _entries(os.path.join(cache, *kind.split("/"))):
            if entry.path != os.path.join(cache, "conda", "unpacked"):
                yield entry.path, True
    ours = os.path.join(cache, "uv")
    if os.path.isdir(ours):  # last: what environments link to was counted with them
        yield ours, True


def _used_at(path: str, now: float) -> float | None:
    """Return when it was used last; None of what stays whenever that was. Raises FileNotFoundError where it is gone."""
    home, name = os.path.split(path)
    if os.path.basename(home) != "environments":
        return max(os.lstat(path).st_mtime, _newest(path))
    marker = os.path.join(path, MARKER)
    if os.path.exists(marker):
        return max(os.stat(marker).st_mtime, _marked_at(path, now))
    # Of somebody who was killed: no step of the making takes so long.
    is_left = name.endswith((".making", ".packing")) and now - _newest(path) > EVERY_S
    return 0.0 if is_left else None


def _entries(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _newest(path: str) -> float:
    """Return when something directly below it was changed last, or it itself."""
    times = [0.0]
    with suppress(OSError):
        times.append(os.lstat(path).st_mtime)
    for entry in _entries(path):
        with suppress(OSError):
            times.append(entry.stat(follow_symlinks=False).st_mtime)
    return max(times)


def _marked_at(path: str, now: float) -> float:
    """Return when a process of the environment said last that it uses it; now, if such a one is alive here."""
    latest = 0.0
    for entry in _entries(path + USERS):
        with suppress(OSError, ValueError, KeyError):
            with open(entry.path, encoding="utf-8") as file:
                mark = json.load(file)
            renewed_at = now if _is_alive_here(mark) else entry.stat().st_mtime
            latest = max(latest, renewed_at)
            if now - renewed_at > EVERY_S:
                os.unlink(entry.path)  # of one that was killed
    return latest


def _is_alive_here(mark: dict[str, Any]) -> bool:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        if mark["boot"] != file.read().strip():
            return False
    with open(f"/proc/{int(mark['pid'])}/stat", "rb") as file:
        state, *fields = file.read().rpartition(b") ")[2].split()
    return state not in {b"Z", b"X"} and fields[18].decode() == mark["birth"]


def _now_there(cache: str) -> float:
    """Return the time by the clock that stamps the files there; another machine's, where the disk is."""
    path = os.path.join(cache, f".now-{socket.gethostname()}-{os.getpid()}")
    try:
        with open(path, "w", encoding="utf-8"):
            return os.stat(path).st_mtime
    finally:
        with suppress(OSError):
            os.unlink(path)


@dataclass(frozen=True)
class Locks:
    """Those of all environments there, as far as they could be had."""

    ours: frozenset[str]
    """Their paths."""
    others: frozenset[str]
    """Of those that somebody else holds."""
    is_quiet: bool
    """Whether it is sure that nobody makes one."""


@contextmanager
def _locked(cache: str) -> Iterator[Locks]:
    """Hold the locks of all environments there that nobody else holds; whoever wants one waits meanwhile."""
    held: list[int] = []
    ours: set[str] = set()
    others: set[str] = set()
    try:
        is_quiet = True
        for entry in _entries(os.path.join(cache, "environments")):
            if entry.name.endswith(".lock"):
                with suppress(FileNotFoundError):
                    held.append(os.open(entry.path, os.O_RDWR))
                    got = _is_ours(held[-1])
                    if got and is_same(held[-1], entry.path):
                        ours.add(entry.path)
                    else:
                        is_quiet = False
                        others |= {entry.path} if got is False else set()
        yield Locks(ours=frozenset(ours), others=frozenset(others), is_quiet=is_quiet)
    finally:
        for number in held:
            os.close(number)


def _is_ours(number: int) -> bool | None:
    """Whether this process has the lock now; None where there are none, and nobody knows."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        raise
    return True


def _set_aside(one: Kept, now: float, locks: Locks) -> str:
    """Give it a name that nobody asks for, so that it is absent at once and not piece by piece; return that.

    Empty where it stays: it was used since it was looked at, or somebody is making it.
    """
    path, lock = one.path, f"{one.path}.lock"
    aside = f"{path}.{socket.gethostname()}-{os.getpid()}.making"
    try:
        used_at = _used_at(path, now)
        if lock in locks.others or used_at is None or used_at > one.used_at:
            return ""
        if os.path.isfile(path):
            os.unlink(path)
            return aside
        os.rename(path, aside)
        if _marker_of(aside) > one.used_at > 0:  # somebody was told a moment ago that it is there
            os.rename(aside, path)
            return ""
    except OSError:
        return ""
    shutil.rmtree(path + USERS, ignore_errors=True)
    if lock in locks.ours:  # who has another's would make it beside them
        for left in (f"{path}.progress", lock):
            with suppress(OSError):
                os.unlink(left)
    return aside


def _marker_of(path: str) -> float:
    try:
        return os.stat(os.path.join(path, MARKER)).st_mtime
    except OSError:
        return 0.0


def _open_here() -> list[str] | None:
    """Return texts in which the path of an environment stands that a process on this machine has open."""
    if not sys.platform.startswith("linux"):
        return None
    texts = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            for what in ("cmdline", "maps"):
                with suppress(OSError), open(f"/proc/{name}/{what}", encoding="utf-8", errors="replace") as file:
                    texts.append(file.read())
    return texts


def _size(path: str, seen: set[tuple[int, int]]) -> int:
    """Return the bytes below it; of a file with several names, only where it is met first."""
    total = 0
    for place, _, files in os.walk(path):
        for name in files:
            with suppress(OSError):
                facts = os.lstat(os.path.join(place, name))
                key = (facts.st_dev, facts.st_ino)
                if facts.st_nlink > 1 and key in seen:
                    continue
                if facts.st_nlink > 1:
                    seen.add(key)
                total += facts.st_size
    return total
