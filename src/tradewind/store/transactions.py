"""One short transaction at a time, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from tradewind.store import database

T = TypeVar("T")
P = ParamSpec("P")


class Transactions:
    """Runs functions of a connection, each in a transaction of its own: as a whole or not at all.

    Every run may raise :class:`~tradewind.errors.StoreError`; then nothing was written, and the next may succeed once
    the cause is gone. When the caller is cancelled, a transaction that had begun still ends, one way or the other.
    """

    def __init__(self, engine: Engine, place: str, threads: ThreadPoolExecutor) -> None:
        self._reader = engine
        self._writer = database.writer(engine)
        self._threads = threads
        self._closed = False
        self.place = place
        """The file or the database, for messages."""

    async def read(self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``operation`` reads, all as of one moment."""
        return await self._run(self._reader, operation, *args, **kwargs)

    async def write(self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``operation`` answers, once what it wrote is kept."""
        return await self._run(self._writer, operation, *args, **kwargs)

    async def aclose(self) -> None:
        """Let go of the connections; may be called twice."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._threads, self._reader.dispose)
        self._threads.shutdown(wait=False)

    async def _run(
        self, engine: Engine, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        def transaction() -> T:
            with database.explained(self.place), engine.begin() as connection:
                return operation(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, transaction)
