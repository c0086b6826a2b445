"""The verbs that read what was computed and what it cost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence, Set
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from tradewind.engine.access.asker import Asker
from tradewind.engine.clock import Clock
from tradewind.errors import BadRequest
from tradewind.model.cluster import Cluster
from tradewind.model.computation import Computation, Insight
from tradewind.model.export import Format
from tradewind.model.usage import CostLine, Receipt, Usage
from tradewind.planning import meter
from tradewind.planning.access import Action
from tradewind.planning.grouping import COMPUTATION, dimensions
from tradewind.planning.insights import insights
from tradewind.store.pages import Page
from tradewind.store.store import Store

COMPUTATIONS_AT_ONCE = 1000
"""Read from the store in one go, where all are wanted."""


class Records:
    """Computations, bills and exports, as far as who asks may read; as in :class:`tradewind.client.api.Api`."""

    def __init__(self, store: Store, clock: Clock, asker: Asker) -> None:
        self._store = store
        self._clock = clock
        self._asker = asker

    async def computations(
        self, cluster_id: str | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Computation]:
        """Return computations, newest first; of others only where they may be read."""
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        if cluster_id is not None:
            await self._asker.mine(cluster_id, Action.READ_DETAIL)
        return await self._store.computations(
            self._asker.workspace, cluster_id=cluster_id, owners=self._asker.readable(), limit=limit, cursor=cursor
        )

    async def computation(self, computation_id: str) -> Computation:
        """Return one."""
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        return await self._store.computation(self._asker.workspace, computation_id, owners=self._asker.readable())

    async def insights(self, cluster_id: str) -> Sequence[Insight]:
        """Return what could be better."""
        cluster, computations, usages = await self._story(cluster_id)
        return insights(cluster, usages, computations, self._clock.now())

    async def usage(
        self, *, by: str = "cluster", since: datetime | None = None, until: datetime | None = None
    ) -> Sequence[CostLine]:
        """Return cost lines."""
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        asked = dimensions(by)
        usages = await self._store.usages(workspace=self._asker.workspace, since=since, until=until)
        readable, computations = self._asker.readable(), []
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

        self._asker.refuse_unless(Action.EXPORT)
        if what is Format.EVERYTHING:
            if since is not None or until is not None:
                raise BadRequest("everything is everything: leave out since and until, or export usage")
            if self._asker.caller.user_id:
                # Before the first piece: who breaks off near the end has it all the same.
                await self._store.people.record(
                    self._asker.audited("workspace.exported", self._asker.workspace, "everything")
                )
            return everything(self._store, self._asker.workspace, self._clock.now())
        pieces = usage_table(self._store, self._asker.workspace, what, self._clock.now(), since, until)
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

    async def _story(self, cluster_id: str) -> tuple[Cluster, Sequence[Computation], Sequence[Usage]]:
        cluster = await self._asker.mine(cluster_id, Action.READ_DETAIL)
        computations = [one async for one in self._all_computations(cluster_id=cluster_id)]
        return cluster, computations, await self._store.usages(cluster_ids=(cluster_id,))

    async def _all_computations(
        self, cluster_id: str | None = None, owners: Set[str] | None = None
    ) -> AsyncIterator[Computation]:
        """Yield all there are, a page at a time."""
        cursor: str | None = None
        while True:
            page = await self._store.computations(
                self._asker.workspace, cluster_id=cluster_id, owners=owners, limit=COMPUTATIONS_AT_ONCE, cursor=cursor
            )
            for one in page:
                yield one
            if (cursor := page.next) is None:
                return
