"""What is shown of clusters, read from the store once for each change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from tradewind.errors import NotFound
from tradewind.store.records import Story
from tradewind.store.store import Store

ROOM = 30_000
"""Instances that are remembered at most, of all clusters; one takes about 1 kB."""


class Stories:
    """Clusters with all that belongs to them. The store is asked each time whether what is remembered still holds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # The longest unasked first.
        self._known: OrderedDict[str, Story] = OrderedDict()
        self._size = 0

    async def of(self, cluster_id: str) -> Story:
        """Return one. Raises NotFound."""
        revision = await self._store.revision(cluster_id)
        known = self._known.get(cluster_id)
        if known is None or known.revision != revision:
            for story in await self._store.stories((cluster_id,)):
                self._keep(story)
                return story
            raise NotFound(f"there is no cluster {cluster_id!r} in this store any more; list those that are there")
        self._known.move_to_end(cluster_id)
        return known

    async def of_all(self, cluster_ids: Sequence[str]) -> Sequence[Story]:
        """Return several, in the same order; what doesn't exist is left out."""
        revisions = await self._store.revisions(cluster_ids)
        found = {id_: story for id_ in cluster_ids if (story := self._known.get(id_)) is not None}
        unknown = [id_ for id_, revision in revisions.items() if id_ not in found or found[id_].revision != revision]
        if unknown:
            for story in await self._store.stories(unknown):
                self._keep(story)
                found[story.cluster.id] = story
        return [found[id_] for id_ in cluster_ids if id_ in revisions and id_ in found]

    def _keep(self, story: Story) -> None:
        before = self._known.pop(story.cluster.id, None)
        self._known[story.cluster.id] = story
        self._size += _size(story) - (_size(before) if before is not None else 0)
        while self._size > ROOM and self._known:
            _, oldest = self._known.popitem(last=False)
            self._size -= _size(oldest)


def _size(story: Story) -> int:
    return 1 + len(story.instances)
