"""What a scheduler says now, for people: asked of those that another engine looks after, or nobody does.

Whoever looks after a cluster pulls its page, and that keeps it alive. Those who only show it must not: they peek.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from tradewind.engine.clock import Clock
from tradewind.engine.link import Access, AgentLink
from tradewind.errors import TradewindError
from tradewind.model.cluster import Cluster, ClusterStatus
from tradewind.model.instance import Contact
from tradewind.model.status import StatusPage
from tradewind.store.store import Store

log = logging.getLogger(__name__)

PATIENCE_S = 1.0
"""Seconds that somebody who watches is kept waiting at most."""
KEPT = timedelta(seconds=1)
"""How long what was seen is shown to all who ask."""
SHUNNED = timedelta(seconds=5)
"""How long a scheduler that didn't answer isn't asked: whoever watches it waits for it once in this time."""
FORGOTTEN = timedelta(seconds=30)
"""After this nothing is kept of what nobody asks about."""


@dataclass(slots=True, kw_only=True)
class _Peek:
    """One question, and its answer for all who ask the same."""

    contact: Contact
    page: asyncio.Task[StatusPage | None]
    good_until: datetime | None = None
    """None until it is answered."""


class Peeks:
    """Remembers for a moment: fifty who watch one cluster make one question a second."""

    def __init__(self, store: Store, link: AgentLink, clock: Clock) -> None:
        """Ask nothing yet.

        Parameters
        ----------
        store : Store
            Has what lets us ask.
        link : AgentLink
            The line to schedulers.
        clock : Clock
            Says how old an answer is.
        """
        self._store = store
        self._link = link
        self._clock = clock
        self._asked: dict[str, _Peek] = {}

    async def page(self, cluster: Cluster) -> StatusPage | None:
        """Return what the scheduler of ``cluster`` says, at most a second old; without computations.

        None where there is no scheduler to ask, or none that gives a sensible answer within a second. Nothing of the
        cluster changes by it: neither how long it lives, nor what its money is good for.
        """
        if cluster.contact is None or cluster.status.rank >= ClusterStatus.STOPPING.rank:
            return None
        now = self._clock.now()
        peek = self._asked.get(cluster.id)
        if peek is None or peek.contact != cluster.contact or (peek.good_until is not None and now >= peek.good_until):
            self._forget_before(now - FORGOTTEN)
            asking = asyncio.create_task(self._ask(cluster, cluster.contact), name=f"tradewind peek {cluster.id}")
            peek = self._asked[cluster.id] = _Peek(contact=cluster.contact, page=asking)
        # One who gives up must not take the answer from the others.
        return await asyncio.shield(peek.page)

    async def _ask(self, cluster: Cluster, contact: Contact) -> StatusPage | None:
        page = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                page = await self._seen(cluster, contact)
        except (TradewindError, TimeoutError) as error:
            log.info("cluster %s can't be peeked at: %s", cluster.id, str(error) or "no answer in time")
        finally:
            peek = self._asked.get(cluster.id)
            if peek is not None and peek.page is asyncio.current_task():
                peek.good_until = self._clock.now() + (KEPT if page is not None else SHUNNED)
        return page

    async def _seen(self, cluster: Cluster, contact: Contact) -> StatusPage | None:
        secrets = await self._store.secrets(cluster.id)
        if secrets is None:
            return None  # It has stopped meanwhile.
        access = Access(cluster_id=cluster.id, authority=secrets.authority_certificate, token=secrets.agent_token)
        return await self._link.peek(contact, access, target_duration=cluster.intent.scaling.target_duration)

    def _forget_before(self, moment: datetime) -> None:
        old = [id_ for id_, peek in self._asked.items() if peek.good_until is not None and peek.good_until < moment]
        for cluster_id in old:
            del self._asked[cluster_id]
            self._link.forget(cluster_id)
