"""Workers whose time is nearly over, as a queue gives it: who follows them is ordered before they go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from tradewind.model.instance import Instance, InstanceStatus, Role
from tradewind.planning.snapshot import Snapshot

AHEAD = timedelta(minutes=5)
"""Before the end of a worker's time, besides what its place in the queue takes: for handing over and for starting."""
LONGEST = timedelta(hours=1)
PART = 0.3
"""Of a worker's time, at most: of short ones, more than a part would be spent side by side."""
SOON = timedelta(seconds=30)
"""Before its end a worker must have begun to hand over, which those that know their time do by themselves."""


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
    ends = _ends(snapshot)
    ahead = min(LONGEST, AHEAD + _waited(instances))
    if not ends or _all_ends(snapshot, instances, ends, now + 2 * ahead):
        return frozenset()
    return frozenset(
        i.id
        for i in crew
        if i.status is InstanceStatus.RUNNING
        and i.id in ends
        and i.started_at is not None
        and ends[i.id] <= now + min(ahead, (ends[i.id] - i.started_at) * PART)
    )


def cut_short(
    snapshot: Snapshot, instances: Sequence[Instance], crew: Sequence[Instance], now: datetime
) -> frozenset[str]:
    """Return the ids of those who end within moments and don't know it: they are to hand over their results now.

    A queue that takes a job's place for another one gives it some seconds, and tells of its new end in its list; the
    job itself may hear nothing.

    Parameters
    ----------
    snapshot : Snapshot
        As it was read.
    instances : sequence of Instance
        All of its rows, settled.
    crew : sequence of Instance
        The workers that nobody let go, and that aren't leaving by themselves.
    now : datetime
        Aware UTC.
    """
    ends = _ends(snapshot)
    if not ends or _all_ends(snapshot, instances, ends, now + 2 * SOON):
        return frozenset()
    return frozenset(
        i.id for i in crew if i.status is InstanceStatus.RUNNING and i.id in ends and ends[i.id] <= now + SOON
    )


def _ends(snapshot: Snapshot) -> dict[str, datetime]:
    return {one.marks.instance: one.ends_at for one in snapshot.observed or () if one.ends_at is not None}


def _all_ends(snapshot: Snapshot, instances: Sequence[Instance], ends: Mapping[str, datetime], by: datetime) -> bool:
    """Whether the cluster is being ended, or ends with its scheduler or its own time by then."""
    if snapshot.cluster.intent.ends_by is not None:
        return True
    last = [ends[i.id] for i in instances if i.role is Role.SCHEDULER and i.status.is_live and i.id in ends]
    if snapshot.cluster.expires_at is not None:
        last.append(snapshot.cluster.expires_at)
    return any(end <= by for end in last)


def _waited(instances: Sequence[Instance]) -> timedelta:
    """Return how long the worker waited in the queue that was ordered last of those who came out of it."""
    began = [(i.requested_at, i.started_at) for i in instances if i.role is Role.WORKER and i.started_at is not None]
    if not began:
        return timedelta(0)
    requested_at, started_at = max(began)
    return max(timedelta(0), started_at - requested_at)
