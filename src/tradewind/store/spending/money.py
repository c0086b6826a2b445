"""Budgets, their accounts, and who looks after those."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, and_, case, insert, or_, select, update

from tradewind.errors import NameTaken, NotFound
from tradewind.model.budget import Account, Budget, BudgetScope, BudgetView, Reservation
from tradewind.model.cluster import ClusterStatus
from tradewind.model.events import Event
from tradewind.model.exchange import BudgetNews
from tradewind.model.outbox import Message
from tradewind.model.people import AuditEntry
from tradewind.planning import limits
from tradewind.planning.access import ROLES, Action
from tradewind.planning.accounts import AccountState, Holder
from tradewind.store import rows
from tradewind.store.access.audit import record
from tradewind.store.idempotency import Once, keep
from tradewind.store.outbox import send
from tradewind.store.schema import IS_LIVE, accounts, budgets, clusters, events, members, users, workspaces
from tradewind.store.spending import ledger, settlement
from tradewind.store.sql.transactions import Transactions


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKey:
    """Names an account."""

    budget_id: str
    starts_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChanges:
    """What a look at an account came to; written as a whole or not at all."""

    told: int
    at: datetime
    settled: tuple[str, ...] = ()
    """Clusters that spend of it no more: what they hold becomes what their bills say."""
    messages: tuple[Message, ...] = ()
    events: tuple[Event, ...] = ()
    wake_at: datetime | None


class Treasury:
    """What the store knows of money. Every method is one short transaction, as those of the store itself."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def open_accounts(self, now: datetime) -> tuple[tuple[Budget, Account | None], ...]:
        """Return every budget that holds, of all workspaces, with its account of the period of ``now``, if any."""
        return await self._transactions.read(ledger.open_accounts, now)

    async def budgets(self, workspace: str) -> tuple[Budget, ...]:
        """Return the budgets of a workspace that hold, the oldest first."""
        return await self._transactions.read(_budgets, workspace)

    async def news(self, workspaces: Set[str], now: datetime, removed_since: datetime) -> tuple[BudgetNews, ...]:
        """Return how the budgets of these workspaces stand: those that hold, and those removed not long ago."""
        return await self._transactions.read(_news, workspaces, now, removed_since)

    async def budget(self, workspace: str, budget_id: str) -> Budget:
        """Return one that holds. Raises NotFound."""
        return await self._transactions.read(_budget, workspace, budget_id)

    async def add(
        self, view: BudgetView, opening: Sequence[Reservation], entry: AuditEntry, once: Once | None = None
    ) -> None:
        """Write a new budget, with what was spent in its period already, and its view as the answer to ``once``.

        ``opening`` may be too much or too little of clusters that live: each puts that right at its next round. Raises
        NameTaken where the same is limited; Unavailable where the same request was answered at this moment.
        """
        await self._transactions.write(_add, view, opening, entry, once)

    async def change(self, budget: Budget, entry: AuditEntry) -> None:
        """Write another limit, or hardness, of a budget; nothing else of one ever changes. Raises NotFound."""
        await self._transactions.write(_change, budget, entry)

    async def state(self, budget: Budget, now: datetime) -> AccountState | None:
        """Return how the account of the period of ``now`` stands; None where it was never opened."""
        starts_at, _ = limits.period_at(budget, now)
        return await self._transactions.read(_state, AccountKey(budget_id=budget.id, starts_at=starts_at))

    async def addresses(self, budget: Budget) -> tuple[str, ...]:
        """Return the e-mail addresses of who hears of a budget: who manages it, and whose spending it limits."""
        return await self._transactions.read(_addresses, budget)

    async def due(self, now: datetime, limit: int = 100) -> tuple[AccountKey, ...]:
        """Return the accounts that want to be looked at now and that nobody looks at, the longest due first."""
        return await self._transactions.read(_due, now, limit)

    async def take(self, key: AccountKey, holder: str, now: datetime, until: datetime) -> AccountState | None:
        """Take an account to look at; None while somebody else does."""
        return await self._transactions.write(_take, key, holder, now, until)

    async def keep(self, key: AccountKey, holder: str, changes: AccountChanges) -> None:
        """Write what came of the look, and let the account go; nothing where somebody else has taken it meanwhile."""
        await self._transactions.write(_keep, key, holder, changes)


def _budgets(connection: Connection, workspace: str) -> tuple[Budget, ...]:
    statement = (
        select(budgets)
        .where(budgets.c.workspace == workspace, budgets.c.removed_at.is_(None))
        .order_by(budgets.c.created_at, budgets.c.id)
    )
    return tuple(map(ledger.budget_from, connection.execute(statement).mappings()))


