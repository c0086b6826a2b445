"""Accounts and what clusters hold of them. Each function runs inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select, update

from tradewind.errors import FundsChanged
from tradewind.model.budget import Account, Budget, BudgetScope, Period, Reservation, Use
from tradewind.model.money import Money
from tradewind.planning import limits
from tradewind.planning.funds import AFFORDABLE
from tradewind.store.schema import accounts, budgets, reservations
from tradewind.store.sql.database import insert_unless_there, upsert

SOON = timedelta(seconds=1)
"""An account whose burn has changed is looked at after this: others are about to change theirs as well."""
NOTHING = Decimal(0)
ZEROS = (NOTHING, Decimal("0E-12"))
"""As no burn is written: amounts are text. Another spelling of it is only read for nothing."""
HOUR = Decimal(3600)
MINIMUM_S = Decimal(AFFORDABLE.total_seconds())


def open_accounts(connection: Connection, now: datetime) -> tuple[tuple[Budget, Account | None], ...]:
    """Return every budget that holds, of all workspaces, with its account of the period of ``now``, if it has one."""
    account = and_(accounts.c.budget_id == budgets.c.id, accounts.c.starts_at <= now, accounts.c.ends_at > now)
    statement = (
        select(budgets, *(column.label(f"account_{column.name}") for column in accounts.c))
        .select_from(budgets.outerjoin(accounts, account))
        .where(budgets.c.removed_at.is_(None))
        .order_by(budgets.c.id)
    )
    return tuple(
        (budget_from(row), account_from(row, "account_") if row["account_budget_id"] is not None else None)
        for row in connection.execute(statement).mappings()
    )


def reservations_of_cluster(connection: Connection, cluster_id: str) -> tuple[Reservation, ...]:
    """Return what a cluster holds and held, of all accounts."""
    statement = select(reservations).where(reservations.c.cluster_id == cluster_id)
    return tuple(map(reservation_from, connection.execute(statement).mappings()))


def commit(connection: Connection, wanted: Sequence[Reservation], *, opening: bool = False) -> None:
    """Write what a cluster shall hold, if there is room for it in every account.

    Parameters
    ----------
    connection : Connection
        Its transaction keeps the rows of the accounts locked until it ends, so this comes last in it.
    wanted : sequence of Reservation
        Of one cluster.
    opening : bool
        Whether the cluster is new: then what is left must last everybody for a time that is of use.

    Raises
    ------
    FundsChanged
        A hard budget hasn't the room; the transaction must be undone.
    """
    # Always in the same order: two that each hold what the other waits for would wait for ever.
    for reservation in sorted(wanted, key=lambda one: (one.budget_id, one.starts_at)):
        budget, is_opened = _known(connection, reservation)
        if budget is None:
            continue  # It was removed, and limits nothing.
        # Its holder alone writes it, but where its period is over by somebody else's clock.
        key = (reservation.budget_id, reservation.starts_at, reservation.cluster_id)
        before = None if opening else locked_reservation(connection, *key)
        if not is_opened and limits.period_at(budget, reservation.at)[0] == reservation.starts_at:
            open_account(connection, budget, reservation.at)
        put(connection, (reservation,))
        # From here on others wait, so what could be done before was.
        account = lock(connection, reservation.budget_id, reservation.starts_at)
        if account is None:
            continue
        held, burnt = (before.reserved.amount, before.burn_per_hour.amount) if before else (NOTHING, NOTHING)
        committed = account["committed"] - held + reservation.reserved.amount
        burn = account["burn_per_hour"] - burnt + reservation.burn_per_hour.amount
        # What was spent is spent: only what is for the time to come can be refused.
        is_more = reservation.reserved.amount > max(held, reservation.spent.amount)
        if budget.is_hard and is_more and committed > budget.limit.amount:
            raise FundsChanged(f"{limits.title(budget)} has no room for it any more; read what is left, and plan again")
        others = committed - reservation.reserved.amount
        if budget.is_hard and opening and (budget.limit.amount - others) * HOUR < burn * MINIMUM_S:
            raise FundsChanged(f"{limits.title(budget)} doesn't last for one more; read what is left, and plan again")
        write_sums(connection, account, committed, burn, reservation.at)


def write_sums(connection: Connection, account: RowMapping, committed: Decimal, burn: Decimal, now: datetime) -> None:
    """Write the sums of a locked account, and have it looked at soon where its burn has changed."""
    values: dict[str, Any] = {"committed": committed, "burn_per_hour": burn}
    if burn != account["burn_per_hour"]:
        values["wake_at"] = min(account["wake_at"] or now + SOON, now + SOON)
    connection.execute(update(accounts).where(*is_account(account["budget_id"], account["starts_at"])).values(values))


def put(connection: Connection, held: Sequence[Reservation]) -> None:
    """Write what clusters hold, whether or not there is room; the account is locked, and has its sums made anew."""
    if held:
        connection.execute(upsert(connection, reservations), [_reservation_values(one) for one in held])


def open_account(connection: Connection, budget: Budget, now: datetime) -> None:
    """See to it that the account of the period that ``now`` is in exists."""
    starts_at, ends_at = limits.period_at(budget, now)
    there = select(accounts.c.budget_id).where(*is_account(budget.id, starts_at))
    if connection.execute(there).first() is not None:
        return
    row = {
        "budget_id": budget.id,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "committed": NOTHING,
        "burn_per_hour": NOTHING,
        "currency": budget.limit.currency,
        "told": 0,
        "wake_at": now + SOON,
    }
    insert_unless_there(connection, accounts, row)


def burning(connection: Connection, budget_id: str, starts_at: datetime) -> tuple[Reservation, ...]:
    """Return the reservations of an account of those who still burn it: few, where a month has seen thousands."""
    mine = reservations.c.budget_id == budget_id, reservations.c.starts_at == starts_at
    statement = select(reservations).where(*mine, reservations.c.burn_per_hour.not_in(ZEROS))
    found = map(reservation_from, connection.execute(statement).mappings())
    return tuple(one for one in found if one.burn_per_hour.amount)


def reservations_of(connection: Connection, budget_id: str, starts_at: datetime) -> tuple[Reservation, ...]:
    """Return all reservations of an account."""
    statement = select(reservations).where(reservations.c.budget_id == budget_id, reservations.c.starts_at == starts_at)
    return tuple(map(reservation_from, connection.execute(statement).mappings()))


def sum_up(connection: Connection, budget_id: str, starts_at: datetime) -> None:
    """Make the sums of a locked account anew from its reservations."""
    rows = reservations_of(connection, budget_id, starts_at)
    connection.execute(
        update(accounts)
        .where(*is_account(budget_id, starts_at))
        .values(
            committed=sum((one.reserved.amount for one in rows), NOTHING),
            burn_per_hour=sum((one.burn_per_hour.amount for one in rows), NOTHING),
        )
    )


def locked_reservation(
    connection: Connection, budget_id: str, starts_at: datetime, cluster_id: str
) -> Reservation | None:
    """Return what a cluster holds of an account; its row is ours until the transaction ends. Before :func:`lock`."""
    statement = select(reservations).where(
        reservations.c.budget_id == budget_id,
        reservations.c.starts_at == starts_at,
        reservations.c.cluster_id == cluster_id,
    )
    row = connection.execute(statement.with_for_update()).mappings().first()
    return None if row is None else reservation_from(row)


def lock(connection: Connection, budget_id: str, starts_at: datetime) -> RowMapping | None:
    """Return an account's row, ours until the transaction ends."""
    statement = select(accounts).where(*is_account(budget_id, starts_at))
    return connection.execute(statement.with_for_update()).mappings().first()


