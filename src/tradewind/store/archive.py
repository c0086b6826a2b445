"""All that a workspace has in the store, noun by noun and a page at a time: for taking it elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import Column, Connection, RowMapping, Select, Table, literal, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from tradewind.model.budget import Account, Budget, Reservation, Webhook
from tradewind.model.cluster import Cluster
from tradewind.model.computation import Computation
from tradewind.model.events import Event
from tradewind.model.instance import Instance
from tradewind.model.named import NamedEnvironment
from tradewind.model.people import AuditEntry, Invitation, Member, Workspace
from tradewind.model.usage import Usage
from tradewind.store import environments, rows
from tradewind.store import schema as tables
from tradewind.store.access import audit, members
from tradewind.store.spending import ledger
from tradewind.store.sql.transactions import Transactions

ROWS_AT_ONCE = 500

LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "secrets": "the keys of live clusters",
        "tokens": "they let people in; each belongs to its user, not to a workspace",
        "users": "those who are members stand among the members",
        "identities": "where people sign in is theirs, not a workspace's",
        "outbox": "notifications on their way",
        "idempotency": "answers kept for a day in case they are asked for again",
        "facts": "of the installation as a whole",
        "reviews": "of the server as a whole, signed by people; `tradewind review export` takes them along",
        "speakers": "of the server as a whole",
    }
)
"""The tables that an export hasn't, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun:
    """What one file of an export is made from."""

    kind: type[Any]
    """Of a record."""
    table: Table
    of_workspace: Callable[[str], ColumnElement[bool]]
    """Takes a workspace's name, returns the condition that a row belongs to it."""
    read: Callable[[RowMapping], Any]
    rows: Callable[[], Select[Any]] | None = None
    """Selects what ``read`` needs, where that is more than the table."""


def _named(table: Table, column: str = "workspace") -> Callable[[str], ColumnElement[bool]]:
    return lambda workspace: table.c[column] == workspace


def _within(column: Column[Any], parent: Table) -> Callable[[str], ColumnElement[bool]]:
    return lambda workspace: column.in_(select(parent.c.id).where(parent.c.workspace == workspace))


def _workspace(row: RowMapping) -> Workspace:
    return Workspace(name=row["name"], title=row["title"], created_at=row["created_at"])


def _webhook(row: RowMapping) -> Webhook:
    return Webhook(
        id=row["id"],
        workspace=row["workspace"],
        url=row["url"],
        created_by=row["created_by"],
        created_at=row["created_at"],
    )


def _noun(kind: type[Any], table: Table, read: Callable[[RowMapping], Any], **others: Any) -> Noun:
    return Noun(kind=kind, table=table, read=read, **{"of_workspace": _named(table), **others})


NOUNS: Mapping[str, Noun] = MappingProxyType(
    {
        "workspaces": _noun(Workspace, tables.workspaces, _workspace, of_workspace=_named(tables.workspaces, "name")),
        "members": _noun(Member, tables.members, members.member_from, rows=members.with_names),
        "invitations": _noun(Invitation, tables.invitations, members.invitation_from),
        "audit": _noun(AuditEntry, tables.audit, audit.entry_from),
        "budgets": _noun(Budget, tables.budgets, ledger.budget_from),
        "accounts": _noun(
            Account,
            tables.accounts,
            ledger.account_from,
            of_workspace=_within(tables.accounts.c.budget_id, tables.budgets),
        ),
        "reservations": _noun(
            Reservation,
            tables.reservations,
            ledger.reservation_from,
            of_workspace=_within(tables.reservations.c.cluster_id, tables.clusters),
        ),
        "webhooks": _noun(Webhook, tables.webhooks, _webhook),
        "environments": _noun(NamedEnvironment, tables.environments, environments.environment_from),
        "clusters": _noun(Cluster, tables.clusters, rows.cluster_from),
        "instances": _noun(
            Instance,
            tables.instances,
            rows.instance_from,
            of_workspace=_within(tables.instances.c.cluster_id, tables.clusters),
        ),
        "usages": _noun(Usage, tables.usages, rows.usage_from),
        "events": _noun(
            Event, tables.events, rows.event_from, of_workspace=_within(tables.events.c.cluster_id, tables.clusters)
        ),
        "computations": _noun(Computation, tables.computations, rows.computation_from),
    }
)
"""By the name of their tables, which are those of the files."""


class Archive:
    """Reads everything of a workspace. What is written meanwhile may be in it or not; each page is of one moment."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def pages(self, noun: str, workspace: str) -> AsyncIterator[tuple[Any, ...]]:
        """Yield the records of one of :data:`NOUNS`, in the order of their keys. May raise StoreError."""
        after: tuple[Any, ...] | None = None
        while True:
            found, after = await self._transactions.read(_page, NOUNS[noun], workspace, after)
            if found:
                yield found
            if after is None:
                return


def _page(
    connection: Connection, noun: Noun, workspace: str, after: Sequence[Any] | None
) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    keys = list(noun.table.primary_key.columns)
    statement = noun.rows() if noun.rows is not None else select(noun.table)
    statement = statement.where(noun.of_workspace(workspace)).order_by(*keys).limit(ROWS_AT_ONCE)
    if after is not None:
        place = [literal(value, key.type) for key, value in zip(keys, after, strict=True)]
        statement = statement.where(tuple_(*keys) > tuple_(*place))
    found = connection.execute(statement).mappings().all()
    last = tuple(found[-1][key.name] for key in keys) if len(found) == ROWS_AT_ONCE else None
    return tuple(map(noun.read, found)), last
