"""Ports of this machine that lead through a login node to what listens on nodes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import re
import time
import zlib
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from tradewind.model.instance import Contact

logger = logging.getLogger("tradewind.batch")

FIRST_PORT, PORTS = 20_000, 10_000
"""Below those that systems give to outgoing connections: one that nobody holds for a moment stays free."""
TRIES = 50
KEPT_S = 60 * 86400.0
"""Longer than any scheduler lives: after that, a port is another's."""
BLOCK = 256 * 1024
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Opens(Protocol):
    """Opens a stream to an address as the login node reaches it. Raises OSError with why it can't be."""

    def __call__(self, host: str, port: int) -> Awaitable[Stream]: ...


class Tunnel:
    """Holds a port of the loopback for each far address, always the same one.

    A scheduler's addresses are written down when it is first seen, and must hold for whoever looks after it later. So
    a port is chosen once and noted; any process of this user takes it over when the one that held it is gone.

    Parameters
    ----------
    directory : Path
        For the notes.
    opens : Opens
        Opens a stream through the connection that is kept, reconnected where it broke.
    """

    def __init__(self, directory: Path, opens: Opens) -> None:
        self._directory = directory
        self._opens = opens
        self._servers: dict[tuple[str, int], asyncio.Server] = {}
        self._carrying: set[asyncio.Task[None]] = set()

    async def near(self, contact: Contact) -> Contact:
        """Return the contact with addresses of this machine. Raises OSError where no port can be had."""
        dashboard = contact.dashboard
        return replace(
            contact,
            scheduler=await self.lead(contact.scheduler),
            agent=await self.lead(contact.agent),
            # Dask's pages listen on their node's loopback alone, since they are plain HTTP.
            dashboard=None if dashboard is None or is_loopback(dashboard) else await self.lead(dashboard),
        )

    async def lead(self, address: str) -> str:
        """Return the address of this machine that leads to ``address``."""
        url = urlsplit(address)
        if not url.hostname or not url.port:
            raise OSError(f"{address!r} is no address that a tunnel could lead to")
        far = (url.hostname, url.port)
        port = await self._hold(far)
        return address.replace(url.netloc, f"127.0.0.1:{port}", 1)

    async def _hold(self, far: tuple[str, int]) -> int:
        """Return the port for a far address; listens there unless another process of ours does."""
        note = self._directory / re.sub(r"[^0-9A-Za-z.-]", "_", f"{far[0]}-{far[1]}")
        noted = _read(note)
        if noted is not None:
            if far not in self._servers:
                with contextlib.suppress(OSError):  # the process that holds it carries what we send as well
                    self._servers[far] = await self._listen(noted, far)
            return noted
        first, others = zlib.crc32(str(note).encode()) % PORTS, self._noted()
        for step in range(TRIES):
            port = FIRST_PORT + (first + step) % PORTS
            if port in others:
                continue
            try:
                server = await self._listen(port, far)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            if not _write(note, port):
                server.close()  # another process was first
                return await self._hold(far)
            self._servers[far] = server
            return port
        raise OSError(f"no port of this machine is free for a tunnel to {far[0]}:{far[1]}")

    def _noted(self) -> set[int]:
        """Return the ports that are promised to other addresses, whether anybody listens there now or not."""
        oldest, found = time.time() - KEPT_S, set()
        for note in self._directory.glob("[!.]*"):
            if note.stat().st_mtime < oldest:
                note.unlink(missing_ok=True)
            elif (port := _read(note)) is not None:
                found.add(port)
        return found

    async def _listen(self, port: int, far: tuple[str, int]) -> asyncio.Server:
        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            carrying = asyncio.create_task(self._carry(far, reader, writer))
            self._carrying.add(carrying)
            carrying.add_done_callback(self._carrying.discard)

        return await asyncio.start_server(begin, "127.0.0.1", port, limit=BLOCK)

    async def _carry(self, far: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await self._opens(*far)
        except OSError as error:
            logger.info("no way to %s:%d now: %s", *far, error)
            writer.close()
            return
        both = [
            asyncio.create_task(_pour(reader, far_writer)),
            asyncio.create_task(_pour(far_reader, writer)),
        ]
        try:
            # When one side has nothing more to say, no Dask comm has anything more to hear.
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            for end in (writer, far_writer):
                with contextlib.suppress(OSError):
                    end.close()

    async def aclose(self) -> None:
        """Let go of all ports, and of what they carry."""
        for server in self._servers.values():
            server.close()
        for task in list(self._carrying):
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        self._servers.clear()


def is_loopback(address: str) -> bool:
    """Whether an address means the machine itself that it was written on."""
    host = urlsplit(address).hostname or ""
    return host == "localhost" or host.startswith("127.")


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(BLOCK):
            writer.write(data)
            await writer.drain()


def _read(note: Path) -> int | None:
    try:
        return int(note.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _write(note: Path, port: int) -> bool:
    """Write a port down, whole; False where somebody has."""
    note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = note.with_name(f".{note.name}-{os.getpid()}")
    draft.write_text(str(port))
    try:
        os.link(draft, note)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