def is_account(budget_id: str, starts_at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return what picks one account."""
    return accounts.c.budget_id == budget_id, accounts.c.starts_at == starts_at


def budget_from(row: RowMapping) -> Budget:
    """Return the budget of a row of ``budgets``."""
    return Budget(
        id=row["id"],
        workspace=row["workspace"],
        scope=BudgetScope(row["scope"]),
        key=row["key"],
        limit=Money(amount=row["amount"], currency=row["currency"]),
        period=Period(row["period"]),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        is_hard=row["is_hard"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        removed_at=row["removed_at"],
    )


def account_from(row: RowMapping, prefix: str = "") -> Account:
    """Return the account of a row that holds one under names with ``prefix``."""
    currency = row[f"{prefix}currency"]
    return Account(
        budget_id=row[f"{prefix}budget_id"],
        starts_at=row[f"{prefix}starts_at"],
        ends_at=row[f"{prefix}ends_at"],
        committed=Money(amount=row[f"{prefix}committed"], currency=currency),
        burn_per_hour=Money(amount=row[f"{prefix}burn_per_hour"], currency=currency),
        told=row[f"{prefix}told"],
    )


def reservation_from(row: RowMapping) -> Reservation:
    """Return the reservation of a row of ``reservations``."""
    currency = row["currency"]
    return Reservation(
        budget_id=row["budget_id"],
        starts_at=row["starts_at"],
        cluster_id=row["cluster_id"],
        reserved=Money(amount=row["reserved"], currency=currency),
        spent=Money(amount=row["spent"], currency=currency),
        burn_per_hour=Money(amount=row["burn_per_hour"], currency=currency),
        at=row["at"],
        use=Use(row["use"]),
    )


def _known(connection: Connection, reservation: Reservation) -> tuple[Budget | None, bool]:
    """Return the budget if it holds, and whether the account exists: in one go, a way there and back is what costs."""
    account = and_(accounts.c.budget_id == budgets.c.id, accounts.c.starts_at == reservation.starts_at)
    statement = (
        select(budgets, accounts.c.budget_id.label("account"))
        .select_from(budgets.outerjoin(accounts, account))
        .where(budgets.c.id == reservation.budget_id, budgets.c.removed_at.is_(None))
    )
    row = connection.execute(statement).mappings().first()
    return (None, False) if row is None else (budget_from(row), row["account"] is not None)


def _reservation_values(reservation: Reservation) -> dict[str, Any]:
    return {
        "budget_id": reservation.budget_id,
        "starts_at": reservation.starts_at,
        "cluster_id": reservation.cluster_id,
        "reserved": reservation.reserved.amount,
        "spent": reservation.spent.amount,
        "burn_per_hour": reservation.burn_per_hour.amount,
        "currency": reservation.reserved.currency,
        "at": reservation.at,
        "use": reservation.use.value,
    }