def _news(
    connection: Connection, workspaces: Set[str], now: datetime, removed_since: datetime
) -> tuple[BudgetNews, ...]:
    present = and_(accounts.c.budget_id == budgets.c.id, accounts.c.starts_at <= now, accounts.c.ends_at > now)
    statement = (
        select(budgets, accounts.c.told)
        .select_from(budgets.outerjoin(accounts, present))
        .where(
            budgets.c.workspace.in_(workspaces),
            or_(budgets.c.removed_at.is_(None), budgets.c.removed_at >= removed_since),
        )
    )
    news = []
    for row in connection.execute(statement).mappings():
        budget = ledger.budget_from(row)
        news.append(
            BudgetNews(
                budget_id=budget.id,
                workspace=budget.workspace,
                scope=budget.scope,
                key=budget.key,
                limit=budget.limit,
                is_hard=budget.is_hard,
                step=row["told"] or 0,
                removed_at=budget.removed_at,
            )
        )
    return tuple(news)


def _budget(connection: Connection, workspace: str, budget_id: str) -> Budget:
    statement = select(budgets).where(
        budgets.c.workspace == workspace, budgets.c.id == budget_id, budgets.c.removed_at.is_(None)
    )
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise NotFound(f"there is no budget {budget_id!r} in workspace {workspace!r}; list those that are there")
    return ledger.budget_from(row)


def _add(
    connection: Connection, view: BudgetView, opening: Sequence[Reservation], entry: AuditEntry, once: Once | None
) -> None:
    keep(connection, once, view)
    budget = view.budget
    # Two that set the same limit at once: the second would hold on, unseen, when the first is raised.
    connection.execute(select(workspaces.c.name).where(workspaces.c.name == budget.workspace).with_for_update()).first()
    for other in _budgets(connection, budget.workspace):
        if other.aim == budget.aim:
            raise NameTaken(f"{limits.title(other)} is there already ({other.id}): change it, or remove it first")
    connection.execute(
        insert(budgets),
        {
            "id": budget.id,
            "workspace": budget.workspace,
            "scope": budget.scope.value,
            "key": budget.key,
            "amount": budget.limit.amount,
            "currency": budget.limit.currency,
            "period": budget.period.value,
            "starts_at": budget.starts_at,
            "ends_at": budget.ends_at,
            "is_hard": budget.is_hard,
            "created_by": budget.created_by,
            "created_at": budget.created_at,
            "removed_at": None,
        },
    )
    _wake_concerned(connection, budget, budget.created_at)
    ledger.open_account(connection, budget, budget.created_at)
    ledger.put(connection, opening)
    starts_at, _ = limits.period_at(budget, budget.created_at)
    ledger.sum_up(connection, budget.id, starts_at)
    record(connection, entry)


def _change(connection: Connection, budget: Budget, entry: AuditEntry) -> None:
    _budget(connection, budget.workspace, budget.id)
    _wake_concerned(connection, budget, entry.at)
    connection.execute(
        update(budgets)
        .where(budgets.c.id == budget.id)
        .values(amount=budget.limit.amount, is_hard=budget.is_hard, removed_at=budget.removed_at)
    )
    # All its accounts: one of a period that is over may still wait to be settled.
    connection.execute(
        update(accounts)
        .where(accounts.c.budget_id == budget.id, accounts.c.wake_at.is_not(None))
        .values(wake_at=entry.at)
    )
    record(connection, entry)


def _wake_concerned(connection: Connection, budget: Budget, now: datetime) -> None:
    """Have the clusters that a budget holds for looked at now, by whoever looks after them."""
    # Clusters go before accounts, as in every round's save: two that each hold what the other waits for would wait
    # for ever.
    statement = select(clusters).where(IS_LIVE, clusters.c.workspace == budget.workspace).order_by(clusters.c.id)
    if budget.scope is BudgetScope.USER:
        statement = statement.where(clusters.c.owner == budget.key)
    there = connection.execute(statement.with_for_update(key_share=True)).mappings()
    holds = replace(budget, removed_at=None)
    concerned = [row["id"] for row in there if limits.applies(holds, rows.cluster_from(row))]
    connection.execute(
        update(clusters)
        .where(clusters.c.id.in_(concerned))
        .values(
            revision=clusters.c.revision + 1,
            wake_at=case((clusters.c.wake_at > now, now), else_=clusters.c.wake_at),
        )
    )


