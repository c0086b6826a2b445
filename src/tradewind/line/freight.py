"""What is on its way to a host: each file once, and on it goes also while nobody waits for it.

A round of the engine lasts for seconds, and a large file over a slow line for minutes. So a launch waits for a moment
only, says how far its files are, and asks again; what is under way stays so in between.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

import asyncssh
from asyncssh.constants import OPEN_REQUEST_SESSION_FAILED

from tradewind.errors import StillPreparing
from tradewind.line.refusals import Silent

WAITED_FOR_S = 4.0
"""How long launches wait for a file, from its departure: the whole round of a cluster has some 10 s."""
AGAIN = timedelta(seconds=2)
KEPT_WITHIN_S = 60.0
REMOVED_WITHIN_S = 2.0
BLOCK = 32 * 1024
ACKNOWLEDGED_S = 0.4
"""How long a block may be on its way. A host is asked for news over the same line, and counts as silent where its
answer takes 3 s: files must never stand in a longer queue than that."""
MOST_BLOCKS = 128
MIB = 1024**2
SHARED = "file://"
"""Of a path that the host may see as well."""


@dataclass(slots=True, kw_only=True)
class _Under:
    """One file under way."""

    name: str
    size: int
    sent: int = 0
    departed_at: float
    """By the loop's clock."""
    task: asyncio.Task[None]
    is_again: bool
    """Whether it was under way before."""


@dataclass(slots=True)
class Pace:
    """How many blocks may be on their way at a time, of all files: as many as arrive soon."""

    limit: int = 8
    out: int = 0
    _room: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self) -> None:
        """Wait until there is room for one more."""
        while self.out >= self.limit:
            self._room.clear()
            await self._room.wait()
        self.out += 1

    def give(self, took_s: float | None) -> None:
        """One has arrived after ``took_s``; None where it won't."""
        self.out -= 1
        if took_s is not None:
            self.limit = max(1, self.limit - 1) if took_s > ACKNOWLEDGED_S else min(MOST_BLOCKS, self.limit + 1)
        self._room.set()


