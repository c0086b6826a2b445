"""What clusters hold of accounts once they spend no more: what the bill says. Each runs inside a transaction."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, select

from tradewind.model.budget import Budget, Reservation
from tradewind.model.money import Money
from tradewind.model.usage import Usage
from tradewind.planning import limits
from tradewind.store import history
from tradewind.store.schema import budgets, reservations
from tradewind.store.spending import ledger


def settle(connection: Connection, cluster_id: str, workspace: str, now: datetime) -> None:
    """Let a cluster that has stopped hold, of every account, what its bill says; nothing more is to be done for it.

    Whoever writes to the bill of a stopped cluster does this in the same transaction, and last: others wait for the
    accounts from here on.
    """
    held = select(reservations.c.budget_id, reservations.c.starts_at).where(reservations.c.cluster_id == cluster_id)
    keys = {(row[0], row[1]) for row in connection.execute(held)}
    there = select(budgets).where(budgets.c.workspace == workspace, budgets.c.removed_at.is_(None))
    found = tuple(map(ledger.budget_from, connection.execute(there).mappings()))
    if not keys and not found:
        return
    bill = history.usages(connection, (cluster_id,), None, None, None)
    for budget in found:
        # What was thought to have ended in one month may have lived into the next, of which nothing was held.
        for starts_at, moment in _touched(budget, bill, now).items():
            if (budget.id, starts_at) not in keys:
                ledger.open_account(connection, budget, moment)
                keys.add((budget.id, starts_at))
    for budget_id, starts_at in sorted(keys):
        settle_account(connection, budget_id, starts_at, (cluster_id,), now)


def settle_account(
    connection: Connection, budget_id: str, starts_at: datetime, cluster_ids: Iterable[str], now: datetime
) -> None:
    """Let these clusters, none of which spends of the account any more, hold of it what their bills say."""
    ordered = sorted(set(cluster_ids))
    # Before the account, as everybody does: two that each hold what the other waits for would wait for ever.
    before = {id_: ledger.locked_reservation(connection, budget_id, starts_at, id_) for id_ in ordered}
    account = ledger.lock(connection, budget_id, starts_at)
    if account is None:
        return
    committed, burn = account["committed"], account["burn_per_hour"]
    for cluster_id in ordered:
        # Read under the lock: of two who correct the bill at once, the second sees what the first wrote.
        bill = history.usages(connection, (cluster_id,), None, None, None)
        spent = limits.spent(bill, account["currency"], now, starts_at, account["ends_at"])
        held = before[cluster_id]
        if held is None and not spent.amount:
            continue
        after = Reservation(
            budget_id=budget_id,
            starts_at=starts_at,
            cluster_id=cluster_id,
            reserved=spent,
            spent=spent,
            burn_per_hour=Money(amount=Decimal(0), currency=spent.currency),
            at=now,
        )
        ledger.put(connection, (after,))
        committed += spent.amount - (held.reserved.amount if held is not None else 0)
        burn -= held.burn_per_hour.amount if held is not None else 0
    ledger.write_sums(connection, account, committed, burn, now)


def _touched(budget: Budget, bill: Iterable[Usage], now: datetime) -> dict[datetime, datetime]:
    """Return the periods in which the bill counts towards the budget, each with a moment that is in it."""
    found = {}
    first, _ = limits.period_at(budget, budget.created_at)
    for usage in bill:
        if not limits.counts(budget, usage):
            continue
        moment, until = usage.started_at, usage.stopped_at or now
        while moment < until:
            starts_at, ends_at = limits.period_at(budget, moment)
            if first <= starts_at < until and moment < ends_at:
                found[starts_at] = max(moment, starts_at)
            moment = ends_at if ends_at > moment else until
    return found
