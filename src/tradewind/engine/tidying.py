"""Deletes what nobody will ask for again."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tradewind.boot.environment.unused import mark, prune
from tradewind.engine.clock import Clock
from tradewind.store.store import Store

log = logging.getLogger(__name__)

PERIOD = timedelta(hours=1)
"""Between two times, of each engine."""
FIRST = timedelta(minutes=5)
"""After its start: a program that asks for one cluster and goes needn't tidy."""
CACHE_PERIOD = timedelta(hours=12)
"""Shorter than the day for which other stores' engines leave alone what was used and isn't marked as needed yet."""
TOKENS_KEPT = timedelta(days=90)
"""How long a token that is good for nothing stays; after that the audit log alone tells of it."""


@dataclass(slots=True, kw_only=True)
class Tidying:
    """A chore of the engine. Any number of processes may do it: what is gone is gone."""

    store: Store
    clock: Clock
    cache: Path | None = None
    """The user's cache directory, which is gone through twice a day; None: nobody's."""
    installation: str = ""
    """Whose store it is, since others share the cache."""
    _next_at: datetime | None = field(default=None, init=False)
    _cache_at: datetime | None = field(default=None, init=False)

    async def tidy(self) -> int:
        """Delete what is due, if it's time; return how many rows that were."""
        now = self.clock.now()
        if self._next_at is None:
            self._next_at = now + FIRST
        if now < self._next_at:
            return 0
        self._next_at = now + PERIOD
        tokens = await self.store.people.forget_tokens(now - TOKENS_KEPT)
        rows = tokens + await self.store.idempotency.forget(now)
        try:
            await self._tidy_cache(now)
        except OSError as error:
            log.warning("%s: what nobody needs there stays until the next time: %s", self.cache, error)
        return rows

    async def _tidy_cache(self, now: datetime) -> None:
        if self.cache is None or (self._cache_at is not None and now < self._cache_at):
            return
        self._cache_at = now + CACHE_PERIOD
        needed = await self.store.environments.files()
        await asyncio.to_thread(mark, self.cache, self.installation, needed)
        gone = await asyncio.to_thread(prune, self.cache, needed=needed, now=now.timestamp())
        if gone:
            log.info("removed %d things from %s that nobody had used for long", len(gone), self.cache)