def _state(connection: Connection, key: AccountKey) -> AccountState | None:
    row = (
        connection.execute(select(accounts).where(*ledger.is_account(key.budget_id, key.starts_at))).mappings().first()
    )
    if row is None:
        return None
    budget = connection.execute(select(budgets).where(budgets.c.id == key.budget_id)).mappings().one()
    held = ledger.burning(connection, key.budget_id, key.starts_at)
    columns = (clusters.c.id, clusters.c.name, clusters.c.created_at, clusters.c.status, clusters.c.intent)
    known = {
        found["id"]: found
        for found in connection.execute(
            select(*columns).where(clusters.c.id.in_([reservation.cluster_id for reservation in held]))
        ).mappings()
    }
    holders = []
    for reservation in held:
        cluster = known[reservation.cluster_id]
        intent = rows.intent_from(cluster["intent"])
        holders.append(
            Holder(
                reservation=reservation,
                name=cluster["name"],
                created_at=cluster["created_at"],
                is_live=cluster["status"] != ClusterStatus.STOPPED.value,
                ends_by=intent.ends_by,
                ends_for=intent.ends_for,
            )
        )
    return AccountState(budget=ledger.budget_from(budget), account=ledger.account_from(row), holders=tuple(holders))


def _addresses(connection: Connection, budget: Budget) -> tuple[str, ...]:
    manages = members.c.role.in_([role.value for role in ROLES[Action.MANAGE_BUDGETS]])
    hears = or_(manages, users.c.name == budget.key) if budget.scope is BudgetScope.USER else manages
    statement = (
        select(users.c.email)
        .join(members, members.c.user_id == users.c.id)
        .where(
            members.c.workspace == budget.workspace, users.c.email.is_not(None), users.c.disabled_at.is_(None), hears
        )
        .order_by(users.c.email)
    )
    return tuple(dict.fromkeys(connection.execute(statement).scalars()))


def _due(connection: Connection, now: datetime, limit: int) -> tuple[AccountKey, ...]:
    statement = (
        select(accounts.c.budget_id, accounts.c.starts_at)
        .where(accounts.c.wake_at <= now, or_(accounts.c.lease_until.is_(None), accounts.c.lease_until <= now))
        .order_by(accounts.c.wake_at)
        .limit(limit)
    )
    return tuple(AccountKey(budget_id=row[0], starts_at=row[1]) for row in connection.execute(statement))


def _take(connection: Connection, key: AccountKey, holder: str, now: datetime, until: datetime) -> AccountState | None:
    taken = connection.execute(
        update(accounts)
        .where(
            *ledger.is_account(key.budget_id, key.starts_at),
            accounts.c.wake_at <= now,
            or_(accounts.c.lease_until.is_(None), accounts.c.lease_until <= now),
        )
        .values(lease_holder=holder, lease_until=until, wake_at=until)
    )
    return _state(connection, key) if taken.rowcount else None


def _keep(connection: Connection, key: AccountKey, holder: str, changes: AccountChanges) -> None:
    _raise_revisions(connection, {event.cluster_id for event in changes.events})
    settlement.settle_account(connection, key.budget_id, key.starts_at, changes.settled, changes.at)
    account = ledger.lock(connection, key.budget_id, key.starts_at)
    if account is None or account["lease_holder"] != holder:
        return
    wake_at = changes.wake_at
    if account["wake_at"] != account["lease_until"]:
        # A cluster changed its burn during the look: the earlier wake-up stays.
        wake_at = min(filter(None, (account["wake_at"], wake_at)), default=None)
    connection.execute(
        update(accounts)
        .where(*ledger.is_account(key.budget_id, key.starts_at))
        .values(told=changes.told, wake_at=wake_at, lease_holder=None, lease_until=None)
    )
    send(connection, changes.messages)
    _note(connection, changes.events)


def _raise_revisions(connection: Connection, cluster_ids: Set[str]) -> None:
    """Let whoever watches these clusters read their journals. Comes first: clusters go before accounts."""
    if not cluster_ids:
        return
    concerned = clusters.c.id.in_(sorted(cluster_ids))
    connection.execute(select(clusters.c.id).where(concerned).order_by(clusters.c.id).with_for_update(key_share=True))
    connection.execute(update(clusters).where(concerned).values(revision=clusters.c.revision + 1))


def _note(connection: Connection, happened: Iterable[Event]) -> None:
    lines = [rows.event_values(event) for event in happened]
    if lines:
        connection.execute(insert(events), lines)
