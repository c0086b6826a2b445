"""The bill: when an instance's seconds begin and end to cost, what they cost, and for whom they were spent.

Every second of an instance between ``started_at`` and ``stopped_at`` is in one usage, and in one only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from tradewind.model.cluster import Cluster
from tradewind.model.computation import Computation
from tradewind.model.instance import Instance
from tradewind.model.money import Money
from tradewind.model.offer import Offer
from tradewind.model.usage import Cost, CostLine, Receipt, Usage
from tradewind.planning.grouping import (
    COMPUTATION,
    KEYS,
    NOT_COMPUTING,
    NOT_YOURS_TO_READ,
    TIMES,
    days,
    dimensions,
    in_order,
    name_of,
)
from tradewind.planning.share import Burning, Running, Shares, share
from tradewind.planning.tally import HOUR, Amounts, Units, lines, micros, plus, times

__all__ = [
    "KEYS",
    "NOT_COMPUTING",
    "burn_per_hour",
    "close_usage",
    "cost",
    "cost_by",
    "cost_per_hour",
    "open_usage",
    "receipt",
    "settle",
]


def open_usage(cluster: Cluster, instance: Instance, sequence: int = 0) -> Usage:
    """Return the usage that begins when ``instance`` begins to be billed.

    Raises
    ------
    ValueError
        It isn't billed: it has no ``started_at``.
    """
    if instance.started_at is None:
        raise ValueError(f"instance {instance.id} isn't billed yet: open its usage once started_at is known")
    return Usage(
        instance_id=instance.id,
        sequence=sequence,
        cluster_id=cluster.id,
        cluster_name=cluster.name,
        workspace=cluster.spec.workspace,
        owner=cluster.owner,
        provider=instance.offer.provider,
        region=instance.offer.region,
        vm_type=instance.offer.vm_type,
        role=instance.role,
        resources=instance.offer.resources,
        price=instance.offer.price,
        started_at=instance.started_at,
        tags=cluster.spec.tags,
    )


def close_usage(usage: Usage, at: datetime) -> Usage:
    """Return the usage, ended at ``at``, or at its start where ``at`` is before that: clocks differ."""
    return replace(usage, stopped_at=max(at, usage.started_at))


def settle(
    before: Instance | None, after: Instance, open_usages: Sequence[Usage], cluster: Cluster
) -> tuple[Usage, ...]:
    """Return the usage to write, by instance and sequence, now that an instance changed. Twice gives the same.

    Parameters
    ----------
    before : Instance or None
        As it was stored; None for a new one.
    after : Instance
        As it is.
    open_usages : sequence of Usage
        Those that run, of any instances; more of them does no harm.
    cluster : Cluster
        The one it belongs to.
    """
    if after.started_at is None:
        return ()
    mine = [usage for usage in open_usages if usage.instance_id == after.id]
    last = max(mine, key=lambda usage: usage.sequence, default=None)
    if before is not None and before.stopped_at is not None:
        return _corrected(before, after, last, cluster)
    if last is None:
        usage = open_usage(cluster, after)
    elif last.stopped_at is None:
        if after.stopped_at is None:
            return ()
        usage = last
    elif after.stopped_at is None or after.stopped_at > last.stopped_at:
        # It goes on though its last usage is closed: without a gap, the next one begins there.
        usage = replace(open_usage(cluster, after, last.sequence + 1), started_at=last.stopped_at)
    else:
        return ()
    return (usage if after.stopped_at is None else close_usage(_as_charged(usage, before, after), after.stopped_at),)


def _as_charged(usage: Usage, before: Instance | None, after: Instance) -> Usage:
    """Return the usage at the price that was charged, where that was told only now; else at its own."""
    if before is None or before.offer.price == after.offer.price:
        return usage
    return replace(usage, price=after.offer.price)


def _corrected(before: Instance, after: Instance, last: Usage | None, cluster: Cluster) -> tuple[Usage, ...]:
    """Return the one usage of an instance whose bill was complete, and turned out to be wrong."""
    bills = [(one.started_at, one.stopped_at, one.offer.price) for one in (before, after)]
    if after.stopped_at is None or bills[0] == bills[1]:
        return ()
    usage = _as_charged(last or open_usage(cluster, after), before, after)
    return (close_usage(usage, after.stopped_at),)


def burn_per_hour(usages: Iterable[Usage], now: datetime, currency: str) -> Money:
    """Return what the present size costs per hour in ``currency``; prices in others and the unpriced don't count."""
    prices = [
        usage.price.per_hour
        for usage in usages
        if usage.price is not None
        and usage.price.currency == currency
        # A running one counts even before its start: the infrastructure's clock may be ahead of ours.
        and (usage.stopped_at is None or usage.started_at <= now < usage.stopped_at)
    ]
    return Money(amount=sum(prices, Decimal(0)), currency=currency)


