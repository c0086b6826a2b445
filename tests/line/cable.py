"""A cable between us and sshd that can be cut: now, or in the middle of what is about to be said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from .sshd import Sshd


class Cable:
    def __init__(self, target_port: int) -> None:
        self.target = target_port
        self.port = 0
        self.up: int | None = None
        """Bytes that may still go to the host before the cable breaks; None is any number."""
        self.down: int | None = None
        """The same, of what comes from the host."""
        self.is_out = False
        self.is_deaf = False
        """Whether it swallows everything and tells nobody."""
        self.speed: float | None = None
        """Bytes a second that go to the host; None is as many as come."""
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        self.is_out = True
        for end in list(self._ends):
            end.transport.abort()

    def mend(self) -> None:
        self.is_out, self.is_deaf, self.up, self.down = False, False, None, None

    def close(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_out:
            writer.transport.abort()
            return
        there, to_there = await asyncio.open_connection("127.0.0.1", self.target)
        mine = {writer, to_there}
        self._ends |= mine
        try:
            await asyncio.gather(self._pass(reader, to_there, "up"), self._pass(there, writer, "down"))
        finally:
            self._ends -= mine

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        with suppress(OSError):
            while chunk := await reader.read(4096):
                if self.is_deaf:
                    continue
                left = getattr(self, way)
                if left is not None:
                    chunk = chunk[:left]
                    setattr(self, way, left - len(chunk))
                if way == "up" and self.speed is not None:
                    await asyncio.sleep(len(chunk) / self.speed)
                writer.write(chunk)
                await writer.drain()
                if getattr(self, way) == 0:
                    self.cut()
                    return
        writer.close()


@asynccontextmanager
async def plugged(server: Sshd) -> AsyncIterator[Cable]:
    """Yield a cable to ``server``, whose key is known at its end of the cable too."""
    made = Cable(server.port)
    await made.open()
    before = server.known_hosts.read_text()
    server.known_hosts.write_text(before + before.replace(f":{server.port} ", f":{made.port} "))
    yield made
    made.close()
    server.known_hosts.write_text(before)
