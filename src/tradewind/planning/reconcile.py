"""The gap between what is wanted and what is, and the steps that close it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from tradewind.model.cluster import Cluster, ClusterStatus, Scaling, StopReason
from tradewind.model.events import Event, Level
from tradewind.model.instance import Instance, InstanceEnd, InstanceStatus, Role
from tradewind.model.offer import Offer
from tradewind.planning import scale
from tradewind.planning.choose import Choice, fill, room_of
from tradewind.planning.draws import Draw, affordable
from tradewind.planning.funds import AFFORDABLE, ROUND
from tradewind.planning.renewal import LEAVES_WITHIN, after_failure, goes_on_without_it, has_given_up, is_behind, renew
from tradewind.planning.reservations import covers, least_ahead, pay_ahead
from tradewind.planning.settle import abandoned
from tradewind.planning.snapshot import Launch, Plan, Snapshot
from tradewind.planning.stop import DRAINED
from tradewind.planning.succession import cut_short, succeeded

RETIRING = timedelta(seconds=30)
"""A worker that was asked to leave and is still on the page after this is ended."""
REFUSAL = timedelta(minutes=5)
"""An offer that had no capacity, or was refused, isn't tried again before this."""
TIGHT = timedelta(seconds=20)
"""How long before a cluster asks again for workers that its budget didn't pay for."""
OTHERS_GIVE_BACK = timedelta(seconds=5)
"""How long a new cluster waits for what others hold ahead: they give of it when somebody joins them."""
REFUSED = frozenset({InstanceEnd.NO_CAPACITY, InstanceEnd.REJECTED})
"""Ends of what never existed."""
CLOSING = frozenset({"closing", "closing_gracefully"})
"""Dask's words for a worker that is on its way out."""


