"""What a cluster may draw on: what it holds of its budgets, how long that lasts, and what it asks for.

A cluster never spends what it doesn't hold. What it holds is spent money and a little money ahead;
docs/concepts/budgets.md tells how little, and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_UP, Decimal

from tradewind.model.budget import Account, Budget, Period, Reservation, Use
from tradewind.model.cluster import Cluster
from tradewind.model.instance import Instance, InstanceStatus
from tradewind.model.money import Money
from tradewind.model.offer import Offer
from tradewind.model.status import StatusPage
from tradewind.model.usage import Usage
from tradewind.planning.limits import applies, is_open, period_at, spent, title

ROUND = timedelta(seconds=1)
"""How often a running cluster is looked at, and so the grain of a hard budget."""
AFFORDABLE = timedelta(minutes=1)
"""Nothing is started that a budget wouldn't pay for this long: it would stop before it was of use."""
WINDING = timedelta(minutes=1)
"""The last time of what is shared: who goes so that others can go on is chosen then, so it's of no use to newcomers."""
ROUNDING = timedelta(milliseconds=1)
FOREVER = timedelta(days=36500)
_HOUR = Decimal(3600)
_QUANTUM = Decimal("1E-12")
_BEGINNING = timedelta(days=36500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fund:
    """One limit that holds for a cluster, as the store had it a moment ago."""

    name: str
    """For a sentence."""
    limit: Money
    is_hard: bool = True
    is_open: bool = True
    """Whether anything may be spent now: not before a grant begins, nor after it ended."""
    since: datetime | None = None
    """Only what is spent from then on counts."""
    until: datetime | None = None
    ends_at: datetime | None = None
    """When the money is gone whatever is left of it: a grant's end."""
    held: Decimal
    """What this cluster may spend without asking, what it did spend included."""
    free: Decimal = Decimal(0)
    """What nobody holds; below 0 after a limit was lowered."""
    others_per_hour: Decimal = Decimal(0)
    """What all others burn."""
    budget_id: str | None = None
    """None for a cluster's own limit, of which it always holds all."""
    reservation: Reservation | None = None
    """As it was written last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """A fund, and what the cluster has drawn and draws of it."""

    fund: Fund
    spent: Decimal
    """In the fund's period, and what may have been billed since anybody looked."""
    per_hour: Decimal
    """Of all that exists or was ordered."""

    @property
    def spent_money(self) -> Money:
        """What was spent, with its currency."""
        return Money(amount=self.spent, currency=self.fund.limit.currency)

    @property
    def left(self) -> Money:
        """What this cluster could still come to hold and spend."""
        amount = max(Decimal(0), self.fund.held + max(Decimal(0), self.fund.free) - self.spent)
        return Money(amount=amount if self.fund.is_open else Decimal(0), currency=self.fund.limit.currency)

    def lasts(self, now: datetime, *, more_per_hour: Decimal = Decimal(0)) -> timedelta:
        """Return how long this cluster could go on, if all that nobody holds were its own."""
        per_hour = self.per_hour + more_per_hour
        if not self.fund.is_hard or per_hour == 0:
            return FOREVER
        return self._within(self.left.amount, per_hour, now)

    def lasts_for_all(self, now: datetime, *, more_per_hour: Decimal = Decimal(0)) -> timedelta:
        """Return how long what isn't held by others lasts if everybody draws on it, this cluster's more included."""
        per_hour = self.per_hour + more_per_hour
        if not self.fund.is_hard or per_hour == 0:
            return FOREVER
        amount = self.fund.held + self.fund.free - self.spent if self.fund.is_open else Decimal(0)
        return self._within(amount, per_hour + self.fund.others_per_hour, now)

    def holds(self, more_per_hour: Decimal) -> bool:
        """Whether it was promised enough for a time of use, with so much more of it."""
        per_hour = self.per_hour + more_per_hour
        # A second less: what was rounded on the way must not keep it from what it was promised.
        return self.fund.is_open and self.fund.held - self.spent >= _cost(per_hour, AFFORDABLE - ROUND)

    def paid_for(self, now: datetime) -> timedelta | None:
        """Return how long what it holds already lasts; None where nothing limits it, or it never asked yet."""
        if not self.fund.is_hard or self.per_hour == 0:
            return None
        mine = self.fund.reservation
        if self.fund.budget_id is not None and self.fund.is_open and (mine is None or mine.reserved == mine.spent):
            return None  # The budget is new, and was told what this cluster had spent. It asks in this very round.
        return self._within(self.fund.held - self.spent if self.fund.is_open else Decimal(0), self.per_hour, now)

    def _within(self, amount: Decimal, per_hour: Decimal, now: datetime) -> timedelta:
        span = _lasts(amount, per_hour)
        return span if self.fund.ends_at is None else max(timedelta(0), min(span, self.fund.ends_at - now))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for all funds of a cluster."""

    ahead: timedelta
    """The longest it ever holds money for."""
    ends_within: timedelta
    """How long its provider may bill what was told to end."""
    told: timedelta | None = None
    """How long its scheduler was told that it may live without being asked again; None where it wasn't told."""


def own_fund(cluster: Cluster) -> tuple[Fund, ...]:
    """Return the limit that came with the cluster itself, if one did."""
    limit = cluster.spec.budget
    return () if limit is None else (Fund(name=f"its budget of {limit}", limit=limit, held=limit.amount),)


def funds_of(
    cluster: Cluster,
    accounts: Iterable[tuple[Budget, Account | None]],
    held: Iterable[Reservation],
    now: datetime,
) -> tuple[Fund, ...]:
    """Return the budgets that limit ``cluster`` at ``now``.

    Parameters
    ----------
    cluster : Cluster
        Its owner, name and tags say which.
    accounts : iterable of tuple
        The budgets of its workspace, each with the account of the present period; None where nobody opened it yet.
    held : iterable of Reservation
        What the cluster holds of any account.
    now : datetime
        Aware UTC.
    """
    mine = {(one.budget_id, one.starts_at): one for one in held}
    return tuple(
        _fund(budget, account, mine.get((budget.id, period_at(budget, now)[0])), now)
        for budget, account in accounts
        if applies(budget, cluster)
    )


def _fund(budget: Budget, account: Account | None, mine: Reservation | None, now: datetime) -> Fund:
    starts_at, ends_at = period_at(budget, now)
    committed, burn = Decimal(0), Decimal(0)
    # An account that was read before the month turned is another one's.
    if account is not None and account.starts_at == starts_at:
        committed, burn = account.committed.amount, account.burn_per_hour.amount
    return Fund(
        name=title(budget),
        limit=budget.limit,
        is_hard=budget.is_hard,
        is_open=is_open(budget, now),
        since=starts_at,
        until=ends_at,
        ends_at=ends_at if budget.period is Period.GRANT else None,
        held=mine.reserved.amount if mine is not None else Decimal(0),
        free=budget.limit.amount - committed,
        others_per_hour=max(Decimal(0), burn - (mine.burn_per_hour.amount if mine is not None else Decimal(0))),
        budget_id=budget.id,
        reservation=mine,
    )


def draws(
    funds: Iterable[Fund],
    instances: Sequence[Instance],
    usages: Sequence[Usage],
    now: datetime,
    *,
    seen_at: datetime | None = None,
) -> tuple[Draw, ...]:
    """Return what a cluster draws of each fund.

    Parameters
    ----------
    funds : iterable of Fund
        What holds for it.
    instances : sequence of Instance
        Its rows.
    usages : sequence of Usage
        All of its usages.
    now : datetime
        Aware UTC.
    seen_at : datetime, optional
        When its provider was last asked: what wasn't billed then may be by now. None: never.
    """
    found = []
    for fund in funds:
        currency = fund.limit.currency
        since = fund.since or now - _BEGINNING
        until = fund.until or now + _BEGINNING
        billed = spent(usages, currency, now, since, until).amount
        # An instance whose bill began after anybody looked costs all the same; what is charged too much here for
        # moments is given back at the next look.
        unseen = sum(
            (
                _cost(rate(i.offer, currency), now - max(since, i.requested_at, seen_at or i.requested_at))
                for i in instances
                if i.status in _NOT_BILLED
            ),
            Decimal(0),
        )
        found.append(Draw(fund=fund, spent=billed + unseen, per_hour=burn(instances, currency)))
    return tuple(found)


def burn(instances: Iterable[Instance], currency: str) -> Decimal:
    """Return what an hour of all that exists, or is ordered, costs."""
    return sum((rate(i.offer, currency) for i in instances if i.status is not InstanceStatus.STOPPED), Decimal(0))


def rate(offer: Offer, currency: str) -> Decimal:
    """Return what an hour of one costs in ``currency``; 0 where it costs nothing in it."""
    price = offer.price
    return price.per_hour if price is not None and price.currency == currency else Decimal(0)


def can_hold(fund: Fund, offer: Offer) -> bool:
    """Whether the fund's money is what ``offer`` costs: not where that is unpriced, or in another currency."""
    if not fund.is_hard:
        return True
    price = offer.price
    return price is not None and (price.is_free or price.currency == fund.limit.currency)


def affordable(
    found: Sequence[Draw],
    offers: Sequence[Offer],
    now: datetime,
    minimum: timedelta = AFFORDABLE,
    *,
    is_new: bool = False,
) -> int:
    """Return how many of ``offers``, the first first, can be launched and paid for ``minimum``, a time of use.

    A new cluster was admitted with what it holds, and may begin on that.
    """
    more = {id(draw): Decimal(0) for draw in found}
    for count, offer in enumerate(offers):
        for draw in found:
            if not can_hold(draw.fund, offer):
                return count
            more[id(draw)] += rate(offer, draw.fund.limit.currency)
            if is_new and draw.holds(more[id(draw)]):
                continue
            if draw.lasts_for_all(now, more_per_hour=more[id(draw)]) < minimum + _winding(draw.fund):
                return count
    return len(offers)


def _winding(fund: Fund) -> timedelta:
    return WINDING if fund.budget_id is not None else timedelta(0)


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
        or draw.spent + _cost(draw.per_hour + _rates(offers, draw), terms.told + terms.ends_within)
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
    most = draw.spent + _cost(draw.per_hour, span)
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
        low = draw.spent + _cost(draw.per_hour, floor)
        high = draw.spent + _cost(draw.per_hour, span * 3 / 2)
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


def paid_for(found: Iterable[Draw], now: datetime, ends_within: timedelta) -> timedelta | None:
    """Return how long a cluster may live on what it holds, its end included; None where nothing limits it."""
    spans = [span for draw in found if (span := draw.paid_for(now)) is not None]
    return max(timedelta(0), min(spans) - ends_within) if spans else None


def use_of(page: StatusPage | None) -> Use:
    """Return how much a cluster is in use, by what its scheduler says."""
    if page is None:
        return Use.USED
    if not page.tasks_running and page.idle_seconds >= AFFORDABLE.total_seconds() and not page.held_results:
        return Use.IDLE
    return Use.ALONE if not page.clients else Use.USED


def needed_ahead(ends_within: timedelta) -> timedelta:
    """Return for how long there must be money at each look: until the next one, and then until all is gone."""
    return ROUND + ends_within


def least_ahead(ends_within: timedelta) -> timedelta:
    """Return the shortest that a cluster holds money for: it must not be at its end whenever it is looked at."""
    return 5 * ROUND + ends_within


def without_new_money(funds: Iterable[Fund]) -> tuple[Fund, ...]:
    """Return the same funds, of which nothing can be had but what is held: who gets no answer assumes the worst."""
    return tuple(replace(fund, free=min(fund.free, Decimal(0))) if fund.is_hard else fund for fund in funds)


_NOT_BILLED = frozenset({InstanceStatus.REQUESTED, InstanceStatus.PENDING})


def _lasts(amount: Decimal, per_hour: Decimal) -> timedelta:
    if amount <= 0:
        return timedelta(0)
    hours = amount / per_hour
    return FOREVER if hours > 800_000 else timedelta(seconds=float(hours * _HOUR))


def _rates(offers: Iterable[Offer], draw: Draw) -> Decimal:
    return sum((rate(offer, draw.fund.limit.currency) for offer in offers), Decimal(0))


def _cost(per_hour: Decimal, span: timedelta) -> Decimal:
    return max(Decimal(0), per_hour * (span // timedelta(microseconds=1)) / 1_000_000 / _HOUR)


def _money(amount: Decimal, fund: Fund) -> Money:
    return Money(amount=amount.quantize(_QUANTUM, rounding=ROUND_UP), currency=fund.limit.currency)
