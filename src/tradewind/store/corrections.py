"""What is written of clusters that have stopped: only that something of them ended later than was thought."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select, update

from tradewind.model.instance import Instance
from tradewind.model.usage import Usage
from tradewind.planning import limits
from tradewind.store import history, ledger, rows
from tradewind.store.clusters import STOPPED
from tradewind.store.database import upsert
from tradewind.store.schema import clusters, instances, usages

AT_ONCE = 500
"""Ids in one statement; SQLite takes some thousands."""


def ended(connection: Connection, ids: Set[str]) -> tuple[Instance, ...]:
    """Return those of these instances that have ended, of clusters that have stopped."""
    found: list[Instance] = []
    ordered = sorted(ids)
    for first in range(0, len(ordered), AT_ONCE):
        some = ordered[first : first + AT_ONCE]
        statement = (
            select(instances)
            .join(clusters, clusters.c.id == instances.c.cluster_id)
            .where(instances.c.id.in_(some), instances.c.stopped_at.is_not(None), clusters.c.status == STOPPED)
        )
        found += map(rows.instance_from, connection.execute(statement).mappings())
    return tuple(found)


def correct(connection: Connection, instance: Instance, mended: Sequence[Usage], now: datetime) -> None:
    """Write the instance with its usages. Several may do so at once: they say the same, but for a second."""
    connection.execute(upsert(connection, instances), [rows.instance_values(instance)])
    if mended:
        connection.execute(upsert(connection, usages), [rows.usage_values(usage) for usage in mended])
    mine = clusters.c.id == instance.cluster_id
    # Who remembers how it stood must read it anew.
    connection.execute(update(clusters).where(mine).values(revision=clusters.c.revision + 1))
    if mended:
        _settle(connection, instance.cluster_id, now)


def _settle(connection: Connection, cluster_id: str, now: datetime) -> None:
    """Let each account hold what the bill says that the cluster spent, also above a limit: it is spent."""
    bill = history.usages(connection, (cluster_id,), None, None, None)
    held = ledger.reservations_of_cluster(connection, cluster_id)
    # In the order in which everybody locks accounts.
    for one in sorted(held, key=lambda held: (held.budget_id, held.starts_at)):
        account = ledger.lock(connection, one.budget_id, one.starts_at)
        if account is None:
            continue
        spent = limits.spent(bill, account["currency"], now, account["starts_at"], account["ends_at"])
        ledger.put(connection, (replace(one, reserved=spent, spent=spent, at=now),))
        ledger.sum_up(connection, one.budget_id, one.starts_at)
