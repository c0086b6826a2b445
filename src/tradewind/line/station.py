"""The program at the other end of a line: what it says, a line of JSON each, and what it is asked."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import asyncssh

logger = logging.getLogger("tradewind.ssh")

NOISE_LIMIT = 64 * 1024
"""Bytes that a login shell may say before our program does."""
LINE_LIMIT = 16 * 1024 * 1024


class Station:
    """The other end, as long as its connection lasts."""

    def __init__(self, connection: asyncssh.SSHClientConnection, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self.connection = connection
        self.hello: dict[str, Any] = {}
        self.is_open = True
        self._process = process
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self._rest = b""

    async def listen(self, poke: Callable[[], None]) -> None:
        """Hear answers until the connection ends."""
        try:
            while True:
                line = await self.line()
                if "poke" in line:
                    poke()
                elif (future := self._waiting.pop(int(line["id"]), None)) is not None and not future.done():
                    future.set_result(line)
        except (OSError, EOFError, ValueError, KeyError, TypeError, OverflowError, asyncssh.Error) as error:
            logger.debug("a station is gone: %r", error)
        finally:
            self.hang_up()
            poke()

    async def line(self, limit: int = LINE_LIMIT) -> dict[str, Any]:
        """Return the next line; skips what is none of ours. Raises EOFError or ValueError where none comes."""
        skipped = 0
        while True:
            while b"\n" not in self._rest:
                data = await self._process.stdout.read(1 << 16)
                if not data:
                    raise EOFError
                self._rest += data
                if len(self._rest) > limit:
                    raise ValueError("it says more than it should")
            line, self._rest = self._rest.split(b"\n", 1)
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                found = None
            if isinstance(found, dict):
                return found
            skipped += len(line) + 1
            if skipped > NOISE_LIMIT:
                raise ValueError("it says something else")

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer. Raises ConnectionError where the line breaks before."""
        if not self.is_open:
            raise ConnectionError
        self._number += 1
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = future
        self._process.stdin.write(json.dumps({**question, "id": self._number}).encode() + b"\n")
        return await future

    def hang_up(self) -> None:
        """End the connection; all who wait are told so."""
        self.is_open = False
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(ConnectionError())
        self.connection.close()
