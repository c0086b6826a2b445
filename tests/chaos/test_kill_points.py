"""A server is killed at every await of what somebody asks; they ask another one again, and it is done once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chaos.cast import Cast, exists
from tests.chaos.harness import LONG
from tests.chaos.people import OWNER, WORKSPACE, admit, strangers
from tests.chaos.run import Findings, Run
from tests.chaos.witness import Witness
from tradewind import wire
from tradewind.model.budget import BudgetScope
from tradewind.model.cluster import ClusterSpec, Scaling
from tradewind.model.exchange import BudgetChange, NewBudget, NewCluster
from tradewind.model.joining import Accepting, NewInvitation
from tradewind.model.money import Money

IN = f"/workspaces/{WORKSPACE}"
MOST_POINTS = 60
"""More than any of these has."""
PATIENCE_S = 75.0
"""A client asks again for so long: a server may wait a minute until it takes another one for dead."""
AGAIN = {0, 500, 502, 503}


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody was told; status 0 is nothing."""

    status: int
    body: Any = None


@dataclass(slots=True, kw_only=True)
class Pair:
    """A server that dies, one that doesn't, and who sees what they did."""

    cast: Cast
    http: httpx.AsyncClient
    witness: Witness
    tokens: dict[str, str]

    async def ask(self, seat: int, who: str, method: str, path: str, body: object, key: str) -> Answer:
        """Ask one of them."""
        url = f"http://127.0.0.1:{self.cast.seats[seat].port}/api/v1{path}"
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Idempotency-Key": key}
        try:
            answer = await self.http.request(method, url, content=wire.dump_json(body), headers=headers)
        except httpx.HTTPError:
            return Answer(0)
        return Answer(answer.status_code, answer.json() if answer.content else None)

    async def killed_at(self, operation: str, point: int) -> None:
        """Let the first server be one that dies there."""
        await self.cast.empty(self.cast.seats[0])
        await self.cast.bear(self.cast.seats[0], dies_at=operation, dies_count=point)
        await self.cast.serving(self.cast.seats[0])

    async def asked(self, who: str, method: str, path: str, body: object, key: str) -> tuple[Answer, bool]:
        """Ask the first, and, where it dies, the other one until it answers; return that, and whether one died."""
        answer = await self.ask(0, who, method, path, body, key)
        if answer.status not in AGAIN:
            return answer, False
        async with asyncio.timeout(PATIENCE_S):
            while answer.status in AGAIN:
                answer = await self.ask(1, who, method, path, body, key)
                await asyncio.sleep(0.5 if answer.status in AGAIN else 0)
        return answer, True


@asynccontextmanager
async def pair(database: str, directory: Path) -> AsyncIterator[Pair]:
    """Run a world and two servers on it."""
    cast = Cast(Run(seed=1, duration_s=0, replicas=2, clock_spread_s=0), Findings(), database, directory)
    tokens = {**await admit(database), **await strangers(database, MOST_POINTS)}
    try:
        await cast.open()
        await cast.seat()
        async with httpx.AsyncClient(timeout=10, headers={"Content-Type": "application/json"}) as http:
            yield Pair(cast=cast, http=http, witness=Witness(database, cast.world), tokens=tokens)
    finally:
        await cast.aclose()


