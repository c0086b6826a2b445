"""Everything that can go wrong, and who lets it go wrong."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from tests.chaos.cast import Cast, Seat, exists, stands_still, tell
from tests.chaos.proxy import Line
from tests.chaos.replica import STEPS
from tests.chaos.run import Findings, Run
from tests.chaos.witness import Witness
from tests.postgres import Postgres
from tradewind.engine.rounds.rounds import LEASE

KINDS = {
    "kill": 8, "die_at_step": 10, "die_at_turn": 8, "pause": 3, "pause_at_step": 3, "leave": 2,
    "cut_line": 4, "slow_line": 2, "silent_line": 1, "half_line": 2, "closed_line": 2,
    "terminate_backends": 4, "restart_database": 0.4, "crash_database": 0.4,
    "world_outage": 2, "no_capacity": 2, "instance_dies": 6, "never_up": 1, "deaf_agent": 3,
    "lists_late": 2, "lists_twice": 1, "ignores_terminate": 2, "workers_cling": 1,
}  # fmt: skip
"""How often each kind is chosen, against the others; each is a method of :class:`Trouble`."""
HARNESS_KINDS = frozenset(
    {"slow_line", "silent_line", "half_line", "closed_line", "restart_database", "crash_database"}
)
"""Faults that come to pass when they are made; others may find nothing to strike, and are counted where they do."""


class Trouble:
    """Makes it, from a seed."""

    def __init__(self, run: Run, found: Findings, cast: Cast, witness: Witness, postgres: Postgres) -> None:
        self.database_is_down = False
        self._run = run
        self._found = found
        self._cast = cast
        self._witness = witness
        self._postgres = postgres
        self._dice = random.Random(run.seed)
        self._tasks: set[asyncio.Task[None]] = set()

    async def make(self) -> None:
        """Let one thing after the other go wrong, until the time is over."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._run.duration_s
        kinds = {kind: weight for kind, weight in KINDS.items() if kind in (self._run.faults or KINDS)}
        while loop.time() < until:
            kind = self._dice.choices(list(kinds), list(kinds.values()))[0]
            await getattr(self, f"_{kind}")()
            if kind in HARNESS_KINDS:
                self._found.struck[kind] += 1
            rest_s = self._dice.expovariate(1 / self._run.pause_s)
            await asyncio.sleep(min(rest_s, max(0.0, until - loop.time())))

    async def end(self) -> None:
        """Make no more of it; what was to go wrong later doesn't."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Processes

    def _any_seat(self) -> Seat:
        return self._dice.choice([seat for seat in self._cast.seats if not seat.is_doomed] or self._cast.seats)

    def _seat_to_doom(self) -> Seat | None:
        """Return one whose replica may be doomed; None where only one is left that isn't."""
        free = [seat for seat in self._cast.seats if not seat.is_doomed]
        return self._dice.choice(free) if len(free) > 1 else None

    async def _kill(self) -> None:
        seat = self._any_seat()
        self._killed(seat)
        await self._cast.bear(seat)

    def _killed(self, seat: Seat) -> None:
        if tell(seat.pid, signal.SIGKILL):
            self._found.struck["kill"] += 1

    async def _leave(self) -> None:
        seat = self._any_seat()
        if tell(seat.pid, signal.SIGTERM):
            self._found.struck["leave"] += 1
        self._later(self._dice.uniform(0.5, 3), partial(self._reborn, seat, seat.pid))

    async def _reborn(self, seat: Seat, pid: int, doom: str | None = None) -> None:
        if seat.pid != pid:
            return
        if doom is not None and not exists(pid):
            self._found.struck[doom] += 1
        else:
            tell(seat.pid, signal.SIGKILL)
        await self._cast.bear(seat)

    async def _die_at_step(self) -> None:
        seat = self._seat_to_doom()
        if seat is None:
            return
        self._killed(seat)
        doom = {
            "dies_at": self._dice.choice(STEPS),
            "dies_after": self._dice.random() < 0.5,
            "dies_count": self._dice.randint(1, 8),
        }
        await self._cast.bear(seat, **doom)
        self._later(self._dice.uniform(1, 4), partial(self._reborn, seat, seat.pid, f"dies at {doom['dies_at']}"))

    async def _die_at_turn(self) -> None:
        seat = self._seat_to_doom()
        if seat is None:
            return
        self._killed(seat)
        await self._cast.bear(seat, dies_at="turn", dies_count=self._dice.randint(20, 4000))
        self._later(self._dice.uniform(1, 4), partial(self._reborn, seat, seat.pid, "dies at a turn"))

    async def _pause_at_step(self) -> None:
        """Let a replica stand still in the middle of a step, and go on with it when its lease is another's."""
        seat = self._seat_to_doom()
        if seat is None:
            return
        self._killed(seat)
        doom = {
            "dies_at": self._dice.choice(("save", "launch", "terminate", "load", "observe", "change_intent")),
            "dies_after": self._dice.random() < 0.3,
            "dies_count": self._dice.randint(2, 12),
            "dies_by": "SIGSTOP",
        }
        await self._cast.bear(seat, **doom)
        pid, lasts = seat.pid, LEASE.total_seconds() * self._dice.uniform(1.2, 2.2)

        async def wake() -> None:
            if stands_still(pid):
                self._found.struck[f"stands still at {doom['dies_at']}"] += 1
            await self._go_on(pid)
            seat.is_doomed = seat.is_doomed and seat.pid != pid

        self._later(4 + lasts, wake)

    async def _pause(self) -> None:
        """Let a replica stand still, half of the time for longer than its leases last."""
        seat = self._any_seat()
        if tell(seat.pid, signal.SIGSTOP):
            long = LEASE.total_seconds()
            seconds = self._dice.choice([self._dice.uniform(0.5, 5), self._dice.uniform(long, long * 1.6)])
            pid = seat.pid
            self._found.struck["pause"] += 1
            self._later(seconds, partial(self._go_on, pid))

    async def _go_on(self, pid: int) -> None:
        tell(pid, signal.SIGCONT)

    # Lines and the database

    async def _cut_line(self) -> None:
        if self._any_seat().proxy.cut():
            self._found.struck["cut_line"] += 1

    async def _line(self, line: Line, seconds: float) -> None:
        proxy = self._any_seat().proxy
        proxy.become(line)

        async def mend() -> None:
            if proxy.line is line:
                proxy.become(Line.GOOD)

        self._later(seconds, mend)

    async def _slow_line(self) -> None:
        await self._line(Line.SLOW, self._dice.uniform(1, 6))

    async def _silent_line(self) -> None:
        await self._line(Line.SILENT, self._dice.uniform(1, 12))

    async def _half_line(self) -> None:
        await self._line(Line.HALF, self._dice.uniform(0.2, 4))

    async def _closed_line(self) -> None:
        await self._line(Line.CLOSED, self._dice.uniform(0.5, 5))

    async def _terminate_backends(self) -> None:
        if await asyncio.to_thread(self._postgres.cut):
            self._found.struck["terminate_backends"] += 1

    async def _restart_database(self) -> None:
        await self._while_down(signal.SIGINT)

    async def _crash_database(self) -> None:
        await self._while_down(signal.SIGQUIT)

    async def _while_down(self, how: signal.Signals) -> None:
        self.database_is_down = True
        try:
            await asyncio.to_thread(self._postgres.stop, how)
            await asyncio.sleep(self._dice.uniform(0, 2))
            # Not on another thread: the server is told to die with the thread that started it.
            self._postgres.start()
        finally:
            self.database_is_down = False

    # The infrastructure

    async def _world_outage(self) -> None:
        verbs = self._dice.choice([["launch"], ["observe"], ["terminate"], ["launch", "observe", "terminate"]])
        times = self._dice.randint(1, 6)
        await self._arm("DoesNotAnswer", verbs=verbs, times=times, retry_after=self._dice.uniform(0.2, 2))

    async def _no_capacity(self) -> None:
        await self._arm("SaysNoCapacity", times=self._dice.randint(1, 8))

    async def _instance_dies(self) -> None:
        alive = await self._witness.world("alive")
        if alive:
            await self._arm("InstanceDies", instance=self._dice.choice(alive), after=self._dice.uniform(0, 1))
            self._found.struck["InstanceDies"] += 1

    async def _lists_late(self) -> None:
        await self._arm("ListsLate", by=self._dice.uniform(0.5, 4))

    async def _lists_twice(self) -> None:
        await self._arm("ListsTwice", times=5)

    async def _ignores_terminate(self) -> None:
        await self._arm("IgnoresTerminate", times=self._dice.randint(1, 3))

    async def _deaf_agent(self) -> None:
        await self._arm("AgentIsDeaf", times=self._dice.randint(1, 10))

    async def _never_up(self) -> None:
        await self._arm("NeverComesUp", role="worker")

    async def _workers_cling(self) -> None:
        await self._arm("WorkersCling", times=2)

    async def _arm(self, fault: str, **how: Any) -> None:
        await self._witness.world("arm", fault=fault, **how)

    def _later(self, seconds: float, what: Callable[[], Awaitable[None]]) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            await what()

        self._tasks.add(task := asyncio.create_task(wait()))
        task.add_done_callback(self._tasks.discard)
