"""One round for one cluster: lease → load → look → plan → save → apply → save."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tradewind.boot.tls import Authority
from tradewind.engine.apply import Means, Outcome, apply
from tradewind.engine.catalogue import Catalogue
from tradewind.engine.clock import Clock
from tradewind.engine.link import Access, AgentLink
from tradewind.engine.watch import Watch
from tradewind.errors import BadRequest, FundsChanged, LeaseLost, Unavailable
from tradewind.model.cluster import Cluster, ClusterStatus
from tradewind.model.instance import Instance, InstanceStatus, ObservedInstance, Role
from tradewind.model.status import StatusPage
from tradewind.model.usage import Usage
from tradewind.planning import meter
from tradewind.planning.choose import Choice
from tradewind.planning.funds import Fund, draws, own_fund, paid_for, renewed, without_new_money
from tradewind.planning.plan import plan
from tradewind.planning.snapshot import Launch, Plan, Snapshot
from tradewind.providers.base import Provider
from tradewind.store.records import Changes, Lease, Loaded
from tradewind.store.store import Store

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=15)
"""How long one engine owns a cluster after each round; another takes over when it has been silent for this long."""
LONGEST_LIFE = timedelta(days=30)
"""The hard end of an instance, kept where it runs, where its cluster has none: its keys aren't valid for longer."""
TRIES = 5
"""How often a round decides anew because others took of the same budget."""
RECENT = timedelta(minutes=10)
"""How long what ended stays in the snapshot: refusals and failures in a row are read from it."""


