"""The loop: looks at every cluster when its time has come, and at once when something changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

from tradewind.engine.clock import Clock
from tradewind.engine.rounds import Rounds
from tradewind.errors import NotFound, StoreError, TradewindError
from tradewind.store.store import Store

log = logging.getLogger(__name__)

SCAN = timedelta(seconds=1)
"""How often the store is asked for clusters that nobody looks after, or that somebody else changed."""
SWEEP = timedelta(minutes=1)
"""How often providers are searched for what belongs to no live cluster."""
Chore = Callable[[], Coroutine[Any, Any, object]]
AFTER_FAULT = timedelta(seconds=5)
"""How long to leave a cluster alone after a fault of ours in its round."""


class Engine:
    """Runs rounds on the event loop it was started on."""

    def __init__(self, rounds: Rounds, store: Store, clock: Clock, chores: Sequence[Chore] = ()) -> None:
        """Start nothing yet.

        Parameters
        ----------
        rounds : Rounds
            Of clusters.
        store : Store
            Where they are.
        clock : Clock
            Says when they are due.
        chores : sequence of callables
            What else is done at each scan: each looks by itself for what is due, and never runs twice at a time.
        """
        self.rounds = rounds
        self._chores = tuple(chores)
        self._store = store
        self._clock = clock
        self._wake_at: dict[str, datetime] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._doing: dict[Chore, asyncio.Task[None]] = {}
        self._poked = asyncio.Event()
        self._changed = asyncio.Condition()
        self._loop_task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._loop_task = asyncio.create_task(self._run(), name="tradewind engine")

    def poke(self, cluster_id: str | None = None) -> None:
        """Look again now, at one cluster or at all that this engine looks after."""
        now = self._clock.now()
        for known in [cluster_id] if cluster_id is not None else list(self._wake_at):
            self._wake_at[known] = now
            if known in self._busy:
                self._again.add(known)
        self._poked.set()

    async def changed(self, timeout_s: float) -> None:
        """Return when some round was done, or after ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait()
        except TimeoutError:
            return

    async def aclose(self) -> None:
        """Stop looking. Rounds under way are finished; clusters stay, and live until nobody has looked for long."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)
        if under_way := [*self._busy.values(), *self._doing.values()]:
            await asyncio.wait(under_way, timeout=5)

    async def _run(self) -> None:
        scan_at = self._clock.now()
        sweep_at = scan_at + SWEEP
        while True:
            now = self._clock.now()
            if now >= scan_at:
                scan_at = now + SCAN
                await self._scan(now)
                for chore in self._chores:
                    if chore not in self._doing:
                        self._doing[chore] = asyncio.create_task(self._do(chore))
            if now >= sweep_at:
                sweep_at = now + SWEEP
                await self._sweep()
            for cluster_id in [known for known, at in self._wake_at.items() if at <= now]:
                if cluster_id not in self._busy:
                    del self._wake_at[cluster_id]
                    self._busy[cluster_id] = asyncio.create_task(self._look(cluster_id))
            soonest = min([scan_at, *(at for known, at in self._wake_at.items() if known not in self._busy)])
            self._poked.clear()
            try:
                async with asyncio.timeout(max(0.0, (soonest - self._clock.now()).total_seconds())):
                    await self._poked.wait()
            except TimeoutError:
                continue

    async def _scan(self, now: datetime) -> None:
        try:
            due = await self._store.due(now, holder=self.rounds.holder)
        except StoreError as error:
            log.warning("the store can't be read, clusters go on without us: %s", error)
        except Exception:
            log.exception("a fault of ours while reading which clusters are due")
        else:
            for cluster_id in due:
                # One whose round is under way is due until it has ended; that's no reason for a second.
                if cluster_id not in self._busy:
                    self._wake_at.setdefault(cluster_id, now)

    async def _sweep(self) -> None:
        try:
            await self.rounds.sweep()
        except TradewindError as error:
            log.warning("nothing could be swept now: %s", error)
        except Exception:
            log.exception("a fault of ours while sweeping")

    async def _do(self, chore: Chore) -> None:
        try:
            await chore()
        except TradewindError as error:
            log.warning("%s has to wait: %s", chore.__qualname__, error)
        except Exception:
            log.exception("a fault of ours in %s", chore.__qualname__)
        finally:
            self._doing.pop(chore, None)

    async def _look(self, cluster_id: str) -> None:
        wake_at: datetime | None = None
        try:
            wake_at = await self.rounds.round(cluster_id)
        except NotFound:
            log.info("cluster %s isn't in the store", cluster_id)
        except TradewindError as error:
            log.warning("cluster %s can't be looked after now: %s", cluster_id, error)
            wake_at = self._clock.now() + AFTER_FAULT
        except Exception:
            log.exception("a fault of ours while looking after cluster %s", cluster_id)
            wake_at = self._clock.now() + AFTER_FAULT
        finally:
            self._busy.pop(cluster_id, None)
            if cluster_id in self._again:
                self._again.discard(cluster_id)
                wake_at = self._clock.now()
            if wake_at is not None:
                self._wake_at[cluster_id] = min(wake_at, self._wake_at.get(cluster_id, wake_at))
            self._poked.set()
        async with self._changed:
            self._changed.notify_all()