class Freight:
    """Brings files to one host.

    Parameters
    ----------
    host : str
        Its name.
    ask : callable
        Asks the host's station; raises Silent.
    connection : callable
        Returns the open connection; raises Silent.
    failed : callable
        Told that the connection broke; returns what to raise.
    """

    def __init__(
        self,
        host: str,
        ask: Callable[..., Awaitable[dict[str, Any]]],
        connection: Callable[[], Awaitable[asyncssh.SSHClientConnection]],
        failed: Callable[[Silent], Silent],
    ) -> None:
        self._host = host
        self._ask = ask
        self._connection = connection
        self._failed = failed
        self._going: dict[str, _Under] = {}
        self._drafts: dict[str, str] = {}
        """How each file is called on its way: a second try takes the place of what the first one left."""
        self._pace = Pace()
        self._sftp: tuple[asyncssh.SSHClientConnection, asyncssh.SFTPClient] | None = None
        self._opening = asyncio.Lock()

    async def bring(self, files: Mapping[str, str]) -> dict[str, str]:
        """See that files are there, each brought once, where the host doesn't see them; return where they lie.

        Parameters
        ----------
        files : mapping
            Paths of this machine, by sha256; those that the host may see as well begin with ``file://``.

        Raises
        ------
        StillPreparing
            Some are on their way, and go on; says how far they are. Ask again.
        Silent
            The connection broke.
        OSError
            It isn't here, can't be written there, or arrived broken; the message says which.
        """
        if not files:
            return {}
        here = {sha256: here_of(address) for sha256, address in files.items()}
        sizes = {sha256: _name_and_size(path) for sha256, path in here.items()}
        shared = {sha256: here[sha256] for sha256, address in files.items() if address.startswith(SHARED)}
        there, lacking = _places(self._host, await self._ask("have", files=sizes, shared=shared), files)
        if lacking:
            await self._wait_for([self._under_way(sha256, here[sha256], there[sha256]) for sha256 in lacking])
        return there

    def _under_way(self, sha256: str, path: str, place: str) -> str:
        """Let a file depart, if it hasn't; one that failed stays until somebody has heard of it."""
        if sha256 not in self._going:
            is_again = sha256 in self._drafts
            draft = self._drafts.setdefault(sha256, f"{place}.{os.urandom(4).hex()}")
            name, size = _name_and_size(path)
            self._going[sha256] = _Under(
                name=name,
                size=size,
                departed_at=asyncio.get_running_loop().time(),
                task=asyncio.create_task(self._carry(sha256, path, draft, place)),
                is_again=is_again,
            )
        return sha256

    async def _wait_for(self, wanted: list[str]) -> None:
        # Several may wait for one file, so each holds on to the tasks by itself.
        going = {sha256: self._going[sha256] for sha256 in wanted}
        latest = max(one.departed_at for one in going.values()) + WAITED_FOR_S
        left = latest - asyncio.get_running_loop().time()
        await asyncio.wait([one.task for one in going.values()], timeout=max(0.0, left))
        if still := [one for one in going.values() if not one.task.done()]:
            names = still[0].name if len(still) == 1 else f"{still[0].name} and {len(still) - 1} more"
            sent, size = sum(one.sent for one in still), sum(one.size for one in still)
            words = f"{names}: on the way to {self._host}, {sent // MIB} of {max(1, round(size / MIB))} MiB"
            raise StillPreparing(words, AGAIN)
        for sha256, one in going.items():
            if self._going.get(sha256) is one:
                del self._going[sha256]
        # Of several that failed one is told; the others are looked at too, or asyncio would tell of them by itself.
        failures = [error for one in going.values() if (error := one.task.exception()) is not None]
        if failures:
            raise failures[0]

    async def _carry(self, sha256: str, path: str, draft: str, place: str) -> None:
        name = os.path.basename(path)
        try:
            sftp = await self._open()
            try:
                with open(path, "rb") as source:  # noqa: ASYNC230 - a local file, some blocks at a time
                    await self._send(sftp, self._going[sha256], source, draft)
                kept = await self._ask("keep", KEPT_WITHIN_S, draft=draft, path=place, sha256=sha256)
            except BaseException:
                with suppress(asyncssh.Error, OSError):
                    async with asyncio.timeout(REMOVED_WITHIN_S):
                        await sftp.remove(draft)
                raise
        except asyncssh.SFTPConnectionLost as error:
            raise self._broken(error) from None
        except asyncssh.SFTPError as error:
            raise OSError(f"{name} can't be written on {self._host}: {error.reason}") from None
        except (asyncssh.Error, ConnectionError) as error:
            raise self._broken(error) from None
        finally:
            self._close_unless_needed(sha256)
        if "error" in kept:
            raise OSError(f"{name} can't be kept on {self._host}: {kept['error']}")
        del self._going[sha256], self._drafts[sha256]

    async def _send(self, sftp: asyncssh.SFTPClient, under: _Under, source: BinaryIO, draft: str) -> None:
        if under.is_again:
            with suppress(asyncssh.SFTPNoSuchFile):
                await sftp.remove(draft)  # what an earlier connection may still be writing is another file then
        try:
            async with sftp.open(draft, "wb", block_size=0) as target, asyncio.TaskGroup() as blocks:
                at = 0
                while block := source.read(BLOCK):
                    await self._pace.take()
                    blocks.create_task(_written(target, block, at, under)).add_done_callback(self._arrived)
                    at += len(block)
        except ExceptionGroup as several:
            raise several.exceptions[0] from None

    def _arrived(self, block: asyncio.Task[float]) -> None:
        # Not at the end of the task: one that is cancelled at its beginning has no end.
        self._pace.give(None if block.cancelled() or block.exception() else block.result())

    async def _open(self) -> asyncssh.SFTPClient:
        async with self._opening:
            connection = await self._connection()
            if self._sftp is None or self._sftp[0] is not connection:
                self._sftp = connection, await self._sftp_of(connection)
            return self._sftp[1]

    async def _sftp_of(self, connection: asyncssh.SSHClientConnection) -> asyncssh.SFTPClient:
        try:
            return await connection.start_sftp_client()
        except asyncssh.ChannelOpenError as error:
            if error.code != OPEN_REQUEST_SESSION_FAILED:
                raise
            raise Silent(
                f"{self._host} offers no SFTP, by which files are brought: its administrator sets `Subsystem sftp` in "
                "its sshd_config",
                is_certain=True,
                is_lasting=True,
            ) from None

    def _close_unless_needed(self, sha256: str) -> None:
        if self._sftp is not None and all(one.task.done() for key, one in self._going.items() if key != sha256):
            self._sftp[1].exit()
            self._sftp = None

    def _broken(self, error: Exception) -> Silent:
        return self._failed(Silent(f"the connection to {self._host} broke: {error}", is_certain=True))

    async def aclose(self) -> None:
        """Bring nothing any more, and leave no half of it there."""
        tasks = [one.task for one in self._going.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _written(target: Any, block: bytes, at: int, under: _Under) -> float:
    """Write a block, and return how many seconds that took."""
    clock = asyncio.get_running_loop().time
    began = clock()
    await target.write(block, at)
    under.sent += len(block)
    return clock() - began


def here_of(address: str) -> str:
    """Return the path on this machine that an address is."""
    return url2pathname(urlsplit(address).path) if address.startswith(SHARED) else address


def _name_and_size(path: str) -> tuple[str, int]:
    return os.path.basename(path), os.path.getsize(path)


def _places(host: str, answer: Mapping[str, Any], files: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return where each file is to lie, and which don't yet."""
    if "error" in answer:
        raise OSError(f"files can't be kept on {host}: {answer['error']}")
    try:
        found = {sha256: answer["files"][sha256] for sha256 in files}
        lacking = [sha256 for sha256, place in found.items() if not place["there"]]
        return {sha256: str(place["path"]) for sha256, place in found.items()}, lacking
    except (KeyError, TypeError):
        raise Silent(f"{host} answers, but what it says makes no sense", is_certain=True) from None
