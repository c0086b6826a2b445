"""How late an engine is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=1)
"""How far back the lags are told."""
MOST = 20_000
"""Lags that are remembered at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What an engine does, for those who run it. A lag is the time from a wake-up to the begin of its round."""

    rounds: int
    """Since the engine began."""
    faults: int
    """Rounds that ended in a fault of ours or of the store's, since the engine began."""
    busy: int
    """Rounds under way."""
    looked_after: int
    """Clusters."""
    lag_p50_s: float
    """Of the last minute, as are the other lags."""
    lag_p99_s: float
    lag_max_s: float


class Lags:
    """The lags of the last minute."""

    def __init__(self) -> None:
        self._lags: deque[tuple[datetime, float]] = deque(maxlen=MOST)

    def add(self, now: datetime, lag: timedelta) -> None:
        """Take note of one."""
        self._lags.append((now, max(0.0, lag.total_seconds())))

    def quantiles(self, now: datetime) -> tuple[float, float, float]:
        """Return the median, the 99th percentile and the longest, in seconds; 0 where nothing was done."""
        while self._lags and self._lags[0][0] < now - WINDOW:
            self._lags.popleft()
        lags = sorted(lag for _, lag in self._lags)
        if not lags:
            return 0.0, 0.0, 0.0
        return lags[len(lags) // 2], lags[min(len(lags) - 1, len(lags) * 99 // 100)], lags[-1]
