"""What happened: instances, usages, events, computations. Each function runs inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime

from sqlalchemy import Connection, Select, and_, func, or_, select

from tradewind.errors import BadRequest, NotFound
from tradewind.model.computation import Computation
from tradewind.model.events import Event
from tradewind.model.instance import Instance, Role
from tradewind.model.usage import Usage
from tradewind.store import pages, rows
from tradewind.store import schema as tables
from tradewind.store.pages import Page
from tradewind.store.records import Story

MATCHES_SHOWN = 5


def instances(connection: Connection, cluster_id: str, ended_since: datetime | None = None) -> tuple[Instance, ...]:
    """Return the instances of a cluster in the order they were asked for.

    With ``ended_since``, workers that ended before it are left out: a long adaptive life leaves thousands.
    """
    table = tables.instances
    statement = select(table).where(table.c.cluster_id == cluster_id).order_by(table.c.requested_at, table.c.id)
    if ended_since is not None:
        recent = or_(table.c.stopped_at.is_(None), table.c.stopped_at > ended_since)
        statement = statement.where(or_(recent, table.c.role == Role.SCHEDULER.value))
    return tuple(map(rows.instance_from, connection.execute(statement).mappings()))


def stories(connection: Connection, cluster_ids: Sequence[str]) -> tuple[Story, ...]:
    """Return all there is of these clusters, in three queries for all of them."""
    table = tables.instances
    found = connection.execute(select(tables.clusters).where(tables.clusters.c.id.in_(cluster_ids))).mappings()
    known = {row["id"]: (rows.cluster_from(row), row["revision"]) for row in found}
    instances: dict[str, list[Instance]] = {}
    statement = select(table).where(table.c.cluster_id.in_(cluster_ids)).order_by(table.c.requested_at, table.c.id)
    for row in connection.execute(statement).mappings():
        instances.setdefault(row["cluster_id"], []).append(rows.instance_from(row))
    billed: dict[str, list[Usage]] = {}
    for usage in usages(connection, cluster_ids, None, None, None):
        billed.setdefault(usage.cluster_id, []).append(usage)
    return tuple(
        Story(
            cluster=known[id_][0],
            instances=tuple(instances.get(id_, ())),
            usages=tuple(billed.get(id_, ())),
            revision=known[id_][1],
        )
        for id_ in cluster_ids
        if id_ in known
    )


def open_usages(connection: Connection, cluster_id: str) -> tuple[Usage, ...]:
    """Return the usages of a cluster that still run."""
    table = tables.usages
    statement = select(table).where(table.c.cluster_id == cluster_id, table.c.stopped_at.is_(None))
    ordered = statement.order_by(table.c.started_at, table.c.instance_id)
    return tuple(map(rows.usage_from, connection.execute(ordered).mappings()))


def usages(
    connection: Connection,
    cluster_ids: Sequence[str] | None,
    workspace: str | None,
    since: datetime | None,
    until: datetime | None,
) -> tuple[Usage, ...]:
    """Return usages that overlap the range, oldest first."""
    table = tables.usages
    statement = select(table).order_by(table.c.started_at, table.c.instance_id, table.c.sequence)
    if cluster_ids is not None:
        statement = statement.where(table.c.cluster_id.in_(cluster_ids))
    if workspace is not None:
        statement = statement.where(table.c.workspace == workspace)
    if since is not None:
        statement = statement.where(or_(table.c.stopped_at.is_(None), table.c.stopped_at > since))
    if until is not None:
        statement = statement.where(table.c.started_at < until)
    return tuple(map(rows.usage_from, connection.execute(statement).mappings()))


def events(connection: Connection, cluster_id: str, after: int) -> tuple[tuple[int, Event], ...]:
    """Return the journal after an entry.

    Only the holder of a cluster's lease writes events, with its row locked, so numbers appear in their order.
    """
    table = tables.events
    statement = select(table).where(table.c.cluster_id == cluster_id, table.c.seq > after).order_by(table.c.seq)
    return tuple((row["seq"], rows.event_from(row)) for row in connection.execute(statement).mappings())


def computations(
    connection: Connection,
    workspace: str,
    cluster_id: str | None,
    owners: Set[str] | None,
    limit: int,
    cursor: str | None,
) -> Page[Computation]:
    """Return computations, newest first; what hasn't begun is newer than what has."""
    table = tables.computations
    statement = (
        select(table)
        .where(table.c.workspace == workspace)
        .order_by(table.c.started_at.desc().nulls_first(), table.c.id, table.c.cluster_id)
        .limit(limit + 1)
    )
    if cluster_id is not None:
        statement = statement.where(table.c.cluster_id == cluster_id)
    if owners is not None:
        statement = statement.where(table.c.cluster_id.in_(_clusters_of(owners)))
    if cursor is not None:
        at, last, its_cluster = pages.place(cursor, (datetime | None, str, str))
        beyond = or_(table.c.id > last, and_(table.c.id == last, table.c.cluster_id > its_cluster))
        if at is None:
            statement = statement.where(or_(table.c.started_at.is_not(None), beyond))
        else:
            statement = statement.where(table.c.started_at <= at, or_(table.c.started_at < at, beyond))
    found = tuple(map(rows.computation_from, connection.execute(statement).mappings()))
    return pages.page_of(found, limit, lambda one: (one.started_at, one.id, one.cluster_id))


def computation(connection: Connection, workspace: str, id_prefix: str, owners: Set[str] | None) -> Computation:
    """Return the one computation whose id begins so."""
    table = tables.computations
    # substr and not LIKE, which takes % and _ for patterns and, on SQLite, A for a.
    statement = (
        select(table)
        .where(table.c.workspace == workspace, func.substr(table.c.id, 1, len(id_prefix)) == id_prefix)
        .order_by(table.c.id)
        .limit(MATCHES_SHOWN + 1)
    )
    if owners is not None:
        statement = statement.where(table.c.cluster_id.in_(_clusters_of(owners)))
    found = connection.execute(statement).mappings().all()
    exact = [row for row in found if row["id"] == id_prefix]
    if len(exact) == 1:
        found = exact
    if not found:
        raise NotFound(
            f"no computation's id begins with {id_prefix!r} in workspace {workspace!r}; "
            "`tradewind computation list` shows them"
        )
    if len(found) > 1:
        matches = ", ".join(row["id"] for row in found[:MATCHES_SHOWN])
        more = ", …" if len(found) > MATCHES_SHOWN else ""
        raise BadRequest(f"{id_prefix!r} could be any of {matches}{more}; give more of the id")
    return rows.computation_from(found[0])


def _clusters_of(owners: Set[str]) -> Select[tuple[str]]:
    return select(tables.clusters.c.id).where(tables.clusters.c.owner.in_(owners))
