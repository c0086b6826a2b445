"""The clusters that an engine looks after: what it remembers of each, as long as nobody else may write to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tradewind.engine.clock import Clock
from tradewind.engine.rounds.held import Held
from tradewind.model.budget import Reservation
from tradewind.model.cluster import Cluster
from tradewind.planning.funds import ROUND
from tradewind.store.records import ClusterSecrets, Lease, Loaded
from tradewind.store.store import Store

LEASE = timedelta(seconds=15)
"""How long one engine owns a cluster; another takes over when it has been silent for this long."""
RENEWED = LEASE / 2
"""A lease of which less is left is renewed."""
RECENT = timedelta(minutes=10)
"""How long what ended stays in the snapshot: refusals and failures in a row are read from it."""


@dataclass(slots=True, kw_only=True)
class Leases:
    """What is held, by cluster."""

    store: Store
    clock: Clock
    holder: str
    desk: asyncio.Semaphore
    """Whoever asks the store takes a place."""
    held: dict[str, Held] = field(default_factory=dict)
    _doubted: set[str] = field(default_factory=set)
    _granted: dict[str, Lease] = field(default_factory=dict)

    def adopt(
        self, cluster: Cluster, secrets: ClusterSecrets, opening: tuple[Reservation, ...], until: datetime
    ) -> None:
        """Hold a cluster that was written down just now with a lease of ours: nothing of it needs to be read."""
        lease = Lease(cluster_id=cluster.id, holder=self.holder, epoch=0, until=until, revision=1)
        loaded = Loaded(
            cluster=cluster, instances=(), open_usages=(), secrets=secrets, reservations=opening, revision=1
        )
        self.keep(Held(lease=lease, loaded=loaded, usages=(), acted_at=self.clock.now(), has_whole_bill=True))

    def grant(self, lease: Lease) -> None:
        """Begin the next round of this one with a lease that was taken together with others'."""
        self._granted[lease.cluster_id] = lease
        self.doubt(lease.cluster_id)

    def keep(self, held: Held) -> None:
        """Remember this until the next round."""
        self.held[held.cluster.id] = held

    def forget(self, cluster_id: str) -> None:
        """It is over, or another's."""
        self.held.pop(cluster_id, None)
        self._doubted.discard(cluster_id)
        self._granted.pop(cluster_id, None)

    def doubt(self, cluster_id: str) -> None:
        """Read this one from the store at its next round: somebody else wrote to it."""
        self._doubted.add(cluster_id)

    def revision(self, cluster_id: str) -> int | None:
        """Return the revision of one that is held, without asking the store; None of others."""
        held = self.held.get(cluster_id)
        return None if held is None or cluster_id in self._doubted else held.loaded.revision

    async def take(self, cluster_id: str, now: datetime, *, afresh: bool) -> Held | None:
        """Return the cluster for one round, under a good lease; None where it is another's, or over.

        It is taken out: a round that fails anywhere leaves nothing remembered, whatever was written by then. With
        ``afresh``, or where it is doubted, the store is asked in any case.
        """
        held = self.held.pop(cluster_id, None)
        granted = self._granted.pop(cluster_id, None)
        is_doubted = afresh or cluster_id in self._doubted
        self._doubted.discard(cluster_id)
        if held is None or is_doubted or held.lease.until - now < RENEWED:
            held = await self._confirmed(cluster_id, held, now, granted if not afresh else None)
        return held.since(now - RECENT) if held is not None else None

    async def release(self, held: Held, now: datetime) -> None:
        """Give one back; others find it due at once."""
        async with self.desk:
            await self.store.release_lease(held.lease, now)

    async def renew(self) -> Iterable[str]:
        """Renew the leases of which half is gone, all in one go; return the clusters that somebody wrote to."""
        now = self.clock.now()
        old = {id_: held for id_, held in self.held.items() if held.lease.until - now < RENEWED + ROUND}
        if not old:
            return ()
        seen = [held.cluster.observed_at for held in old.values() if held.cluster.observed_at is not None]
        leases = await self.store.renew_leases(
            self.holder, tuple(old), now, now + LEASE, observed_at=min(seen, default=None)
        )
        changed = []
        for lease in leases:
            held = self.held.get(lease.cluster_id)
            if held is None or held is not old[lease.cluster_id]:
                continue  # A round began meanwhile; what it has is as good as it was.
            if (lease.epoch, lease.revision) == (held.lease.epoch, held.loaded.revision):
                self.keep(replace(held, lease=lease))
            else:
                self.doubt(lease.cluster_id)
                changed.append(lease.cluster_id)
        return changed

    async def hand_over(self) -> None:
        """Give all back, so that other engines take over at once."""
        now = self.clock.now()
        leases = list(({each: held.lease for each, held in self.held.items()} | self._granted).values())
        self.held.clear()
        self._granted.clear()
        for lease in leases:
            async with self.desk:
                await self.store.release_lease(lease, now)

    async def _confirmed(self, cluster_id: str, held: Held | None, now: datetime, lease: Lease | None) -> Held | None:
        """Return the cluster under a lease that was taken or renewed now; None where it is another's, or over."""
        async with self.desk:
            if lease is None or lease.until - now < RENEWED:
                read = held.loaded.revision if held is not None else None
                lease = await self.store.take_lease(cluster_id, self.holder, now, now + LEASE, read=read)
            if lease is None:
                return None
            is_same = held is not None and held.lease.epoch == lease.epoch
            if held is not None and is_same and held.loaded.revision == lease.revision:
                return replace(held, lease=lease)
            loaded = await self.store.load(cluster_id, ended_since=now - RECENT)
            if not loaded.cluster.status.is_live or loaded.secrets is None:
                return None
        if held is not None and is_same:
            return replace(held, lease=lease, loaded=loaded, usages=loaded.open_usages, has_whole_bill=False)
        return Held(lease=lease, loaded=loaded, usages=loaded.open_usages, acted_at=now)
