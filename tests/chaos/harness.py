"""Several replicas on one PostgreSQL and one world, users who go on working, and everything that can go wrong."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.proxy import Line, Proxy
from tests.chaos.replica import STARTING_S, STEPS
from tests.chaos.witness import Overrun, Seconds, Witness, processes_of
from tests.postgres import Postgres
from tradewind import wire
from tradewind.engine.rounds import LEASE
from tradewind.model.cluster import ClusterSpec, Lifetimes, Scaling
from tradewind.model.exchange import NewBudget, NewCluster, Resize
from tradewind.model.money import Money
from tradewind.model.people import Token, User, Workspace
from tradewind.store.audit import By
from tradewind.store.store import Store

ROOT = Path(__file__).parents[2]
ANSWER_S = 8.0
"""How long a user waits for an answer."""
START_S = 60.0
"""Within this the first replicas serve, on a machine with other work."""
SETTLE_S = 90.0
"""Within this everything has ended once nothing goes wrong any more."""
ROUGH = {
    "loses_request": 0.02,
    "loses_answer": 0.03,
    "delays_request": 0.03,
    "delays_answer": 0.05,
    "repeats_request": 0.03,
    "never_answers": 0.002,
}
"""Weather on the line to the world, in a chaos run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run is made from; the same seed makes the same choices, though not at the same microsecond."""

    seed: int
    duration_s: float
    provider: str = "fake"
    """Or local: real processes, and the machine itself is the witness."""
    replicas: int = 3
    clusters: int = 8
    """That live at a time."""
    workers: int = 4
    """The most that a user asks for at first."""
    pause_s: float = 0.3
    """Between two faults of the harness's own, on average."""
    clock_spread_s: float = 3.0
    """Clocks of replicas are ahead or behind by up to half of this."""
    faults: tuple[str, ...] = ()
    """Only these kinds; none named is all."""
    keeps_s: float = 4.0
    """The longest that a user leaves a cluster alone."""
    budget: Decimal | None = None
    """Hard limit of the workspace, in the currency of the world; None is none."""
    most_faults: int | None = None
    """Ends early once so many have struck."""


@dataclass(slots=True, kw_only=True)
class Findings:
    """What came of it."""

    struck: Counter[str] = field(default_factory=Counter)
    """Faults that came to pass, by kind."""
    created: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    """What users were told, by the number of HTTP."""
    seconds: Seconds | None = None
    overrun: Overrun | None = None
    faults: list[str] = field(default_factory=list)
    """What must not be; empty is what a run is for."""
    late_acts: list[str] = field(default_factory=list)
    settled_within_s: float = 0.0
    worst_overdue_s: float = 0.0


@dataclass(slots=True)
class Seat:
    """Where one replica after the other lives."""

    number: int
    port: int
    proxy: Proxy
    pid: int = 0
    births: int = 0
    is_doomed: bool = False
    """It dies by itself soon, and nobody else shall kill it before."""


