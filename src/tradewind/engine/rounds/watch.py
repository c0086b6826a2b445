"""Looking at a provider for many clusters at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from tradewind import wire
from tradewind.engine.clock import Clock
from tradewind.errors import Unavailable
from tradewind.model.instance import ObservedInstance
from tradewind.providers.base import Provider

PATIENCE_S = 5.0
"""How long rounds wait for a list: one infrastructure that hangs must not keep leases from being renewed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a provider listed, by cluster."""

    began: datetime
    """When it was asked; what it doesn't list may exist by now."""
    seen: Sequence[ObservedInstance]
    of_cluster: Mapping[str, tuple[ObservedInstance, ...]] = field(repr=False)

    def of(self, cluster_id: str) -> tuple[ObservedInstance, ...]:
        """Return what belongs to one cluster."""
        return self.of_cluster.get(cluster_id, ())


class Watch:
    """One provider's list, shared by all who can do with the same.

    An answer is only good for who asks for nothing newer than the begin of its call: a list that is older than a
    launch would make the launched look vanished.
    """

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self.provider = provider
        self._clock = clock
        self._lock = asyncio.Lock()
        self._listing: Listing | None = None
        self._answer: Sequence[ObservedInstance] | None = None
        self._stale_before: datetime | None = None

    def doubt(self) -> None:
        """Something may have changed: what was listed before now isn't good any more."""
        self._stale_before = self._clock.now()

    async def seen(self, since: datetime) -> Listing:
        """Return what the provider lists, asked no earlier than ``since``. Raises as ``observe`` does."""
        async with self._lock:
            known = self._listing
            least = since if self._stale_before is None else max(since, self._stale_before)
            if known is None or known.began < least:
                began = self._clock.now()
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        answer = await self.provider.observe()
                except TimeoutError:
                    raise Unavailable(f"{self.provider.name} didn't list anything within {PATIENCE_S:.0f} s") from None
                if known is not None and answer is self._answer:
                    known = replace(known, began=began)
                else:
                    known = _indexed(answer, began)
                self._answer, self._listing = answer, known
            return known


def _indexed(answer: Sequence[ObservedInstance], began: datetime) -> Listing:
    # Faults in a stranger's words end up in terminals, which would obey their control characters.
    seen = [o if o.detail.isprintable() else replace(o, detail=wire.printable(o.detail)) for o in answer]
    of_cluster: dict[str, list[ObservedInstance]] = {}
    for one in seen:
        of_cluster.setdefault(one.marks.cluster, []).append(one)
    return Listing(began=began, seen=seen, of_cluster={cluster: tuple(some) for cluster, some in of_cluster.items()})