def cost_per_hour(counted: Iterable[tuple[int, Offer]]) -> Cost:
    """Return what one hour of so many instances of each offer costs."""
    counted = tuple(counted)
    units = Units.for_prices(offer.price for _, offer in counted)
    total = units.nothing
    for count, offer in counted:
        total = plus(total, times(units.rate(offer.price, offer.resources), count * HOUR))
    return units.costs((total,))[0]


def cost(usages: Iterable[Usage], now: datetime, since: datetime | None = None, until: datetime | None = None) -> Cost:
    """Return what ``usages`` cost up to ``now``, of the time from ``since`` up to ``until`` only."""
    usages = tuple(usages)
    units = Units.of(usages)
    total = units.nothing
    for burning in _burning(usages, units, now, since, until):
        total = plus(total, times(burning.rate, burning.stop - burning.start))
    return units.costs((total,))[0]


def cost_by(
    usages: Iterable[Usage],
    computations: Iterable[Computation],
    by: str,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
    readable: Set[str] | None = None,
) -> tuple[CostLine, ...]:
    """Return cost lines; their money adds up exactly to that of :func:`cost` over the same usages and range.

    Parameters
    ----------
    usages : iterable of Usage
        What to bill.
    computations : iterable of Computation
        Used for ``by="computation"``: at each moment those that run on a cluster share its cost equally, and what no
        computation ran in is the last line, "not computing". Give all of those clusters, or their share is billed to
        the others.
    by : str
        "cluster", "user", "provider", "region", "vm_type", "role", "day" and "month" (UTC), "computation" or
        "tag:<key>"; or several with commas between, as "user,tag:project,day": a line for each combination there is.
    now : datetime
        Aware UTC; what runs is billed up to here.
    since, until : datetime, optional
        Bill the time from ``since`` (included) to ``until`` (excluded) only.
    readable : set of str, optional
        Owners whose computations may be told; the time of all others is one line, "of others". None is everybody.

    Raises
    ------
    BadRequest
        ``by`` is none of these.
    """
    asked = dimensions(by)
    usages, computations = tuple(usages), tuple(computations)
    units = Units.of(usages)
    groups: dict[tuple[str, ...], list[Burning]] = {}
    for burning, usage in zip(_burning(usages, units, now, since, until), usages, strict=True):
        is_told = readable is None or usage.owner in readable
        pieces = days(burning.start, burning.stop) if TIMES.keys() & asked else ((burning.start, burning.stop),)
        for start, stop in pieces:
            if start == stop:
                continue
            names = tuple(name_of(dimension, usage, start) for dimension in asked)
            if not is_told:
                names = tuple(
                    NOT_YOURS_TO_READ if dimension == COMPUTATION else name
                    for dimension, name in zip(asked, names, strict=True)
                )
            groups.setdefault(names, []).append(replace(burning, start=start, stop=stop))
    if COMPUTATION not in asked:
        tallies = {names: _sum(burnings, units) for names, burnings in groups.items()}
        return lines(in_order(tallies, asked), units)
    tallies, units = _by_computation(groups, asked.index(COMPUTATION), computations, units, now)
    titles = {computation.id: computation.name for computation in computations}
    return lines(in_order(tallies, asked), units, titles)


