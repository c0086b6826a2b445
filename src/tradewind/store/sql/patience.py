"""How long to wait for a database that takes what is sent and answers nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

LOOK_EVERY_S = 1.0


@dataclass(slots=True, kw_only=True)
class Attempt:
    """How far a transaction came: what an error in it means."""

    is_keeping: bool = False
    """Whether it was told to keep what was written. An error that comes then may come after it was kept."""
    was_cut: bool = False
    """Whether its connection was ended because no answer came for too long."""


class Patience:
    """Cuts the connections of transactions that take too long.

    A peer that vanished is noticed by the network, and a slow statement by PostgreSQL itself. One that stands still (a
    stopped process, a proxy or a disk that hangs) is noticed by nobody, and would keep each of our threads for ever.
    """

    def __init__(self, longest_s: float, cut: Callable[[Connection], None]) -> None:
        self._longest_s = longest_s
        self._cut = cut
        self._began: dict[Connection, tuple[float, Attempt]] = {}
        self._lock = threading.Lock()
        self._is_looking = False

    @contextmanager
    def waiting(self, connection: Connection, attempt: Attempt) -> Iterator[None]:
        """Run the transaction of ``connection`` inside; called on its thread."""
        with self._lock:
            self._began[connection] = time.monotonic(), attempt
        try:
            yield
        finally:
            # Under the lock, so that none is cut that has just gone on to another transaction.
            with self._lock:
                del self._began[connection]

    def look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look, now and then, as long as anything is under way; called on the thread of ``loop``."""
        if not self._is_looking:
            self._is_looking = True
            loop.call_later(min(LOOK_EVERY_S, self._longest_s), self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_looking = False
        too_long = time.monotonic() - self._longest_s
        with self._lock:
            for connection, (began, attempt) in self._began.items():
                if began < too_long and not attempt.was_cut:
                    attempt.was_cut = True
                    self._cut(connection)
        if self._began:
            self.look(loop)
