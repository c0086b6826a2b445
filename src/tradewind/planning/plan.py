"""What to do next for one cluster, as data. Decides everything, does nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from tradewind.model.budget import Reservation
from tradewind.model.cluster import Cluster, ClusterStatus
from tradewind.model.events import Event, Level
from tradewind.model.instance import Instance, InstanceEnd, InstanceStatus, ObservedInstance, Role
from tradewind.model.usage import Usage
from tradewind.planning import meter, stop
from tradewind.planning.draws import Draw, draws
from tradewind.planning.funds import own_fund
from tradewind.planning.pace import rate
from tradewind.planning.reconcile import keep_up, stopping, take_down
from tradewind.planning.renewal import after_failure, after_success, goes_on_without_it
from tradewind.planning.reservations import reservation, use_of
from tradewind.planning.settle import Sighting, corrected, settle
from tradewind.planning.snapshot import Plan, Snapshot

REMEMBER = timedelta(seconds=5)
"""How far ``observed_at`` may lag behind: it would be one write per round else."""
UNWRITTEN = REMEMBER + timedelta(seconds=15)
"""How far it lags behind for who takes over: it's written when leases are renewed."""


def plan(snapshot: Snapshot, now: datetime) -> Plan:
    """Return what to do next.

    Pure: the same snapshot and ``now`` give the same plan; and a plan that was carried out in part, or twice, leads
    the next round to the same end.
    """
    instances, strays = _settled(snapshot, now)
    cluster = _noted(snapshot, instances, now)
    usages = _metered(snapshot, _changed(snapshot.instances, instances), cluster)
    drawn = _draws(snapshot, instances, now, usages)
    events: list[Event] = []
    say: list[str] = []

    if cluster.status.rank < ClusterStatus.STOPPING.rank:
        case = stop.Case(
            cluster=cluster,
            instances=instances,
            page=snapshot.page,
            usages=snapshot.usages,
            draws=drawn,
            ends_within=snapshot.ends_within,
            queues=snapshot.queues,
        )
        if (warning := stop.warning(case, now)) is not None:
            cluster = replace(cluster, idle_warned_at=warning.idle_warned_at, budget_warned=warning.budget_warned)
            events.append(
                Event(at=now, cluster_id=cluster.id, kind=warning.kind, message=warning.message, level=Level.WARNING)
            )
            say.append(warning.message)
        if (verdict := stop.verdict(case, now)) is not None:
            cluster, event = stopping(cluster, verdict.reason, verdict.detail, now)
            events.append(event)
            if not cluster.intent.stop:
                say.append(f"Cluster {cluster.name!r} stops now: {verdict.detail}.")

    if cluster.status.rank >= ClusterStatus.STOPPING.rank:
        steps = take_down(snapshot, cluster, instances, now)
    else:
        steps = keep_up(snapshot, cluster, instances, now, drawn)
    if strays and steps.cluster.status is ClusterStatus.STOPPED:
        # Nobody looks at a cluster that has stopped, so nobody would notice if these outlived being asked to end.
        steps = replace(steps, cluster=cluster, events=(), wake_at=now + snapshot.poll_every)
    changed = _changed(snapshot.instances, steps.instances)
    return replace(
        steps,
        instances=tuple(after for _, after in changed),
        usages=usages,
        reservations=_reserved(snapshot, steps, usages, now),
        events=(*_journal(snapshot, changed, steps.cluster, now), *events, *steps.events),
        terminations=tuple(dict.fromkeys((*strays, *steps.terminations))),
        say=(*say, *steps.say),
    )


