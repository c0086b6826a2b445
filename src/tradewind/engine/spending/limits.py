"""What budgets hold now, and how their accounts stand: asked of the store once a second for all clusters."""

from __future__ import annotations

import asyncio
from datetime import datetime

from tradewind.engine.clock import Clock
from tradewind.model.budget import Account, Budget
from tradewind.store.store import Store

Accounts = tuple[tuple[Budget, Account | None], ...]


class Limits:
    """Remembers for a moment. Nothing is overspent by what changed since: a save looks again, under lock."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._asking = asyncio.Lock()
        self._read_at: datetime | None = None
        self._known: dict[str, Accounts] = {}

    async def seen(self, since: datetime, workspace: str, *, anew: bool = False) -> Accounts:
        """Return the budgets of a workspace as they were at ``since`` or later; ``anew``, as they are after the call.

        Those who ask at the same time share one answer.
        """
        before = self._read_at
        async with self._asking:
            is_new = self._read_at is not before
            if self._read_at is None or self._read_at < since or (anew and not is_new):
                now = self._clock.now()
                known: dict[str, list[tuple[Budget, Account | None]]] = {}
                for budget, account in await self._store.money.open_accounts(now):
                    known.setdefault(budget.workspace, []).append((budget, account))
                self._known = {name: tuple(found) for name, found in known.items()}
                self._read_at = now
        return self._known.get(workspace, ())
