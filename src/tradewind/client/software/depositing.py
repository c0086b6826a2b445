"""The caller's own code, put where machines fetch it, before the cluster is asked for."""

from __future__ import annotations

import asyncio
import http.client
import logging
import threading
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from tradewind import wire
from tradewind.boot.restore.fetch import upload
from tradewind.client.api import Engine
from tradewind.config import artifact_file
from tradewind.errors import NotFound
from tradewind.model.environment import Artifact, Environment
from tradewind.model.exchange import Deposit, NewDeposit

log = logging.getLogger("tradewind")

AT_ONCE = 4
"""Files on their way at a time."""
SILENCE_S = 120.0
"""A store that has got a file and says nothing for this long has lost it."""
SAID_EVERY_S = 5.0
MIB = 2**20
BROKEN = (OSError, http.client.HTTPException)  # among them what urllib raises


class _Lost(Exception):
    """A file couldn't be put there; says why, without the address, which opens."""


async def deposit(api: Engine, provider: str, environment: Environment) -> bool:
    """Put the files of ``environment`` where machines of ``provider`` fetch them, and return whether they lie there.

    Where they don't, the log says why if that is news to anybody; they go to the cluster over Dask's own line.

    Raises
    ------
    BadRequest
        The server takes no such files, wherever they lie.
    """
    files = {one.sha256: one for one in environment.artifacts}
    try:
        told: Deposit = await api.deposit(NewDeposit(provider=provider, artifacts=environment.artifacts))
    except NotFound:  # a server of before
        return False
    if not told.is_taken:
        log.debug("Your code isn't deposited: %s.", told.detail)
        return False
    wanted = [(files[one.sha256], one.url) for one in told.uploads if one.sha256 in files]
    if not wanted:
        return True
    began, progress = time.monotonic(), _Progress(sum(one.size for one, _ in wanted))
    places, stop = asyncio.Semaphore(AT_ONCE), threading.Event()

    async def one(artifact: Artifact, url: str) -> None:
        async with places:
            await asyncio.to_thread(_put, artifact, url, progress.add, stop)

    try:
        await asyncio.gather(*(one(artifact, url) for artifact, url in wanted))
    except _Lost as error:
        log.warning("%s Your code goes to the cluster itself, once it is up.", error)
        return False
    finally:
        stop.set()
    log.info("Your code was uploaded: %.1f MiB in %.1f s.", progress.total / MIB, time.monotonic() - began)
    return True


class _Progress:
    """Says now and then how far it has come; told by several threads."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._sent = 0
        self._said_at = time.monotonic()
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        with self._lock:
            self._sent += size
            if time.monotonic() - self._said_at < SAID_EVERY_S:
                return
            self._said_at = time.monotonic()
            sent = self._sent
        log.info("Uploading your code: %.1f of %.1f MiB.", sent / MIB, self.total / MIB)


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, tell: Callable[[int], None], stop: threading.Event) -> None:
        self._file = path.open("rb")
        self._tell = tell
        self._stop = stop
        self.sent = 0

    def read(self, size: int = -1) -> bytes:
        if self._stop.is_set():
            raise InterruptedError("nobody waits for it any more")
        block = self._file.read(max(size, 1 << 16) if size >= 0 else size)
        self.sent += len(block)
        self._tell(len(block))
        return block

    def take_back(self) -> None:
        """Tell that nothing of it was read."""
        self._tell(-self.sent)

    def close(self) -> None:
        self._file.close()


def _put(artifact: Artifact, url: str, tell: Callable[[int], None], stop: threading.Event) -> None:
    if not url.startswith(("https://", "http://")):  # a path would be one of this computer
        raise _Lost(f"{artifact.file_name} can't be uploaded: the server names an address that isn't on the web.")
    sent: list[_Counted] = []

    def source() -> IO[bytes]:
        if stop.is_set():
            raise _Lost(f"{artifact.file_name}: nobody waits for it any more.")
        for before in sent:  # what was sent in vain doesn't count
            before.take_back()
        try:
            sent[:] = [_Counted(artifact_file(artifact), tell, stop)]
        except OSError as error:  # of a cluster of long ago, or another computer: it isn't kept for ever
            raise _Lost(f"{artifact.file_name} isn't on this computer any more: {_words(error)}.") from None
        return cast(IO[bytes], sent[0])

    try:
        upload(url, source, artifact.size, silence_s=SILENCE_S, rest=stop.wait)
    except BROKEN as error:
        raise _Lost(f"{artifact.file_name} can't be uploaded: {_words(error)}.") from None


def _words(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the store answers {error.code} {wire.printable(str(error.reason))[:100]}"
    why = getattr(error, "reason", error)
    return wire.printable(str(why))[:200] or type(error).__name__
