"""What is written of clusters that have stopped: only that something of them ended later than was thought."""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime

from sqlalchemy import Connection, select, update

from tradewind.model.instance import Instance
from tradewind.model.usage import Usage
from tradewind.store import rows
from tradewind.store.clusters import STOPPED
from tradewind.store.schema import clusters, instances, usages
from tradewind.store.spending import settlement
from tradewind.store.sql.database import upsert

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
    """Write the instance with its usages, and what its cluster therefore spent of its budgets.

    Several may do so at once: they say the same, but for a second.
    """
    connection.execute(upsert(connection, instances), [rows.instance_values(instance)])
    # Who remembers how it stood must read it anew.
    mine = clusters.c.id == instance.cluster_id
    connection.execute(update(clusters).where(mine).values(revision=clusters.c.revision + 1))
    if not mended:
        return
    connection.execute(upsert(connection, usages), [rows.usage_values(usage) for usage in mended])
    settlement.settle(connection, instance.cluster_id, mended[0].workspace, now)
