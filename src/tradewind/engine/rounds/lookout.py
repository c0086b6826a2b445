"""What an engine sees of clusters: the lists of providers, the pages of schedulers, and what could be launched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tradewind.engine.clock import Clock
from tradewind.engine.link import Access, AgentLink
from tradewind.engine.rounds.catalogue import Catalogue
from tradewind.engine.rounds.held import Held
from tradewind.engine.rounds.watch import Listing, Watch
from tradewind.errors import BadRequest, Unavailable
from tradewind.model.cluster import Cluster, ClusterStatus
from tradewind.model.instance import Contact, Role
from tradewind.model.status import StatusPage
from tradewind.planning.choose import Choice
from tradewind.planning.funds import ROUND, Fund
from tradewind.planning.snapshot import Snapshot
from tradewind.providers.base import Provider

log = logging.getLogger(__name__)

WATCHED = timedelta(seconds=15)
"""How long after the last question somebody counts as watching."""


@dataclass(slots=True, kw_only=True)
class Lookout:
    """Looks, and remembers the last of what it saw."""

    link: AgentLink
    clock: Clock
    catalogue: Catalogue
    keeps_alive: bool = True
    """Whether its looks keep clusters alive; not where a program only reads, which nobody may count on to go on."""
    pages: dict[str, StatusPage] = field(default_factory=dict)
    """The last page of each cluster this engine looks after, without its computations."""
    _watches: dict[str, Watch] = field(default_factory=dict)
    _watched: dict[str, datetime] = field(default_factory=dict)

    async def look(
        self,
        held: Held,
        provider: Provider,
        access: Access,
        *,
        since: datetime | None,
        funds: tuple[Fund, ...],
        paid: timedelta | None,
        pace: timedelta,
    ) -> Snapshot:
        """Return what there is to see of a cluster.

        Parameters
        ----------
        held : Held
            As it is written.
        provider : Provider
            Its own.
        access : Access
            To its agent.
        since : datetime, optional
            How old the provider's list may be; None is recent enough for what we did.
        funds : tuple of Fund
            What limits its spending.
        paid : timedelta, optional
            How long its scheduler may live on what it holds; None is as long as its orphan timeout.
        pace : timedelta
            How soon to look again where nobody watches and nothing changes.
        """
        cluster, now, can = held.cluster, self.clock.now(), provider.capabilities
        said = paid if paid is None or held.pay_ahead is None else min(paid, held.pay_ahead)
        listing, choices, page = await asyncio.gather(
            self._list(provider, since or max(held.acted_at, now - can.poll_every)),
            self._choices(cluster),
            self._page(cluster, cluster.contact, access, said),
        )
        observed = listing.of(cluster.id) if listing is not None else None
        if cluster.contact is None and observed is not None:
            contact = next((o.contact for o in observed if o.contact and o.status.is_live), None)
            page = await self._page(cluster, contact, access, said)
        # One that didn't answer may have heard us, or keep to what it was told before, be it with its order: both are
        # paid for.
        told = said if page is not None and self.keeps_alive else paid
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
            starts_within=can.starts_within,
            ends_within=can.ends_within,
            told=None if told is None else min(told, cluster.spec.lifetimes.orphan),
            told_at=now,
            queues=can.queues,
            list_lag=can.list_lag,
            remembers=can.remembers,
            poll_every=can.poll_every,
            pace=min(pace, ROUND) if self.is_watched(cluster.id) else pace,
        )

    def keep(self, cluster_id: str, page: StatusPage | None) -> None:
        """Remember a page whose computations were written down."""
        if page is not None:
            self.pages[cluster_id] = replace(page, computations=()) if page.computations else page

    def forget(self, cluster_id: str) -> None:
        """Let go of what is kept for a cluster."""
        self.pages.pop(cluster_id, None)
        self._watched.pop(cluster_id, None)
        self.link.forget(cluster_id)

    def hint(self) -> None:
        """Ask providers anew at the next look: something may have changed there."""
        for watch in self._watches.values():
            watch.doubt()

    def watch(self, cluster_id: str) -> None:
        """Somebody waits for what changes in this cluster: until some time after, each change of its page is one."""
        self._watched[cluster_id] = self.clock.now()

    def is_watched(self, cluster_id: str) -> bool:
        """Whether somebody waits for what changes in it."""
        asked_at = self._watched.get(cluster_id)
        return asked_at is not None and self.clock.now() < asked_at + WATCHED

    def watch_of(self, provider: Provider) -> Watch:
        """Return the list of a provider that all who look share."""
        if provider.name not in self._watches:
            self._watches[provider.name] = Watch(provider, self.clock)
        return self._watches[provider.name]

    def watched_providers(self) -> tuple[str, ...]:
        """Return the names of those that something was looked after on."""
        return tuple(self._watches)

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

    async def _list(self, provider: Provider, since: datetime) -> Listing | None:
        try:
            return await self.watch_of(provider).seen(since)
        except Unavailable as error:
            log.info("%s can't be looked at: %s", provider.name, error)
            return None

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
