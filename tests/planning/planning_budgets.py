"""Budgets, accounts and holders for the tests of planning: all with defaults."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from planning_values import T0, usd

from tradewind.model.budget import Account, Budget, BudgetScope, Period, Reservation, Use
from tradewind.model.money import Money
from tradewind.planning.accounts import AccountState, Holder
from tradewind.planning.draws import Draw
from tradewind.planning.funds import Fund
from tradewind.planning.limits import period_at

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)


def make_budget(limit: str | Money = "100", **changes: object) -> Budget:
    """Return a hard budget of the workspace, a month."""
    budget = Budget(
        id="b1",
        workspace="home",
        scope=BudgetScope.WORKSPACE,
        limit=usd(limit) if isinstance(limit, str) else limit,
        created_by="ada",
        created_at=MARCH,
    )
    return replace(budget, **changes)  # type: ignore[arg-type]


def make_grant(starts_at: datetime, ends_at: datetime, limit: str = "100", **changes: object) -> Budget:
    """Return a hard grant."""
    return make_budget(limit, period=Period.GRANT, starts_at=starts_at, ends_at=ends_at, **changes)


def make_reservation(
    reserved: str = "0", spent: str = "0", burn: str = "0", cluster: str = "c1", **changes: object
) -> Reservation:
    """Return what a cluster holds of the month's account."""
    held = Reservation(
        budget_id="b1",
        starts_at=MARCH,
        cluster_id=cluster,
        reserved=usd(reserved),
        spent=usd(spent),
        burn_per_hour=usd(burn),
        at=T0,
    )
    return replace(held, **changes)  # type: ignore[arg-type]


def make_holder(
    cluster: str = "c1",
    burn: str = "60",
    *,
    spent: str = "0",
    reserved: str | None = None,
    use: Use = Use.USED,
    age_s: float = 3600,
    **changes: object,
) -> Holder:
    """Return a cluster that burns a dollar a minute, and is in use."""
    holder = Holder(
        reservation=make_reservation(reserved or spent, spent, burn, cluster, use=use),
        name=cluster,
        created_at=T0 - timedelta(seconds=age_s),
        is_live=True,
        ends_by=None,
    )
    return replace(holder, **changes)  # type: ignore[arg-type]


def account_of(budget: Budget, *holders: Holder, settled: str = "0", told: int = 0) -> AccountState:
    """Return an account of which ``settled`` was spent by who has stopped."""
    starts_at, ends_at = period_at(budget, T0)
    held = sum((holder.reservation.reserved.amount for holder in holders), Decimal(settled))
    account = Account(
        budget_id=budget.id,
        starts_at=starts_at,
        ends_at=ends_at,
        committed=Money(amount=held, currency=budget.limit.currency),
        burn_per_hour=usd(str(sum((holder.per_hour for holder in holders), Decimal(0)))),
        told=told,
    )
    return AccountState(budget=budget, account=account, holders=holders)


def make_fund(**changes: object) -> Fund:
    """Return the month of a budget, of which nothing is held and nothing free."""
    fund = Fund(name="a budget", limit=usd("100"), since=MARCH, until=APRIL, held=Decimal(0), budget_id="b1")
    return replace(fund, **changes)  # type: ignore[arg-type]


def make_draw(spent: str = "0", per_hour: str = "60", **changes: object) -> Draw:
    """Return a draw of a dollar a minute, on a fund with ``changes``."""
    return Draw(fund=make_fund(**changes), spent=Decimal(spent), per_hour=Decimal(per_hour))
