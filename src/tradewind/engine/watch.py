"""Looking at a provider for many clusters at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from tradewind import wire
from tradewind.engine.clock import Clock
from tradewind.model.instance import ObservedInstance
from tradewind.providers.base import Provider


class Watch:
    """One provider's list, shared by all who ask at the same time.

    An answer is only good for who asked before the call began: a list that is older than a launch would make the
    launched look vanished.
    """

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self.provider = provider
        self._clock = clock
        self._lock = asyncio.Lock()
        self._began: datetime | None = None
        self._seen: Sequence[ObservedInstance] = ()

    async def seen(self, since: datetime) -> Sequence[ObservedInstance]:
        """Return what the provider lists, asked no earlier than ``since``. Raises as ``observe`` does."""
        async with self._lock:
            if self._began is None or self._began < since:
                began = self._clock.now()
                self._seen = [
                    # Faults in a stranger's words end up in terminals, which would obey their control characters.
                    o if o.detail.isprintable() else replace(o, detail=wire.printable(o.detail))
                    for o in await self.provider.observe()
                ]
                self._began = began
            return self._seen
