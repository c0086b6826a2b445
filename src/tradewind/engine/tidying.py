"""Deletes what nobody will ask for again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tradewind.engine.clock import Clock
from tradewind.store.store import Store

PERIOD = timedelta(hours=1)
"""Between two times, of each engine."""
FIRST = timedelta(minutes=5)
"""After its start: a program that asks for one cluster and goes needn't tidy."""
TOKENS_KEPT = timedelta(days=90)
"""How long a token that is good for nothing stays; after that the audit log alone tells of it."""


@dataclass(slots=True, kw_only=True)
class Tidying:
    """A chore of the engine. Any number of processes may do it: what is gone is gone."""

    store: Store
    clock: Clock
    _next_at: datetime | None = field(default=None, init=False)

    async def tidy(self) -> int:
        """Delete what is due, if it's time; return how many rows that were."""
        now = self.clock.now()
        if self._next_at is None:
            self._next_at = now + FIRST
        if now < self._next_at:
            return 0
        self._next_at = now + PERIOD
        tokens = await self.store.people.forget_tokens(now - TOKENS_KEPT)
        return tokens + await self.store.idempotency.forget(now)
