"""What an engine remembers of a cluster whose lease it has, so that a quiet round needn't read it again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tradewind.model.budget import Reservation
from tradewind.model.cluster import Cluster
from tradewind.model.instance import Instance, Role
from tradewind.model.status import StatusPage
from tradewind.model.usage import Usage
from tradewind.store.records import Changes, Lease, Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A cluster as the store has it, as long as the lease's epoch and the cluster's revision are these.

    The holder of a lease is the only writer of what the engine finds, so what it wrote itself needn't be read again.
    What people write raises the revision; then this is out of date.
    """

    lease: Lease
    """With the revision that was read: by it a save knows whether anybody wrote since, also where the lease was renewed
    in the middle of a round."""
    loaded: Loaded
    """``loaded.revision`` is the store's, unless somebody else wrote since."""
    usages: tuple[Usage, ...]
    """The open ones; all of them where it ``has_whole_bill``."""
    acted_at: datetime
    """When something was last done for it, or it was read from the store: a provider's list that was begun before
    may lack what was launched."""
    has_whole_bill: bool = False
    """Whether what it used before counts too, because something limits what it may spend."""
    pay_ahead: timedelta | None = None
    """The longest that its scheduler is told that it may live; None: for what it holds."""
    told: StatusPage | None = None
    """The page when the revision was last raised."""

    def __post_init__(self) -> None:
        if self.lease.revision != self.loaded.revision:
            object.__setattr__(self, "lease", replace(self.lease, revision=self.loaded.revision))

    @property
    def cluster(self) -> Cluster:
        """The record."""
        return self.loaded.cluster

    def is_as_written(self, cluster: Cluster) -> bool:
        """Whether ``cluster`` is what is written, but for when it was last seen, which leases write in passing."""
        return cluster is self.cluster or replace(cluster, observed_at=self.cluster.observed_at) == self.cluster

    def seen_as(self, cluster: Cluster) -> Held:
        """Return this with what a round noticed and didn't write."""
        return self if cluster is self.cluster else replace(self, loaded=replace(self.loaded, cluster=cluster))

    def written(self, changes: Changes) -> Held:
        """Return this as it is once ``changes`` were saved."""
        return replace(
            self,
            loaded=replace(
                self.loaded,
                cluster=changes.cluster or self.cluster,
                instances=_merged(self.loaded.instances, changes.instances),
                reservations=_renewed(self.loaded.reservations, changes.reservations),
                revision=self.loaded.revision + 1,
            ),
            usages=_with(self.usages, changes.usages, keeps_closed=self.has_whole_bill),
        )

    def since(self, ended_since: datetime) -> Held:
        """Return this without the workers that ended before; a long adaptive life leaves thousands."""
        instances = self.loaded.instances
        if all([i.stopped_at is None for i in instances]):
            return self
        kept = tuple(
            i for i in instances if i.stopped_at is None or i.stopped_at > ended_since or i.role is Role.SCHEDULER
        )
        return self if len(kept) == len(instances) else replace(self, loaded=replace(self.loaded, instances=kept))


def says_the_same(page: StatusPage | None, other: StatusPage | None) -> bool:
    """Whether two pages differ in nothing but the time that went by."""
    if page is None or other is None:
        return page is other
    return page == replace(
        other,
        at=page.at,
        idle_seconds=page.idle_seconds,
        no_client_seconds=page.no_client_seconds,
        computations=page.computations,
        cursor=page.cursor,
    )


def _merged(instances: tuple[Instance, ...], changed: Iterable[Instance]) -> tuple[Instance, ...]:
    """Return all of them in the order they were asked for, as the store gives them."""
    new = {i.id: i for i in changed}
    if not new:
        return instances
    merged = {i.id: i for i in instances} | new
    return tuple(sorted(merged.values(), key=lambda i: (i.requested_at, i.id)))


def _renewed(held: tuple[Reservation, ...], changed: Iterable[Reservation]) -> tuple[Reservation, ...]:
    new = {(one.budget_id, one.starts_at): one for one in changed}
    return tuple(({(one.budget_id, one.starts_at): one for one in held} | new).values()) if new else held


def _with(usages: tuple[Usage, ...], changed: Iterable[Usage], *, keeps_closed: bool) -> tuple[Usage, ...]:
    new = {(u.instance_id, u.sequence): u for u in changed}
    if not new:
        return usages
    merged = {(u.instance_id, u.sequence): u for u in usages} | new
    return tuple(u for u in merged.values() if keeps_closed or u.stopped_at is None)
