"""How many workers are wanted, and how often a launch is tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from tradewind.model.cluster import Cluster, ScaleMemory, Scaling

LONGEST_DELAY = timedelta(seconds=60)
"""A broken environment is mended by a person, so asking more often than this only costs."""
TRIES_BEYOND_THE_CREW = 4
"""Each wanted worker may fail once (one bad wave), and this many more must fail before we believe it."""


def wanted(scaling: Scaling, memory: ScaleMemory, target: int, alive: int, now: datetime) -> ScaleMemory:
    """Return how many workers are wanted now.

    Up at once. Down only by what was a surplus during all of the last ``wait_count * interval``: a worker that was of
    use for a moment of that time stays.

    Parameters
    ----------
    scaling : Scaling
        As people want it now; a changed one takes effect at once.
    memory : ScaleMemory
        What the last round returned.
    target : int
        Workers that Dask would use now.
    alive : int
        Workers that exist or are on order. What was wanted and never ordered needs no patience to be given up.
    now : datetime
        Aware UTC.
    """
    desired = _clamp(scaling, target)
    held = max(desired, min(_clamp(scaling, memory.wanted), alive))
    if not scaling.is_adaptive or desired >= held:
        return ScaleMemory(wanted=desired)

    since = memory.surplus_since
    if since is None:
        return ScaleMemory(wanted=held, surplus_since=now, surplus_peak=desired)
    peak = min(held, max(desired, memory.surplus_peak))
    if now - since < scaling.interval * scaling.wait_count:
        return ScaleMemory(wanted=held, surplus_since=since, surplus_peak=peak)
    if desired == peak:
        return ScaleMemory(wanted=desired)
    return ScaleMemory(wanted=peak, surplus_since=now, surplus_peak=desired)


def retry_delay(failed_launches: int) -> timedelta:
    """Return how long to wait before the next launch: nothing before the first, then from 1 s doubling to 60 s."""
    if failed_launches <= 0:
        return timedelta(0)
    # The exponent is capped as well: 2**10000 seconds is no timedelta.
    return min(LONGEST_DELAY, timedelta(seconds=2 ** min(failed_launches - 1, 6)))


def after_failure(cluster: Cluster, now: datetime, *, count: int = 1) -> Cluster:
    """Return a cluster of which ``count`` launches have failed now, with when to launch again."""
    failed = cluster.failed_launches + count
    return replace(cluster, failed_launches=failed, retry_at=now + retry_delay(failed))


def gives_up(failed_launches: int, wanted: int) -> bool:
    """Whether so many instances in a row ended before they ran that the next one will too."""
    return failed_launches >= max(1, wanted) + TRIES_BEYOND_THE_CREW


def _clamp(scaling: Scaling, number: int) -> int:
    return max(scaling.minimum, min(scaling.maximum, number))
