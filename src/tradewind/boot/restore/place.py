"""Where environments lie on a machine: each made once, complete or absent, and not kept for ever."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from tradewind.boot.restore.packages import Making, free_space
from tradewind.boot.restore.report import CantRestore, Report
from tradewind.boot.restore.tools import find_uv, usual_indexes

MARKER = "environment.json"
"""Stands in a complete environment; its time is when the environment was last asked for."""
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
"""What file systems of a network say that keep no locks."""


class Place:
    """One environment's directory, beside the others."""

    def __init__(self, cache: str, content_hash: str) -> None:
        if not content_hash or os.path.basename(content_hash) != content_hash:
            raise CantRestore("broken_order", "The order doesn't say which environment it is of: it has no hash.")
        self.home = os.path.join(cache, "environments")
        self.content_hash = content_hash
        self.directory = os.path.join(self.home, content_hash)
        self.beside = f"{self.directory}.{socket.gethostname()}-{os.getpid()}.making"
        self.progress = f"{self.directory}.progress"
        self.lock = f"{self.directory}.lock"

    def is_complete(self) -> bool:
        """Whether it stands there; if it does, it counts as used now."""
        marker = os.path.join(self.directory, MARKER)
        try:
            with open(marker, encoding="utf-8") as file:
                is_it = bool(json.load(file)["content_hash"] == self.content_hash)
        except (OSError, ValueError, KeyError):
            return False
        try:
            os.utime(marker)
        except FileNotFoundError:  # it has just been removed
            return False
        except OSError:
            return is_it  # one that others made for everybody can't be touched
        return is_it

    def others(self) -> list[dict[str, Any]]:
        """Return what is written of each environment that stands here, and as ``directory`` where."""
        found = []
        for name in os.listdir(self.home):
            directory = os.path.join(self.home, name)
            with suppress(OSError, ValueError), open(os.path.join(directory, MARKER), encoding="utf-8") as file:
                found.append({**json.load(file), "directory": directory})
        return found

    def complete(self, facts: dict[str, object]) -> None:
        """Let what was made beside stand at its place."""
        with open(os.path.join(self.beside, MARKER), "w", encoding="utf-8") as file:
            json.dump(facts, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.rename(self.beside, self.directory)
        except OSError:
            # Where there are no locks, another may have been faster; otherwise a wreck stands there.
            if not self.is_complete():
                shutil.rmtree(self.directory, ignore_errors=True)
                os.rename(self.beside, self.directory)

    def clear(self) -> None:
        """Remove what the dead left half made; to be called with the lock held."""
        for name in os.listdir(self.home):
            if name.startswith(f"{self.content_hash}.") and name.endswith(".making"):
                shutil.rmtree(os.path.join(self.home, name), ignore_errors=True)

    @contextmanager
    def held(self, report: Report, timeout_s: float) -> Iterator[int]:
        """Hold the lock of this environment: nobody else makes it meanwhile. Yield its file, -1 where there are none.

        Who waits tells how far the other is. The system lets go of the lock when its holder dies, and the commands
        that the holder ran have ended.
        """
        try:
            number, is_locked = self._locked(report, timeout_s)
        except OSError as error:
            raise not_writable(self.home, error) from None
        before = report.progress
        try:
            report.progress = self.progress if is_locked else ""
            yield number if is_locked else -1
        finally:
            report.progress = before
            os.close(number)

    def _locked(self, report: Report, timeout_s: float) -> tuple[int, bool]:
        """Return the open file of the lock, and whether it is held; it isn't where there are no locks."""
        os.makedirs(self.home, exist_ok=True)
        while True:
            number = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                is_locked = self._wait(number, report, timeout_s)
                # Whoever removes an environment removes its lock too, which others may be waiting for.
                if not is_locked or is_same(number, self.lock):
                    return number, is_locked
            except BaseException:
                os.close(number)
                raise
            os.close(number)

    def _wait(self, number: int, report: Report, timeout_s: float) -> bool:
        until = time.monotonic() + timeout_s
        told = ""
        while True:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with suppress(OSError), open(self.progress, encoding="utf-8") as file:
                    if told != (told := file.read()):
                        report.say(step="wait", other=_readable(told))
                if time.monotonic() > until:
                    raise CantRestore(
                        "timeout", f"Another process makes this environment for more than {timeout_s:.0f} s"
                    ) from None
                time.sleep(0.03)
            except OSError as error:
                if error.errno in NO_LOCKS:
                    return False
                raise
            else:
                return True


def is_same(number: int, path: str) -> bool:
    """Whether an open file is still the one of that name: a lock on one that was removed keeps nobody out."""
    try:
        return os.path.samestat(os.fstat(number), os.stat(path))
    except FileNotFoundError:
        return False


def making_of(order: Mapping[str, Any], cache: str, place: Place, report: Report, hold: int) -> Making:
    """Return what the commands need that make the environment beside its place; finds or fetches uv."""
    indexes = list(order.get("indexes") or order["environment"].get("indexes") or usual_indexes())
    with report.step("uv"):
        uv = find_uv(cache, order["files"].get("uv", ""), [*indexes, *filter(None, [order.get("usual_index")])])
    return Making(
        order=order,
        report=report,
        cache=cache,
        uv=uv,
        directory=place.beside,
        final=place.directory,
        hold=hold,
        indexes=indexes,
    )


def _readable(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return {}


def not_writable(path: str, error: OSError) -> CantRestore:
    """Return why nothing can be made there."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return CantRestore(
            "disk_full",
            f"The disk of the machine is full: {path} has {free_space(path)} left, which isn't enough "
            f"({error.strerror}). Free some, or choose another `directory` for the machine.",
        )
    return CantRestore(
        "not_writable",
        f"{error.filename or path} can't be written on this machine ({error.strerror}). Choose another "
        "`directory` for it.",
    )
