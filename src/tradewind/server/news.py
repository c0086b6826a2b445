"""What changes, told to all who listen: the store is asked once for all of them, not once for each."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from tradewind.engine.clock import Clock
from tradewind.errors import StoreError
from tradewind.model.exchange import BudgetNews, ClusterNews
from tradewind.store.store import Store

log = logging.getLogger(__name__)

PACE_S = 1.0
"""Seconds between two looks at the store, while anybody listens."""
STOPPED_FOR = timedelta(minutes=10)
"""How long what has stopped or was removed is still news: for this long a listener may be away and miss nothing."""
Item: TypeAlias = ClusterNews | BudgetNews
Key: TypeAlias = tuple[type, str]


@dataclass(slots=True)
class Board:
    """How the clusters and budgets of one workspace stood at the last look."""

    since: int
    """Number of the first look at it."""
    looked_at: datetime
    stood: dict[Key, tuple[Item, int]] = field(default_factory=dict)
    """News of each, and the look that brought them."""


class Listener:
    """One who listens to a workspace. What isn't fetched yet is kept once for each thing: the newest."""

    def __init__(self, workspace: str) -> None:
        """Listen to nothing yet; :meth:`News.join` does."""
        self.workspace = workspace
        self._waiting: dict[Key, Item] = {}
        self._place = ""
        self._woken = asyncio.Event()

    def hear(self, items: Iterable[Item], place: str) -> None:
        """Keep news until they are fetched; ``place`` is what to come back with after them."""
        self._waiting |= {_key(item): item for item in items}
        self._place = place
        if self._waiting:
            self._woken.set()

    async def next(self, timeout_s: float) -> tuple[tuple[Item, ...], str]:
        """Return what has changed since the last call, and the place after it; or nothing after ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            return (), self._place
        self._woken.clear()
        found, self._waiting = tuple(self._waiting.values()), {}
        return found, self._place


class News:
    """Looks at the store for everybody who listens on this replica."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Look at nothing while nobody listens."""
        self._store = store
        self._clock = clock
        self._name = secrets.token_hex(4)
        self._listeners: dict[Listener, int | None] = {}
        """Those who listen; the look after which they want to be told, until they were told a first time."""
        self._boards: dict[str, Board] = {}
        self._task: asyncio.Task[None] | None = None
        self.looks = 0
        """How often the store was asked."""

    def join(self, workspace: str, place: str = "") -> Listener:
        """Return somebody who listens from now on.

        They are told first how all stands, or what has changed since ``place`` where this replica still knows it.
        """
        listener = Listener(workspace)
        name, _, look = place[:40].partition("-")
        is_ours = name == self._name and look.isascii() and look.isdecimal()
        self._listeners[listener] = int(look) if is_ours else -1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look(), name="tradewind news")
        return listener

    def leave(self, listener: Listener) -> None:
        """Stop listening."""
        self._listeners.pop(listener, None)

    async def aclose(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        while self._listeners:
            try:
                await self._tell()
            except StoreError as error:
                log.warning("the store can't be asked what changed: %s", error)
            await asyncio.sleep(PACE_S)

    async def _tell(self) -> None:
        self.looks += 1
        look, now = self.looks, self._clock.now()
        watched = frozenset(listener.workspace for listener in self._listeners)
        found: dict[str, list[Item]] = {workspace: [] for workspace in watched}
        for cluster in await self._store.news(watched, now - STOPPED_FOR):
            found[cluster.workspace].append(cluster)
        for budget in await self._store.money.news(watched, now, now - STOPPED_FOR):
            found[budget.workspace].append(budget)
        # What nobody has listened to for so long may have had news that came and went.
        self._boards = {name: board for name, board in self._boards.items() if board.looked_at > now - STOPPED_FOR}
        for workspace, items in found.items():
            board = self._boards.setdefault(workspace, Board(look, now))
            before, board.looked_at = board.stood, now
            board.stood = {
                _key(item): known if (known := before.get(_key(item))) and known[0] == item else (item, look)
                for item in items
            }
        for listener, after in list(self._listeners.items()):
            if listener.workspace not in found:
                continue  # joined while the store was asked; the next look is theirs
            board = self._boards[listener.workspace]
            since = look - 1 if after is None else after if after >= board.since else -1
            listener.hear((item for item, at in board.stood.values() if at > since), f"{self._name}-{look}")
            self._listeners[listener] = None


def _key(item: Item) -> Key:
    return type(item), item.cluster_id if isinstance(item, ClusterNews) else item.budget_id
