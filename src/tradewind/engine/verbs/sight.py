"""The verbs that look at clusters."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tradewind.engine.verbs.caller import ForCaller
from tradewind.model.cluster import Cluster
from tradewind.model.events import Event
from tradewind.model.exchange import ClusterNews
from tradewind.model.instance import Instance
from tradewind.model.status import StatusPage
from tradewind.model.views import ClusterView
from tradewind.planning import budget, meter
from tradewind.planning.access import Action, may
from tradewind.store.pages import Page
from tradewind.store.records import Story

POLL_S = 0.25
"""Seconds between looks for what another process changed."""
SLOW_POLL_S = 1.0
"""The same for a cluster that this process looks after: only what people want of it is changed elsewhere."""


class Sight(ForCaller):
    """How clusters stand, as far as this caller may see."""

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