async def at_each_point(both: Pair, operation: str, act: Callable[[int], Awaitable[tuple[Answer, bool]]]) -> list[int]:
    """Kill the first server at one point after the other, until it lives to the end; return what people were told."""
    told = []
    for point in itertools.count(1):
        assert point < MOST_POINTS
        await both.killed_at(operation, point)
        answer, has_died = await act(point)
        assert has_died is not exists(both.cast.seats[0].pid), (point, answer)
        told.append(answer.status)
        if not has_died:
            assert point > 4, "it was killed at next to no point, so this says nothing"
            return told
    raise AssertionError("unreachable")


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_create_whose_server_dies_makes_one_cluster_and_leaves_nothing(
    postgres_url: str, tmp_path: Path
) -> None:
    async with pair(postgres_url, tmp_path) as both:

        async def create(point: int) -> tuple[Answer, bool]:
            spec = ClusterSpec(
                name=f"c{point}", workspace=WORKSPACE, provider="fake", scaling=Scaling.fixed(1), lifetimes=LONG
            )
            return await both.asked(OWNER, "POST", f"{IN}/clusters", NewCluster(spec=spec), f"c{point}")

        told = await at_each_point(both, "clusters.create", create)
        rows = both.witness.rows("SELECT name, count(*) FROM clusters GROUP BY name")
        entries = both.witness.rows("SELECT count(*) FROM audit WHERE action = 'cluster.created'")[0][0]
        for (cluster,) in both.witness.rows("SELECT id FROM clusters"):
            await both.ask(1, OWNER, "DELETE", f"{IN}/clusters/{cluster}", None, f"stop {cluster}")
        for _ in range(120):
            if not (left := [*both.witness.live(), *await both.witness.leaks()]):
                break
            await asyncio.sleep(0.5)
        _, wrong = await both.witness.billed()

    assert set(told) <= {201}, told
    assert sorted(rows) == sorted((f"c{point}", 1) for point in range(1, len(told) + 1))
    assert entries == len(told)
    assert left == []
    assert wrong == []


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_limit_whose_server_dies_as_it_is_set_is_set_once(postgres_url: str, tmp_path: Path) -> None:
    async with pair(postgres_url, tmp_path) as both:

        async def limit(point: int) -> tuple[Answer, bool]:
            wanted = NewBudget(
                limit=Money(amount=Decimal(point), currency="USD"), scope=BudgetScope.TAG, key=f"point={point}"
            )
            return await both.asked(OWNER, "POST", f"{IN}/budgets", wanted, f"b{point}")

        told = await at_each_point(both, "budgets.create", limit)
        rows = both.witness.rows("SELECT key, count(*) FROM budgets WHERE removed_at IS NULL GROUP BY key")
        entries = both.witness.rows("SELECT count(*) FROM audit WHERE action = 'budget.created'")[0][0]

    assert set(told) <= {201}, told
    assert sorted(rows) == sorted((f"point={point}", 1) for point in range(1, len(told) + 1))
    assert entries == len(told)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_limit_whose_server_dies_as_it_is_changed_is_what_was_asked(postgres_url: str, tmp_path: Path) -> None:
    async with pair(postgres_url, tmp_path) as both:
        first = await both.ask(1, OWNER, "POST", f"{IN}/budgets", NewBudget(limit=usd("100")), "first")
        path = f"{IN}/budgets/{first.body['budget']['id']}"
        kept = []

        async def change(point: int) -> tuple[Answer, bool]:
            answer, has_died = await both.asked(
                OWNER, "PATCH", path, BudgetChange(limit=usd(str(point))), f"change {point}"
            )
            rows = both.witness.rows("SELECT amount::numeric FROM budgets")
            kept.append((answer.body["budget"]["limit"]["amount"], [row[0] for row in rows]))
            return answer, has_died

        told = await at_each_point(both, "budgets.change", change)

    assert set(told) == {200}
    assert kept == [(str(point), [Decimal(point)]) for point in range(1, len(told) + 1)]


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_an_invitation_whose_server_dies_makes_one_member_once(postgres_url: str, tmp_path: Path) -> None:
    async with pair(postgres_url, tmp_path) as both:

        async def accept(point: int) -> tuple[Answer, bool]:
            made = await both.ask(1, OWNER, "POST", f"{IN}/invitations", NewInvitation(), f"i{point}")
            secret = made.body["url"].partition("#")[2]
            return await both.asked(
                f"guest{point}", "POST", "/invitations/accept", Accepting(secret=secret), f"a{point}"
            )

        told = await at_each_point(both, "people.accept", accept)
        members = {row[0] for row in both.witness.rows("SELECT user_id FROM members")}
        used = {row[0] for row in both.witness.rows("SELECT used_by FROM invitations")}

    guests = {f"guest{point}" for point in range(1, len(told) + 1)}
    assert guests == used
    assert {f"u-{guest}" for guest in guests} <= members
    # Also whose server died after the commit: the link knows by whom it was used.
    assert set(told) == {200}, told


def usd(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="USD")
