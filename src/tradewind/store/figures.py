"""How much there is, for those who run servers. One function, inside a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, func, select

from tradewind.model.instance import InstanceStatus
from tradewind.store.schema import IS_LIVE, clusters, instances, usages


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFigures:
    """What lives at one moment, in all workspaces."""

    clusters: Mapping[str, int]
    """Live ones, by status."""
    instances: Mapping[str, int]
    """Live ones of live clusters, by status."""
    leases: int
    """Live clusters that somebody looks after."""
    overdue: int
    """Live clusters whose time to be looked at has come, and that nobody has under a lease."""
    burn_per_hour: Mapping[str, Decimal]
    """What an hour costs at the present size, by currency; what has no price isn't in it."""


def figures(connection: Connection, now: datetime) -> StoreFigures:
    """Count what lives."""
    of, one = clusters.c, instances.c
    by_status = connection.execute(select(of.status, func.count()).where(IS_LIVE).group_by(of.status))
    live = select(of.id).where(IS_LIVE)
    crew = (
        select(one.status, func.count())
        .where(one.cluster_id.in_(live), one.status != InstanceStatus.STOPPED.value)
        .group_by(one.status)
    )
    held = select(func.count()).select_from(clusters).where(IS_LIVE, of.lease_until > now)
    due = select(func.count()).select_from(clusters).where(IS_LIVE, of.wake_at <= now)
    price = usages.c
    prices = (
        select(price.currency, price.price_per_hour, func.count())
        .where(price.cluster_id.in_(live), price.stopped_at.is_(None), price.price_per_hour.is_not(None))
        .group_by(price.currency, price.price_per_hour)
    )
    burn: dict[str, Decimal] = {}
    for currency, per_hour, count in connection.execute(prices):
        burn[currency] = burn.get(currency, Decimal(0)) + per_hour * count
    return StoreFigures(
        clusters={status: count for status, count in by_status},
        instances={status: count for status, count in connection.execute(crew)},
        leases=connection.execute(held).scalar_one(),
        overdue=connection.execute(due.where((of.lease_until.is_(None)) | (of.lease_until <= now))).scalar_one(),
        burn_per_hour=burn,
    )