def _settled(snapshot: Snapshot, now: datetime) -> tuple[tuple[Instance, ...], tuple[str, ...]]:
    """Return every instance as it is now, and the handles of things with our mark that no live row knows."""
    if snapshot.observed is None:
        return snapshot.instances, ()
    stopped, scheduler = InstanceStatus.STOPPED, Role.SCHEDULER  # once: thousands of looks at an enum add up
    seen: dict[str, ObservedInstance] = {}
    for observed in snapshot.observed:
        # One that lives goes before one that ended: an order that was carried out twice must not lose the living.
        other = seen.get(observed.marks.instance)
        if other is None or other.status is stopped:
            seen[observed.marks.instance] = observed
    up = {worker.name for worker in snapshot.page.workers} if snapshot.page is not None else set()
    sighting = Sighting(
        now=snapshot.looked_at,
        last=snapshot.cluster.observed_at,
        list_lag=snapshot.list_lag,
        remembers=snapshot.remembers,
        over_by=_over_by(snapshot),
    )
    answered = snapshot.page is not None
    instances = tuple(
        [
            settle(
                instance,
                seen.get(instance.id),
                is_up=(instance.id in up or (answered and instance.role is scheduler))
                and (not snapshot.is_shared_look or _is_billed(seen.get(instance.id))),
                sighting=sighting,
            )
            if instance.status is not stopped
            else _corrected(instance, seen.get(instance.id), snapshot.looked_at)
            for instance in snapshot.instances
        ]
    )
    known = {instance.handle for instance in instances if instance.status is not stopped}
    strays = tuple(
        [
            observed.handle
            for observed in snapshot.observed
            if observed.handle not in known and observed.status is not stopped
        ]
    )
    return instances, strays


def _over_by(snapshot: Snapshot) -> datetime:
    """Return when what was there at the last look must have ended, if that was so long ago that it's forgotten."""
    cluster = snapshot.cluster
    looked_at = cluster.observed_at or cluster.created_at
    if snapshot.page is not None or snapshot.looked_at - looked_at <= snapshot.remembers:
        return snapshot.looked_at
    # While the list was away, the page may have gone on answering, and orders have been given.
    heard = max([looked_at, cluster.page_failed_at or looked_at, *(i.requested_at for i in snapshot.instances)])
    spans = [draw.paid_for(heard) for draw in _draws(replace(snapshot, observed=None), snapshot.instances, heard)]
    # The last look, and its scheduler's last being asked, may have been later than is written.
    unasked = snapshot.starts_within + UNWRITTEN + cluster.spec.lifetimes.orphan + snapshot.ends_within
    return min(heard + min([unasked, *(span for span in spans if span is not None)]), snapshot.looked_at)


def _is_billed(observed: ObservedInstance | None) -> bool:
    """Whether the list knows that it is billed. Else its bill would begin when the list was asked: too early."""
    return observed is not None and observed.status.is_billed


def _corrected(instance: Instance, seen: ObservedInstance | None, now: datetime) -> Instance:
    return instance if seen is None else corrected(instance, seen, now)


def _noted(snapshot: Snapshot, instances: tuple[Instance, ...], now: datetime) -> Cluster:
    """Return the cluster with what this round's observations say of it."""
    cluster = snapshot.cluster
    page = snapshot.page
    status, started_at = cluster.status, cluster.started_at
    if page is not None and status.rank < ClusterStatus.RUNNING.rank:
        status, started_at = ClusterStatus.RUNNING, now
    elif status is ClusterStatus.PENDING and instances:
        status = ClusterStatus.STARTING

    contact = cluster.contact
    if contact is None and snapshot.observed is not None:
        live = {i.id for i in instances if i.role is Role.SCHEDULER and i.status.is_live}
        contact = next((o.contact for o in snapshot.observed if o.contact and o.marks.instance in live), None)

    page_failed_at = cluster.page_failed_at
    if page is not None:
        page_failed_at = None
    elif contact is not None and page_failed_at is None:
        page_failed_at = now

    observed_at = cluster.observed_at
    # What changed is written anyway, and what is gone at the next look was there at this one.
    changed = bool(_changed(snapshot.instances, instances))
    looked_at = snapshot.looked_at
    if snapshot.observed is not None and (observed_at is None or changed or looked_at >= observed_at + REMEMBER):
        observed_at = looked_at

    launched = _launched(snapshot, instances, now)
    budget_warned = cluster.budget_warned
    if budget_warned >= stop.WINDING_DOWN and cluster.intent.ends_by is None:
        budget_warned = 0  # It may go on after all; the steps of its own budget are told by what is spent.
    # A warning is good for the idleness it was said in, not for a later one.
    warned_at = cluster.idle_warned_at
    if page is not None and warned_at is not None and page.idle_seconds < (now - warned_at).total_seconds():
        warned_at = None
    after = replace(
        cluster,
        status=status,
        started_at=started_at,
        contact=contact,
        page_failed_at=page_failed_at,
        observed_at=observed_at,
        failed_launches=launched.failed_launches,
        retry_at=launched.retry_at,
        trials=launched.trials,
        idle_warned_at=warned_at,
        budget_warned=budget_warned,
    )
    return cluster if after == cluster else after


