"""What a round of the engine reads and writes: who is due, the lease, the load, the save."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    and_,
    bindparam,
    case,
    delete,
    insert,
    or_,
    select,
    update,
)

from tradewind.errors import LeaseLost
from tradewind.model.cluster import Cluster
from tradewind.store import clusters as people
from tradewind.store import history, rows
from tradewind.store.columns import UtcTime
from tradewind.store.records import Changes, ClusterSecrets, Lease, Loaded
from tradewind.store.schema import IS_LIVE, clusters, computations, events, instances, secrets, usages
from tradewind.store.spending import ledger, settlement
from tradewind.store.sql.database import upsert

LONGEST_WAIT = timedelta(minutes=1)
"""After how long a cluster is due again at the latest that was taken and taken, and whose rounds never went well."""


def due(
    connection: Connection, now: datetime, holder: str | None, limit: int, without: Collection[str] = ()
) -> tuple[str, ...]:
    """Return ids of live clusters that want to be looked at and that ``holder`` may take, the longest due first.

    A hint and no promise: two may get the same id, and :func:`take_lease` decides.
    """
    return tuple(connection.execute(_due(now, holder, limit, without)).scalars())


def take_due(
    connection: Connection, now: datetime, holder: str, until: datetime, limit: int, without: Collection[str] = ()
) -> tuple[Lease, ...]:
    """Take the leases of what is due, the longest due first; of several who ask at once each gets others."""
    # Whoever comes second doesn't wait for the rows of the first, and by the time it sees them they are taken.
    rows_due = _due(now, holder, limit, without).with_for_update(skip_locked=True, key_share=True)
    found = connection.execute(rows_due).mappings().all()
    taken = tuple(
        Lease(
            cluster_id=row["id"],
            holder=holder,
            epoch=row["lease_epoch"] + (row["lease_holder"] != holder),
            until=until,
            revision=row["revision"],
        )
        for row in found
    )
    if taken:
        connection.execute(
            update(clusters)
            .where(clusters.c.id.in_([lease.cluster_id for lease in taken]))
            .values(_taken(holder, until) | _put_off(holder, now, until))
        )
    return taken


def take_lease(
    connection: Connection, cluster_id: str, holder: str, now: datetime, until: datetime, read: int | None
) -> Lease | None:
    """Take or renew; None while it is another's."""
    ours = clusters.c.lease_holder == holder
    statement = (
        update(clusters)
        .where(
            clusters.c.id == cluster_id,
            or_(ours, clusters.c.lease_until.is_(None), clusters.c.lease_until <= now),
        )
        .values(_taken(holder, until))
    )
    if read is None:
        statement = statement.values(_put_off(holder, now, until))
    else:
        # While nobody wrote since the holder looked, the wake-up is one of its own, and for others.
        is_read = and_(clusters.c.revision == read, clusters.c.wake_at < until)
        statement = statement.values(wake_at=case((is_read, until), else_=clusters.c.wake_at))
    told = clusters.c.lease_epoch, clusters.c.revision
    if connection.dialect.name == "postgresql":
        row = connection.execute(statement.returning(*told)).first()
    else:
        # SQLite knows RETURNING since 3.35 only, and some computing centres have older; here it would save nothing.
        there = connection.execute(statement).rowcount
        row = connection.execute(select(*told).where(clusters.c.id == cluster_id)).first() if there else None
    if row is not None:
        return Lease(cluster_id=cluster_id, holder=holder, epoch=row[0], until=until, revision=row[1])
    people.revision(connection, cluster_id)  # Raises NotFound.
    return None


def renew_leases(
    connection: Connection,
    holder: str,
    cluster_ids: Sequence[str],
    now: datetime,
    until: datetime,
    observed_at: datetime | None,
) -> tuple[Lease, ...]:
    """Renew what is still the holder's, in two statements for all of them.

    Raises no revision: a lease that goes on is no change. What somebody else is writing just now is left out, since
    waiting for rows in any order is how two transactions come to wait for each other.
    """
    statement = select(clusters.c.id, clusters.c.lease_epoch, clusters.c.revision).where(
        clusters.c.id.in_(cluster_ids), clusters.c.lease_holder == holder, clusters.c.status != people.STOPPED
    )
    mine = connection.execute(statement.with_for_update(skip_locked=True)).all()
    values: rows.Values = {
        "lease_until": until,
        # A wake-up that is due was set by people: it stays, and leads to a look.
        "wake_at": case((clusters.c.wake_at > now, until), else_=clusters.c.wake_at),
        "tries": 0,  # Only what is held between rounds is renewed here: its last one went well.
    }
    if observed_at is not None:
        values["observed_at"] = case((clusters.c.observed_at < observed_at, observed_at), else_=clusters.c.observed_at)
    connection.execute(update(clusters).where(clusters.c.id.in_([row[0] for row in mine])).values(values))
    return tuple(Lease(cluster_id=row[0], holder=holder, epoch=row[1], until=until, revision=row[2]) for row in mine)