def receipt(cluster: Cluster, usages: Iterable[Usage], computations: Iterable[Computation], now: datetime) -> Receipt:
    """Return what ``cluster`` cost up to ``now``; usages and computations of others are left aside."""
    mine = tuple(usage for usage in usages if usage.cluster_id == cluster.id)
    units, computations = Units.of(mine), tuple(computations)
    titles = {computation.id: computation.name for computation in computations}
    shares = share(tuple(_burning(mine, units, now, None, None)), _running(computations, now), units.nothing)
    tallies: dict[tuple[str, ...], Amounts] = {(id_,): amounts for id_, amounts in shares.by_computation.items()}
    tallies[NOT_COMPUTING,] = shares.rest
    *by_computation, not_computing = lines(in_order(tallies, (COMPUTATION,)), units.shared_by(shares.parts), titles)
    return Receipt(
        cluster_id=cluster.id,
        cluster_name=cluster.name,
        started_at=cluster.started_at,
        stopped_at=cluster.stopped_at,
        total=cost(mine, now),
        by_role=cost_by(mine, (), "role", now),
        by_computation=tuple(by_computation),
        not_computing=not_computing.cost,
    )


def _burning(
    usages: Iterable[Usage], units: Units, now: datetime, since: datetime | None, until: datetime | None
) -> Iterable[Burning]:
    """Yield each usage within the range, in order; one that lies outside has length 0."""
    first = None if since is None else micros(since)
    last = None if until is None else micros(until)
    for usage in usages:
        start, stop = micros(usage.started_at), micros(usage.stopped_at or now)
        start = start if first is None else max(start, first)
        stop = stop if last is None else min(stop, last)
        yield Burning(
            cluster_id=usage.cluster_id,
            start=start,
            stop=max(start, stop),
            rate=units.rate(usage.price, usage.resources),
        )


def _running(computations: Iterable[Computation], now: datetime) -> list[Running]:
    return [
        Running(
            id=computation.id,
            cluster_id=computation.cluster_id,
            start=micros(computation.started_at),
            stop=micros(computation.stopped_at or now),
        )
        for computation in computations
        if computation.started_at is not None
    ]


def _by_computation(
    groups: Mapping[tuple[str, ...], Sequence[Burning]],
    position: int,
    computations: Iterable[Computation],
    units: Units,
    now: datetime,
) -> tuple[dict[tuple[str, ...], Amounts], Units]:
    """Return tallies with a computation's id at ``position``: each group's burn is shared by itself."""
    running: dict[str, list[Running]] = {}
    for one in _running(computations, now):
        running.setdefault(one.cluster_id, []).append(one)
    shared: list[tuple[tuple[str, ...], Shares]] = []
    closed: dict[tuple[str, ...], Amounts] = {}
    for names, burnings in groups.items():
        if names[position] == NOT_YOURS_TO_READ:
            closed[names] = _sum(burnings, units)
            continue
        first, last = min(one.start for one in burnings), max(one.stop for one in burnings)
        clusters = dict.fromkeys(one.cluster_id for one in burnings)
        beside = [
            one for cluster in clusters for one in running.get(cluster, ()) if one.start < last and one.stop > first
        ]
        shared.append((names, share(burnings, beside, units.nothing)))
    parts = math.lcm(*(shares.parts for _, shares in shared))
    tallies = {names: times(amounts, parts) for names, amounts in closed.items()}
    for names, shares in shared:
        for id_, amounts in (*shares.by_computation.items(), (NOT_COMPUTING, shares.rest)):
            if any(amounts):
                whole = (*names[:position], id_, *names[position + 1 :])
                tallies[whole] = times(amounts, parts // shares.parts)
    return tallies, units.shared_by(parts)


def _sum(burnings: Iterable[Burning], units: Units) -> Amounts:
    total = units.nothing
    for burning in burnings:
        total = plus(total, times(burning.rate, burning.stop - burning.start))
    return total