def _launched(snapshot: Snapshot, instances: tuple[Instance, ...], now: datetime) -> Cluster:
    """Return the cluster with what became of what was launched."""
    cluster = snapshot.cluster
    is_trial = goes_on_without_it(instances, cluster)
    for before, after in zip(snapshot.instances, instances, strict=True):
        if before is after:
            continue
        if after.running_at is not None and before.running_at is None:
            cluster = after_success(cluster, after)
        elif not before.status.is_live:
            continue  # its times were corrected; its failure was counted when it was noticed
        elif after.end in {InstanceEnd.DIED, InstanceEnd.VANISHED} and after.running_at is None:
            cluster = after_failure(cluster, now, is_trial=is_trial)
    return cluster


def _changed(before: tuple[Instance, ...], after: tuple[Instance, ...]) -> list[tuple[Instance, Instance]]:
    return [(one, other) for one, other in zip(before, after, strict=True) if one is not other]


def _metered(snapshot: Snapshot, changed: list[tuple[Instance, Instance]], cluster: Cluster) -> tuple[Usage, ...]:
    if not changed:
        return ()
    mine: dict[str, list[Usage]] = {}
    for usage in snapshot.usages:
        mine.setdefault(usage.instance_id, []).append(usage)
    return tuple(
        usage
        for before, after in changed
        for usage in meter.settle(before, after, tuple(mine.get(after.id, ())), cluster)
    )


def _draws(
    snapshot: Snapshot, instances: tuple[Instance, ...], now: datetime, usages: tuple[Usage, ...] = ()
) -> tuple[Draw, ...]:
    """Return what is drawn of each fund; what this round found of the bill goes before what was loaded."""
    own = own_fund(snapshot.cluster)
    if not own and not snapshot.funds:
        return ()
    seen_at = snapshot.looked_at if snapshot.observed is not None else snapshot.cluster.observed_at
    if seen_at is not None:
        seen_at -= snapshot.list_lag
    bill = {(usage.instance_id, usage.sequence): usage for usage in (*snapshot.usages, *usages)}
    return draws((*own, *snapshot.funds), instances, tuple(bill.values()), now, seen_at=seen_at)


def _reserved(snapshot: Snapshot, steps: Plan, usages: tuple[Usage, ...], now: datetime) -> tuple[Reservation, ...]:
    if not snapshot.funds:
        return ()
    drawn = []
    for draw in _draws(snapshot, steps.instances, now, usages):
        currency = draw.fund.limit.currency
        ordered = sum((rate(launch.choice.offer, currency) for launch in steps.launches), Decimal(0))
        drawn.append(replace(draw, per_hour=draw.per_hour + ordered))
    wanted = (reservation(draw, steps.cluster, use_of(snapshot.page), now, snapshot.terms(now)) for draw in drawn)
    return tuple(one for one in wanted if one is not None)


def _journal(
    snapshot: Snapshot, changed: list[tuple[Instance, Instance]], cluster: Cluster, now: datetime
) -> tuple[Event, ...]:
    lines: list[Event] = []
    if cluster.status is ClusterStatus.RUNNING and snapshot.cluster.status is not ClusterStatus.RUNNING:
        took = (now - cluster.created_at).total_seconds()
        lines.append(
            Event(at=now, cluster_id=cluster.id, kind="cluster.started", message=f"Running after {took:.1f} s.")
        )
    for before, after in changed:
        if before.status is not InstanceStatus.STOPPED and after.end in {InstanceEnd.DIED, InstanceEnd.VANISHED}:
            replaced = after.role is Role.WORKER and cluster.status.rank < ClusterStatus.STOPPING.rank
            words = after.detail or f"exit code {after.exit_code}"
            lines.append(
                Event(
                    at=now,
                    cluster_id=cluster.id,
                    kind="instance.died",
                    message=f"{after.role.capitalize()} {after.id} ended: {words}."
                    + (" It is replaced where it is still wanted." if replaced else ""),
                    level=Level.WARNING,
                    instance_id=after.id,
                )
            )
    return tuple(lines)
