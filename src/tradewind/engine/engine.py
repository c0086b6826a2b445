"""The loop: looks at every cluster when its time has come, and at once when something changed."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from tradewind.engine.clock import Clock
from tradewind.engine.rounds.leases import LEASE
from tradewind.engine.rounds.rounds import Rounds
from tradewind.errors import NotFound, StoreError, TradewindError
from tradewind.planning.funds import ROUND
from tradewind.planning.spread import spread
from tradewind.store.store import Store

log = logging.getLogger(__name__)

looking_after: ContextVar[str | None] = ContextVar("tradewind_cluster", default=None)
"""The cluster whose round this code runs for; for the log."""
SCAN = timedelta(seconds=1)
"""How often the store is asked for clusters that nobody looks after, or that somebody else changed."""
BATCH = 200
"""Clusters that one scan takes over at most. A dead engine's thousand are taken over in seconds, by all that live."""
RENEWAL = timedelta(seconds=1)
"""How often those leases are renewed of which half is gone."""
AT_A_TIME = 4
"""Rounds that begin in one turn of the event loop. What wakes together stays together, and a thousand clusters at once
would be half a second in which nobody gets an answer."""
SWEEP = timedelta(minutes=1)
"""How often providers are searched for what belongs to no live cluster."""
LAGS = timedelta(minutes=1)
"""How far back the lags are told."""
MOST_LAGS = 20_000
"""Lags that are remembered at most."""
Chore = tuple[str, Callable[[], Awaitable[object]]]
"""What is done, in a word, and how."""
AFTER_FAULT = timedelta(seconds=5)
"""How long to leave a cluster alone after a fault of ours in its round. After more in a row the store says how long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What an engine does, for those who run it. A lag is the time from a wake-up to the begin of its round."""

    rounds: int
    """Since the engine began."""
    faults: int
    """Rounds that ended in a fault of ours or of the store's, since the engine began."""
    busy: int
    """Rounds under way."""
    looked_after: int
    """Clusters."""
    lag_p50_s: float
    """Of the last minute, as are the other lags."""
    lag_p99_s: float
    lag_max_s: float


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
        chores : sequence of Chore
            What else is done as often as the store is scanned; each looks by itself for what is due.
        """
        self.rounds = rounds
        self._chores = tuple(chores)
        self._store = store
        self._clock = clock
        self._wake_at: dict[str, datetime] = {}
        # The same by time; entries that ``_wake_at`` has another time for are out of date.
        self._order: list[tuple[datetime, str]] = []
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._poked = asyncio.Event()
        self.turned_at: datetime | None = None
        """When it last looked for what is due; None before it began."""
        self._resting: dict[str, datetime] = {}
        # Each lives as long as somebody waits for it.
        self._waiting: WeakValueDictionary[str | None, asyncio.Event] = WeakValueDictionary()
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._lags = _Lags()
        self._rounds_done = 0
        self._faults = 0

    def start(self) -> None:
        """Begin; returns at once."""
        self._tasks = (
            asyncio.create_task(self._run(), name="tradewind engine"),
            # Beside the loop and not in it: neither the store nor a provider that hangs may hold up other clusters.
            asyncio.create_task(self._every(SCAN, self._scan, at_once=True), name="tradewind scan"),
            asyncio.create_task(self._every(RENEWAL, self._renew), name="tradewind renewal"),
            asyncio.create_task(self._every(SWEEP, self._sweep), name="tradewind sweep"),
            *(asyncio.create_task(self._every(SCAN, chore), name=f"tradewind {what}") for what, chore in self._chores),
        )

    def poke(self, cluster_id: str | None = None) -> None:
        """Look again now: at one cluster that somebody wrote to, or at all whose provider may have changed."""
        now = self._clock.now()
        if cluster_id is not None:
            self.rounds.leases.doubt(cluster_id)
        else:
            self.rounds.lookout.hint()
        for known in [cluster_id] if cluster_id is not None else [*self._wake_at, *self._busy]:
            self._wake(known, now)
        self._poked.set()

    def begin(self, cluster_id: str) -> None:
        """Look at a new cluster that :attr:`rounds` holds since it was written down."""
        self._wake(cluster_id, self._clock.now())
        self._poked.set()

    def watch(self, cluster_id: str) -> None:
        """Look at this one as often as there may be something new, as long as this is called every few seconds."""
        self.rounds.lookout.watch(cluster_id)
        soon = self._clock.now() + ROUND
        if self._wake_at.get(cluster_id, soon) > soon:
            self._wake(cluster_id, soon)
            self._poked.set()

    async def changed(self, timeout_s: float, cluster_id: str | None = None) -> None:
        """Return when a round of this cluster, or of any, was done, or after ``timeout_s``."""
        waiting = self._waiting.setdefault(cluster_id, asyncio.Event())
        try:
            async with asyncio.timeout(timeout_s):
                await waiting.wait()
        except TimeoutError:
            return

    def figures(self) -> Figures:
        """Return how the engine does."""
        p50, p99, most = self._lags.quantiles(self._clock.now())
        return Figures(
            rounds=self._rounds_done,
            faults=self._faults,
            busy=len(self._busy),
            looked_after=len(self._wake_at.keys() | self._busy.keys()),
            lag_p50_s=p50,
            lag_p99_s=p99,
            lag_max_s=most,
        )

    async def aclose(self, *, hands_over: bool = False) -> None:
        """Stop looking. Rounds under way are finished; clusters stay, and live until nobody has looked for long.

        With ``hands_over`` the leases are given back, so that other engines on the same store go on at once.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._busy:
            await asyncio.wait(self._busy.values(), timeout=5)
        if hands_over:
            try:
                await self.rounds.leases.hand_over()
            except StoreError as error:
                log.warning("leases can't be given back, others take over when they run out: %s", error)

    async def _run(self) -> None:
        while True:
            self._poked.clear()
            if self._begin_some():
                # The rest in the next turn of the loop: who asks for an answer meanwhile is not behind all of them.
                await asyncio.sleep(0)
                continue
            soonest = (self._order[0][0] - self._clock.now()).total_seconds() if self._order else None
            try:
                async with asyncio.timeout(None if soonest is None else max(0.0, soonest)):
                    await self._poked.wait()
            except TimeoutError:
                continue

    def _begin_some(self) -> bool:
        """Begin rounds of what is due, the longest due first; return whether there may be more."""
        for _ in range(AT_A_TIME):
            now = self._clock.now()
            if not self._order or self._order[0][0] > now:
                return False
            at, cluster_id = heapq.heappop(self._order)
            if self._wake_at.get(cluster_id) == at:
                del self._wake_at[cluster_id]
                self._lags.add(now, now - at)
                self._busy[cluster_id] = asyncio.create_task(self._look(cluster_id))
        return True

    def _wake(self, cluster_id: str, at: datetime) -> None:
        """Look at this one at ``at``, or earlier where that was said already; never two rounds of it at a time."""
        if cluster_id in self._busy:
            self._again.add(cluster_id)
            return
        known = self._wake_at.get(cluster_id)
        if known is None or at < known:
            self._wake_at[cluster_id] = at
            heapq.heappush(self._order, (at, cluster_id))

    async def _every(self, period: timedelta, work: Callable[[], Awaitable[object]], *, at_once: bool = False) -> None:
        if not at_once:
            await asyncio.sleep(period.total_seconds())
        while True:
            try:
                await work()
            except TradewindError as error:
                log.warning("%s, clusters go on without us: %s", _what(work), error)
            except Exception:
                log.exception("a fault of ours: %s", _what(work))
            await asyncio.sleep(period.total_seconds())

    async def _scan(self) -> None:
        now = self.turned_at = self._clock.now()
        holder, without = self.rounds.holder, self.rounds.left_to_others(now)
        # A look first: taking is a write, and hardly ever is there anything to take.
        if await self._store.due(now, limit=1, holder=holder, without=without):
            for lease in await self._store.take_due(now, holder, now + LEASE, limit=BATCH, without=without):
                self.rounds.leases.grant(lease)
                self._wake(lease.cluster_id, max(now, self._resting.get(lease.cluster_id, now)))
        self._poked.set()

    async def _renew(self) -> None:
        now = self._clock.now()
        for cluster_id in await self.rounds.leases.renew():
            self._wake(cluster_id, now)
        self._poked.set()

    async def _sweep(self) -> None:
        await self.rounds.sweep()

    async def _look(self, cluster_id: str) -> None:
        wake_at: datetime | None = None
        looking_after.set(cluster_id)
        try:
            wake_at = await self.rounds.round(cluster_id, afresh=False)
        except NotFound:
            log.info("cluster %s isn't in the store", cluster_id)
        except TradewindError as error:
            log.warning("cluster %s can't be looked after now: %s", cluster_id, error)
            wake_at = self._after_fault(cluster_id)
        except Exception:
            log.exception("a fault of ours while looking after cluster %s", cluster_id)
            wake_at = self._after_fault(cluster_id)
        else:
            self._resting.pop(cluster_id, None)
            if wake_at is not None:
                wake_at = spread(cluster_id, self._clock.now(), wake_at)
        finally:
            self._rounds_done += 1
            self._busy.pop(cluster_id, None)
            if cluster_id in self._again:
                self._again.discard(cluster_id)
                wake_at = self._clock.now()
            if wake_at is not None:
                self._wake(cluster_id, wake_at)
            self._poked.set()
            self._tell(cluster_id)

    def _after_fault(self, cluster_id: str) -> datetime | None:
        """Return when to look again without being told: the first fault may be a matter of seconds."""
        self._faults += 1
        is_first = cluster_id not in self._resting
        self._resting[cluster_id] = until = self._clock.now() + AFTER_FAULT
        return until if is_first else None

    def _tell(self, cluster_id: str) -> None:
        for key in (cluster_id, None):
            waiting = self._waiting.pop(key, None)
            if waiting is not None:
                waiting.set()


def _what(work: Callable[[], Awaitable[object]]) -> str:
    return _WHAT.get(work.__name__, f"{work.__name__.replace('_', ' ')} has to wait")


_WHAT = {
    "_scan": "the store can't be asked which clusters are due",
    "_renew": "leases can't be renewed now",
    "_sweep": "nothing can be swept now",
}


class _Lags:
    """The lags of the last minute."""

    def __init__(self) -> None:
        self._lags: deque[tuple[datetime, float]] = deque(maxlen=MOST_LAGS)

    def add(self, now: datetime, lag: timedelta) -> None:
        """Take note of one."""
        self._lags.append((now, max(0.0, lag.total_seconds())))

    def quantiles(self, now: datetime) -> tuple[float, float, float]:
        """Return the median, the 99th percentile and the longest, in seconds; 0 where nothing was done."""
        while self._lags and self._lags[0][0] < now - LAGS:
            self._lags.popleft()
        lags = sorted(lag for _, lag in self._lags)
        if not lags:
            return 0.0, 0.0, 0.0
        return lags[len(lags) // 2], lags[min(len(lags) - 1, len(lags) * 99 // 100)], lags[-1]
