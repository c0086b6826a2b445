"""A line to PostgreSQL that can be cut, held up, or left open with nobody at the other end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import StrEnum

CHUNK = 64 * 1024


class Line(StrEnum):
    """What the line does."""

    GOOD = "good"
    SLOW = "slow"
    """Everything comes late."""
    SILENT = "silent"
    """What is sent is swallowed; nobody is told."""
    HALF = "half"
    """What is sent arrives, and no answer comes back: whoever commits doesn't learn of it."""
    CLOSED = "closed"
    """Nothing listens there."""


class Proxy:
    """One line, from a port of loopback to another."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.line = Line.GOOD
        self.port = 0
        self.delay_s = 0.2

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def become(self, line: Line) -> None:
        """Change what the line does. A stream with a hole in it is none: what was swallowed ends its connection."""
        had_hole = self.line in {Line.SILENT, Line.HALF} and line is not self.line
        self.line = line
        if had_hole or line is Line.CLOSED:
            self.cut()

    def cut(self) -> int:
        """End every connection at once; return how many ends that were."""
        ended = len(self._writers)
        for writer in list(self._writers):
            writer.transport.abort()
        return ended

    def close(self) -> None:
        """Cut, and listen no more."""
        if self._server is not None:
            self._server.close()
        self.cut()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.line is Line.CLOSED:
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there_writer}
        try:
            await asyncio.gather(
                self._pass(reader, there_writer, {Line.SILENT}),
                self._pass(there_reader, writer, {Line.SILENT, Line.HALF}),
            )
        finally:
            self._writers -= {writer, there_writer}

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, swallowed_when: set[Line]
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if self.line is Line.SLOW:
                    await asyncio.sleep(self.delay_s)
                if self.line not in swallowed_when:
                    writer.write(chunk)
                    await writer.drain()
        writer.close()
