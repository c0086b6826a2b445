"""The processes of a chaos run: replicas, one after the other in each seat, and the world that they all use."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.proxy import Line, Proxy
from tests.chaos.replica import STARTING_S
from tests.chaos.run import Findings, Run

ROOT = Path(__file__).parents[2]
PEOPLES_MINUTE_S = 60.0
START_S = 60.0
"""Within this the first replicas serve, on a machine with other work."""


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


class Cast:
    """All of them."""

    def __init__(self, run: Run, found: Findings, database: str, directory: Path) -> None:
        self.seats: list[Seat] = []
        self.pid_of: dict[str, int] = {}
        """Of every replica there ever was, by the name that it gives to the database."""
        self.world = ""
        """Where the world is, host:port."""
        self._run = run
        self._found = found
        self._database = database
        self._directory = directory
        self._dice = random.Random(f"{run.seed} cast")
        self._processes: list[asyncio.subprocess.Process] = []
        self._asking = asyncio.Lock()

    async def open(self) -> None:
        """Start the world and the nursery; nobody is seated yet."""
        times = ("--pending-s", "0.1", "--latency-s", str(STARTING_S), "--stopping-s", "0.3")
        world = await self._start("tradewind.providers.fake.process", "--seed", str(self._run.seed), *times)
        assert world.stdout is not None
        self.world = json.loads(await world.stdout.readline())["world"]
        # One whose replicas hurry is another, so that a run by people's minutes has no code of ours changed.
        hurry = () if self._run.minute_s == PEOPLES_MINUTE_S else (str(self._run.minute_s),)
        self._nursery = await self._start("tests.chaos.hasty" if hurry else "tests.chaos.nursery", *hurry)

    async def seat(self) -> None:
        """Let a replica be born in every seat, and return when all serve."""
        port = int(self._database.rpartition("/")[0].rpartition(":")[2])
        for number in range(self._run.replicas):
            proxy = Proxy(port)
            await proxy.open()
            self.seats.append(Seat(number, _free_port(), proxy))
        for seat in self.seats:
            await self.bear(seat)
        for seat in self.seats:
            await self.serving(seat)

    async def bear(self, seat: Seat, **doom: Any) -> None:
        """Let a new replica be born in a seat, with a way to die where that is chosen; whoever sat there is dead."""
        seat.births += 1
        seat.is_doomed = "dies_at" in doom
        name = f"replica{seat.number}.{seat.births}"
        spread_s, is_slow = self._run.clock_spread_s, self._dice.random() < 0.2
        place = f"postgresql://tradewind@127.0.0.1:{seat.proxy.port}/{self._database.rpartition('/')[2]}"
        told = {
            "directory": str(self._directory),
            "provider": self._run.provider,
            "port": seat.port,
            "store": f"{place}?options=-c%20chaos.replica%3D{name}",
            "world": self.world,
            "clock_offset_s": self._dice.uniform(-spread_s / 2, spread_s / 2),
            "disk_delay_s": 0.3 if is_slow else 0.0,
            "log": str(self._directory / f"replica{seat.number}.log"),
            **doom,
        }
        if is_slow:
            self._found.struck["slow_disk"] += 1
        stdin, stdout = self._nursery.stdin, self._nursery.stdout
        assert stdin is not None
        assert stdout is not None
        async with self._asking:
            stdin.write(json.dumps(told).encode() + b"\n")
            seat.pid = json.loads(await stdout.readline())["pid"]
        self.pid_of[name] = seat.pid

    async def empty(self, seat: Seat) -> None:
        """Kill who sits there, and return when they are gone."""
        for _ in range(int(START_S / 0.02)):
            if not tell(seat.pid, signal.SIGKILL):
                return
            await asyncio.sleep(0.02)
        raise RuntimeError(f"process {seat.pid} can't be killed")

    async def serving(self, seat: Seat) -> None:
        """Return once who sits there serves."""
        async with httpx.AsyncClient() as http, asyncio.timeout(START_S):
            await _until_served(seat, http)

    async def mend(self) -> None:
        """Let everybody live, and every line be good."""
        for seat in self.seats:
            seat.proxy.become(Line.GOOD)
            tell(seat.pid, signal.SIGCONT)
            # Some of those that have been through all of it go on; they must be as good as new ones.
            if seat.is_doomed or not exists(seat.pid):
                tell(seat.pid, signal.SIGKILL)
                await self.bear(seat)

    async def aclose(self) -> None:
        """End all of them."""
        for seat in self.seats:
            tell(seat.pid, signal.SIGKILL)
            seat.proxy.close()
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _start(self, module: str, *arguments: str) -> asyncio.subprocess.Process:
        environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments, cwd=ROOT, env=environ, stdin=pipe, stdout=pipe
        )
        self._processes.append(process)
        return process


def tell(pid: int, what: signal.Signals) -> bool:
    """Send a signal; return whether the process was there."""
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        return False
    return True


def exists(pid: int) -> bool:
    """Whether the process is there, standing still or not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def stands_still(pid: int) -> bool:
    """Whether the process is there and was stopped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(b")") + 2 :].startswith(b"T")


async def _until_served(seat: Seat, http: httpx.AsyncClient) -> None:
    while True:
        with suppress(httpx.HTTPError):
            if (await http.get(f"http://127.0.0.1:{seat.port}/readyz")).is_success:
                return
        await asyncio.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
