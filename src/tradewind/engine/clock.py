"""Where ``now`` comes from."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> datetime:
        """Return the time; aware UTC, never earlier than what it returned before."""


class SteadyClock:
    """UTC that never jumps: the wall clock once, then one that only goes forward.

    A wall clock that somebody sets must neither end a cluster nor lengthen a bill. On Linux the forward clock counts
    the time a laptop sleeps, since clouds bill it.
    """

    def __init__(self) -> None:
        self._wall = datetime.now(UTC)
        self._ticks = _ticks()

    def now(self) -> datetime:
        """Return the time; aware UTC."""
        return self._wall + timedelta(seconds=_ticks() - self._ticks)


def _ticks() -> float:
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
