"""The bill: when an instance's seconds begin and end to cost, what they cost, and for whom they were spent.

Every second of an instance between ``started_at`` and ``stopped_at`` is in one usage, and in one only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from tradewind.errors import BadRequest
from tradewind.model.cluster import Cluster
from tradewind.model.computation import Computation
from tradewind.model.instance import Instance
from tradewind.model.money import Money
from tradewind.model.offer import Offer
from tradewind.model.usage import Cost, CostLine, Receipt, Usage
from tradewind.planning.share import Burning, Running, Shares, share
from tradewind.planning.tally import EPOCH, HOUR, SECOND, Amounts, Units, lines, micros, plus, times

NOT_COMPUTING = "not computing"
DAY = 24 * 3600 * SECOND

KEYS: Mapping[str, Callable[[Usage], str]] = {
    "cluster": lambda usage: usage.cluster_name,
    "user": lambda usage: usage.owner,
    "provider": lambda usage: usage.provider,
    "region": lambda usage: usage.region or "(no region)",
    "role": lambda usage: usage.role.value,
}
"""What whole usages can be grouped by; days and computations cut them, tags are open-ended."""


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
    return (usage if after.stopped_at is None else close_usage(usage, after.stopped_at),)


def _corrected(before: Instance, after: Instance, last: Usage | None, cluster: Cluster) -> tuple[Usage, ...]:
    """Return the one usage of an instance whose bill was complete, and turned out to be wrong."""
    if after.stopped_at is None or (before.started_at, before.stopped_at) == (after.started_at, after.stopped_at):
        return ()
    return (close_usage(last or open_usage(cluster, after), after.stopped_at),)


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
        "cluster", "user", "provider", "region", "role", "day" (UTC), "computation" or "tag:<key>".
    now : datetime
        Aware UTC; what runs is billed up to here.
    since, until : datetime, optional
        Bill the time from ``since`` (included) to ``until`` (excluded) only.

    Raises
    ------
    BadRequest
        ``by`` is none of these.
    """
    usages = tuple(usages)
    units = Units.of(usages)
    if by == "computation":
        computations = tuple(computations)
        shares, units = _shared(usages, computations, units, now, since, until)
        ordered = _dearest_first(shares.by_computation)
        names = {computation.id: computation.name for computation in computations}
        return lines(ordered | {NOT_COMPUTING: shares.rest} if any(shares.rest) else ordered, units, names)

    key_of = _key_of(by)
    tallies: dict[str, Amounts] = {}
    for burning, usage in zip(_burning(usages, units, now, since, until), usages, strict=True):
        if burning.start == burning.stop:
            continue
        pieces = _days(burning) if key_of is None else ((key_of(usage), burning.stop - burning.start),)
        for key, length in pieces:
            tallies[key] = plus(tallies.get(key, units.nothing), times(burning.rate, length))
    return lines(dict(sorted(tallies.items())) if by == "day" else _dearest_first(tallies), units)


def receipt(cluster: Cluster, usages: Iterable[Usage], computations: Iterable[Computation], now: datetime) -> Receipt:
    """Return what ``cluster`` cost up to ``now``; usages and computations of others are left aside."""
    mine = tuple(usage for usage in usages if usage.cluster_id == cluster.id)
    computations = tuple(computations)
    names = {computation.id: computation.name for computation in computations}
    shares, units = _shared(mine, computations, Units.of(mine), now, None, None)
    ordered = _dearest_first(shares.by_computation)
    *by_computation, not_computing = lines(ordered | {NOT_COMPUTING: shares.rest}, units, names)
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


def _key_of(by: str) -> Callable[[Usage], str] | None:
    """Return what names a usage's line; None where a usage is cut into days."""
    if by == "day":
        return None
    if by in KEYS:
        return KEYS[by]
    kind, _, tag = by.partition(":")
    if kind != "tag" or not tag:
        known = ", ".join(f'"{name}"' for name in (*KEYS, "day", "computation", "tag:<key>"))
        raise BadRequest(f"cost can't be shown by {by!r}: use one of {known}")
    return lambda usage: usage.tags.get(tag, f"(no {tag})")


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


def _shared(
    usages: Sequence[Usage],
    computations: Iterable[Computation],
    units: Units,
    now: datetime,
    since: datetime | None,
    until: datetime | None,
) -> tuple[Shares, Units]:
    running = [
        Running(
            id=computation.id,
            cluster_id=computation.cluster_id,
            start=micros(computation.started_at),
            stop=micros(computation.stopped_at or now),
        )
        for computation in computations
        if computation.started_at is not None
    ]
    shares = share(tuple(_burning(usages, units, now, since, until)), running, units.nothing)
    return shares, units.shared_by(shares.parts)


def _days(burning: Burning) -> Iterable[tuple[str, int]]:
    start = burning.start
    while start < burning.stop:
        day = start // DAY
        stop = min(burning.stop, (day + 1) * DAY)
        yield (EPOCH + timedelta(days=day)).date().isoformat(), stop - start
        start = stop


def _dearest_first(tallies: Mapping[str, Amounts]) -> dict[str, Amounts]:
    """Sort by money, currency after currency, then by time, then by name."""
    return dict(sorted(tallies.items(), key=lambda item: (*(-n for n in item[1][5:]), -item[1][0], item[0])))
