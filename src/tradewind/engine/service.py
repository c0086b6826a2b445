"""The client's verbs, answered by the engine on its own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence, Set
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from tradewind.boot.process import KeyPair
from tradewind.boot.tls import Authority
from tradewind.engine.admission import admit, foretold, set_aside
from tradewind.engine.clock import Clock
from tradewind.engine.doctor import examine
from tradewind.engine.engine import Engine
from tradewind.engine.environments import as_ours
from tradewind.engine.outward.stories import Stories
from tradewind.engine.rounds.peek import Peeks
from tradewind.engine.rounds.rounds import LEASE, LONGEST_LIFE
from tradewind.engine.software import noted, software_of
from tradewind.errors import BadRequest, Forbidden, FundsChanged, NotFound, OverBudget
from tradewind.model.cluster import Cluster, ClusterSpec, Intent, ScaleMemory, Scaling
from tradewind.model.computation import Computation, Insight
from tradewind.model.environment import Environment, equipment
from tradewind.model.events import Event
from tradewind.model.exchange import ClusterNews
from tradewind.model.export import Format
from tradewind.model.instance import Instance
from tradewind.model.people import AuditEntry, Caller, MemberRole
from tradewind.model.secret import Secret
from tradewind.model.status import StatusPage
from tradewind.model.usage import CostLine, Receipt, Usage
from tradewind.model.views import Check, ClusterView, DryRun
from tradewind.planning import budget, meter
from tradewind.planning.access import Action, may, refusal
from tradewind.planning.grouping import COMPUTATION, dimensions
from tradewind.planning.insights import insights
from tradewind.planning.wishes import check_keepable, check_scaling, check_software, check_spec
from tradewind.providers.base import Provider
from tradewind.store.access.audit import By
from tradewind.store.idempotency import Once
from tradewind.store.pages import Page
from tradewind.store.records import ClusterSecrets, Story
from tradewind.store.store import Store

HOUR = timedelta(hours=1)
COMPUTATIONS_AT_ONCE = 1000
"""Read from the store in one go, where all are wanted."""
GIVE_BACK_S = (0.1, 1.0, 1.5)
"""Seconds to wait before asking anew for money that others took or hold ahead."""
LONGEST_DETAIL = 500
"""Characters that the audit log keeps of what somebody said."""
POLL_S = 0.25
"""Seconds between looks for what another process changed."""
SLOW_POLL_S = 1.0
"""The same for a cluster that this process looks after: only what people want of it is changed elsewhere."""


class Service:
    """Answers who is allowed to ask; see :class:`tradewind.client.api.Api` for what each verb promises."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        clock: Clock,
        provider_of: Callable[[str], Provider],
        *,
        peeks: Peeks,
        offered: Callable[[str], Provider] | None = None,
        caller: Caller,
        new_id: Callable[[str], str],
        new_token: Callable[[], str],
    ) -> None:
        self._engine = engine
        self._store = store
        self._stories = Stories(store)
        self._clock = clock
        self._peeks = peeks
        self._provider_of = provider_of
        self._offered = offered or provider_of
        self._caller = caller
        self._workspace = caller.workspace
        self._request_id: str | None = None
        self._new_id = new_id
        self._new_token = new_token

    def as_(self, caller: Caller, request_id: str | None = None) -> Service:
        """Return the same verbs, answered for ``caller``; the audit log names the request."""
        other = copy(self)
        other._caller, other._workspace, other._request_id = caller, caller.workspace, request_id
        return other

    async def dry_run(self, spec: ClusterSpec) -> DryRun:
        """Return what :meth:`create` would launch."""
        self._refuse_unless(Action.CREATE_CLUSTER)
        check_spec(spec)
        planned = await admit(spec, self._offered(spec.provider), self._engine.rounds.catalogue)
        environment = await software_of(spec, planned, self._offered(spec.provider), self._store.environments)
        now = self._clock.now()
        await set_aside(planned, self._record(spec, "", now), self._store.money, now)
        return await foretold(noted(planned, environment), self._offered(spec.provider))

    async def create(
        self, spec: ClusterSpec, *, environment: Environment | None = None, once: Once | None = None
    ) -> Cluster:
        """Write the cluster down, with the answer to who asked for it ``once``, and start it."""
        self._refuse_unless(Action.CREATE_CLUSTER)
        check_spec(spec)
        check_keepable(environment)
        check_software(environment, is_from_afar=self._is_from_afar)
        if spec.workspace != self._workspace:
            raise BadRequest(f"this is workspace {self._workspace!r}, and the cluster is for {spec.workspace!r}")
        planned = await admit(spec, self._offered(spec.provider), self._engine.rounds.catalogue)
        if environment is not None:
            environment = as_ours(environment)
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

    async def find(self, name: str, *, live: bool = True) -> Cluster | None:
        """Return the newest cluster of this name or id."""
        self._refuse_unless(Action.SEE_WORKSPACE)
        found = await self._store.find_cluster(self._workspace, name, live=live)
        return self._shown(found) if found is not None else None

    async def view(self, cluster_id: str) -> ClusterView:
        """Return all there is to show."""
        self._refuse_unless(Action.SEE_WORKSPACE)
        story = await self._stories.of(cluster_id)
        cluster = self._within(story.cluster)
        return replace(self._view(story, cluster), page=await self._page(cluster))

    async def keys(self, cluster_id: str) -> KeyPair:
        """Return a client's keys."""
        cluster = await self._mine(cluster_id, Action.USE_CLUSTER)
        secrets = await self._store.secrets(cluster_id)
        if secrets is None:
            raise NotFound(f"cluster {cluster.name!r} has stopped ({cluster.stop_detail}); its keys are gone with it")
        authority = Authority(certificate=secrets.authority_certificate, key=secrets.authority_key)
        return authority.issue("client", self._clock.now())

    async def scale(self, cluster_id: str, scaling: Scaling, *, dismiss: Sequence[str] = ()) -> None:
        """Change how many workers are wanted, and which ones shall leave. Raises BadRequest for too many."""
        cluster = await self._mine(cluster_id, Action.CHANGE_CLUSTER)
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

        entry = self._entry("cluster.scaled", cluster, f"to {scaling.minimum}-{scaling.maximum} workers")
        await self._store.change_intent(cluster_id, change, now=self._clock.now(), entry=entry)
        self._engine.poke(cluster_id)

    async def set_environment(
        self, cluster_id: str, environment: Environment | None = None, *, compiled: str = ""
    ) -> None:
        """Change what software the workers are to have; the rounds replace those that have another."""
        cluster = await self._mine(cluster_id, Action.CHANGE_CLUSTER)
        check_keepable(environment)
        check_keepable(compiled)
        check_software(environment, is_from_afar=self._is_from_afar)
        if not cluster.status.is_live:
            raise BadRequest(f"cluster {cluster.name!r} has stopped ({cluster.stop_detail}); nothing runs on it again")
        environment = as_ours(environment) if environment is not None else None
        what = f"with the software {environment.content_hash[:12]}" if environment is not None else "with compiled code"
        entry = self._entry("cluster.equipped", cluster, what)
        await self._store.equip(cluster_id, environment, self._clock.now(), compiled=compiled, entry=entry)
        self._engine.poke(cluster_id)

    async def stop(self, cluster_id: str, detail: str = "") -> None:
        """Ask for the end of a cluster."""
        cluster = await self._mine(cluster_id, Action.CHANGE_CLUSTER)
        check_keepable(detail)
        if not cluster.status.is_live:
            return

        def change(intent: Intent) -> Intent:
            return intent if intent.stop else replace(intent, stop=True, stop_detail=detail)

        entry = self._entry("cluster.stopped", cluster, detail)
        await self._store.change_intent(cluster_id, change, now=self._clock.now(), entry=entry)
        self._engine.poke(cluster_id)

    async def wait_changed(self, cluster_id: str, revision: int, timeout_s: float) -> ClusterView:
        """Return the view as soon as its revision is past ``revision``."""
        # Before any waiting: how long it takes would tell others of a cluster that isn't theirs.
        self._refuse_unless(Action.SEE_WORKSPACE)
        await self._of_workspace(cluster_id)
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
        self._refuse_unless(Action.SEE_WORKSPACE)
        clusters = await self._store.list_clusters(self._workspace, live=live, limit=limit, cursor=cursor)
        stories = await self._stories.of_all([cluster.id for cluster in clusters])
        return Page([self._view(story, story.cluster) for story in stories], clusters.next)

    async def news(self, stopped_since: datetime) -> Sequence[ClusterNews]:
        """Return how the live clusters stand, and those that stopped not long ago."""
        self._refuse_unless(Action.SEE_WORKSPACE)
        return await self._store.news(frozenset({self._workspace}), stopped_since)

    async def events(self, cluster_id: str, *, after: int = 0) -> Sequence[tuple[int, Event]]:
        """Return the journal."""
        await self._mine(cluster_id, Action.READ_DETAIL)
        return await self._store.events(cluster_id, after=after)

    async def logs(self, cluster_id: str, *, lines: int = 1000) -> Sequence[tuple[Instance, Sequence[str]]]:
        """Return the last lines of every instance."""
        cluster = await self._mine(cluster_id, Action.READ_DETAIL)
        provider = self._provider_of(cluster.spec.provider)
        instances = [i for i in await self._store.instances(cluster_id) if i.handle is not None]
        texts = await asyncio.gather(*(provider.logs(i.handle or "", lines) for i in instances))
        return list(zip(instances, texts, strict=True))

    async def computations(
        self, cluster_id: str | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Computation]:
        """Return computations, newest first; of others only where they may be read."""
        self._refuse_unless(Action.SEE_WORKSPACE)
        if cluster_id is not None:
            await self._mine(cluster_id, Action.READ_DETAIL)
        return await self._store.computations(
            self._workspace, cluster_id=cluster_id, owners=self._readable(), limit=limit, cursor=cursor
        )

    async def computation(self, computation_id: str) -> Computation:
        """Return one."""
        self._refuse_unless(Action.SEE_WORKSPACE)
        return await self._store.computation(self._workspace, computation_id, owners=self._readable())

    async def insights(self, cluster_id: str) -> Sequence[Insight]:
        """Return what could be better."""
        cluster, computations, usages = await self._story(cluster_id)
        return insights(cluster, usages, computations, self._clock.now())

    async def usage(
        self, *, by: str = "cluster", since: datetime | None = None, until: datetime | None = None
    ) -> Sequence[CostLine]:
        """Return cost lines."""
        self._refuse_unless(Action.SEE_WORKSPACE)
        asked = dimensions(by)
        usages = await self._store.usages(workspace=self._workspace, since=since, until=until)
        readable, computations = self._readable(), []
        if COMPUTATION in asked:
            # A bill needs their names and times; their code and errors would fill the memory.
            computations = [
                replace(one, groups=(), activity_seconds={}, code=(), errors=())
                async for one in self._all_computations(owners=readable)
            ]
        return meter.cost_by(usages, computations, by, self._clock.now(), since=since, until=until, readable=readable)

    async def receipt(self, cluster_id: str) -> Receipt:
        """Return what a cluster cost up to now."""
        cluster, computations, usages = await self._story(cluster_id)
        return meter.receipt(cluster, usages, computations, self._clock.now())

    async def exported(
        self, what: Format, *, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncIterator[bytes]:
        """Return what :meth:`export` writes, piece by piece. Raises before the first piece."""
        # Imported here: hardly anybody exports, and everybody waits for a cluster's start.
        from tradewind.engine.outward.export import everything, usage_table

        self._refuse_unless(Action.EXPORT)
        if what is Format.EVERYTHING:
            if since is not None or until is not None:
                raise BadRequest("everything is everything: leave out since and until, or export usage")
            if self._caller.user_id:
                # Before the first piece: who breaks off near the end has it all the same.
                await self._store.people.record(self._audited("workspace.exported", self._workspace, "everything"))
            return everything(self._store, self._workspace, self._clock.now())
        pieces = usage_table(self._store, self._workspace, what, self._clock.now(), since, until)
        first = await anext(pieces, b"")  # what it can't do, it says now

        async def all_of() -> AsyncIterator[bytes]:
            yield first
            async for piece in pieces:
                yield piece

        return all_of()

    async def export(
        self, what: str, to: Path, *, since: datetime | None = None, until: datetime | None = None
    ) -> None:
        """Write a file."""
        pieces = await self.exported(Format(what), since=since, until=until)
        with to.open("wb") as file:
            async for piece in pieces:
                file.write(piece)  # noqa: ASYNC101 - on the engine of the one who asks

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

    def _record(
        self, spec: ClusterSpec, cluster_id: str, now: datetime, environment: Environment | None = None
    ) -> Cluster:
        return Cluster(
            id=cluster_id,
            spec=spec,
            intent=Intent(scaling=spec.scaling, equipment=equipment(environment)),
            owner=self._caller.user,
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
                    member=self._caller.user_id or None,
                    entry=self._entry("cluster.created", cluster, f"on {cluster.spec.provider}"),
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

    def _entry(self, action: str, cluster: Cluster, detail: str) -> AuditEntry | None:
        """Return what the audit log says of it; None for an engine of one's own: there is nobody to ask."""
        if not self._caller.user_id:
            return None
        about = f"{cluster.name!r} of {cluster.owner}{': ' if detail else ''}{detail[:LONGEST_DETAIL]}"
        return self._audited(action, cluster.id, about)

    def _audited(self, action: str, subject: str, detail: str) -> AuditEntry:
        by = By(user=self._caller.user, at=self._clock.now(), request_id=self._request_id)
        return by.did(action, subject, detail, workspace=self._workspace)

    def _refuse_unless(self, action: Action, *, owner: str | None = None) -> None:
        """Raise Forbidden for what this caller may not do."""
        if not may(self._caller, action, owner=owner):
            raise Forbidden(refusal(self._caller, action))

    def _readable(self) -> frozenset[str] | None:
        """Return the names of those whose computations this caller may read; None is everybody's."""
        if may(self._caller, Action.READ_DETAIL):
            return None
        mentees = self._caller.mentees if self._caller.role is MemberRole.MENTOR else frozenset()
        return mentees | {self._caller.user}

    def _shown(self, cluster: Cluster) -> Cluster:
        """Return the record as this caller may see it: of others, what runs and not how or with what in it."""
        if may(self._caller, Action.READ_DETAIL, owner=cluster.owner):
            return cluster
        closed = replace(
            cluster.spec,
            environ={},
            dask_config={},
            worker_options={},
            scheduler_options={},
            working_directory=None,
            python_path=(),
        )
        return replace(cluster, spec=closed, contact=None, environment=None)

    async def _of_workspace(self, cluster_id: str) -> Cluster:
        return self._within(await self._store.get_cluster(cluster_id))

    def _within(self, cluster: Cluster) -> Cluster:
        if cluster.spec.workspace != self._workspace:
            # The words of a cluster that isn't there: nobody learns what another workspace has.
            raise NotFound(
                f"there is no cluster {cluster.id!r} in this store; list those that are there and take its id"
            )
        return cluster

    def _view(self, story: Story, cluster: Cluster) -> ClusterView:
        limit, now = cluster.spec.budget, self._clock.now()
        return ClusterView(
            cluster=self._shown(cluster),
            instances=story.instances,
            cost=meter.cost(story.usages, now),
            budget=budget.budget_state(limit, story.usages, now) if limit is not None else None,
            page=None,
            revision=story.revision,
        )

    async def _page(self, cluster: Cluster) -> StatusPage | None:
        """Return what a scheduler says, the same whoever looks after it, to those who may see into the cluster."""
        if not may(self._caller, Action.READ_DETAIL, owner=cluster.owner):
            return None
        rounds = self._engine.rounds
        # Who keeps nothing alive looks no second time: its page would be of whenever that was.
        known = rounds.lookout.pages.get(cluster.id) if rounds.lookout.keeps_alive else None
        return known if known is not None else await self._peeks.page(cluster)

    @property
    def _is_from_afar(self) -> bool:
        """Whether who asks may be on another machine; an engine of one's own has no users."""
        return bool(self._caller.user_id)

    async def _mine(self, cluster_id: str, action: Action) -> Cluster:
        cluster = await self._of_workspace(cluster_id)
        self._refuse_unless(action, owner=cluster.owner)
        return cluster

    async def _story(self, cluster_id: str) -> tuple[Cluster, Sequence[Computation], Sequence[Usage]]:
        cluster = await self._mine(cluster_id, Action.READ_DETAIL)
        computations = [one async for one in self._all_computations(cluster_id=cluster_id)]
        return cluster, computations, await self._store.usages(cluster_ids=(cluster_id,))

    async def _all_computations(
        self, cluster_id: str | None = None, owners: Set[str] | None = None
    ) -> AsyncIterator[Computation]:
        """Yield all there are, a page at a time."""
        cursor: str | None = None
        while True:
            page = await self._store.computations(
                self._workspace, cluster_id=cluster_id, owners=owners, limit=COMPUTATIONS_AT_ONCE, cursor=cursor
            )
            for one in page:
                yield one
            if (cursor := page.next) is None:
                return
