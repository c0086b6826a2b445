"""The client's verbs, answered by the engine on its own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tradewind.engine.doctor import examine
from tradewind.engine.verbs.life import Life
from tradewind.engine.verbs.records import Records
from tradewind.engine.verbs.sight import Sight
from tradewind.model.views import Check


class Service(Life, Sight, Records):
    """Answers who is allowed to ask; see :class:`tradewind.client.api.Api` for what each verb promises."""

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
