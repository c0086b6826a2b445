"""One short transaction at a time, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from tradewind.store.sql import database, migrate
from tradewind.store.sql.patience import Attempt, Patience

T = TypeVar("T")
P = ParamSpec("P")


TRIES = 4
"""How often a transaction is begun that others get in the way of."""


class Transactions:
    """Runs functions of a connection, each in a transaction of its own: as a whole or not at all.

    Every run may raise :class:`~tradewind.errors.StoreError`; then nothing was written (but for a connection that
    broke in the very moment of keeping it: the message says so), and the next may succeed once the cause is gone.
    BadRequest is a value that no database keeps. When the caller is cancelled, a transaction that had begun still
    ends, one way or the other.

    A function may run several times until its transaction is kept once: it must do nothing but read and write there.
    """

    def __init__(self, engine: Engine, place: str, threads: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._reader = database.reader(engine)
        self._asker = database.asker(engine)
        self._writer = database.writer(engine)
        self._threads = threads
        self._patience = Patience(database.ANSWER_TIMEOUT_S, database.cut)
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

    async def ask(self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``operation`` reads with a single statement.

        A statement sees one moment by itself, so it needs no transaction around it: on PostgreSQL that is one way
        there and back, and :meth:`read` takes three.
        """
        return await self._run(self._asker, operation, *args, **kwargs)

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
        loop = asyncio.get_running_loop()
        self._patience.look(loop)
        return await loop.run_in_executor(
            self._threads, self._tried, engine, lambda connection: operation(connection, *args, **kwargs)
        )

    def _tried(self, engine: Engine, operation: Callable[[Connection], T]) -> T:
        for left in reversed(range(TRIES)):
            attempt = Attempt()
            with database.explained(self._engine, self.place, attempt):
                try:
                    return self._attempted(engine, operation, attempt)
                except DBAPIError as error:
                    if not left or not database.is_worth_another_try(self._engine, error, attempt):
                        raise
        raise AssertionError("unreachable")

    def _attempted(self, engine: Engine, operation: Callable[[Connection], T], attempt: Attempt) -> T:
        with engine.connect() as connection, self._patience.waiting(connection, attempt), connection.begin():
            answer = operation(connection)
            attempt.is_keeping = True
        return answer


def _opened(url: str | Path, connections: int) -> tuple[Engine, str]:
    engine, place = database.connect(url, connections)
    try:
        with database.explained(engine, place, Attempt()):
            migrate.bring_up_to_date(engine, place)
    except BaseException:
        engine.dispose()
        raise
    return engine, place
