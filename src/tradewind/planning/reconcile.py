"""The gap between what is wanted and what is, and the steps that close it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from tradewind.model.cluster import Cluster, ClusterStatus, StopReason
from tradewind.model.events import Event, Level
from tradewind.model.instance import Instance, InstanceEnd, InstanceStatus, Role
from tradewind.planning import scale
from tradewind.planning.choose import Choice
from tradewind.planning.settle import abandoned
from tradewind.planning.snapshot import Launch, Plan, Snapshot
from tradewind.planning.stop import ROUND

RETIRING = timedelta(seconds=30)
"""A worker that was asked to leave and is still on the page after this is ended."""
REFUSAL = timedelta(minutes=5)
"""An offer that had no capacity isn't tried again before this."""


def keep_up(snapshot: Snapshot, cluster: Cluster, instances: tuple[Instance, ...], now: datetime) -> Plan:
    """Return the steps towards as many workers as are wanted, and one scheduler.

    Parameters
    ----------
    snapshot : Snapshot
        As it was read.
    cluster : Cluster
        As it is after this round's observations.
    instances : tuple of Instance
        Settled, in the snapshot's order.
    now : datetime
        Aware UTC.
    """
    may_launch = cluster.retry_at is None or now >= cluster.retry_at
    launches: list[Launch] = []
    events: list[Event] = []

    if not any(i.role is Role.SCHEDULER and i.status.is_live for i in instances):
        available = _available(snapshot, instances, Role.SCHEDULER, now)
        if not available:
            return _no_capacity(cluster, snapshot, instances, now)
        if may_launch:
            launches.append(Launch(role=Role.SCHEDULER, choice=available[0]))

    dismissed = frozenset(cluster.intent.dismiss)
    crew = [i for i in instances if i.role is Role.WORKER and i.status.is_live and i.wanted and i.id not in dismissed]
    target = snapshot.page.adaptive_target if snapshot.page is not None else cluster.scale.wanted
    memory = scale.wanted(cluster.intent.scaling, cluster.scale, target, len(crew), now)
    cluster = replace(cluster, scale=memory) if memory != cluster.scale else cluster
    gap = memory.wanted - len(crew)

    leaving: dict[str, Instance] = {
        i.id: abandoned(i, now) for i in instances if i.id in dismissed and i.status.is_live and i.wanted
    }
    retire = [id_ for id_, i in leaving.items() if i.status is InstanceStatus.RUNNING]
    retire_any = 0
    if gap > 0 and may_launch:
        available = _available(snapshot, instances, Role.WORKER, now)
        if available:
            launches += [Launch(role=Role.WORKER, choice=available[0])] * gap
        else:
            cluster = replace(cluster, retry_at=now + REFUSAL)
            events.append(_event(cluster, now, "capacity.none", _why_none(snapshot), Level.WARNING))
    elif gap < 0:
        # What isn't up yet holds no results, so it goes first, the youngest before the others.
        early = [i for i in reversed(crew) if i.status is not InstanceStatus.RUNNING][:-gap]
        leaving |= {i.id: abandoned(i, now) for i in early}
        rest = -gap - len(early)
        if snapshot.page is not None:
            retire_any = rest
        elif rest:
            rest_of_crew = [i for i in reversed(crew) if i.id not in leaving]
            leaving |= {i.id: abandoned(i, now) for i in rest_of_crew[:rest]}

    relaunches = tuple(i for i in instances if i.wanted and i.status is InstanceStatus.REQUESTED and i.handle is None)
    if launches:
        events.append(_event(cluster, now, "instances.ordered", _ordered(launches)))
    if gap < 0:
        events.append(
            _event(cluster, now, "workers.released", f"Letting {-gap} of {len(crew)} workers go: fewer are wanted.")
        )
    after = tuple(leaving.get(i.id, i) for i in instances)
    return Plan(
        cluster=cluster,
        instances=after,
        events=tuple(events),
        launches=tuple(launches),
        relaunches=relaunches if may_launch else (),
        terminations=_departed(snapshot, after, now),
        retire=tuple(retire) if snapshot.page is not None else (),
        retire_any=retire_any,
        wake_at=_wake(snapshot, cluster, after, now, changing=bool(launches or leaving)),
    )


