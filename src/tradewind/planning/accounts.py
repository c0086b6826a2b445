"""What to do about one period of a budget: tell its people of steps, and end what it can't pay for any longer.

Nothing here keeps a limit: clusters do, each by what it holds (:mod:`tradewind.planning.funds`). This sees to it that
they don't all run dry at once, and that their people are told first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tradewind.model.budget import Account, Budget, BudgetState, Period, Reservation, Use
from tradewind.model.money import Money
from tradewind.planning import budget as limit
from tradewind.planning.funds import WINDING
from tradewind.planning.limits import title
from tradewind.planning.pace import FOREVER, cost_of, lasts

GRACE = WINDING
"""When what is left lasts less than this, somebody winds down, so that the others can go on."""
HANDOVER = timedelta(seconds=30)
"""How long a cluster that winds down has for its results."""
CALM = 2 * GRACE
"""Who winds down may go on again when the money lasts all for this long, as after a limit was raised."""
FORGOTTEN = 5
"""A step was told for nothing once spending is so many per cent below it, as after a limit was raised."""
LONGEST_SLEEP = timedelta(seconds=60)
SHORTEST_SLEEP = timedelta(seconds=1)
FIRST_TO_END = {Use.IDLE: 0, Use.ALONE: 1, Use.USED: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A cluster that burns the money of an account, by its last reservation."""

    reservation: Reservation
    name: str
    created_at: datetime
    is_live: bool
    ends_by: datetime | None
    """When it has to end, if it winds down already."""
    ends_for: str = ""
    """Id of the budget that told it so."""

    @property
    def per_hour(self) -> Decimal:
        """What it burns."""
        return self.reservation.burn_per_hour.amount

    def spent(self, now: datetime) -> Decimal:
        """Return what it has spent by now: as metered, and from then on at its burn, but never what it doesn't hold."""
        since = max(timedelta(0), now - self.reservation.at)
        guess = self.reservation.spent.amount + cost_of(self.per_hour, since)
        return max(self.reservation.spent.amount, min(guess, self.reservation.reserved.amount))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """An account with all that burns it."""

    budget: Budget
    account: Account
    holders: tuple[Holder, ...]

    def spent(self, now: datetime) -> Decimal:
        """Return what is spent by now."""
        held = sum((holder.reservation.reserved.amount for holder in self.holders), Decimal(0))
        settled = self.account.committed.amount - held
        return settled + sum((holder.spent(now) for holder in self.holders), Decimal(0))

    def state(self, now: datetime) -> BudgetState:
        """Return how its limit stands."""
        currency = self.budget.limit.currency
        return BudgetState(
            limit=self.budget.limit,
            spent=Money(amount=self.spent(now), currency=currency),
            burn_per_hour=Money(amount=self.per_hour, currency=currency),
        )

    @property
    def per_hour(self) -> Decimal:
        """What all of them burn."""
        return sum((holder.per_hour for holder in self.holders), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPlan:
    """What to do, in any order, any number of times."""

    told: int
    """The highest step that its people know of once this is carried out."""
    notice: str | None = None
    """What to tell them; None where there is nothing new."""
    wind_down: tuple[tuple[str, datetime], ...] = ()
    """Clusters that shall end, and by when; those that know are not among them."""
    why: str = ""
    """For their people; no full stop."""
    go_on: tuple[str, ...] = ()
    """Clusters that may go on after all."""
    settle: tuple[str, ...] = ()
    """Clusters that can't spend of it any more: what they did is to be read off the bill."""
    wake_at: datetime | None
    """None once the period is over and everything settled."""


def plan_account(state: AccountState, now: datetime) -> AccountPlan:
    """Return what to do about an account. Pure, and of no memory but ``told``: it may be done twice, or by two."""
    over = now >= state.account.ends_at or state.budget.removed_at is not None
    settle = tuple(h.reservation.cluster_id for h in state.holders if over or not h.is_live)
    if over:
        return AccountPlan(
            told=state.account.told,
            settle=settle,
            go_on=tuple(h.reservation.cluster_id for h in _told_by(state.budget, state.holders) if h.is_live),
            wake_at=now + SHORTEST_SLEEP if settle else None,
        )
    found = state.state(now)
    told = limit.step(found)
    if told < state.account.told and found.spent.amount * 100 > found.limit.amount * (state.account.told - FORGOTTEN):
        told = state.account.told  # What was spent is a guess between two looks, and may fall a little.
    notice = None
    if told > state.account.told:
        spent = f"{told} % of {title(state.budget)} is spent: {found.spent}, and {found.left} is left."
        notice = f"{spent} {_what_follows(state.budget, told)}"
    live = tuple(h for h in state.holders if h.is_live)
    left = found.limit.amount - found.spent.amount
    chosen, released = _chosen(state.budget, live, left, now)
    return AccountPlan(
        # A raised limit sets it back, so that the steps of the new one are told.
        told=told,
        notice=notice,
        wind_down=tuple((h.reservation.cluster_id, now + HANDOVER) for h in chosen if h.ends_by is None),
        why=f"what is left of {title(state.budget)} lasts less than {GRACE.total_seconds():.0f} s",
        go_on=tuple(h.reservation.cluster_id for h in released),
        settle=settle,
        wake_at=_wake(state, found, live, left, now) if not settle else now + SHORTEST_SLEEP,
    )


def _what_follows(budget: Budget, step: int) -> str:
    if not budget.is_hard:
        return "It is soft, and stops nothing."
    if step >= limit.STEPS[0]:
        return "Nothing starts until it is raised, or begins anew."
    return "When that lasts less than a minute for all that runs, clusters wind down."


def order_of_end(holder: Holder) -> tuple[int, int, float]:
    """Sort by who goes first: who was told already, then who is least in use, then the newest."""
    return (
        0 if holder.ends_by is not None else 1,
        FIRST_TO_END[holder.reservation.use],
        -holder.created_at.timestamp(),
    )


def _chosen(
    budget: Budget, live: tuple[Holder, ...], left: Decimal, now: datetime
) -> tuple[tuple[Holder, ...], tuple[Holder, ...]]:
    """Return who winds down, and who did and may go on."""
    told = tuple(h for h in live if h.ends_by is not None)
    per_hour = sum((h.per_hour for h in live), Decimal(0))
    span = _lasts(budget, left, per_hour, now)
    if not budget.is_hard or span >= CALM:
        return (), _told_by(budget, told)
    if span >= GRACE:
        return told, ()
    chosen: list[Holder] = []
    for holder in sorted((h for h in live if h.per_hour), key=order_of_end):
        if _lasts(budget, left, per_hour, now) >= GRACE:
            break
        chosen.append(holder)
        # It burns on while it hands over; what is left after that is the others'.
        until = holder.ends_by or now + HANDOVER
        left -= cost_of(holder.per_hour, until - now)
        per_hour -= holder.per_hour
    return (*chosen, *(h for h in told if h not in chosen)), ()


def _told_by(budget: Budget, holders: tuple[Holder, ...]) -> tuple[Holder, ...]:
    """Return who winds down for this budget; who does for another one is not ours to let go on."""
    return tuple(h for h in holders if h.ends_by is not None and h.ends_for in {"", budget.id})


def _wake(
    state: AccountState, found: BudgetState, live: tuple[Holder, ...], left: Decimal, now: datetime
) -> datetime | None:
    per_hour = state.per_hour
    if not live or per_hour == 0:
        return state.account.ends_at
    moments = [state.account.ends_at, now + LONGEST_SLEEP]
    if any(h.ends_by is not None for h in live):
        moments.append(now + SHORTEST_SLEEP)
    if state.budget.is_hard:
        moments.append(now + max(SHORTEST_SLEEP, _lasts(state.budget, left, per_hour, now) - GRACE))
    for step in limit.STEPS:
        missing = found.limit.amount * step / 100 - found.spent.amount
        if missing > 0:
            moments.append(now + max(SHORTEST_SLEEP, lasts(missing, per_hour)))
    return min(moments)


def _lasts(budget: Budget, left: Decimal, per_hour: Decimal, now: datetime) -> timedelta:
    span = FOREVER if per_hour == 0 else lasts(left, per_hour)
    if budget.period is Period.GRANT and budget.ends_at is not None:
        span = min(span, budget.ends_at - now)
    return span
