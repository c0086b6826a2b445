"""The verbs that make, change, end and show clusters; the rounds see to what they write down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tradewind.boot.process import KeyPair
from tradewind.boot.tls import Authority
from tradewind.engine.access.asker import Asker
from tradewind.engine.admission import admit, foretold, set_aside
from tradewind.engine.clock import Clock
from tradewind.engine.deposits import Deposits
from tradewind.engine.doctor import examine
from tradewind.engine.engine import Engine
from tradewind.engine.environments import as_ours
from tradewind.engine.outward.stories import Stories
from tradewind.engine.rounds.peek import Peeks
from tradewind.engine.rounds.rounds import LEASE, LONGEST_LIFE
from tradewind.engine.software import noted, software_of
from tradewind.errors import BadRequest, FundsChanged, NotFound, OverBudget, TradewindError, Unavailable
from tradewind.model.cluster import Cluster, ClusterSpec, Intent, ScaleMemory, Scaling
from tradewind.model.environment import Environment, equipment
from tradewind.model.events import Event
from tradewind.model.exchange import ClusterNews
from tradewind.model.instance import Instance
from tradewind.model.secret import Secret
from tradewind.model.status import StatusPage
from tradewind.model.views import Check, ClusterView, DryRun
from tradewind.planning import budget, meter
from tradewind.planning.access import Action, may
from tradewind.planning.wishes import check_compiled, check_keepable, check_scaling, check_software, check_spec
from tradewind.providers.base import Provider
from tradewind.store.idempotency import Once
from tradewind.store.pages import Page
from tradewind.store.records import ClusterSecrets, Story
from tradewind.store.store import Store

HOUR = timedelta(hours=1)
GIVE_BACK_S = (0.1, 1.0, 1.5)
"""Seconds to wait before asking anew for money that others took or hold ahead."""
POLL_S = 0.25
"""Seconds between looks for what another process changed."""
SLOW_POLL_S = 1.0
"""The same for a cluster that this process looks after: only what people want of it is changed elsewhere."""


class Clusters:
    """Answers who is allowed to ask; see :class:`tradewind.client.api.Api` for what each verb promises."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        clock: Clock,
        provider_of: Callable[[str], Provider],
        *,
        asker: Asker,
        deposits: Deposits,
        peeks: Peeks,
        offered: Callable[[str], Provider] | None = None,
        new_id: Callable[[str], str],
        new_token: Callable[[], str],
    ) -> None:
        self._engine = engine
        self._store = store
        self._stories = Stories(store)
        self._clock = clock
        self._asker = asker
        self._deposits = deposits
        self._peeks = peeks
        self._provider_of = provider_of
        self._offered = offered or provider_of
        self._new_id = new_id
        self._new_token = new_token

    async def dry_run(self, spec: ClusterSpec) -> DryRun:
        """Return what :meth:`create` would launch."""
        self._asker.refuse_unless(Action.CREATE_CLUSTER)
        check_spec(spec)
        planned = await admit(spec, self._provider_for(spec), self._engine.rounds.catalogue)
        environment = await software_of(spec, planned, self._offered(spec.provider), self._store.environments)
        now = self._clock.now()
        await set_aside(planned, self._record(spec, "", now), self._store.money, now)
        return await foretold(noted(planned, environment), self._provider_for(spec))

    async def create(
        self, spec: ClusterSpec, *, environment: Environment | None = None, once: Once | None = None
    ) -> Cluster:
        """Write the cluster down, with the answer to who asked for it ``once``, and start it."""
        self._asker.refuse_unless(Action.CREATE_CLUSTER)
        check_spec(spec)
        check_keepable(environment)
        check_software(environment, is_from_afar=self._asker.is_from_afar)
        if spec.workspace != self._asker.workspace:
            raise BadRequest(f"this is workspace {self._asker.workspace!r}, and the cluster is for {spec.workspace!r}")
        planned = await admit(spec, self._provider_for(spec), self._engine.rounds.catalogue)
        if environment is not None and spec.software is None:
            mine = self._asker.caller.user
            environment = await self._deposits.found(as_ours(environment), spec.provider, mine)
        if spec.software is not None:
            environment = await software_of(spec, planned, self._offered(spec.provider), self._store.environments)
        now = self._clock.now()
        cluster_id = self._new_id("tw")
        lifetime = spec.lifetimes.total or LONGEST_LIFE
        authority = Authority.create(cluster_id, now, lifetime + HOUR)
        cluster = self._record(spec, cluster_id, now, environment)
        secrets = ClusterSecrets(
            authority_certificate=authority.certificate,
            authority_key=authority.key,
            agent_token=Secret(self._new_token()),
        )
        await self._paid(cluster, secrets, planned, once)
        self._engine.begin(cluster_id)
        return cluster

    async def scale(self, cluster_id: str, scaling: Scaling, *, dismiss: Sequence[str] = ()) -> None:
        """Change how many workers are wanted, and which ones shall leave. Raises BadRequest for too many."""
        cluster = await self._asker.mine(cluster_id, Action.CHANGE_CLUSTER)
        check_scaling(scaling)
        check_keepable(list(dismiss))
        await self._engine.rounds.catalogue.choices(cluster.spec, scaling)

        # What isn't there can't leave: a list that only grows would be read and written ever after.
        there = await self._store.instances(cluster_id) if dismiss else ()
        leave = {i.id for i in there if i.status.is_live} & set(dismiss)
        gone = {i.id for i in there if not i.status.is_live}

        def change(intent: Intent) -> Intent:
            left = (one for one in (*intent.dismiss, *sorted(leave)) if one not in gone)
            return replace(intent, scaling=scaling, dismiss=tuple(dict.fromkeys(left)))

        entry = self._asker.entry("cluster.scaled", cluster, f"to {scaling.minimum}-{scaling.maximum} workers")
        await self._store.change_intent(cluster_id, change, now=self._clock.now(), entry=entry)
        self._engine.poke(cluster_id)

    async def set_environment(
        self, cluster_id: str, environment: Environment | None = None, *, compiled: str = ""
    ) -> None:
        """Change what software the workers are to have; the rounds replace those that have another."""
        # Whoever says what is installed runs code there, with the credentials of whoever it belongs to.
        cluster = await self._asker.mine(cluster_id, Action.USE_CLUSTER)
        check_keepable(environment)
        check_compiled(compiled)
        check_software(environment, is_from_afar=self._asker.is_from_afar)
        if not cluster.status.is_live:
            raise BadRequest(f"cluster {cluster.name!r} has stopped ({cluster.stop_detail}); nothing runs on it again")
        if environment is not None:
            environment = await self._deposits.found(as_ours(environment), cluster.spec.provider, cluster.owner)
        what = f"with the software {environment.content_hash[:12]}" if environment is not None else "with compiled code"
        entry = self._asker.entry("cluster.equipped", cluster, what)
        await self._store.equip(cluster_id, environment, self._clock.now(), compiled=compiled, entry=entry)
        self._engine.poke(cluster_id)

    async def stop(self, cluster_id: str, detail: str = "") -> None:
        """Ask for the end of a cluster.

        Raises
        ------
        Unavailable
            It was asked for, and this is the engine that would see to it, and has no way to the cluster's provider.
        """
        cluster = await self._asker.mine(cluster_id, Action.CHANGE_CLUSTER)
        check_keepable(detail)
        if not cluster.status.is_live:
            return

        def change(intent: Intent) -> Intent:
            return intent if intent.stop else replace(intent, stop=True, stop_detail=detail)

        entry = self._asker.entry("cluster.stopped", cluster, detail)
        await self._store.change_intent(cluster_id, change, now=self._clock.now(), entry=entry)
        self._engine.poke(cluster_id)
        if not self._asker.is_from_afar:
            self._check_end(cluster)

    def _check_end(self, cluster: Cluster) -> None:
        try:
            self._offered(cluster.spec.provider)
        except TradewindError as error:
            minutes = cluster.spec.lifetimes.orphan.total_seconds() / 60
            raise Unavailable(
                f"cluster {cluster.name!r} was told to stop and can't be ended from here: {error}. Once that is set up "
                f"again, stop it anew; what may run ends by itself when nobody looked after it for {minutes:.0f} min"
            ) from None

    async def keys(self, cluster_id: str) -> KeyPair:
        """Return a client's keys."""
        cluster = await self._asker.mine(cluster_id, Action.USE_CLUSTER)
        secrets = await self._store.secrets(cluster_id)
        if secrets is None:
            raise NotFound(f"cluster {cluster.name!r} has stopped ({cluster.stop_detail}); its keys are gone with it")
        authority = Authority(certificate=secrets.authority_certificate, key=secrets.authority_key)
        return authority.issue("client", self._clock.now())

    def _provider_for(self, spec: ClusterSpec) -> Provider:
        """Return who is asked for offers. Raises BadRequest for options that aren't the caller's to choose."""
        if spec.backend_options and self._asker.is_from_afar:
            raise BadRequest(
                "backend_options are for an engine of your own: on a server its operator says how jobs are run and who "
                "is charged, so leave them out"
            )
        return self._offered(spec.provider).configured(spec.backend_options)

    def _record(
        self, spec: ClusterSpec, cluster_id: str, now: datetime, environment: Environment | None = None
    ) -> Cluster:
        return Cluster(
            id=cluster_id,
            spec=spec,
            intent=Intent(scaling=spec.scaling, equipment=equipment(environment)),
            owner=self._asker.caller.user,
            created_at=now,
            scale=ScaleMemory(wanted=spec.scaling.initial),
            expires_at=now + (spec.lifetimes.total or LONGEST_LIFE),
            environment=environment,
        )

    async def _paid(self, cluster: Cluster, secrets: ClusterSecrets, planned: DryRun, once: Once | None) -> None:
        """Write the cluster down together with what it needs for its first moments."""
        for wait_s in (*GIVE_BACK_S, None):
            now = self._clock.now()
            opening = await set_aside(planned, cluster, self._store.money, now)
            try:
                until = now + LEASE
                await self._store.create_cluster(
                    cluster,
                    secrets,
                    holder=self._engine.rounds.holder,
                    until=until,
                    opening=opening,
                    member=self._asker.caller.user_id or None,
                    entry=self._asker.entry("cluster.created", cluster, f"on {cluster.spec.provider}"),
                    once=once,
                )
            except FundsChanged as error:
                if wait_s is None:
                    raise OverBudget(
                        f"there is money, and others hold it ahead or took it just now ({error}); try again in a moment"
                    ) from None
            else:
                self._engine.rounds.leases.adopt(cluster, secrets, opening, until)
                return
            # Others hold ahead what is enough for all; each gives of it at its next round.
            await asyncio.sleep(wait_s)

    async def find(self, name: str, *, live: bool = True) -> Cluster | None:
        """Return the newest cluster of this name or id."""
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        found = await self._store.find_cluster(self._asker.workspace, name, live=live)
        return self._asker.shown(found) if found is not None else None

    async def view(self, cluster_id: str) -> ClusterView:
        """Return all there is to show."""
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        story = await self._stories.of(cluster_id)
        cluster = self._asker.within(story.cluster)
        return replace(self._view(story, cluster), page=await self._page(cluster))

    async def wait_changed(self, cluster_id: str, revision: int, timeout_s: float) -> ClusterView:
        """Return the view as soon as its revision is past ``revision``."""
        # Before any waiting: how long it takes would tell others of a cluster that isn't theirs.
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        await self._asker.of_workspace(cluster_id)
        until = self._clock.now() + timedelta(seconds=timeout_s)
        asked_at = self._clock.now()
        while (left := (until - self._clock.now()).total_seconds()) > 0:
            self._engine.watch(cluster_id)
            known = self._engine.rounds.leases.revision(cluster_id)
            # What we look after, we know; the store is asked about what others do, less often where that is little.
            if known is None or self._clock.now() >= asked_at + timedelta(seconds=SLOW_POLL_S):
                asked_at = self._clock.now()
                known = await self._store.revision(cluster_id)
            if known > revision:
                break
            await self._engine.changed(min(left, POLL_S), cluster_id)
        return await self.view(cluster_id)

    async def list_clusters(
        self, *, live: bool | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[ClusterView]:
        """Return clusters, newest first; after those of the page whose ``next`` is ``cursor``. None has its page."""
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        clusters = await self._store.list_clusters(self._asker.workspace, live=live, limit=limit, cursor=cursor)
        stories = await self._stories.of_all([cluster.id for cluster in clusters])
        return Page([self._view(story, story.cluster) for story in stories], clusters.next)

    async def news(self, stopped_since: datetime) -> Sequence[ClusterNews]:
        """Return how the live clusters stand, and those that stopped not long ago."""
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        return await self._store.news(frozenset({self._asker.workspace}), stopped_since)

    async def events(self, cluster_id: str, *, after: int = 0) -> Sequence[tuple[int, Event]]:
        """Return the journal."""
        await self._asker.mine(cluster_id, Action.READ_DETAIL)
        return await self._store.events(cluster_id, after=after)

    async def logs(self, cluster_id: str, *, lines: int = 1000) -> Sequence[tuple[Instance, Sequence[str]]]:
        """Return the last lines of every instance."""
        cluster = await self._asker.mine(cluster_id, Action.READ_DETAIL)
        provider = self._provider_of(cluster.spec.provider)
        instances = [i for i in await self._store.instances(cluster_id) if i.handle is not None]
        texts = await asyncio.gather(*(provider.logs(i.handle or "", lines) for i in instances))
        return list(zip(instances, texts, strict=True))

    def _view(self, story: Story, cluster: Cluster) -> ClusterView:
        limit, now = cluster.spec.budget, self._clock.now()
        return ClusterView(
            cluster=self._asker.shown(cluster),
            instances=story.instances,
            cost=meter.cost(story.usages, now),
            budget=budget.budget_state(limit, story.usages, now) if limit is not None else None,
            page=None,
            revision=story.revision,
        )

    async def _page(self, cluster: Cluster) -> StatusPage | None:
        """Return what a scheduler says, the same whoever looks after it, to those who may see into the cluster."""
        if not may(self._asker.caller, Action.READ_DETAIL, owner=cluster.owner):
            return None
        rounds = self._engine.rounds
        # Who keeps nothing alive looks no second time: its page would be of whenever that was.
        known = rounds.lookout.pages.get(cluster.id) if rounds.lookout.keeps_alive else None
        return known if known is not None else await self._peeks.page(cluster)

    async def doctor(self) -> Sequence[Check]:
        """Check this machine, the store and each provider."""
        return await examine(self._store, self._provider_of)

    async def settle(self, timeout_s: float) -> None:
        """Look once at what nobody looks after, for programs too short-lived to do it in passing."""
        now = self._clock.now()
        overdue = await self._store.due(now, holder=self._engine.rounds.holder)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(self._engine.rounds.round(c) for c in overdue), return_exceptions=True)
        except TimeoutError:
            return