def leases(connection: Connection) -> tuple[Lease, ...]:
    """Return who looks after which live cluster."""
    statement = select(clusters.c.id, clusters.c.lease_holder, clusters.c.lease_epoch, clusters.c.lease_until).where(
        IS_LIVE, clusters.c.lease_holder.is_not(None)
    )
    return tuple(
        Lease(cluster_id=row[0], holder=row[1], epoch=row[2], until=row[3]) for row in connection.execute(statement)
    )


def release_lease(connection: Connection, lease: Lease, now: datetime | None) -> None:
    """Give it back; what isn't ours any more stays as it is. The epoch stays, so that it never comes again.

    With ``now`` it is due from then on: the wake-up that a holder writes is for the case that it dies.
    """
    values: rows.Values = {"lease_holder": None, "lease_until": None}
    if now is not None:
        values["wake_at"] = case((clusters.c.wake_at > now, now), else_=clusters.c.wake_at)
    connection.execute(
        update(clusters)
        .where(
            clusters.c.id == lease.cluster_id,
            clusters.c.lease_holder == lease.holder,
            clusters.c.lease_epoch == lease.epoch,
        )
        .values(values)
    )


def load(connection: Connection, cluster_id: str, ended_since: datetime | None) -> Loaded:
    """Return the cluster with all that belongs to it, as of one moment."""
    # One statement for what there is one of: each is a way to the database and back.
    statement = select(clusters, secrets).outerjoin(secrets, secrets.c.cluster_id == clusters.c.id)
    row = connection.execute(statement.where(clusters.c.id == cluster_id)).mappings().first()
    if row is None:
        raise people.missing(cluster_id)
    return Loaded(
        revision=row["revision"],
        cluster=rows.cluster_from(row),
        instances=history.instances(connection, cluster_id, ended_since),
        reservations=ledger.reservations_of_cluster(connection, cluster_id),
        open_usages=history.open_usages(connection, cluster_id),
        secrets=rows.secrets_from(row) if row["cluster_id"] is not None else None,
    )


def secrets_of(connection: Connection, cluster_id: str) -> ClusterSecrets | None:
    """Return its secrets, None where there are none any more."""
    row = connection.execute(select(secrets).where(secrets.c.cluster_id == cluster_id)).mappings().first()
    return rows.secrets_from(row) if row else None


def save(connection: Connection, lease: Lease, changes: Changes) -> None:
    """Write what a round found and did, if the lease still holds."""
    row = _locked(connection, lease.cluster_id)
    if row is None:
        raise people.missing(lease.cluster_id)
    if (row["lease_holder"], row["lease_epoch"]) != (lease.holder, lease.epoch):
        raise LeaseLost(
            f"cluster {lease.cluster_id} is looked after by {row['lease_holder'] or 'nobody'} now (epoch "
            f"{row['lease_epoch']}, this round had {lease.epoch}); nothing was written. Load it again before planning"
        )
    _check_belongings(lease.cluster_id, changes)
    values: rows.Values = {"wake_at": changes.wake_at, "revision": row["revision"] + 1}
    if row["revision"] != lease.revision:
        # Somebody wrote after this round had read: the wake-up they set, of whatever, must not be slept over.
        values["wake_at"] = min(filter(None, (row["wake_at"], changes.wake_at)), default=None)
    elif row["tries"] > 1 and changes.wake_at is not None:
        # The rounds before went wrong, and this one isn't over: what it does next may be what goes wrong.
        values["wake_at"] = max(row["wake_at"] or changes.wake_at, changes.wake_at)
    if changes.cluster is not None:
        values |= _values_of(changes.cluster, row, is_current=row["revision"] == lease.revision)
    connection.execute(update(clusters).where(clusters.c.id == lease.cluster_id).values(values))
    # Instances go first: usages point at them.
    if changes.instances:
        connection.execute(
            upsert(connection, instances), [rows.instance_values(instance) for instance in changes.instances]
        )
    if changes.usages:
        connection.execute(upsert(connection, usages), [rows.usage_values(usage) for usage in changes.usages])
    if changes.computations:
        connection.execute(
            upsert(connection, computations),
            [rows.computation_values(computation, row["workspace"]) for computation in changes.computations],
        )
    if changes.events:
        connection.execute(insert(events), [rows.event_values(event) for event in changes.events])
    # Accounts come last, since from here on others wait for them.
    if changes.cluster is None or changes.cluster.status.is_live:
        ledger.commit(connection, changes.reservations)
        return
    connection.execute(delete(secrets).where(secrets.c.cluster_id == lease.cluster_id))
    # By the bill, and of every period: some were held before it was known when all ended.
    stopped_at = changes.cluster.stopped_at or changes.cluster.created_at
    settlement.settle(connection, lease.cluster_id, row["workspace"], stopped_at)


