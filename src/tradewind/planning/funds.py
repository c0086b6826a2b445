"""What limits a cluster's spending: the budgets that hold for it, and what it holds of each.

A cluster never spends what it doesn't hold. What it holds is spent money and a little money ahead;
docs/concepts/budgets.md tells how little, and why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from tradewind.model.budget import Account, Budget, Period, Reservation
from tradewind.model.cluster import Cluster
from tradewind.model.money import Money
from tradewind.model.offer import Offer
from tradewind.planning.limits import applies, is_open, period_at, title

ROUND = timedelta(seconds=1)
"""How often a running cluster is looked at, and so the grain of a hard budget."""
AFFORDABLE = timedelta(minutes=1)
"""Nothing is started that a budget wouldn't pay for this long: it would stop before it was of use."""
WINDING = timedelta(minutes=1)
"""The last time of what is shared: who goes so that others can go on is chosen then, so it's of no use to newcomers."""


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


def can_hold(fund: Fund, offer: Offer) -> bool:
    """Whether the fund's money is what ``offer`` costs: not where that is unpriced, or in another currency."""
    if not fund.is_hard:
        return True
    price = offer.price
    return price is not None and (price.is_free or price.currency == fund.limit.currency)


def without_new_money(funds: Iterable[Fund]) -> tuple[Fund, ...]:
    """Return the same funds, of which nothing can be had but what is held: who gets no answer assumes the worst."""
    return tuple(replace(fund, free=min(fund.free, Decimal(0))) if fund.is_hard else fund for fund in funds)


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
