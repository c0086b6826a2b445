"""What a cluster has drawn and draws of what limits its spending, and how long that lasts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tradewind.model.instance import Instance, InstanceStatus
from tradewind.model.money import Money
from tradewind.model.offer import Offer
from tradewind.model.usage import Usage
from tradewind.planning.funds import AFFORDABLE, ROUND, WINDING, Fund, can_hold
from tradewind.planning.limits import spent
from tradewind.planning.pace import FOREVER, cost_of, lasts, rate

_BEGINNING = timedelta(days=36500)
_NOT_BILLED = frozenset({InstanceStatus.REQUESTED, InstanceStatus.PENDING})


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
        return self.fund.is_open and self.fund.held - self.spent >= cost_of(per_hour, AFFORDABLE - ROUND)

    def paid_for(self, now: datetime) -> timedelta | None:
        """Return how long what it holds already lasts; None where nothing limits it, or it never asked yet."""
        if not self.fund.is_hard or self.per_hour == 0:
            return None
        mine = self.fund.reservation
        if self.fund.budget_id is not None and self.fund.is_open and (mine is None or mine.reserved == mine.spent):
            return None  # The budget is new, and was told what this cluster had spent. It asks in this very round.
        return self._within(self.fund.held - self.spent if self.fund.is_open else Decimal(0), self.per_hour, now)

    def _within(self, amount: Decimal, per_hour: Decimal, now: datetime) -> timedelta:
        span = lasts(amount, per_hour)
        return span if self.fund.ends_at is None else max(timedelta(0), min(span, self.fund.ends_at - now))


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
                cost_of(rate(i.offer, currency), now - max(since, i.requested_at, seen_at or i.requested_at))
                for i in instances
                if i.status in _NOT_BILLED
            ),
            Decimal(0),
        )
        # Nothing lives on beyond what was set aside for it, so that is the most that nobody saw it spend.
        unseen = min(unseen, max(Decimal(0), fund.held - billed))
        found.append(Draw(fund=fund, spent=billed + unseen, per_hour=burn(instances, currency)))
    return tuple(found)


def burn(instances: Iterable[Instance], currency: str) -> Decimal:
    """Return what an hour of all that exists, or is ordered, costs."""
    return sum((rate(i.offer, currency) for i in instances if i.status is not InstanceStatus.STOPPED), Decimal(0))


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


def paid_for(found: Iterable[Draw], now: datetime, ends_within: timedelta) -> timedelta | None:
    """Return how long a cluster may live on what it holds, its end included; None where nothing limits it."""
    spans = [span for draw in found if (span := draw.paid_for(now)) is not None]
    return max(timedelta(0), min(spans) - ends_within) if spans else None


def _winding(fund: Fund) -> timedelta:
    return WINDING if fund.budget_id is not None else timedelta(0)
