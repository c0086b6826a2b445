"""One short transaction at a time, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from tradewind.store import database, migrate

T = TypeVar("T")
P = ParamSpec("P")


class Transactions:
    """Runs functions of a connection, each in a transaction of its own: as a whole or not at all.

    Every run may raise :class:`~tradewind.errors.StoreError`; then nothing was written, and the next may succeed once
    the cause is gone. When the caller is cancelled, a transaction that had begun still ends, one way or the other.
    """

    def __init__(self, engine: Engine, place: str, threads: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._reader = database.reader(engine)
        self._writer = database.writer(engine)
        self._threads = threads
        self._closed = False
        self.place = place
        """The file or the database, for messages."""

    @classmethod
    async def open(cls, url: str | Path, connections: int = database.CONNECTIONS) -> Transactions:
        """Open the database, made or brought up to date where need be. See :meth:`tradewind.store.store.Store.open`."""
        # As many threads as connections: nothing ever waits for a connection while it keeps a thread.
        opening = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tradewind-store")
        try:
            engine, place = await asyncio.get_running_loop().run_in_executor(opening, _opened, url, connections)
        except BaseException:
            opening.shutdown(wait=False)
            raise
        if (threads := database.threads(engine)) == 1:
            return cls(engine, place, opening)
        opening.shutdown(wait=False)
        return cls(engine, place, ThreadPoolExecutor(max_workers=threads, thread_name_prefix="tradewind-store"))

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
        await asyncio.get_running_loop().run_in_executor(self._threads, self._engine.dispose)
        self._threads.shutdown(wait=False)

    async def _run(
        self, engine: Engine, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        def transaction() -> T:
            with database.explained(self._engine, self.place), engine.begin() as connection:
                return operation(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, transaction)


def _opened(url: str | Path, connections: int) -> tuple[Engine, str]:
    engine, place = database.connect(url, connections)
    try:
        with database.explained(engine, place):
            migrate.bring_up_to_date(engine, place)
    except BaseException:
        engine.dispose()
        raise
    return engine, place
