"""Servers in processes of their own, one of which is killed, and more clusters than a budget pays for."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests.chaos.cast import Cast, tell
from tests.chaos.harness import LONG
from tests.chaos.people import OWNER, WORKSPACE, admit
from tests.chaos.run import Findings, Run
from tests.chaos.witness import Witness
from tradewind import wire
from tradewind.model.cluster import ClusterSpec, Scaling
from tradewind.model.exchange import NewBudget, NewCluster
from tradewind.model.money import Money

RACERS = 30
REPLICAS = 3
PER_HOUR = Decimal("0.288")
"""A scheduler and two workers of the smallest size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Who races, and who sees it."""

    cast: Cast
    http: httpx.AsyncClient
    witness: Witness

    async def ask(self, method: str, path: str, body: object, replica: int) -> int:
        """Return the number of the answer; 0 where there was none."""
        url = f"http://127.0.0.1:{self.cast.seats[replica].port}/api/v1/workspaces/{WORKSPACE}{path}"
        try:
            answer = await self.http.request(method, url, content=wire.dump_json(body))
        except httpx.HTTPError:
            return 0
        return answer.status_code

    async def promised(self) -> Decimal:
        """Return what the account's row says is promised."""
        rows = await asyncio.to_thread(self.witness.rows, "SELECT committed FROM accounts")
        return Decimal(rows[0][0])


@asynccontextmanager
async def servers(database: str, directory: Path, minute_s: float) -> AsyncIterator[Servers]:
    """Run a world and replicas on it."""
    run = Run(seed=1, duration_s=0, replicas=REPLICAS, clock_spread_s=0, minute_s=minute_s)
    cast = Cast(run, Findings(), database, directory)
    token = (await admit(database))[OWNER]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        await cast.open()
        await cast.seat()
        async with httpx.AsyncClient(timeout=20, headers=headers) as http:
            yield Servers(cast=cast, http=http, witness=Witness(database, cast.world))
    finally:
        await cast.aclose()


async def race(all_: Servers, limit: Decimal, within_s: float, *, settles: bool = False) -> list[int]:
    """Let everybody ask at once, kill a server meanwhile, and return the answers once nothing lives any more.

    With ``settles``, once the other servers have seen that, too.
    """
    money = Money(amount=limit, currency="USD")
    assert await all_.ask("POST", "/budgets", NewBudget(limit=money), 0) == 201
    asked = [asyncio.create_task(create(all_, number)) for number in range(RACERS)]
    await asyncio.sleep(random.Random(3).uniform(0.5, 1.5))
    assert tell(all_.cast.seats[0].pid, signal.SIGKILL)
    answers = await asyncio.gather(*asked)
    until = time.monotonic() + within_s
    began = False
    while not began or await all_.witness.world("alive") or (settles and await asyncio.to_thread(all_.witness.live)):
        began = began or bool(await all_.witness.world("ledger"))
        assert await all_.promised() <= limit
        assert time.monotonic() < until, "nothing began, or the money lasted too long"
        await asyncio.sleep(0.25)
    return answers


async def create(all_: Servers, number: int) -> int:
    spec = ClusterSpec(
        name=f"racer-{number}",
        workspace=WORKSPACE,
        provider="fake",
        scaling=Scaling.fixed(2),
        lifetimes=LONG,
    )
    return await all_.ask("POST", "/clusters", NewCluster(spec=spec), number % REPLICAS)


async def assert_kept(all_: Servers, limit: Decimal, answers: list[int]) -> None:
    let_in = answers.count(201)
    assert set(answers) <= {201, 402, 403, 409, 0}, "refused, or without an answer where the server was killed"
    assert 2 <= let_in < RACERS, answers
    overrun = await all_.witness.overrun(limit)
    assert overrun.spent > limit / 3, "so little was spent that this says nothing"
    assert overrun.rounds <= 1, overrun
    assert await all_.promised() <= max(limit, overrun.spent)


@pytest.mark.timeout(120)
async def test_thirty_clusters_on_three_servers_of_which_one_dies_spend_no_more_than_there_is(
    postgres_url: str, tmp_path: Path
) -> None:
    limit = PER_HOUR * 6 * 8 / 3600  # what six of them need for two of these short minutes
    async with servers(postgres_url, tmp_path, minute_s=4) as all_:
        await assert_kept(all_, limit, await race(all_, limit, within_s=60))


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_thirty_clusters_race_by_the_minutes_that_people_are_promised(postgres_url: str, tmp_path: Path) -> None:
    limit = PER_HOUR * 10 * 130 / 3600
    async with servers(postgres_url, tmp_path, minute_s=60) as all_:
        answers = await race(all_, limit, within_s=600, settles=True)
        await assert_kept(all_, limit, answers)
