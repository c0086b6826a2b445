"""Budgets for tests on a stage, and a witness of what is spent that bypasses our own bill."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from tests.engine.stage import Stage
from tradewind.engine.access.asker import Asker
from tradewind.engine.spending.accounts import Accounts
from tradewind.engine.spending.budgets import Budgets
from tradewind.model.budget import Account
from tradewind.model.money import Money
from tradewind.model.people import Caller, MemberRole
from tradewind.model.usage import Usage
from tradewind.planning.meter import cost

OWNER = Caller(user_id="u-ada", user="ada", workspace="lab", role=MemberRole.OWNER)


def usd(amount: str | Decimal) -> Money:
    """Return so many dollars."""
    return Money(amount=Decimal(amount), currency="USD")


def budgets(stage: Stage, caller: Caller = OWNER, request_id: str | None = None) -> Budgets:
    """Return the verbs of budgets for ``caller``."""
    return Budgets(
        stage.store,
        stage.clock,
        asker=Asker(stage.store, stage.clock, caller, request_id),
        new_id=lambda prefix: f"{prefix}-{next(stage.numbers):05d}",
        new_token=lambda: f"secret {next(stage.numbers)}",
    )


def accounts(stage: Stage, holder: str = "A") -> Accounts:
    """Return a process that looks at accounts."""
    return Accounts(store=stage.store, clock=stage.clock, holder=holder)


def truly_spent(stage: Stage, since: datetime | None = None) -> Decimal:
    """Return what the infrastructure charges up to now, by its own ledger."""
    now = stage.clock.now()
    total = Decimal(0)
    for line in stage.world.ledger():
        assert line.price is not None
        start = max(line.started_at, since or line.started_at)
        stop = max(start, line.stopped_at or now)
        total += line.price.cost_of(stop - start).amount
    return total


def metered(bill: Iterable[Usage], account: Account, now: datetime) -> Decimal:
    """Return what all clusters have spent in an account's period, each to the last digit, by our own bill."""
    ordered = sorted(bill, key=lambda usage: usage.cluster_id)
    total = Decimal(0)
    for _, usages in groupby(ordered, key=lambda usage: usage.cluster_id):
        money = cost(usages, now, account.starts_at, account.ends_at).money
        total += sum((one.amount for one in money if one.currency == account.committed.currency), Decimal(0))
    return total


async def account(stage: Stage) -> Account:
    """Return the one account there is."""
    ((_, found),) = await stage.store.money.open_accounts(stage.clock.now())
    assert found is not None
    return found