class Chaos:
    """One run."""

    def __init__(self, run: Run, postgres: Postgres, database: str, directory: Path) -> None:
        self.run = run
        self.found = Findings()
        self._postgres = postgres
        self._database = database
        self._directory = directory
        self._dice = random.Random(run.seed)
        self._seats: list[Seat] = []
        self._pid_of: dict[str, int] = {}
        self._disturbed_at = 0.0
        self._down = False
        self._asking = asyncio.Lock()

    async def go(self) -> Findings:
        """Run, settle, ask the witnesses."""
        database = self._database
        self._database_name = database.rpartition("/")[2]
        world, address = await _world(self.run.seed)
        nursery = self._nursery = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.chaos.nursery", cwd=ROOT, env=_environ(), stdin=-1, stdout=-1
        )
        self._world = address
        self._witness = Witness(database, address)
        self._witness.begin()
        token = await _person(database)
        self._http = httpx.AsyncClient(timeout=ANSWER_S, headers={"Authorization": f"Bearer {token}"})
        try:
            await self._seat(database)
            if self.run.budget is not None:
                limit = NewBudget(limit=Money(amount=self.run.budget, currency="USD"))
                if await self._ask("POST", "/budgets", limit) is None:
                    raise RuntimeError(f"no budget could be set: {self.found.answers}")
            await self._witness.world("weather", **ROUGH, delay_s=2.0)
            users = [asyncio.create_task(self._use(n)) for n in range(self.run.clusters)]
            watch = asyncio.create_task(self._watch())
            try:
                await self._make_trouble()
            finally:
                for task in users:
                    task.cancel()
                await asyncio.gather(*users, return_exceptions=True)
            await self._calm()
            await self._settle()
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await self._judge()
        finally:
            for seat in self._seats:
                self._signal(seat, signal.SIGKILL)
                seat.proxy.close()
            await self._http.aclose()
            for process in (nursery, world):
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return self.found

    # The cast

    async def _seat(self, database: str) -> None:
        port = int(database.rpartition("/")[0].rpartition(":")[2])
        for number in range(self.run.replicas):
            proxy = Proxy(port)
            await proxy.open()
            self._seats.append(Seat(number, _free_port(), proxy))
        for seat in self._seats:
            await self._bear(seat)
        for seat in self._seats:
            await self._until_served(seat)

    async def _until_served(self, seat: Seat) -> None:
        async with asyncio.timeout(START_S):
            while True:
                with suppress(httpx.HTTPError):
                    if (await self._http.get(f"http://127.0.0.1:{seat.port}/readyz")).is_success:
                        return
                await asyncio.sleep(0.1)

    async def _bear(self, seat: Seat, **doom: Any) -> None:
        seat.births += 1
        seat.is_doomed = "dies_at" in doom
        name = f"replica{seat.number}.{seat.births}"
        spread = self.run.clock_spread_s
        slow = self._dice.random() < 0.2
        told = {
            "directory": str(self._directory),
            "provider": self.run.provider,
            "port": seat.port,
            "store": f"postgresql://tradewind@127.0.0.1:{seat.proxy.port}/{self._database_name}"
            f"?options=-c%20chaos.replica%3D{name}",
            "world": self._world,
            "clock_offset_s": self._dice.uniform(-spread / 2, spread / 2),
            "disk_delay_s": 0.3 if slow else 0.0,
            "log": str(self._directory / f"replica{seat.number}.log"),
            **doom,
        }
        if slow:
            self.found.struck["slow_disk"] += 1
        stdin, stdout = self._nursery.stdin, self._nursery.stdout
        assert stdin is not None
        assert stdout is not None
        async with self._asking:
            stdin.write(json.dumps(told).encode() + b"\n")
            seat.pid = json.loads(await stdout.readline())["pid"]
        self._pid_of[name] = seat.pid

    def _signal(self, seat: Seat, what: signal.Signals) -> bool:
        try:
            os.kill(seat.pid, what)
        except ProcessLookupError:
            return False
        return True

    # Users

    async def _ask(self, method: str, path: str, body: object = None, key: str | None = None) -> Any:
        """Ask any replica, and another one where that doesn't answer; None where none does, or there is no such."""
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key is not None else {})
        content = None if body is None else wire.dump_json(body)
        for seat in self._dice.sample(self._seats, len(self._seats)):
            url = f"http://127.0.0.1:{seat.port}/api/v1/workspaces/{WORKSPACE}{path}"
            try:
                answer = await self._http.request(method, url, content=content, headers=headers)
            except httpx.HTTPError:
                continue
            self.found.answers[answer.status_code] += 1
            if answer.is_success:
                return answer.json() if answer.content else {}
            if answer.status_code not in {500, 502, 503}:
                return None
            if answer.status_code == 500:
                self.found.faults.append(f"{method} {path}: {answer.text}")
        return None

    async def _use(self, number: int) -> None:
        """Be a user who creates clusters, scales and stops them, one after the other."""
        dice = random.Random(self.run.seed * 1000 + number)
        turn = 0
        while True:
            turn += 1
            spec = ClusterSpec(
                name=f"c{number}-{turn}",
                workspace=WORKSPACE,
                provider=self.run.provider,
                scaling=Scaling.fixed(dice.randint(1, self.run.workers)),
                lifetimes=LONG,
            )
            made = None
            for _ in range(3):
                made = made or await self._ask("POST", "/clusters", NewCluster(spec=spec), key=f"k{number}-{turn}")
            if made is None:
                await asyncio.sleep(0.5)
                continue
            self.found.created += 1
            for _ in range(dice.randint(0, 3)):
                await asyncio.sleep(dice.uniform(0.2, self.run.keeps_s))
                scaling = Scaling.fixed(dice.randint(0, self.run.workers + 1))
                await self._ask("PUT", f"/clusters/{made['id']}/scaling", Resize(scaling=scaling))
            await asyncio.sleep(dice.uniform(0.2, self.run.keeps_s))
            await self._ask("DELETE", f"/clusters/{made['id']}")

    # Trouble

    async def _make_trouble(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self.run.duration_s
        kinds = KINDS
        if self.run.faults:
            kinds = {kind: weight for kind, weight in KINDS.items() if kind in self.run.faults}
        while loop.time() < until and not self._is_enough():
            kind = self._dice.choices(list(kinds), list(kinds.values()))[0]
            await getattr(self, f"_{kind}")()
            if kind in HARNESS_KINDS:
                self.found.struck[kind] += 1
            self._disturbed_at = loop.time()
            rest_s = self._dice.expovariate(1 / self.run.pause_s)
            await asyncio.sleep(min(rest_s, max(0.0, until - loop.time())))

    def _is_enough(self) -> bool:
        return self.run.most_faults is not None and self.found.struck.total() >= self.run.most_faults

    def _any_seat(self) -> Seat:
        return self._dice.choice([seat for seat in self._seats if not seat.is_doomed] or self._seats)

    def _seat_to_doom(self) -> Seat | None:
        """Return one whose replica may be doomed; None where only one is left that isn't."""
        free = [seat for seat in self._seats if not seat.is_doomed]
        return self._dice.choice(free) if len(free) > 1 else None

    async def _kill(self) -> None:
        seat = self._any_seat()
        self._killed(seat)
        await self._bear(seat)

    def _killed(self, seat: Seat) -> None:
        if self._signal(seat, signal.SIGKILL):
            self.found.struck["kill"] += 1

    async def _leave(self) -> None:
        seat = self._any_seat()
        if self._signal(seat, signal.SIGTERM):
            self.found.struck["leave"] += 1
        self._later(self._dice.uniform(0.5, 3), partial(self._reborn, seat, seat.pid))

    async def _reborn(self, seat: Seat, pid: int, doom: str | None = None) -> None:
        if seat.pid != pid:
            return
        if doom is not None and not _exists(pid):
            self.found.struck[doom] += 1
        else:
            self._signal(seat, signal.SIGKILL)
        await self._bear(seat)

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
        await self._bear(seat, **doom)
        self._later(self._dice.uniform(1, 4), partial(self._reborn, seat, seat.pid, f"dies at {doom['dies_at']}"))

    async def _die_at_turn(self) -> None:
        seat = self._seat_to_doom()
        if seat is None:
            return
        self._killed(seat)
        await self._bear(seat, dies_at="turn", dies_count=self._dice.randint(20, 4000))
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
        await self._bear(seat, **doom)
        pid, lasts = seat.pid, LEASE.total_seconds() * self._dice.uniform(1.2, 2.2)

        async def wake() -> None:
            if _stands_still(pid):
                self.found.struck[f"stands still at {doom['dies_at']}"] += 1
            await self._go_on(pid)
            seat.is_doomed = seat.is_doomed and seat.pid != pid

        self._later(4 + lasts, wake)

    async def _pause(self) -> None:
        """Let a replica stand still, half of the time for longer than its leases last."""
        seat = self._any_seat()
        if self._signal(seat, signal.SIGSTOP):
            long = LEASE.total_seconds()
            seconds = self._dice.choice([self._dice.uniform(0.5, 5), self._dice.uniform(long, long * 1.6)])
            pid = seat.pid
            self.found.struck["pause"] += 1
            self._later(seconds, partial(self._go_on, pid))

    async def _go_on(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    async def _cut_line(self) -> None:
        if self._any_seat().proxy.cut():
            self.found.struck["cut_line"] += 1

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
            self.found.struck["terminate_backends"] += 1

    async def _restart_database(self) -> None:
        await self._while_down(signal.SIGINT)

    async def _crash_database(self) -> None:
        await self._while_down(signal.SIGQUIT)

    async def _while_down(self, how: signal.Signals) -> None:
        self._down = True
        try:
            await asyncio.to_thread(self._postgres.stop, how)
            await asyncio.sleep(self._dice.uniform(0, 2))
            # Not on another thread: the server is told to die with the thread that started it.
            self._postgres.start()
        finally:
            self._down = False
            self._disturbed_at = asyncio.get_running_loop().time()

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
            self.found.struck["InstanceDies"] += 1

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

        tasks.add(task := asyncio.create_task(wait()))
        task.add_done_callback(tasks.discard)

    # Judgement

    async def _watch(self) -> None:
        """Look whether any live cluster sleeps for ever, or sleeps in while somebody could look after it."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1)
            if self._down:
                continue
            with suppress(Exception):  # the database may go down while it is asked
                self.found.faults += await asyncio.to_thread(self._witness.asleep)
                late = await asyncio.to_thread(
                    self._witness.rows,
                    "SELECT max(extract(epoch FROM now() - wake_at)) FROM clusters WHERE status <> 'stopped'",
                )
                self.found.worst_overdue_s = max(self.found.worst_overdue_s, float(late[0][0] or 0))
        del loop

    async def _calm(self) -> None:
        """Let nothing go wrong any more, and everybody live."""
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.found.struck.update(await self._witness.world("struck"))
        await self._witness.world("weather")
        await self._witness.world("calm")
        for seat in self._seats:
            seat.proxy.become(Line.GOOD)
            await self._go_on(seat.pid)
            if not _exists(seat.pid) or seat.births % 2:
                self._signal(seat, signal.SIGKILL)
                await self._bear(seat)

    async def _settle(self) -> None:
        """Ask for the end of every cluster, and wait until all has ended."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() < began + SETTLE_S:
            live = await asyncio.to_thread(self._witness.live)
            if not live and not await self._leaks():
                break
            for cluster in live:
                if (await asyncio.to_thread(self._witness.rows, STOPS, cluster))[0][0] is False:
                    await self._ask("DELETE", f"/clusters/{cluster}")
            if loop.time() > began + 10:
                late = await asyncio.to_thread(self._witness.overdue, LEASE + timedelta(seconds=10))
                self.found.faults += [f"{loop.time() - began:.0f} s after the last fault, {fault}" for fault in late]
            await asyncio.sleep(0.5)
        self.found.settled_within_s = loop.time() - began

    async def _leaks(self) -> list[str]:
        if self.run.provider == "fake":
            return await self._witness.leaks()
        return await asyncio.to_thread(processes_of, self._directory)

    async def _judge(self) -> None:
        found, witness = self.found, self._witness
        found.faults += [f"cluster {id} is {status} for ever" for id, status in witness.live().items()]
        found.faults += await self._leaks()
        if self.run.provider == "fake":
            found.seconds, wrong = await witness.billed()
            found.faults += wrong
        found.faults += witness.unsettled()
        if self.run.budget is not None:
            found.overrun = await witness.overrun(self.run.budget)
            if found.overrun.rounds > 1:
                found.faults.append(f"a hard limit was passed: {found.overrun}")
        found.faults += witness.usurped(self._pid_of)
        found.faults += witness.doubles()
        found.late_acts = await witness.late_acts(timedelta(seconds=0.5))


KINDS = {
    "kill": 8, "die_at_step": 10, "die_at_turn": 8, "pause": 3, "pause_at_step": 3, "leave": 2,
    "cut_line": 4, "slow_line": 2, "silent_line": 1, "half_line": 2, "closed_line": 2,
    "terminate_backends": 4, "restart_database": 0.4, "crash_database": 0.4,
    "world_outage": 2, "no_capacity": 2, "instance_dies": 6, "never_up": 1, "deaf_agent": 3,
    "lists_late": 2, "lists_twice": 1, "ignores_terminate": 2, "workers_cling": 1,
}  # fmt: skip
"""How often each kind is chosen, against the others; each is a method of :class:`Chaos`."""
HARNESS_KINDS = frozenset(
    {"slow_line", "silent_line", "half_line", "closed_line", "restart_database", "crash_database"}
)
"""Faults that come to pass when they are made; others may find nothing to strike, and are counted where they do."""
WORKSPACE = "chaos"
LONG = Lifetimes(
    idle=timedelta(days=1), no_client=timedelta(days=1), orphan=timedelta(hours=2), start=timedelta(minutes=5)
)
"""Nothing ends for another reason than that somebody ended it: what leaks must stay to be seen."""
STOPS = "SELECT intent::json->>'stop' = 'true' FROM clusters WHERE id = %s"
tasks: set[asyncio.Task[None]] = set()


async def _person(database: str) -> str:
    """Return the token of somebody who owns the workspace."""
    store = await Store.open(database)
    now = datetime.now(UTC)
    by = By(user="test", at=now)
    user = await store.people.create_user(User(id="u-ada", name="ada", created_at=now), by)
    await store.people.create_workspace(Workspace(name=WORKSPACE, created_at=now), user, by)
    text = "tw_" + "ada".ljust(43, "0")
    token = Token(id="t-ada", user_id=user.id, label="", created_at=now - timedelta(hours=1), expires_at=None)
    await store.people.create_token(token, hashlib.sha256(text.encode()).hexdigest(), by)
    await store.aclose()
    return text


async def _world(seed: int) -> tuple[asyncio.subprocess.Process, str]:
    times = ("--pending-s", "0.1", "--latency-s", str(STARTING_S), "--stopping-s", "0.3")
    command = (sys.executable, "-m", "tradewind.providers.fake.process", "--seed", str(seed), *times)
    world = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=_environ(), stdout=asyncio.subprocess.PIPE)
    assert world.stdout is not None
    return world, json.loads(await world.stdout.readline())["world"]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _stands_still(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(b")") + 2 :].startswith(b"T")


def _environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