@dataclass(slots=True, kw_only=True)
class Rounds:
    """Everything a round needs, shared by all clusters of one engine."""

    store: Store
    provider_of: Callable[[str], Provider]
    link: AgentLink
    clock: Clock
    new_id: Callable[[str], str]
    """Given a prefix, returns an id that was never used."""
    installation: str
    holder: str
    """Who takes the leases."""
    pages: dict[str, StatusPage] = field(default_factory=dict)
    """The last page of each cluster this engine looks after."""
    catalogue: Catalogue = field(init=False)
    _watches: dict[str, Watch] = field(default_factory=dict)
    _under_way: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(self.provider_of, self.clock)

    async def round(self, cluster_id: str) -> datetime | None:
        """Take one cluster a step further and return when to look again.

        Returns None where somebody else looks after it, or where there is nothing left to do. Safe to call at any
        time, from any number of processes, and to be killed at any await.
        """
        now = self.clock.now()
        if cluster_id in self._under_way:
            return None
        self._under_way.add(cluster_id)  # A lease keeps other holders out; this, a second round of our own.
        try:
            lease = await self.store.take_lease(cluster_id, self.holder, now, now + LEASE)
            return None if lease is None else await self._led(lease, now)
        except LeaseLost:
            log.info("cluster %s is looked after by somebody else now", cluster_id)
            return None
        finally:
            self._under_way.discard(cluster_id)

    async def sweep(self) -> int:
        """End what carries our mark and belongs to no live cluster; return how many things that were.

        The provider is listed first and the store is asked second: a cluster that is made in between has its row
        before anything of it is launched.
        """
        ended = 0
        for watch in list(self._watches.values()):
            try:
                seen = [o for o in await watch.seen(self.clock.now()) if o.status.is_live]
                live = await self.store.live_among({o.marks.cluster for o in seen})
                strays = [o for o in seen if o.marks.cluster not in live]
                if strays:
                    log.warning("ending %d instances that belong to no live cluster", len(strays))
                    await watch.provider.terminate([o.handle for o in strays])
                    ended += len(strays)
            except Unavailable as error:
                log.info("%s can't be swept now: %s", watch.provider.name, error)
        return ended

    async def _led(self, lease: Lease, now: datetime) -> datetime | None:
        loaded = await self.store.load(lease.cluster_id, ended_since=now - RECENT, now=now)
        if not loaded.cluster.status.is_live or loaded.secrets is None:
            self.pages.pop(lease.cluster_id, None)
            return None
        provider = self.provider_of(loaded.cluster.spec.provider)
        access = Access(
            cluster_id=lease.cluster_id,
            authority=loaded.secrets.authority_certificate,
            token=loaded.secrets.agent_token,
        )
        snapshot = await self._look(loaded, provider, access)
        snapshot, decided, orders = await self._decided(lease, snapshot)
        page = snapshot.page
        # Only now: a cursor that moved before its computations were kept would lose them.
        if page is not None:
            self.pages[lease.cluster_id] = page
        if decided.cluster.status is ClusterStatus.STOPPED:
            self.pages.pop(lease.cluster_id, None)

        if not _has_effects(decided):
            return decided.wake_at
        changed = {i.id: i for i in decided.instances}
        crew = [changed.get(i.id, i) for i in loaded.instances]
        means = Means(
            installation=self.installation,
            provider=provider,
            link=self.link,
            clock=self.clock,
            access=access,
            authority=Authority(certificate=loaded.secrets.authority_certificate, key=loaded.secrets.authority_key),
            paid_for=self._paid_for(
                loaded.cluster,
                renewed(snapshot.funds, decided.reservations),
                (*crew, *orders),
                snapshot.usages,
                provider,
            ),
        )
        try:
            async with asyncio.timeout((lease.until - self.clock.now()).total_seconds()):
                outcome = await apply(decided, [*orders, *decided.relaunches], crew, means)
        except TimeoutError:
            # Somebody else may act now. What was begun is seen by the next look, and the rest done again.
            raise LeaseLost(lease.cluster_id) from None
        return await self._keep(lease, loaded, decided, outcome)

    async def _decided(self, lease: Lease, snapshot: Snapshot) -> tuple[Snapshot, Plan, list[Instance]]:
        """Decide and write it down, with what it costs set aside; where others took that meanwhile, decide again."""
        for tries_left in reversed(range(TRIES)):
            now = self.clock.now()
            decided = plan(snapshot, now)
            orders = [self._row(decided.cluster, launch) for launch in decided.launches]
            try:
                await self.store.save(
                    lease,
                    Changes(
                        cluster=decided.cluster,
                        instances=(*decided.instances, *orders),
                        usages=decided.usages,
                        events=decided.events,
                        computations=snapshot.page.computations if snapshot.page is not None else (),
                        reservations=decided.reservations,
                        at=now,
                        wake_at=decided.wake_at,
                    ),
                )
            except FundsChanged as error:
                log.info("cluster %s decides again: %s", lease.cluster_id, error)
                fresh = await self.store.money.funds(snapshot.cluster, self.clock.now())
                # The last time it makes do with what it holds, so that whoever races, everybody's round ends.
                snapshot = replace(snapshot, funds=fresh if tries_left > 1 else without_new_money(fresh))
            else:
                return snapshot, decided, orders
        raise FundsChanged(f"what cluster {lease.cluster_id} holds of its budgets changed {TRIES} times in one round")

    async def _look(self, loaded: Loaded, provider: Provider, access: Access) -> Snapshot:
        cluster = loaded.cluster
        looked_at = self.clock.now()
        observed, choices = await asyncio.gather(self._observe(provider, cluster.id, looked_at), self._choices(cluster))
        contact = cluster.contact
        if contact is None and observed is not None:
            contact = next((o.contact for o in observed if o.contact and o.status.is_live), None)
        usages = loaded.open_usages
        if loaded.funds or cluster.spec.budget is not None:
            usages = tuple(await self.store.usages(cluster_ids=(cluster.id,)))
        page: StatusPage | None = None
        if contact is not None and cluster.status.rank < ClusterStatus.STOPPING.rank:
            seen = self.pages.get(cluster.id)
            try:
                page = await self.link.pull(
                    contact,
                    access,
                    cursor=seen.cursor if seen is not None else 0,
                    target_duration=cluster.intent.scaling.target_duration,
                    paid_for=self._paid_for(cluster, loaded.funds, loaded.instances, usages, provider),
                )
            except Unavailable as error:
                log.info("%s", error)
        return Snapshot(
            cluster=cluster,
            instances=loaded.instances,
            usages=usages,
            observed=observed,
            looked_at=looked_at,
            page=page,
            choices=choices,
            funds=loaded.funds,
            ends_within=provider.capabilities.ends_within,
            list_lag=provider.capabilities.list_lag,
            poll_every=provider.capabilities.poll_every,
        )

    def _paid_for(
        self,
        cluster: Cluster,
        funds: tuple[Fund, ...],
        instances: tuple[Instance, ...],
        usages: tuple[Usage, ...],
        provider: Provider,
    ) -> timedelta | None:
        """Return how long the cluster may live on what it holds, should nobody ever ask for its page again."""
        held = (*own_fund(cluster), *funds)
        if not held:
            return None
        now = self.clock.now()
        found = draws(held, instances, usages, now, seen_at=cluster.observed_at)
        return paid_for(found, now, provider.capabilities.ends_within)

    async def _observe(
        self, provider: Provider, cluster_id: str, since: datetime
    ) -> tuple[ObservedInstance, ...] | None:
        watch = self._watches.setdefault(provider.name, Watch(provider, self.clock))
        try:
            seen = await watch.seen(since)
        except Unavailable as error:
            log.info("%s can't be looked at: %s", provider.name, error)
            return None
        return tuple(o for o in seen if o.marks.cluster == cluster_id)

    async def _choices(self, cluster: Cluster) -> Mapping[Role, tuple[Choice, ...]] | None:
        """Return what could be launched. A cluster that can't grow now is looked after all the same."""
        if cluster.status.rank >= ClusterStatus.STOPPING.rank:
            return None
        try:
            return await self.catalogue.choices(cluster.spec, cluster.intent.scaling)
        except Unavailable as error:
            log.info("%s can't be asked for offers: %s", cluster.spec.provider, error)
            return None
        except BadRequest as error:
            # It was admitted, and what it needs has gone since.
            log.info("%s has no offers for %s: %s", cluster.spec.provider, cluster.id, error)
            return {}

    def _row(self, cluster: Cluster, launch: Launch) -> Instance:
        return Instance(
            id=self.new_id(launch.role.value),
            cluster_id=cluster.id,
            role=launch.role,
            order_id=self.new_id("order"),
            offer=launch.choice.offer,
            status=InstanceStatus.REQUESTED,
            requested_at=self.clock.now(),
            expires_at=cluster.expires_at or cluster.created_at + LONGEST_LIFE,
        )

    async def _keep(self, lease: Lease, loaded: Loaded, decided: Plan, outcome: Outcome) -> datetime | None:
        cluster, wake_at = decided.cluster, decided.wake_at
        if outcome.retry_after is not None:
            cluster = replace(cluster, retry_at=self.clock.now() + outcome.retry_after)
        if outcome.instances or outcome.events or cluster is not decided.cluster:
            before = {i.id: i for i in loaded.instances}
            usages = tuple(
                usage
                for after in outcome.instances
                for usage in meter.settle(before.get(after.id), after, loaded.open_usages, cluster)
            )
            await self.store.save(
                lease,
                Changes(
                    cluster=cluster,
                    instances=outcome.instances,
                    usages=usages,
                    events=outcome.events,
                    wake_at=wake_at,
                ),
            )
        return wake_at


def _has_effects(decided: Plan) -> bool:
    return bool(
        decided.launches
        or decided.relaunches
        or decided.terminations
        or decided.retire
        or decided.retire_any
        or decided.say
    )
