"""How much money a cluster shall hold ahead: as long as it lasts everybody, and never less than was told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_UP, Decimal

from tradewind.model.budget import Reservation, Use
from tradewind.model.cluster import Cluster
from tradewind.model.money import Money
from tradewind.model.offer import Offer
from tradewind.model.status import StatusPage
from tradewind.planning.draws import Draw
from tradewind.planning.funds import AFFORDABLE, ROUND, Fund
from tradewind.planning.pace import cost_of, rate

ROUNDING = timedelta(milliseconds=1)
_QUANTUM = Decimal("1E-12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for all funds of a cluster."""

    ahead: timedelta
    """The longest it ever holds money for."""
    ends_within: timedelta
    """How long its provider may bill what was told to end."""
    told: timedelta | None = None
    """How long its scheduler was told that it may live without being asked again; None where it wasn't told."""


def target(draw: Draw, now: datetime, terms: Terms, *, more_per_hour: Decimal = Decimal(0)) -> timedelta:
    """Return for how long a cluster should hold money.

    Never longer than what is free lasts for everybody: so all hold about half of what is left, and run dry together.
    """
    if draw.per_hour + more_per_hour == 0:
        return timedelta(0)
    least = least_ahead(terms.ends_within)
    return max(least, min(terms.ahead, draw.lasts_for_all(now, more_per_hour=more_per_hour)))


def covers(found: Sequence[Draw], offers: Sequence[Offer], terms: Terms) -> bool:
    """Whether there is the money for ``offers`` to live as long as the scheduler was told that it may live."""
    return all(
        not draw.fund.is_hard
        or terms.told is None
        or draw.spent + cost_of(draw.per_hour + _rates(offers, draw), terms.told + terms.ends_within)
        <= draw.fund.held + max(Decimal(0), draw.fund.free)
        for draw in found
    )


def pay_ahead(found: Sequence[Draw], offers: Sequence[Offer], now: datetime, terms: Terms) -> timedelta | None:
    """Return the longest that the scheduler should be told that it may live; None where nothing limits it."""
    spans = [target(draw, now, terms, more_per_hour=_rates(offers, draw)) for draw in found if draw.fund.is_hard]
    return min(spans, default=None)


def reservation(draw: Draw, cluster: Cluster, use: Use, now: datetime, terms: Terms) -> Reservation | None:
    """Return what the cluster shall hold from now on; None where it is near enough to what it holds.

    Parameters
    ----------
    draw : Draw
        As it will be once the plan is carried out.
    cluster : Cluster
        As the plan leaves it.
    use : Use
        How much it is in use.
    now : datetime
        Aware UTC.
    terms : Terms
        What holds for all of its funds.
    """
    fund, before = draw.fund, draw.fund.reservation
    if fund.budget_id is None or fund.since is None or not fund.is_open:
        return None
    least, span = least_ahead(terms.ends_within), target(draw, now, terms)
    if terms.told is not None:
        # Should every server die now, it lives for as long as it was told: that much isn't given back.
        span = max(span, terms.told + terms.ends_within)
    most = draw.spent + cost_of(draw.per_hour, span)
    if fund.is_hard:
        # What is spent is spent, whoever allowed it; more than there is isn't asked for.
        most = max(draw.spent, min(most, fund.held + max(Decimal(0), fund.free)))
    if not cluster.status.is_live:
        most = draw.spent
    elif cluster.stopping_at is not None:
        most = max(draw.spent, fund.held)
    if before is not None and draw.per_hour and cluster.stopping_at is None:
        floor = max(least - 2 * ROUND, span / 2)
        if terms.told is not None:
            floor = max(floor, terms.told + terms.ends_within - ROUNDING)
        low = draw.spent + cost_of(draw.per_hour, floor)
        high = draw.spent + cost_of(draw.per_hour, span * 3 / 2)
        if low <= fund.held <= high:
            most = fund.held
    after = Reservation(
        budget_id=fund.budget_id,
        starts_at=fund.since,
        cluster_id=cluster.id,
        reserved=_money(most, fund),
        spent=_money(draw.spent, fund),
        burn_per_hour=_money(draw.per_hour if cluster.status.is_live else Decimal(0), fund),
        at=now,
        use=use,
    )
    if before is None:
        return after if after.reserved.amount or after.burn_per_hour.amount else None
    same = (after.reserved.amount, after.burn_per_hour.amount, after.use) == (
        before.reserved.amount,
        before.burn_per_hour.amount,
        before.use,
    )
    return None if same else after


def use_of(page: StatusPage | None) -> Use:
    """Return how much a cluster is in use, by what its scheduler says."""
    if page is None:
        return Use.USED
    is_kept_for_somebody = page.held_results > 0 and page.clients > 0
    if not page.tasks_running and page.idle_seconds >= AFFORDABLE.total_seconds() and not is_kept_for_somebody:
        return Use.IDLE
    return Use.ALONE if not page.clients else Use.USED


def needed_ahead(ends_within: timedelta) -> timedelta:
    """Return for how long there must be money at each look: until the next one, and then until all is gone."""
    return ROUND + ends_within


def least_ahead(ends_within: timedelta) -> timedelta:
    """Return the shortest that a cluster holds money for: it must not be at its end whenever it is looked at."""
    return 5 * ROUND + ends_within


def _rates(offers: Iterable[Offer], draw: Draw) -> Decimal:
    return sum((rate(offer, draw.fund.limit.currency) for offer in offers), Decimal(0))


def _money(amount: Decimal, fund: Fund) -> Money:
    # As fine as the bill: so a sum that was made by adding and taking away is that of its parts, to the last digit.
    return Money(amount=amount.quantize(_QUANTUM, rounding=ROUND_UP), currency=fund.limit.currency)
