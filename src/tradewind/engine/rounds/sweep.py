"""Ending what carries our mark and belongs to no live cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from tradewind.engine.clock import Clock
from tradewind.engine.rounds.leases import RECENT
from tradewind.engine.rounds.lookout import Lookout
from tradewind.errors import TradewindError, Unavailable
from tradewind.model.instance import ObservedInstance
from tradewind.planning import meter
from tradewind.planning.settle import corrected
from tradewind.providers.base import Provider
from tradewind.store.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Looks through the lists of providers for what nobody looks after."""

    store: Store
    provider_of: Callable[[str], Provider]
    lookout: Lookout
    clock: Clock
    always: tuple[str, ...]
    """Names of providers that are swept in any case; else only those that something was looked after on."""

    async def run(self) -> int:
        """End what belongs to no live cluster; return how many things that were.

        The provider is listed first and the store is asked second: a cluster that is made in between has its row
        before anything of it is launched.
        """
        ended = 0
        for name in dict.fromkeys((*self.lookout.watched_providers(), *self.always)):
            # One provider, or one row, that can't be dealt with must not keep the strays of the others alive.
            try:
                watch = self.lookout.watch_of(self.provider_of(name))
                listing = await watch.seen(self.clock.now())
                since = listing.began - RECENT
                recent = [o for o in listing.seen if o.stopped_at is None or o.stopped_at > since]
                live = await self.store.live_among({o.marks.cluster for o in recent})
                others = [o for o in recent if o.marks.cluster not in live]
                strays = [o for o in others if o.status.is_live]
                if strays:
                    log.warning("ending %d instances that belong to no live cluster", len(strays))
                    await watch.provider.terminate([o.handle for o in strays])
                    ended += len(strays)
                await self._correct(others, listing.began)
            except Unavailable as error:
                log.info("%s can't be swept now: %s", name, error)
            except TradewindError as error:
                log.warning("%s can't be swept: %s", name, error)
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
