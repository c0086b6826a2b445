"""Time that a test moves."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
"""Where a clock begins: a moment that no rounding leaves as it is."""
TURNS = 20
"""Turns of the event loop that whoever was woken gets before time moves on."""


class FakeClock:
    """A clock that stands still until a test moves it; the sleepers on it wake in order.

    Parameters
    ----------
    start : datetime
        Aware UTC.
    """

    def __init__(self, start: datetime = START) -> None:
        if start.utcoffset() != timedelta(0):
            raise ValueError(f"a clock starts at an aware UTC time, not at {start!r}")
        self._now = start
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._count = itertools.count()

    def now(self) -> datetime:
        """Return the time; aware UTC."""
        return self._now

    def advance(self, by: timedelta | float) -> datetime:
        """Move on at once by a duration, or so many seconds, and return the time.

        Those who sleep until then are told, and wake when the event loop next turns: all of them see this later time.
        Where each shall see its own, use :meth:`pass_time`.
        """
        step = by if isinstance(by, timedelta) else timedelta(seconds=by)
        if step < timedelta(0):
            raise ValueError(f"time doesn't go back: can't advance by {step}")
        self._now += step
        self._wake()
        return self._now

    async def pass_time(self, by: timedelta | float) -> datetime:
        """Move on from sleeper to sleeper, so that each wakes at its own time, and return the time."""
        until = self._now + (by if isinstance(by, timedelta) else timedelta(seconds=by))
        await _turns()
        while self._sleepers and self._sleepers[0][0] <= until:
            self.advance(max(timedelta(0), self._sleepers[0][0] - self._now))
            await _turns()
        return self.advance(until - self._now)

    async def sleep_until(self, when: datetime) -> None:
        """Return once the time is ``when`` or later; a time gone by returns in the next turn."""
        if when <= self._now:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when, next(self._count), woken))
        await woken

    async def sleep(self, duration: timedelta | float) -> None:
        """Return once a duration, or so many seconds, has gone by on this clock."""
        await self.sleep_until(
            self._now + (duration if isinstance(duration, timedelta) else timedelta(seconds=duration))
        )

    def _wake(self) -> None:
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