def _due(now: datetime, holder: str | None, limit: int, without: Collection[str]) -> Select[Any]:
    free = or_(clusters.c.lease_until.is_(None), clusters.c.lease_until <= now, clusters.c.lease_holder == holder)
    statement = select(clusters.c.id, clusters.c.lease_holder, clusters.c.lease_epoch, clusters.c.revision)
    if without:
        statement = statement.where(clusters.c.provider.not_in(without))
    return statement.where(IS_LIVE, clusters.c.wake_at <= now, free).order_by(clusters.c.wake_at).limit(limit)


def _taken(holder: str, until: datetime) -> rows.Values:
    ours = clusters.c.lease_holder == holder
    return {
        "lease_epoch": case((ours, clusters.c.lease_epoch), else_=clusters.c.lease_epoch + 1),
        "lease_holder": holder,
        "lease_until": until,
    }


def _put_off(holder: str, now: datetime, until: datetime) -> rows.Values:
    """Return what makes a cluster wait that is taken, whatever becomes of the round.

    Its turn is over: those whose rounds always go wrong, or end the process, go to the end of the line, and are back
    there the later the more often that was. What people write after this makes it due at once, since the holder reads
    it after this as well.
    """
    longest = max(LONGEST_WAIT, until - now)
    waits = [until - now]
    while waits[-1] < longest:
        waits.append(min(2 * waits[-1], longest))
    moments = [bindparam(None, now + wait, UtcTime) for wait in waits]
    # Whoever comes back within its lease was called by people, or has just been here: nothing went wrong.
    in_time = and_(clusters.c.lease_holder == holder, clusters.c.lease_until > now)
    then = case(*((clusters.c.tries == tries, moment) for tries, moment in enumerate(moments)), else_=moments[-1])
    return {
        "wake_at": case((clusters.c.wake_at < then, then), else_=clusters.c.wake_at),
        "tries": case((in_time, clusters.c.tries), else_=clusters.c.tries + 1),
    }


def _locked(connection: Connection, cluster_id: str) -> RowMapping | None:
    """Return what a decision about the lease needs; on PostgreSQL the row is ours until the transaction ends."""
    statement = select(
        clusters.c.workspace,
        clusters.c.environment_hash,
        clusters.c.lease_holder,
        clusters.c.lease_epoch,
        clusters.c.wake_at,
        clusters.c.tries,
        clusters.c.revision,
    ).where(clusters.c.id == cluster_id)
    return connection.execute(statement.with_for_update(key_share=True)).mappings().first()


def _values_of(cluster: Cluster, row: RowMapping, *, is_current: bool) -> rows.Values:
    values = rows.engine_values(cluster)
    kept = cluster.environment.content_hash if cluster.environment else None
    # What people have changed since this round had read, they have changed after it.
    if is_current and kept != row["environment_hash"]:
        values |= rows.environment_values(cluster.environment)
    if not cluster.status.is_live:
        values["wake_at"] = None
    return values


def _check_belongings(cluster_id: str, changes: Changes) -> None:
    """Refuse what belongs to another cluster: the lease covers this one alone."""
    owners = {instance.cluster_id for instance in changes.instances}
    owners |= {usage.cluster_id for usage in changes.usages}
    owners |= {event.cluster_id for event in changes.events}
    owners |= {reservation.cluster_id for reservation in changes.reservations}
    owners |= {computation.cluster_id for computation in changes.computations}
    if changes.cluster is not None:
        owners.add(changes.cluster.id)
    if strangers := owners - {cluster_id}:
        raise ValueError(f"a lease on cluster {cluster_id} can't save what belongs to {', '.join(sorted(strangers))}")
