"""Code that came with a cluster, unpacked on this machine: each file once, whole or absent, not kept for ever."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradewind.agent.unpacking import CantTake, unpack

KEEP_S = 14 * 86400.0
"""How long what nobody uses is kept."""
BEGUN = ("*.part", "*.brought")
"""Names of what is being written."""
BROKE_OFF_S = 3600.0
"""What wasn't written on for this long, nobody writes any more."""
WAIT_S = 600.0
"""For another process of this machine that fetches the same."""
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
"""What file systems of a network say that keep no locks."""
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One file that travels: a wheel, or a ZIP of modules."""

    file_name: str
    sha256: str
    size: int
    """Bytes."""

    @classmethod
    def read(cls, data: dict[str, Any]) -> Piece:
        """Return what was sent. Raises CantTake for what is no such thing."""
        file_name, sha256, size = data.get("file_name"), data.get("sha256"), data.get("size")
        if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
            raise CantTake(f"a file has no sha256: {sha256!r}")
        return cls(file_name=str(file_name), sha256=sha256, size=int(size or 0))


Fetch = Callable[[Piece], AsyncIterator[bytes]]
"""Yields the bytes of a piece."""


def default_home() -> Path:
    """Return where this user keeps such code on this machine; ``TRADEWIND_CACHE_DIR`` moves it."""
    named = os.environ.get("TRADEWIND_CACHE_DIR")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tradewind"
    return base.expanduser().absolute() / "luggage"


class Unpacked:
    """The directory of such code on this machine, shared by all processes of its user.

    Parameters
    ----------
    home : Path
        Made when it is first needed.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._held: dict[str, int] = {}
        """Locks of what this process uses, for as long as it lives: nobody prunes that."""

    def close(self) -> None:
        """Let go of what this process uses."""
        for number in self._held.values():
            if number >= 0:
                os.close(number)
        self._held.clear()

    def packed(self, piece: Piece) -> Path:
        """Return where the file lies, once it is here."""
        return self.home / f"{piece.sha256}.zip"

    def has(self, piece: Piece) -> bool:
        """Whether the file is here."""
        try:
            return self.packed(piece).stat().st_size == piece.size
        except OSError:
            return False

    async def directory(self, piece: Piece, fetch: Fetch) -> str:
        """Return the directory with what is in ``piece``, fetched and unpacked if it isn't there yet.

        Raises
        ------
        CantTake
            There is no room, or what came isn't what was announced; names the file.
        """
        to = self.home / piece.sha256
        if piece.sha256 in self._held:
            return str(to)
        try:
            number = await self._lock(piece)
            try:
                if not to.is_dir():
                    if not self.has(piece):
                        await self.write(piece, fetch(piece))
                    await asyncio.to_thread(self._unpack, piece, to)
                await asyncio.to_thread(self._prune, time.time())
            except BaseException:
                _close(number)
                raise
            if number >= 0:
                with suppress(OSError):
                    os.utime(number)
                    fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
            self._held[piece.sha256] = number
        except OSError as error:
            raise self.refusal(piece, error) from None
        return str(to)

    async def write(self, piece: Piece, content: AsyncIterator[bytes]) -> None:
        """Write the file of a piece: whole, and what it says it is. Raises CantTake, OSError."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, draft = tempfile.mkstemp(dir=self.home, prefix=f"{piece.sha256}.", suffix=".part")
        try:
            found = hashlib.sha256()
            with os.fdopen(number, "wb") as file:
                async for chunk in content:
                    found.update(chunk)
                    await asyncio.to_thread(file.write, chunk)
            if found.hexdigest() != piece.sha256:
                raise CantTake(f"{piece.file_name} was broken on its way to {socket.gethostname()}; try again")
            os.replace(draft, self.packed(piece))
        finally:
            with suppress(FileNotFoundError):
                os.unlink(draft)

    def refusal(self, piece: Piece, error: OSError) -> CantTake:
        """Return why a piece can't be put down here."""
        where = f"{self.home} on {socket.gethostname()}"
        if error.errno in NO_ROOM:
            place = next((place for place in (self.home, *self.home.parents) if place.is_dir()), Path("/"))
            free = shutil.disk_usage(place).free / 2**20
            return CantTake(
                f"{piece.file_name} has {piece.size / 2**20:,.1f} MiB packed, and there is no room for it: {where} has "
                f"{free:,.1f} MiB left; free some, or let TRADEWIND_CACHE_DIR name another directory there"
            )
        return CantTake(f"{piece.file_name} can't be put into {where}: {error.strerror or error}")

    async def _lock(self, piece: Piece) -> int:
        """Hold the lock of this piece alone; -1 where the file system keeps none."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(self.home / f"{piece.sha256}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    try:
                        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        if (self.home / piece.sha256).is_dir():
                            return number  # others use it already, and share its lock
                        await asyncio.sleep(0.05)
                    else:
                        return number
        except TimeoutError:
            os.close(number)
            raise CantTake(f"another process of {socket.gethostname()} holds {piece.file_name} for too long") from None
        except OSError as error:
            os.close(number)
            if error.errno in NO_LOCKS:
                return -1
            raise
        except BaseException:
            os.close(number)
            raise

    def _unpack(self, piece: Piece, to: Path) -> None:
        draft = Path(tempfile.mkdtemp(dir=self.home, prefix=f"{piece.sha256}.", suffix=".part"))
        try:
            try:
                unpack(self.packed(piece), draft, piece.file_name)
            except CantTake:
                self.packed(piece).unlink(missing_ok=True)
                raise
            # Of a wheel: what belongs beside its packages may lie in a directory of its own.
            for inner in [*draft.glob("*.data/purelib/*"), *draft.glob("*.data/platlib/*")]:
                if not (draft / inner.name).exists():
                    inner.rename(draft / inner.name)
            try:
                draft.rename(to)
            except OSError:
                if not to.is_dir():  # without locks, another may have been faster
                    raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _prune(self, now: float) -> None:
        """Remove what nobody uses, and nobody has used for long, and what was begun and broke off."""
        for pattern in BEGUN:
            for draft in self.home.glob(pattern):
                with suppress(OSError):
                    if now - draft.stat().st_mtime < BROKE_OFF_S:
                        continue
                    shutil.rmtree(draft) if draft.is_dir() else draft.unlink()
        for lock in self.home.glob("*.lock"):
            sha256 = lock.name.removesuffix(".lock")
            with suppress(OSError):
                if sha256 in self._held or now - lock.stat().st_mtime < KEEP_S:
                    continue
                number = os.open(lock, os.O_RDWR)
                try:
                    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(self.home / sha256, ignore_errors=True)
                    (self.home / f"{sha256}.zip").unlink(missing_ok=True)
                    lock.unlink()
                finally:
                    os.close(number)


def _close(number: int) -> None:
    if number >= 0:
        os.close(number)
