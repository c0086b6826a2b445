"""What the world billed against limits that were raised meanwhile: pure arithmetic, none of it ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

SECOND = timedelta(seconds=1)
HOUR_US = 3_600_000_000
NEAR = 0.9
"""A limit of which so much was spent was come near to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A line of the world's ledger."""

    cluster: str
    per_hour: Decimal
    began: datetime
    ended: datetime
    """Or now, where it hasn't."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrun:
    """What was spent of a limit, by the world's ledger."""

    limit: Decimal
    spent: Decimal
    rounds: float
    """By how many seconds at the pace at which the limit was passed it was passed; 0 if it wasn't."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One limit, from when it was set until it was raised, or all was over."""

    of: str
    """Whose spending: ``user 'ada'``."""
    since: datetime
    limit: Decimal
    """Of all that was ever spent, as every other figure here."""
    before: Decimal
    """Spent when it was set."""
    overrun: Overrun
    refused: int = 0
    """Clusters that weren't let in."""
    stopped: int = 0
    """Clusters that ended for want of money."""

    @property
    def is_raised(self) -> bool:
        """Whether it left something to spend; one that doesn't stops everything within seconds, not within a round."""
        return self.limit >= self.before

    @property
    def has_bitten(self) -> bool:
        """Whether it refused or stopped anything."""
        return self.refused > 0 or self.stopped > 0

    @property
    def share(self) -> float:
        """How much was spent of what there was to spend in this stage."""
        there = self.limit - self.before
        return float((self.overrun.spent - self.before) / there) if there > 0 else 1.0


def spent_by(bills: Sequence[Bill], at: datetime) -> Decimal:
    """Return what was spent up to a moment."""
    spans = ((bill.per_hour, min(bill.ended, at) - bill.began) for bill in bills if bill.began < at)
    return sum((_cost(per_hour, span) for per_hour, span in spans), Decimal(0))


def overrun(bills: Sequence[Bill], limit: Decimal, until: datetime) -> Overrun:
    """Return how far all that was billed up to ``until`` went over ``limit``."""
    steps = [(bill.began, bill.per_hour) for bill in bills if bill.began < until]
    steps += [(min(bill.ended, until), -bill.per_hour) for bill in bills if bill.began < until]
    steps = [*sorted(steps), (until, Decimal(0))]
    spent = burn = at_limit = Decimal(0)
    for (at, change), (next_at, _) in pairwise(steps):
        burn += change
        before, spent = spent, spent + _cost(burn, next_at - at)
        if before <= limit < spent:
            at_limit = burn
    over = max(Decimal(0), spent - limit)
    rounds = over / _cost(at_limit, SECOND) if at_limit else Decimal(0)
    return Overrun(limit=limit, spent=spent, rounds=float(rounds))


def stages(of: str, bills: Sequence[Bill], limits: Sequence[tuple[datetime, Decimal]], now: datetime) -> list[Stage]:
    """Return what came of each limit, given when each was set, in that order.

    A limit is judged at its end alone: what is spent never becomes less, so it is furthest over then.
    """
    ends = [*(since for since, _ in limits[1:]), now]
    return [
        Stage(of=of, since=since, limit=limit, before=spent_by(bills, since), overrun=overrun(bills, limit, until))
        for (since, limit), until in zip(limits, ends, strict=True)
    ]


def _cost(per_hour: Decimal, span: timedelta) -> Decimal:
    return per_hour * (span // timedelta(microseconds=1)) / HOUR_US