def take_down(snapshot: Snapshot, cluster: Cluster, instances: tuple[Instance, ...], now: datetime) -> Plan:
    """Return the steps towards nothing: every instance ended, and seen to be ended."""
    after = tuple(abandoned(i, now) if i.status.is_live else i for i in instances)
    live = [i for i in after if i.status.is_live]
    if live or snapshot.observed is None:
        return Plan(
            cluster=cluster,
            instances=after,
            terminations=tuple(i.handle for i in live if i.handle is not None),
            wake_at=now + snapshot.poll_every,
        )
    ends = [i.stopped_at for i in after if i.stopped_at is not None]
    return Plan(
        cluster=replace(
            cluster, status=ClusterStatus.STOPPED, stopped_at=max([*ends, cluster.created_at]), contact=None
        ),
        instances=after,
        events=(_event(cluster, now, "cluster.stopped", f"Stopped: {cluster.stop_detail}."),),
    )


def stopping(cluster: Cluster, reason: StopReason, detail: str, now: datetime) -> tuple[Cluster, Event]:
    """Return the cluster on its way down, with the line for its journal."""
    after = replace(cluster, status=ClusterStatus.STOPPING, stop_reason=reason, stop_detail=detail, stopping_at=now)
    level = Level.ERROR if reason.is_failure else Level.INFO
    return after, _event(after, now, "cluster.stopping", f"Stopping ({reason}): {detail}.", level)


def _no_capacity(cluster: Cluster, snapshot: Snapshot, instances: tuple[Instance, ...], now: datetime) -> Plan:
    after, event = stopping(cluster, StopReason.NO_CAPACITY, _why_none(snapshot), now)
    down = take_down(snapshot, after, instances, now)
    return replace(down, events=(event, *down.events))


def _available(snapshot: Snapshot, instances: tuple[Instance, ...], role: Role, now: datetime) -> tuple[Choice, ...]:
    refused = [
        i.offer
        for i in instances
        if i.end is InstanceEnd.NO_CAPACITY and i.stopped_at is not None and now < i.stopped_at + REFUSAL
    ]
    choices = snapshot.choices.get(role, ())
    return tuple(choice for choice in choices if choice.offer not in refused) if refused else choices


def _departed(snapshot: Snapshot, instances: tuple[Instance, ...], now: datetime) -> tuple[str, ...]:
    """Handles of the unwanted that hold nothing any more: Dask let them go, or they never were up, or took too long."""
    on_page = {w.name for w in snapshot.page.workers} if snapshot.page is not None else set()
    return tuple(
        i.handle
        for i in instances
        if not i.wanted
        and i.status.is_live
        and i.handle is not None
        and (i.id not in on_page or (i.unwanted_at is not None and now >= i.unwanted_at + RETIRING))
    )


def _wake(
    snapshot: Snapshot, cluster: Cluster, instances: tuple[Instance, ...], now: datetime, *, changing: bool
) -> datetime:
    settled = cluster.status is ClusterStatus.RUNNING and all(
        i.status in {InstanceStatus.RUNNING, InstanceStatus.STOPPED} for i in instances
    )
    if settled and not changing:
        return now + ROUND
    if cluster.retry_at is not None and cluster.retry_at > now and cluster.status is not ClusterStatus.RUNNING:
        return min(cluster.retry_at, now + ROUND)
    return now + min(snapshot.poll_every, ROUND)


def _why_none(snapshot: Snapshot) -> str:
    return f"{snapshot.cluster.spec.provider} has no room for any of the sizes that fit"


def _ordered(launches: list[Launch]) -> str:
    lines = []
    for role in Role:
        mine = [launch.choice.offer for launch in launches if launch.role is role]
        if mine:
            offer, plural = mine[0], "s" if len(mine) > 1 else ""
            price = "unpriced" if offer.price is None else str(offer.price)
            lines.append(f"{len(mine)} {role}{plural} ({offer.vm_type}, {price})")
    return f"Ordering {' and '.join(lines)}."


def _event(cluster: Cluster, now: datetime, kind: str, message: str, level: Level = Level.INFO) -> Event:
    return Event(at=now, cluster_id=cluster.id, kind=kind, message=message, level=level)
