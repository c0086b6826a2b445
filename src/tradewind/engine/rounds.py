"""One round for one cluster: lease → load → look → plan → save → apply → save; a quiet one is look → plan."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tradewind.boot.tls import Authority
from tradewind.engine.apply import Means, Outcome, apply
from tradewind.engine.catalogue import Catalogue
from tradewind.engine.clock import Clock
from tradewind.engine.held import Held, says_the_same
from tradewind.engine.limits import Limits
from tradewind.engine.link import Access, AgentLink
from tradewind.engine.watch import Listing, Watch
from tradewind.errors import BadRequest, FundsChanged, LeaseLost, TradewindError, Unavailable
from tradewind.model.cluster import Cluster, ClusterStatus
from tradewind.model.instance import Contact, Instance, InstanceStatus, ObservedInstance, Role
from tradewind.model.status import StatusPage
from tradewind.planning import meter
from tradewind.planning.choose import Choice
from tradewind.planning.draws import draws, paid_for
from tradewind.planning.funds import ROUND, Fund, funds_of, own_fund, without_new_money
from tradewind.planning.plan import plan
from tradewind.planning.settle import corrected
from tradewind.planning.snapshot import Launch, Plan, Snapshot
from tradewind.providers.base import Provider
from tradewind.store.records import Changes, Lease
from tradewind.store.store import Store

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=15)
"""How long one engine owns a cluster; another takes over when it has been silent for this long."""
RENEWED = LEASE / 2
"""A lease of which less is left is renewed."""
UNWATCHED = LEASE / 3
"""The slowest pace at which what runs quietly is looked at; a server's, for what nobody watches."""
WATCHED = timedelta(seconds=15)
"""How long after the last question somebody counts as watching."""
DESKS = 8
"""Rounds that use the store at a time: others ask it as well, and must not wait behind a thousand rounds."""
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
    sweeps: tuple[str, ...] = ()
    """Names of providers that are swept in any case; else only those that something was looked after on."""
    pace: timedelta = ROUND
    """How soon to look again at what runs quietly and nobody watches."""
    keeps_alive: bool = True
    """Whether its looks keep clusters alive; not where a program only reads, which nobody may count on to go on."""
    pages: dict[str, StatusPage] = field(default_factory=dict)
    """The last page of each cluster this engine looks after, without its computations."""
    catalogue: Catalogue = field(init=False)
    limits: Limits = field(init=False)
    _watches: dict[str, Watch] = field(default_factory=dict)
    _under_way: set[str] = field(default_factory=set)
    _held: dict[str, Held] = field(default_factory=dict)
    _doubted: set[str] = field(default_factory=set)
    _watched: dict[str, datetime] = field(default_factory=dict)
    _desk: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(DESKS))

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(self.provider_of, self.clock)
        self.limits = Limits(self.store, self.clock)

    async def round(self, cluster_id: str, *, afresh: bool = True) -> datetime | None:
        """Take one cluster a step further and return when to look again.

        Returns None where somebody else looks after it, or where there is nothing left to do. Safe to call at any
        time, from any number of processes, and to be killed at any await.

        Parameters
        ----------
        cluster_id : str
            Which one.
        afresh : bool
            Whether the store and the provider are asked anew. Without, what is remembered is used as long as the
            lease is good and nobody said that it isn't (:meth:`doubt`, :meth:`hint`): for who asks the store's
            ``due`` every second, which tells what others wrote.
        """
        now = self.clock.now()
        if cluster_id in self._under_way:
            return None
        self._under_way.add(cluster_id)  # A lease keeps other holders out; this, a second round of our own.
        # Taken out: a round that fails anywhere leaves nothing remembered, whatever was written by then.
        held = self._held.pop(cluster_id, None)
        try:
            is_doubted = afresh or cluster_id in self._doubted
            self._doubted.discard(cluster_id)
            if held is None or is_doubted or held.lease.until - now < RENEWED:
                held = await self._confirmed(cluster_id, held, now)
            if held is None:
                self._forget(cluster_id)
                return None
            await self._release_what_is_others(held)
            return await self._led(held.since(now - RECENT), since=now if afresh else None)
        except LeaseLost:
            log.info("cluster %s is looked after by somebody else now", cluster_id)
            self._forget(cluster_id)  # What its scheduler said is out of date from now on.
            return None
        finally:
            self._under_way.discard(cluster_id)

    async def _release_what_is_others(self, held: Held) -> None:
        """Give the lease back, and raise, where this engine can't look after the cluster: another may."""
        try:
            self.provider_of(held.cluster.spec.provider)
        except TradewindError:
            async with self._desk:
                await self.store.release_lease(held.lease)
            raise

    def doubt(self, cluster_id: str) -> None:
        """Read this one from the store at its next round: somebody else wrote to it."""
        self._doubted.add(cluster_id)

    def hint(self) -> None:
        """Ask providers anew at the next rounds: something may have changed there."""
        for watch in self._watches.values():
            watch.doubt()

    def watch(self, cluster_id: str) -> None:
        """Somebody waits for what changes in this cluster: until some time after, each change of its page is one."""
        self._watched[cluster_id] = self.clock.now()

    def revision(self, cluster_id: str) -> int | None:
        """Return the revision of a cluster that this engine looks after, without asking the store; None of others."""
        held = self._held.get(cluster_id)
        return None if held is None or cluster_id in self._doubted else held.loaded.revision

    async def renew(self) -> Iterable[str]:
        """Renew the leases of which half is gone, all in one go; return the clusters that somebody wrote to."""
        now = self.clock.now()
        old = {id_: held for id_, held in self._held.items() if held.lease.until - now < RENEWED + ROUND}
        if not old:
            return ()
        seen = [held.cluster.observed_at for held in old.values() if held.cluster.observed_at is not None]
        leases = await self.store.renew_leases(
            self.holder, tuple(old), now, now + LEASE, observed_at=min(seen, default=None)
        )
        changed = []
        for lease in leases:
            held = self._held.get(lease.cluster_id)
            if held is None or held is not old[lease.cluster_id]:
                continue  # A round began meanwhile; what it has is as good as it was.
            if (lease.epoch, lease.revision) == (held.lease.epoch, held.loaded.revision):
                self._held[lease.cluster_id] = replace(held, lease=lease)
            else:
                self.doubt(lease.cluster_id)
                changed.append(lease.cluster_id)
        return changed

    async def hand_over(self) -> None:
        """Give all leases back, so that other engines take over at once."""
        now = self.clock.now()
        leases = [held.lease for held in self._held.values()]
        self._held.clear()
        for lease in leases:
            async with self._desk:
                await self.store.release_lease(lease, now)

    async def sweep(self) -> int:
        """End what carries our mark and belongs to no live cluster; return how many things that were.

        The provider is listed first and the store is asked second: a cluster that is made in between has its row
        before anything of it is launched.
        """
        ended = 0
        for name in (*self._watches, *(name for name in self.sweeps if name not in self._watches)):
            watch = self._watch(self.provider_of(name))
            try:
                listing = await watch.seen(self.clock.now())
                since = listing.began - RECENT
                recent = [o for o in listing.seen if o.stopped_at is None or o.stopped_at > since]
                live = await self.store.live_among({o.marks.cluster for o in recent})
                others = [o for o in recent if o.marks.cluster not in live]
                strays = [o for o in others if o.status.is_live]
                await self._correct(others, listing.began)
                if strays:
                    log.warning("ending %d instances that belong to no live cluster", len(strays))
                    await watch.provider.terminate([o.handle for o in strays])
                    ended += len(strays)
            except Unavailable as error:
                log.info("%s can't be swept now: %s", watch.provider.name, error)
        return ended

    async def _correct(self, seen: Iterable[ObservedInstance], now: datetime) -> None:
        """Bill what a provider shows of clusters that have stopped as the provider says, not as we thought."""
        shown = {o.marks.instance: o for o in seen}
        for row in await self.store.ended_instances(shown.keys()):
            after = corrected(row, shown[row.id], now)
            if after is not row:
                log.warning("instance %s of a cluster that has stopped was there until %s", row.id, after.stopped_at)
                cluster = await self.store.get_cluster(row.cluster_id)
                await self.store.correct(after, meter.settle(row, after, (), cluster), now)

    async def _confirmed(self, cluster_id: str, held: Held | None, now: datetime) -> Held | None:
        """Return the cluster under a lease that was taken or renewed now; None where it is another's, or over."""
        async with self._desk:
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

    async def _led(self, held: Held, since: datetime | None) -> datetime | None:
        before = held.cluster
        secrets = held.loaded.secrets
        assert secrets is not None, "only what is live is held"
        provider = self.provider_of(before.spec.provider)
        access = Access(cluster_id=before.id, authority=secrets.authority_certificate, token=secrets.agent_token)
        held, funds = await self._funded(held, since)
        snapshot = await self._look(held, provider, access, since, funds)
        held, decided, orders = await self._decided(held, snapshot)
        page = snapshot.page
        # Only now: a cursor that moved before its computations were kept would lose them.
        if page is not None:
            self.pages[before.id] = replace(page, computations=()) if page.computations else page
        if _has_effects(decided):
            held = await self._act(held, decided, orders, provider, access)
        if held.cluster.status.is_live:
            self._held[before.id] = held
        else:
            self._forget(before.id)
        return decided.wake_at

    async def _funded(self, held: Held, since: datetime | None) -> tuple[Held, tuple[Fund, ...]]:
        """Return what limits the cluster's spending, and it with its whole bill where anything does."""
        now = self.clock.now()
        accounts = await self.limits.seen(since or now - ROUND, held.cluster.spec.workspace)
        funds = funds_of(held.cluster, accounts, held.loaded.reservations, now)
        if (funds or held.cluster.spec.budget is not None) and not held.has_whole_bill:
            async with self._desk:
                usages = await self.store.usages(cluster_ids=(held.cluster.id,))
            held = replace(held, usages=tuple(usages), has_whole_bill=True)
        return held, funds

    async def _decided(self, held: Held, snapshot: Snapshot) -> tuple[Held, Plan, list[Instance]]:
        """Decide and write it down, with what it costs set aside; where others took that meanwhile, decide again."""
        page = snapshot.page
        for tries_left in reversed(range(TRIES)):
            decided = plan(snapshot, self.clock.now())
            orders = [self._row(decided.cluster, launch) for launch in decided.launches]
            changes = Changes(
                cluster=decided.cluster,
                instances=(*decided.instances, *orders),
                usages=decided.usages,
                events=decided.events,
                computations=page.computations if page is not None else (),
                reservations=decided.reservations,
                wake_at=self._wake_of_others(decided, held.lease),
            )
            held = replace(held, pay_ahead=decided.pay_ahead)
            if not (_has_effects(decided) or self._is_news(held, changes, page)):
                return held.seen_as(decided.cluster), decided, orders
            try:
                async with self._desk:
                    await self.store.save(held.lease, changes)
            except FundsChanged as error:
                log.info("cluster %s decides again: %s", held.cluster.id, error)
                now = self.clock.now()
                accounts = await self.limits.seen(now, held.cluster.spec.workspace, anew=True)
                funds = funds_of(held.cluster, accounts, held.loaded.reservations, now)
                # The last time it makes do with what it holds, so that whoever races, everybody's round ends.
                snapshot = replace(snapshot, funds=funds if tries_left > 1 else without_new_money(funds))
            else:
                return replace(held.written(changes), told=page), decided, orders
        raise FundsChanged(f"what cluster {held.cluster.id} holds of its budgets changed {TRIES} times in one round")

    async def _act(self, held: Held, decided: Plan, orders: list[Instance], provider: Provider, access: Access) -> Held:
        secrets = held.loaded.secrets
        assert secrets is not None, "only what is live is held"
        if held.lease.until - self.clock.now() < RENEWED:
            # The look took long; what follows must be over before somebody else may begin.
            now = self.clock.now()
            lease = await self.store.take_lease(held.cluster.id, self.holder, now, now + LEASE)
            if lease is None or lease.epoch != held.lease.epoch:
                raise LeaseLost(held.cluster.id)
            held = replace(held, lease=lease)
        paid = await self._paid_for(held, provider)
        means = Means(
            installation=self.installation,
            provider=provider,
            link=self.link,
            clock=self.clock,
            access=access,
            authority=Authority(certificate=secrets.authority_certificate, key=secrets.authority_key),
            paid_for=None if paid is None else max(timedelta(0), paid - provider.capabilities.starts_within),
        )
        ordered = {i.id for i in orders}
        crew = [i for i in held.loaded.instances if i.id not in ordered]
        try:
            async with asyncio.timeout((held.lease.until - self.clock.now()).total_seconds()):
                outcome = await apply(decided, [*orders, *decided.relaunches], crew, means)
        except TimeoutError:
            # Somebody else may act now. What was begun is seen by the next look, and the rest done again.
            raise LeaseLost(held.cluster.id) from None
        return replace(await self._keep(held, decided, outcome), acted_at=self.clock.now())

    async def _paid_for(self, held: Held, provider: Provider) -> timedelta | None:
        """Return how long it may live on what it holds, should nobody ever ask for its page again."""
        cluster, now = held.cluster, self.clock.now()
        accounts = await self.limits.seen(now - 2 * ROUND, cluster.spec.workspace)
        funds = (*own_fund(cluster), *funds_of(cluster, accounts, held.loaded.reservations, now))
        if not funds:
            return None
        drawn = draws(funds, held.loaded.instances, held.usages, now, seen_at=cluster.observed_at)
        return paid_for(drawn, now, provider.capabilities.ends_within)

    def _is_news(self, held: Held, changes: Changes, page: StatusPage | None) -> bool:
        """Whether a round found anything that is worth a write."""
        if changes.instances or changes.usages or changes.events or changes.computations or changes.reservations:
            return True
        if changes.cluster is not None and not held.is_as_written(changes.cluster):
            return True
        return self._is_watched(held.cluster.id) and not says_the_same(held.told, page)

    def _wake_of_others(self, decided: Plan, lease: Lease) -> datetime | None:
        """Return when anybody but us must look: what we do before that, we know by ourselves.

        Whatever makes this moment earlier in the store was written by people, and ``due`` tells us of it.
        """
        return None if decided.wake_at is None else max(decided.wake_at, lease.until)

    def _is_watched(self, cluster_id: str) -> bool:
        asked_at = self._watched.get(cluster_id)
        return asked_at is not None and self.clock.now() < asked_at + WATCHED

    def _forget(self, cluster_id: str) -> None:
        self.pages.pop(cluster_id, None)
        self._watched.pop(cluster_id, None)
        self._doubted.discard(cluster_id)
        self.link.forget(cluster_id)

    async def _look(
        self, held: Held, provider: Provider, access: Access, since: datetime | None, funds: tuple[Fund, ...]
    ) -> Snapshot:
        """Return what there is to see; of the provider, as of ``since``, or recent enough for what we did."""
        cluster, now = held.cluster, self.clock.now()
        is_up = cluster.contact is not None
        paid = await self._paid_for(held, provider)
        said = paid if paid is None or held.pay_ahead is None else min(paid, held.pay_ahead)
        listing, choices, page = await asyncio.gather(
            self._observe(provider, since or max(held.acted_at, now - provider.capabilities.poll_every)),
            self._choices(cluster),
            self._page(cluster, cluster.contact, access, said),
        )
        observed = listing.of(cluster.id) if listing is not None else None
        # One that didn't answer may have heard us, or keep to what it was told before: both are paid for.
        told = (said if page is not None and self.keeps_alive else paid) if is_up else None
        if not is_up and observed is not None:
            contact = next((o.contact for o in observed if o.contact and o.status.is_live), None)
            page = await self._page(cluster, contact, access, said)
            told = said if page is not None and self.keeps_alive else None
        return Snapshot(
            cluster=cluster,
            instances=held.loaded.instances,
            usages=held.usages,
            observed=observed,
            looked_at=listing.began if listing is not None else now,
            is_shared_look=listing is not None and listing.began < now,
            page=page,
            choices=choices,
            funds=funds,
            starts_within=provider.capabilities.starts_within,
            ends_within=provider.capabilities.ends_within,
            told=None if told is None else min(told, cluster.spec.lifetimes.orphan),
            told_at=now,
            list_lag=provider.capabilities.list_lag,
            poll_every=provider.capabilities.poll_every,
            pace=min(self.pace, ROUND) if self._is_watched(cluster.id) else self.pace,
        )

    async def _page(
        self, cluster: Cluster, contact: Contact | None, access: Access, paid: timedelta | None
    ) -> StatusPage | None:
        if contact is None or cluster.status.rank >= ClusterStatus.STOPPING.rank:
            return None
        seen = self.pages.get(cluster.id)
        try:
            return await self.link.pull(
                contact,
                access,
                cursor=seen.cursor if seen is not None else 0,
                target_duration=cluster.intent.scaling.target_duration,
                paid_for=paid,
                renews=self.keeps_alive,
            )
        except Unavailable as error:
            log.info("%s", error)
            return None

    async def _observe(self, provider: Provider, since: datetime) -> Listing | None:
        try:
            return await self._watch(provider).seen(since)
        except Unavailable as error:
            log.info("%s can't be looked at: %s", provider.name, error)
            return None

    def _watch(self, provider: Provider) -> Watch:
        if provider.name not in self._watches:
            self._watches[provider.name] = Watch(provider, self.clock)
        return self._watches[provider.name]

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

    async def _keep(self, held: Held, decided: Plan, outcome: Outcome) -> Held:
        cluster = held.cluster
        if outcome.retry_after is not None:
            cluster = replace(cluster, retry_at=self.clock.now() + outcome.retry_after)
        if not (outcome.instances or outcome.events or cluster is not held.cluster):
            return held
        before = {i.id: i for i in held.loaded.instances}
        usages = tuple(
            usage
            for after in outcome.instances
            for usage in meter.settle(before.get(after.id), after, held.usages, cluster)
        )
        changes = Changes(
            cluster=cluster,
            instances=outcome.instances,
            usages=usages,
            events=outcome.events,
            wake_at=self._wake_of_others(decided, held.lease),
        )
        async with self._desk:
            await self.store.save(held.lease, changes)
        return held.written(changes)


def _has_effects(decided: Plan) -> bool:
    return bool(
        decided.launches
        or decided.relaunches
        or decided.terminations
        or decided.retire
        or decided.retire_any
        or decided.say
    )
