"""One round for one cluster: lease → load → look → plan → save → apply → save; a quiet one is look → plan."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field, replace
from datetime import datetime, timedelta

from tradewind.boot.tls import Authority
from tradewind.config import SoftwareSettings
from tradewind.engine.clock import Clock
from tradewind.engine.depot import Depots
from tradewind.engine.link import Access, AgentLink
from tradewind.engine.rounds.apply import Means, Outcome, apply
from tradewind.engine.rounds.catalogue import Catalogue
from tradewind.engine.rounds.held import Held, says_the_same
from tradewind.engine.rounds.leases import LEASE, RENEWED, Leases
from tradewind.engine.rounds.lookout import Lookout
from tradewind.engine.rounds.sweep import Sweep
from tradewind.engine.rounds.told import Told
from tradewind.engine.spending.limits import Limits
from tradewind.errors import FundsChanged, LeaseLost, TradewindError
from tradewind.model.cluster import Cluster
from tradewind.model.events import Event, Level
from tradewind.model.instance import Instance, InstanceStatus
from tradewind.model.status import StatusPage
from tradewind.planning import meter
from tradewind.planning.draws import draws, paid_for
from tradewind.planning.funds import ROUND, Fund, funds_of, own_fund, without_new_money
from tradewind.planning.plan import plan
from tradewind.planning.snapshot import Launch, Plan, Snapshot
from tradewind.providers.base import Provider
from tradewind.store.records import Changes, Lease
from tradewind.store.store import Store

__all__ = ["LEASE", "LONGEST_LIFE", "RENEWED", "UNWATCHED", "Rounds"]

log = logging.getLogger(__name__)

UNWATCHED = LEASE / 3
"""The slowest pace at which what runs quietly is looked at; a server's, for what nobody watches."""
DESKS = 8
"""Rounds that use the store at a time: others ask it as well, and must not wait behind a thousand rounds."""
LONGEST_LIFE = timedelta(days=30)
"""The hard end of an instance, kept where it runs, where its cluster has none: its keys aren't valid for longer."""
LEFT_TO_OTHERS = timedelta(minutes=1)
"""How long clusters of a provider are left to other engines that this one has found that it can't use."""
TRIES = 5
"""How often a round decides anew because others took of the same budget."""


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
    depots: Depots = field(default_factory=lambda: Depots(SoftwareSettings()))
    """Where what machines fetch is kept; default nowhere."""
    sweeps: tuple[str, ...] = ()
    """Names of providers that are swept in any case; else only those that something was looked after on."""
    pace: timedelta = ROUND
    """How soon to look again at what runs quietly and nobody watches."""
    keeps_alive: InitVar[bool] = True
    """Whether its looks keep clusters alive; not where a program only reads, which nobody may count on to go on."""
    catalogue: Catalogue = field(init=False)
    limits: Limits = field(init=False)
    leases: Leases = field(init=False)
    lookout: Lookout = field(init=False)
    told: Told = field(default_factory=Told)
    """What clusters' people were told of what goes wrong at each round."""
    _under_way: set[str] = field(default_factory=set)
    _others: dict[str, datetime] = field(default_factory=dict)
    _desk: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(DESKS))

    def __post_init__(self, keeps_alive: bool) -> None:
        self.catalogue = Catalogue(self.provider_of, self.clock)
        self.limits = Limits(self.store, self.clock)
        self.leases = Leases(store=self.store, clock=self.clock, holder=self.holder, desk=self._desk)
        self.lookout = Lookout(link=self.link, clock=self.clock, catalogue=self.catalogue, keeps_alive=keeps_alive)

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
            lease is good and nobody said that it isn't (:meth:`Leases.doubt`, :meth:`Lookout.hint`): for who asks the
            store's ``due`` every second, which tells what others wrote.
        """
        now = self.clock.now()
        if cluster_id in self._under_way:
            return None
        self._under_way.add(cluster_id)  # A lease keeps other holders out; this, a second round of our own.
        try:
            held = await self.leases.take(cluster_id, now, afresh=afresh)
            if held is None:
                self._forget(cluster_id)
                return None
            await self._release_what_is_others(held)
            return await self._led(held, since=now if afresh else None)
        except LeaseLost as error:
            log.info("cluster %s is let go: %s", cluster_id, error)
            self._forget(cluster_id)  # What its scheduler said is out of date from now on.
            return None
        finally:
            self._under_way.discard(cluster_id)

    async def _release_what_is_others(self, held: Held) -> None:
        """Give the lease back where this engine can't look after the cluster: another may. Raises LeaseLost then."""
        cluster = held.cluster
        name = cluster.spec.provider
        try:
            self.provider_of(name)
        except TradewindError as error:
            now = self.clock.now()
            self._others[name] = now + LEFT_TO_OTHERS
            if self.told.is_news(cluster.id, str(error)):
                log.warning("cluster %r can't be looked after here: %s", cluster.name, error)
            await self.leases.release(held, now)
            raise LeaseLost("it is left to others") from None
        self._others.pop(name, None)

    def left_to_others(self, now: datetime) -> tuple[str, ...]:
        """Return the providers whose clusters this engine couldn't look after lately; they needn't be asked for."""
        return tuple(name for name, until in self._others.items() if until > now)

    async def sweep(self) -> int:
        """End what carries our mark and belongs to no live cluster; return how many things that were."""
        sweep = Sweep(
            store=self.store,
            provider_of=self.provider_of,
            lookout=self.lookout,
            clock=self.clock,
            always=self.sweeps,
        )
        return await sweep.run()

    async def _led(self, held: Held, since: datetime | None) -> datetime | None:
        before = held.cluster
        secrets = held.loaded.secrets
        assert secrets is not None, "only what is live is held"
        provider = self.provider_of(before.spec.provider)
        access = Access(cluster_id=before.id, authority=secrets.authority_certificate, token=secrets.agent_token)
        held, funds = await self._funded(held, since)
        paid = await self._paid_for(held, provider)
        snapshot = await self.lookout.look(held, provider, access, since=since, funds=funds, paid=paid, pace=self.pace)
        held, decided, orders = await self._decided(held, snapshot)
        # Only now: a cursor that moved before its computations were kept would lose them.
        self.lookout.keep(before.id, snapshot.page)
        if _has_effects(decided):
            held = await self._act(held, decided, orders, provider, access)
        if held.cluster.status.is_live:
            self.leases.keep(held)
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
            read = held.loaded.revision
            lease = await self.store.take_lease(held.cluster.id, self.holder, now, now + LEASE, read=read)
            if lease is None or lease.epoch != held.lease.epoch:
                raise LeaseLost("somebody else looks after it now")
            held = replace(held, lease=lease)
        paid = await self._paid_for(held, provider)
        means = Means(
            installation=self.installation,
            provider=provider,
            link=self.link,
            clock=self.clock,
            access=access,
            authority=Authority(certificate=secrets.authority_certificate, key=secrets.authority_key),
            depots=self.depots,
            told=self.told,
            paid_for=None if paid is None else max(timedelta(0), paid - provider.capabilities.starts_within),
        )
        ordered = {i.id for i in orders}
        crew = [i for i in held.loaded.instances if i.id not in ordered]
        try:
            async with asyncio.timeout((held.lease.until - self.clock.now()).total_seconds()) as limit:
                outcome = await apply(decided, [*orders, *decided.relaunches], crew, means)
        except TimeoutError:
            if not limit.expired():
                raise  # of whoever let one out, and a fault there
            # Somebody else may act now. What was begun is seen by the next look, and the rest done again.
            await self._ran_out(held, decided, provider)
            raise LeaseLost("its lease ran out before the round was over") from None
        return replace(await self._keep(held, decided, outcome), acted_at=self.clock.now())

    async def _ran_out(self, held: Held, decided: Plan, provider: Provider) -> None:
        """Tell that a round took longer than its lease: each may, and then nothing ever comes of any."""
        cluster = held.cluster
        what = "launching" if decided.launches or decided.relaunches else "ending machines"
        log.warning("cluster %s: the lease ran out while %s on %s", cluster.id, what, provider.name)
        words = (
            f"{what.capitalize()} on {provider.name} took longer than one round may ({LEASE.total_seconds():.0f} s at "
            "most). What was begun is looked for, and the rest is asked for again."
        )
        if not self.told.is_news(cluster.id, words):
            return
        event = Event(
            at=self.clock.now(), cluster_id=cluster.id, kind="round.too_long", message=words, level=Level.WARNING
        )
        changes = Changes(events=(event,), wake_at=self._wake_of_others(decided, held.lease))
        async with self._desk:
            await self.store.save(held.lease, changes)  # while nobody has taken over, what ran out is good for words

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
        return self.lookout.is_watched(held.cluster.id) and not says_the_same(held.told, page)

    def _wake_of_others(self, decided: Plan, lease: Lease) -> datetime | None:
        """Return when anybody but us must look: what we do before that, we know by ourselves.

        Whatever makes this moment earlier in the store was written by people, and ``due`` tells us of it.
        """
        return None if decided.wake_at is None else max(decided.wake_at, lease.until)

    def _forget(self, cluster_id: str) -> None:
        self.leases.forget(cluster_id)
        self.lookout.forget(cluster_id)

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
            equipment=cluster.intent.equipment,
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
