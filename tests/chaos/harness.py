"""A chaos run: several replicas on one PostgreSQL and one world, users who go on working, trouble, and a judgement."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.cast import Cast
from tests.chaos.people import OWNER, PEOPLE, WORKSPACE, admit
from tests.chaos.run import Findings, Run
from tests.chaos.treasurer import Treasurer
from tests.chaos.trouble import Trouble
from tests.chaos.witness import Witness, processes_of
from tests.postgres import Postgres
from tradewind import wire
from tradewind.engine.rounds.rounds import LEASE
from tradewind.model.cluster import ClusterSpec, Lifetimes, Scaling
from tradewind.model.exchange import NewCluster, NewSoftware, Resize

ANSWER_S = 8.0
"""How long a user waits for an answer."""
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
LONG = Lifetimes(
    idle=timedelta(days=1), no_client=timedelta(days=1), orphan=timedelta(hours=2), start=timedelta(minutes=5)
)
"""Nothing ends for another reason than that somebody ended it: what leaks must stay to be seen."""
STOPS = "SELECT intent::json->>'stop' = 'true' FROM clusters WHERE id = %s"


class Chaos:
    """One run."""

    def __init__(self, run: Run, postgres: Postgres, database: str, directory: Path) -> None:
        self.run = run
        self.found = Findings()
        self._postgres = postgres
        self._database = database
        self._directory = directory
        self._cast = Cast(run, self.found, database, directory)

    async def go(self) -> Findings:
        """Run, settle, ask the witnesses."""
        await self._cast.open()
        try:
            self._witness = Witness(self._database, self._cast.world)
            self._witness.begin()
            self._treasurer = Treasurer(self.run, self.found, self._witness, self._ask)
            self._tokens = await admit(self._database)
            headers = {"Content-Type": "application/json"}
            async with httpx.AsyncClient(timeout=ANSWER_S, headers=headers) as self._http:
                await self._cast.seat()
                if self.run.has_limits:
                    await self._treasurer.set()
                await self._work_in_trouble()
        finally:
            await self._cast.aclose()
        return self.found

    async def _work_in_trouble(self) -> None:
        self._trouble = Trouble(self.run, self.found, self._cast, self._witness, self._postgres)
        await self._witness.world("weather", **ROUGH, delay_s=2.0)
        users = [asyncio.create_task(self._use(n)) for n in range(self.run.clusters)]
        watch = asyncio.create_task(self._watch())
        if self.run.has_limits:
            users.append(asyncio.create_task(self._treasurer.look_after()))
        try:
            await self._trouble.make()
        finally:
            for task in users:
                task.cancel()
            await asyncio.gather(*users, return_exceptions=True)
        await self._calm()
        await self._settle()
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await self._judge()

    # Users

    async def _ask(
        self, dice: random.Random, who: str, method: str, path: str, body: object = None, key: str | None = None
    ) -> Any:
        """Ask any replica, and another one where that doesn't answer; None where none does, or there is no such."""
        headers = {"Authorization": f"Bearer {self._tokens[who]}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        content = None if body is None else wire.dump_json(body)
        for seat in dice.sample(self._cast.seats, len(self._cast.seats)):
            url = f"http://127.0.0.1:{seat.port}/api/v1/workspaces/{WORKSPACE}{path}"
            try:
                answer = await self._http.request(method, url, content=content, headers=headers)
            except httpx.HTTPError:
                continue
            self.found.answers[answer.status_code] += 1
            if answer.is_success:
                return answer.json() if answer.content else {}
            if answer.status_code == 402 and key is not None:
                self.found.refused.setdefault(key, (datetime.now(UTC), answer.json()["detail"]))
            if answer.status_code not in {500, 502, 503}:
                return None
            if answer.status_code == 500:
                self.found.faults.append(f"{method} {path}: {answer.text}")
        return None

    async def _use(self, number: int) -> None:
        """Be a user who creates clusters, scales and stops them, one after the other."""
        dice = random.Random(self.run.seed * 1000 + number)
        who, turn = PEOPLE[number % len(PEOPLE)], 0
        while True:
            turn += 1
            spec = ClusterSpec(
                name=f"c{number}-{turn}",
                workspace=WORKSPACE,
                provider=self.run.provider,
                scaling=Scaling.fixed(dice.randint(1, self.run.workers)),
                lifetimes=LONG,
                tags={"project": "enso"} if number % 2 else {},
            )
            made, key = None, f"k{number}-{turn}"
            for _ in range(3):
                if made is None and key not in self.found.refused:
                    made = await self._ask(dice, who, "POST", "/clusters", NewCluster(spec=spec), key=key)
            if made is None:
                await asyncio.sleep(0.5)
                continue
            self.found.created += 1
            for _ in range(dice.randint(0, 3)):
                await self._keep(dice, who, made["id"])
                await self._change(dice, who, f"/clusters/{made['id']}")
            await self._keep(dice, who, made["id"])
            await self._ask(dice, who, "DELETE", f"/clusters/{made['id']}")

    async def _change(self, dice: random.Random, who: str, cluster: str) -> None:
        """Change what a cluster is to be: other code for its workers, another size, or many sizes in a row."""
        if dice.random() < 0.25:
            code = f"{dice.getrandbits(64):x}"
            await self._ask(dice, who, "PUT", f"{cluster}/environment", NewSoftware(compiled=code))
            return
        for _ in range(8 if dice.random() < 0.25 else 1):
            scaling = Scaling.fixed(dice.randint(0, self.run.workers + 1))
            await self._ask(dice, who, "PUT", f"{cluster}/scaling", Resize(scaling=scaling))
            await asyncio.sleep(dice.uniform(0, 0.5))

    async def _keep(self, dice: random.Random, who: str, cluster_id: str) -> None:
        """Leave a cluster alone for a while, or until it was stopped for want of money."""
        loop = asyncio.get_running_loop()
        until = loop.time() + dice.uniform(0.2, self.run.keeps_s)
        while (left := until - loop.time()) > 0:
            await asyncio.sleep(min(left, 2.0 if self.run.has_limits else left))
            if not self.run.has_limits:
                continue
            seen = await self._ask(dice, who, "GET", f"/clusters/{cluster_id}")
            if seen is not None and seen["status"] in {"stopping", "stopped"}:
                return

    # Judgement

    async def _watch(self) -> None:
        """Look whether any live cluster sleeps for ever, or sleeps in while somebody could look after it."""
        while True:
            await asyncio.sleep(1)
            if self._trouble.database_is_down:
                continue
            with suppress(Exception):  # the database may go down while it is asked
                self.found.faults += await asyncio.to_thread(self._witness.asleep)
                late = await asyncio.to_thread(
                    self._witness.rows,
                    "SELECT max(extract(epoch FROM now() - wake_at)) FROM clusters WHERE status <> 'stopped'",
                )
                self.found.worst_overdue_s = max(self.found.worst_overdue_s, float(late[0][0] or 0))

    async def _calm(self) -> None:
        """Let nothing go wrong any more."""
        await self._trouble.end()
        self.found.struck.update(await self._witness.world("struck"))
        await self._witness.world("weather")
        await self._witness.world("calm")
        await self._cast.mend()

    async def _settle(self) -> None:
        """Ask for the end of every cluster, and wait until all has ended."""
        loop = asyncio.get_running_loop()
        began, dice = loop.time(), random.Random(self.run.seed)
        while loop.time() < began + SETTLE_S:
            live = await asyncio.to_thread(self._witness.live)
            if not live and not await self._leaks():
                break
            for cluster in live:
                if (await asyncio.to_thread(self._witness.rows, STOPS, cluster))[0][0] is False:
                    await self._ask(dice, OWNER, "DELETE", f"/clusters/{cluster}")
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
        if self.run.has_limits:
            await self._treasurer.judge()
        found.faults += witness.usurped(self._cast.pid_of)
        if found.created and not witness.saves():
            found.faults.append("the diary holds no save, so it says nothing of who saved")
        found.faults += witness.doubles()
        found.late_acts = await witness.late_acts(timedelta(seconds=0.5))