def keep_up(
    snapshot: Snapshot,
    cluster: Cluster,
    instances: tuple[Instance, ...],
    now: datetime,
    draws: tuple[Draw, ...] = (),
) -> Plan:
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
    draws : tuple of Draw
        What it draws of all that limits its spending.
    """
    worker, stopped = Role.WORKER, InstanceStatus.STOPPED
    workers = [i for i in instances if i.wanted and i.role is worker and i.status is not stopped]
    overdue = _overdue(snapshot, workers, now)
    if overdue:
        is_trial = goes_on_without_it(instances, cluster)
        cluster = after_failure(cluster, now, count=len(overdue), is_trial=is_trial)
    may_launch = snapshot.choices is not None and (cluster.retry_at is None or now >= cluster.retry_at)
    is_owed = any(i.handle is None and _is_to_be_launched(i) for i in instances)
    launches: list[Launch] = []
    events: list[Event] = []

    if snapshot.choices is not None and not any(i.role is Role.SCHEDULER and i.status.is_live for i in instances):
        available = _available(snapshot, instances, Role.SCHEDULER, now)
        if not available:
            return _no_capacity(cluster, snapshot, instances, now)
        if may_launch:
            launches.append(Launch(role=Role.SCHEDULER, choice=available[0]))

    leaving = _leaving(snapshot, cluster) | overdue
    cut = cut_short(snapshot, instances, [i for i in workers if i.id not in leaving], now)
    leaving |= cut
    crew = [i for i in workers if i.id not in leaving]
    target = snapshot.page.adaptive_target if snapshot.page is not None else cluster.scale.wanted
    before, memory = cluster.scale, scale.wanted(_scaling(snapshot, cluster), cluster.scale, target, len(crew), now)
    cluster = replace(cluster, scale=memory) if memory != before else cluster
    going = succeeded(snapshot, instances, crew, now)
    crew = [i for i in crew if i.id not in going]
    renewal = renew(snapshot, cluster, instances, crew, now)
    leaving |= renewal.leaving
    crew, gap = [i for i in crew if i.id not in renewal.leaving], renewal.gap

    retire_any = 0
    if gap > 0 and may_launch:
        available = _available(snapshot, instances, Role.WORKER, now)
        if available:
            there = (i.offer for i in workers)
            for choice, count in fill(available, gap, there):
                launches += [Launch(role=Role.WORKER, choice=choice)] * count
        elif not is_owed:
            # What was ordered already needs no other offer, and must not wait for one.
            cluster = replace(cluster, retry_at=now + REFUSAL)
            events.append(_event(cluster, now, "capacity.none", _why_none(snapshot), Level.WARNING))
    elif gap < 0:
        # What isn't up yet holds no results, so it goes first, the youngest before the others.
        early = [i.id for i in reversed(crew) if i.status is not InstanceStatus.RUNNING][:-gap]
        leaving |= set(early)
        # Who can be spared, Dask alone knows; where it doesn't answer now, that waits until it does.
        retire_any = -gap - len(early) if snapshot.page is not None else 0

    minimum = AFFORDABLE + snapshot.starts_within + snapshot.ends_within
    paid = affordable(
        draws,
        [launch.choice.offer for launch in launches],
        now,
        minimum,
        is_new=not any(i.status.is_live for i in instances),
    )
    if paid < len(launches):
        if launches[0].role is Role.SCHEDULER and not paid and now >= cluster.created_at + OTHERS_GIVE_BACK:
            return _cant_pay(cluster, snapshot, instances, draws, now)
        if cluster.retry_at is None and cluster.started_at is not None:
            words = f"Not launching {len(launches) - paid} of {len(launches)}: {_short_of(draws, now)}."
            events.append(_event(cluster, now, "budget.short", words, Level.WARNING))
        launches = launches[:paid]
        if not is_owed and not launches:
            # What is ordered is paid for: if the order gets lost, it must not wait for money.
            cluster = replace(cluster, retry_at=now + (TIGHT if cluster.started_at is not None else ROUND))
    ahead = pay_ahead(draws, [launch.choice.offer for launch in launches], now, snapshot.terms(now))
    if launches and not covers(draws, [launch.choice.offer for launch in launches], snapshot.terms(now)):
        # Its scheduler was told that it may live for longer than so many could be paid for. It's told better first, and
        # less than would do just now: what is left is less by then.
        launches, shown = [], True
        ahead = ahead and max(ROUND, ahead * 3 / 4 - snapshot.ends_within)
    else:
        shown = bool(launches)
    again = {i.id for i in instances if i.handle is None and _is_to_be_launched(i)} - leaving if may_launch else set()
    after = instances
    if leaving or again:
        after = tuple(_next(i, leaving, again, now) for i in instances)
    relaunches = tuple(i for i in after if i.id in again) if again else ()
    if launches:
        events.append(_event(cluster, now, "instances.ordered", _ordered(launches)))
    if has_given_up(cluster) and cluster.trials != snapshot.cluster.trials:
        words = (
            f"{cluster.trials.failed} times in a row no worker came up with the new software, so it isn't tried again: "
            "the workers with the older one go on, and no others are started. Change the software, or the number of "
            "workers, to have it tried anew."
        )
        events.append(_event(cluster, now, "software.given_up", words, Level.WARNING))
    if cut:
        words = f"The queue is about to end {', '.join(sorted(cut))}: what they hold moves to other workers."
        events.append(_event(cluster, now, "workers.cut_short", words, Level.WARNING))
    if renewal.leaving:
        events.append(_event(cluster, now, "workers.replaced", _replaced(len(renewal.leaving), renewal.left)))
    if gap < 0 and memory.wanted < before.wanted:
        events.append(
            _event(cluster, now, "workers.released", f"Letting {-gap} of {len(crew)} workers go: fewer are wanted.")
        )
    return Plan(
        cluster=cluster,
        instances=after,
        events=tuple(events),
        launches=tuple(launches),
        relaunches=relaunches,
        terminations=_departed(snapshot, cluster, after, now),
        pay_ahead=ahead,
        retire=_to_retire(snapshot, after),
        retire_any=retire_any,
        wake_at=_wake(snapshot, cluster, after, now, draws, changing=bool(shown or leaving)),
    )


def take_down(snapshot: Snapshot, cluster: Cluster, instances: tuple[Instance, ...], now: datetime) -> Plan:
    """Return the steps towards nothing: every instance ended, and seen to be ended."""
    after = tuple(abandoned(i, now) if i.status.is_live else i for i in instances)
    live = [i for i in after if i.status.is_live]
    # Where every order was refused there is nothing to look for; and who can't launch often can't look either, so that
    # a host with the wrong key would keep its user waiting. Of rows that ended long ago, the scheduler's is still here.
    had_scheduler = any(i.role is Role.SCHEDULER for i in after)
    may_exist = not had_scheduler or any(i.end not in REFUSED for i in after)
    if live or (snapshot.observed is None and may_exist):
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


def _scaling(snapshot: Snapshot, cluster: Cluster) -> Scaling:
    """Return what is wanted, within the room there is: the upper end of a range is a bound, not an order."""
    scaling = cluster.intent.scaling
    if cluster.intent.ends_by is not None:
        return replace(scaling, minimum=0, maximum=min(scaling.maximum, DRAINED))
    room = room_of((snapshot.choices or {}).get(Role.WORKER, ()))
    if not scaling.is_adaptive or room is None or room >= scaling.maximum:
        return scaling
    return replace(scaling, maximum=max(scaling.minimum, room))


def _no_capacity(cluster: Cluster, snapshot: Snapshot, instances: tuple[Instance, ...], now: datetime) -> Plan:
    after, event = stopping(cluster, StopReason.NO_CAPACITY, _why_none(snapshot), now)
    down = take_down(snapshot, after, instances, now)
    return replace(down, events=(event, *down.events))


def _cant_pay(
    cluster: Cluster, snapshot: Snapshot, instances: tuple[Instance, ...], draws: tuple[Draw, ...], now: datetime
) -> Plan:
    after, event = stopping(cluster, StopReason.BUDGET, _short_of(draws, now), now)
    down = take_down(snapshot, after, instances, now)
    return replace(down, events=(event, *down.events))


def _short_of(draws: tuple[Draw, ...], now: datetime) -> str:
    tightest = min(draws, key=lambda draw: draw.left.amount)
    return f"what is left of {tightest.fund.name}, {tightest.left}, doesn't pay for it for long enough to be of use"


def _available(snapshot: Snapshot, instances: tuple[Instance, ...], role: Role, now: datetime) -> tuple[Choice, ...]:
    refused = [
        i.offer
        for i in instances
        if i.end in REFUSED
        and i.stopped_at is not None
        and now < i.stopped_at + REFUSAL
        and not (i.end is InstanceEnd.NO_CAPACITY and _gave_back(instances, i.offer, i.stopped_at))
    ]
    choices = (snapshot.choices or {}).get(role, ())
    return tuple(choice for choice in choices if choice.offer not in refused) if refused else choices


def _gave_back(instances: tuple[Instance, ...], offer: Offer, since: datetime) -> bool:
    """Whether one of ours has left a place of this kind since: there was no room, and now there is."""
    asked = InstanceEnd.ASKED
    return any(
        i.end is asked and i.running_at and i.stopped_at and i.stopped_at > since and i.offer == offer
        for i in instances
    )


def _leaving(snapshot: Snapshot, cluster: Cluster) -> set[str]:
    """Return the workers that somebody dismissed, or that Dask lets go already, whoever asked it to."""
    closing = {w.name for w in snapshot.page.workers if w.status in CLOSING} if snapshot.page is not None else set()
    return closing | set(cluster.intent.dismiss)


def _overdue(snapshot: Snapshot, workers: list[Instance], now: datetime) -> set[str]:
    """Return the workers that are billed and never came up, though their scheduler answers: they never will."""
    if snapshot.page is None:
        return set()
    limit, starting = snapshot.cluster.spec.lifetimes.start, InstanceStatus.STARTING
    return {i.id for i in workers if i.status is starting and i.started_at is not None and now >= i.started_at + limit}


def _next(instance: Instance, leaving: set[str], again: set[str], now: datetime) -> Instance:
    if instance.id in leaving and instance.role is Role.WORKER and instance.status.is_live:
        return abandoned(instance, now)
    if instance.id in again:
        # The list may lag behind this order as well, so it's as young as its last order.
        return replace(instance, requested_at=now)
    return instance


def _is_to_be_launched(instance: Instance) -> bool:
    return instance.status is InstanceStatus.REQUESTED and instance.wanted and instance.handle is None


def _to_retire(snapshot: Snapshot, instances: tuple[Instance, ...]) -> tuple[str, ...]:
    """Names of the unwanted that Dask still counts in; asked again at each round, since an answer may get lost."""
    if snapshot.page is None:
        return ()
    unwanted = {i.id for i in instances if not i.wanted and i.status.is_live}
    return tuple(w.name for w in snapshot.page.workers if w.name in unwanted and w.status not in CLOSING)


def _departed(snapshot: Snapshot, cluster: Cluster, instances: tuple[Instance, ...], now: datetime) -> tuple[str, ...]:
    """Handles of the unwanted that hold nothing any more: Dask let them go, or they never were up, or took too long."""
    unwanted = [i for i in instances if not i.wanted and i.status.is_live and i.handle is not None]
    if not unwanted:
        return ()
    # Without a page nobody knows what a worker holds.
    holding = (
        {w.name for w in snapshot.page.workers}
        if snapshot.page is not None
        else {i.id for i in unwanted if i.running_at}
    )
    return tuple(
        i.handle
        for i in unwanted
        if i.handle is not None
        and (i.id not in holding or (i.unwanted_at is not None and now >= i.unwanted_at + _patience(i, cluster)))
    )


def _patience(instance: Instance, cluster: Cluster) -> timedelta:
    """Return how long a worker may take to leave: nobody waits for the place of one that is replaced."""
    return LEAVES_WITHIN if is_behind(instance, cluster) and instance.id not in cluster.intent.dismiss else RETIRING


def _wake(
    snapshot: Snapshot,
    cluster: Cluster,
    instances: tuple[Instance, ...],
    now: datetime,
    draws: tuple[Draw, ...],
    *,
    changing: bool,
) -> datetime:
    running, stopped = InstanceStatus.RUNNING, InstanceStatus.STOPPED
    settled = cluster.status is ClusterStatus.RUNNING and all(
        [i.status is running or i.status is stopped for i in instances]
    )
    if settled and not changing:
        return _next_look(snapshot, cluster, now, draws)
    if cluster.retry_at is not None and cluster.retry_at > now and cluster.status is not ClusterStatus.RUNNING:
        return min(cluster.retry_at, now + ROUND)
    return now + min(snapshot.poll_every, ROUND)


def _next_look(snapshot: Snapshot, cluster: Cluster, now: datetime, draws: tuple[Draw, ...]) -> datetime:
    """Return when to look again at a cluster that only runs: soon where a round's length matters, else at its pace."""
    page = snapshot.page
    grows = cluster.intent.scaling.is_adaptive and page is not None and page.tasks_running > 0
    tight = least_ahead(snapshot.ends_within) + 2 * snapshot.pace
    if grows or cluster.intent.ends_by is not None or any(draw.lasts_for_all(now) < tight for draw in draws):
        return now + min(ROUND, snapshot.pace)
    at = now + snapshot.pace
    spans = [span for draw in draws if (span := draw.paid_for(now)) is not None]
    if spans and min(spans) < tight:
        return now + min(ROUND, snapshot.pace)
    return at if cluster.expires_at is None else min(at, max(cluster.expires_at, now))


def _why_none(snapshot: Snapshot) -> str:
    return f"{snapshot.cluster.spec.provider} has no room for any of the sizes that fit"


def _replaced(count: int, left: int) -> str:
    follow = f"; {left} more follow" if left else ""
    return f"Letting {count} worker{'s' if count > 1 else ''} with older software go{follow}."


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
