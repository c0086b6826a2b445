"""Workers whose time is nearly over, as a queue gives it: who follows them is ordered before they go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tradewind.model.instance import Instance, InstanceStatus, Role
from tradewind.planning.snapshot import Snapshot

AHEAD = timedelta(minutes=5)
"""Before the end of a worker's time, besides what its place in the queue takes: for handing over and for starting."""
LONGEST = timedelta(hours=1)
PART = 0.3
"""Of a worker's time, at most: of short ones, more than a part would be spent side by side."""


def succeeded(
    snapshot: Snapshot, instances: Sequence[Instance], crew: Sequence[Instance], now: datetime
) -> frozenset[str]:
    """Return the ids of those who leave so soon that they aren't counted any more: others are ordered in their place.

    They stay until their time is over. Nobody is succeeded whose cluster, or whose scheduler, ends as soon.

    Parameters
    ----------
    snapshot : Snapshot
        As it was read; its observations say when each one's time is over.
    instances : sequence of Instance
        All of its rows, settled.
    crew : sequence of Instance
        The workers that nobody let go.
    now : datetime
        Aware UTC.
    """
    ends = {one.marks.instance: one.ends_at for one in snapshot.observed or () if one.ends_at is not None}
    if not ends or snapshot.cluster.intent.ends_by is not None:
        return frozenset()
    ahead = min(LONGEST, AHEAD + _waited(instances))
    schedulers = [i.id for i in instances if i.role is Role.SCHEDULER and i.status.is_live]
    last = [ends[id_] for id_ in schedulers if id_ in ends]
    if snapshot.cluster.expires_at is not None:
        last.append(snapshot.cluster.expires_at)
    if any(end <= now + 2 * ahead for end in last):
        return frozenset()
    return frozenset(
        i.id
        for i in crew
        if i.status is InstanceStatus.RUNNING
        and i.id in ends
        and i.started_at is not None
        and ends[i.id] <= now + min(ahead, (ends[i.id] - i.started_at) * PART)
    )


def _waited(instances: Sequence[Instance]) -> timedelta:
    """Return how long the worker waited in the queue that was ordered last of those who came out of it."""
    began = [(i.requested_at, i.started_at) for i in instances if i.role is Role.WORKER and i.started_at is not None]
    if not began:
        return timedelta(0)
    requested_at, started_at = max(began)
    return max(timedelta(0), started_at - requested_at)
