"""Clusters as people see them: made, found, and told what is wanted. Each function runs inside a transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, case, insert, or_, select, update

from tradewind import wire
from tradewind.errors import Forbidden, NameTaken, NotFound
from tradewind.model.budget import Reservation
from tradewind.model.cluster import Cluster, ClusterStatus, Intent
from tradewind.model.environment import Environment, equipment
from tradewind.model.exchange import ClusterNews
from tradewind.model.people import AuditEntry
from tradewind.store import pages, rows
from tradewind.store.access.audit import record
from tradewind.store.idempotency import Once, keep
from tradewind.store.pages import Page
from tradewind.store.records import ClusterSecrets
from tradewind.store.schema import IS_LIVE, clusters, members, secrets, users
from tradewind.store.spending import ledger
from tradewind.store.sql.database import insert_unless_there

STOPPED = ClusterStatus.STOPPED.value


def create(
    connection: Connection,
    cluster: Cluster,
    keys: ClusterSecrets,
    holder: str | None,
    until: datetime | None,
    opening: Sequence[Reservation] = (),
    member: str | None = None,
    entry: AuditEntry | None = None,
    once: Once | None = None,
) -> None:
    """Write a new cluster; the unique index decides who was first."""
    keep(connection, once, cluster)
    if member is not None:
        _hold_member(connection, cluster.spec.workspace, member)
    values = rows.new_cluster_values(cluster)
    if holder is not None:
        # Its holder knows of it; to others it's due when that one is silent, or when people change their mind.
        values |= {"lease_holder": holder, "lease_until": until, "wake_at": until}
    live_name = {"index_elements": ["workspace", "name"], "index_where": IS_LIVE}
    while not insert_unless_there(connection, clusters, values, **live_name):
        other = find(connection, cluster.spec.workspace, cluster.name, True)
        if other is not None:  # else it stopped in between, and the name is free now
            raise NameTaken(_taken(other))
    connection.execute(insert(secrets), rows.secrets_values(cluster.id, keys))
    if entry is not None:
        record(connection, entry)
    ledger.commit(connection, opening, opening=True)


def find(connection: Connection, workspace: str, name_or_id: str, live: bool) -> Cluster | None:
    """Return the newest of that name or id; an id goes before a name."""
    statement = (
        select(clusters)
        .where(clusters.c.workspace == workspace, or_(clusters.c.id == name_or_id, clusters.c.name == name_or_id))
        .order_by(case((clusters.c.id == name_or_id, 0), else_=1), clusters.c.created_at.desc(), clusters.c.id.desc())
        .limit(1)
    )
    if live:
        statement = statement.where(IS_LIVE)
    row = connection.execute(statement).mappings().first()
    return rows.cluster_from(row) if row else None


def get(connection: Connection, cluster_id: str) -> Cluster:
    """Return the cluster, or raise NotFound."""
    row = connection.execute(select(clusters).where(clusters.c.id == cluster_id)).mappings().first()
    if row is None:
        raise missing(cluster_id)
    return rows.cluster_from(row)


def live_among(connection: Connection, cluster_ids: Set[str]) -> frozenset[str]:
    """Return which of these are live."""
    statement = select(clusters.c.id).where(clusters.c.id.in_(cluster_ids), IS_LIVE)
    return frozenset(connection.execute(statement).scalars())


def news(connection: Connection, workspaces: Set[str], stopped_since: datetime) -> tuple[ClusterNews, ...]:
    """Return how the clusters of these workspaces stand: few columns, since it is asked every second."""
    of = clusters.c
    statement = select(of.id, of.workspace, of.name, of.owner, of.status, of.revision).where(
        of.workspace.in_(workspaces), or_(IS_LIVE, of.stopped_at >= stopped_since)
    )
    return tuple(
        ClusterNews(
            cluster_id=row.id,
            workspace=row.workspace,
            name=row.name,
            owner=row.owner,
            status=ClusterStatus(row.status),
            revision=row.revision,
        )
        for row in connection.execute(statement)
    )


def list_all(
    connection: Connection,
    workspace: str,
    live: bool | None,
    owner: str | None,
    statuses: Set[ClusterStatus] | None,
    limit: int,
    cursor: str | None,
) -> Page[Cluster]:
    """Return clusters, newest first."""
    statement = (
        select(clusters)
        .where(clusters.c.workspace == workspace)
        .order_by(clusters.c.created_at.desc(), clusters.c.id.desc())
        .limit(limit + 1)
    )
    if live is not None:
        statement = statement.where(IS_LIVE if live else clusters.c.status == STOPPED)
    if owner is not None:
        statement = statement.where(clusters.c.owner == owner)
    if statuses is not None:
        statement = statement.where(clusters.c.status.in_({status.value for status in statuses}))
    if cursor is not None:
        at, last = pages.place(cursor, (datetime, str))
        # The first condition says what the second implies, in a form that the index answers.
        statement = statement.where(clusters.c.created_at <= at, or_(clusters.c.created_at < at, clusters.c.id < last))
    found = tuple(map(rows.cluster_from, connection.execute(statement).mappings()))
    return pages.page_of(found, limit, lambda cluster: (cluster.created_at, cluster.id))


def change_intent(
    connection: Connection,
    cluster_id: str,
    change: Callable[[Intent], Intent],
    now: datetime,
    entry: AuditEntry | None = None,
) -> Cluster:
    """Read, change and write what people want; the row is locked meanwhile."""
    before = _locked(connection, cluster_id)
    return _written(connection, before, change(before.intent), {}, now, entry)


def equip(
    connection: Connection,
    cluster_id: str,
    environment: Environment | None,
    compiled: str,
    now: datetime,
    entry: AuditEntry | None = None,
) -> Cluster:
    """Write what software the workers are to have, and that they are to have it: one never without the other."""
    before = _locked(connection, cluster_id)
    chosen = environment if environment is not None else before.environment
    wanted = replace(before.intent, equipment=equipment(chosen, compiled))
    return _written(connection, before, wanted, rows.environment_values(chosen), now, entry)


def _locked(connection: Connection, cluster_id: str) -> Cluster:
    locked = select(clusters).where(clusters.c.id == cluster_id).with_for_update(key_share=True)
    row = connection.execute(locked).mappings().first()
    if row is None:
        raise missing(cluster_id)
    return rows.cluster_from(row)


def _written(
    connection: Connection,
    before: Cluster,
    wanted: Intent,
    values: rows.Values,
    now: datetime,
    entry: AuditEntry | None,
) -> Cluster:
    if not before.status.is_live or wanted == before.intent:
        return before
    connection.execute(
        update(clusters)
        .where(clusters.c.id == before.id)
        .values(intent=wire.dump_json(wanted), wake_at=now, revision=clusters.c.revision + 1, **values)
    )
    if entry is not None:
        record(connection, entry)
    return replace(before, intent=wanted)


def revision(connection: Connection, cluster_id: str) -> int:
    """Return the number that every write to the cluster raises."""
    found: int | None = connection.execute(select(clusters.c.revision).where(clusters.c.id == cluster_id)).scalar()
    if found is None:
        raise missing(cluster_id)
    return found


def revisions(connection: Connection, cluster_ids: Sequence[str]) -> dict[str, int]:
    """Return that number of each that is there."""
    statement = select(clusters.c.id, clusters.c.revision).where(clusters.c.id.in_(cluster_ids))
    return {row[0]: row[1] for row in connection.execute(statement)}


def missing(cluster_id: str) -> NotFound:
    """Return the error for a cluster that isn't there."""
    return NotFound(f"there is no cluster {cluster_id!r} in this store; list those that are there and take its id")


def _hold_member(connection: Connection, workspace: str, user_id: str) -> None:
    """See to it that somebody stays a member until the transaction ends. Raises Forbidden for who isn't any more.

    Whoever removes them waits until their new cluster is written, and then finds it among those to be stopped.
    """
    statement = (
        select(members.c.user_id)
        .join(users, users.c.id == members.c.user_id)
        .where(members.c.workspace == workspace, members.c.user_id == user_id, users.c.disabled_at.is_(None))
    )
    if connection.execute(statement.with_for_update(read=True)).first() is None:
        raise Forbidden(f"you are no member of workspace {workspace!r} any more; ask for an invitation")


def _taken(other: Cluster) -> str:
    fact = f"the name {other.name!r} belongs to a cluster of {other.owner} that is {other.status} (id {other.id})"
    if other.status is ClusterStatus.STOPPING:
        return f"{fact}. Wait until it has stopped, or choose another name"
    return f"{fact}. Attach to it, or choose another name"
