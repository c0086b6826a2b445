"""What a chaos run says of its limits: which bit, how much of each was spent, and when one was passed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.chaos import treasurer
from tests.chaos.bill import Bill, stages
from tests.chaos.people import OWNER
from tests.chaos.run import Findings, Run
from tests.chaos.test_witness import NOW, a_world_that_billed, line
from tests.chaos.treasurer import Treasurer
from tests.chaos.witness import Witness
from tradewind.model.exchange import NewBudget
from tradewind.store.store import Store

RUN = Run(seed=1, duration_s=0, has_limits=True)
INSERT = (
    "INSERT INTO budgets (id, workspace, scope, key, amount, currency, period, is_hard, created_by, created_at) "
    "VALUES (%s, 'chaos', %s, %s, '10', 'USD', 'month', true, 'ada', now())"
)


def bill(began_s: float, ended_s: float, dollars_a_second: int = 1) -> Bill:
    began, ended = (NOW + timedelta(seconds=s) for s in (began_s, ended_s))
    return Bill(cluster="c1", per_hour=Decimal(3600 * dollars_a_second), began=began, ended=ended)


@pytest.mark.parametrize(
    ("limits", "shares", "rounds"),
    [
        ([(0, 40)], [0.75], [0.0]),
        ([(0, 20)], [1.5], [5.0]),
        ([(0, 10), (10, 40)], [1.0, 20 / 30], [0.0, 0.0]),
        # Raised too late: two seconds of one dollar over the first, none over the second.
        ([(0, 8), (10, 30)], [1.25, 1.0], [2.0, 0.0]),
        ([(0, 5), (5, 30), (15, 40)], [1.0, 15 / 25, 10 / 20], [0.0, 0.0, 0.0]),
    ],
)
def test_each_limit_is_judged_by_what_was_spent_while_it_held(
    limits: list[tuple[float, int]], shares: list[float], rounds: list[float]
) -> None:
    # A dollar a second, from the tenth second on two, for twenty seconds: thirty dollars.
    bills = [bill(0, 20), bill(10, 20)]
    given = [(NOW + timedelta(seconds=s), Decimal(amount)) for s, amount in limits]
    found = stages("all", bills, given, NOW + timedelta(seconds=25))
    assert [stage.share for stage in found] == pytest.approx(shares)
    assert [stage.overrun.rounds for stage in found] == pytest.approx(rounds)


@asynccontextmanager
async def minded(postgres_url: str, *lines: dict[str, Any]) -> AsyncIterator[tuple[Treasurer, Findings]]:
    """Mind limits of 10 USD in a world that billed this."""
    await (await Store.open(postgres_url)).aclose()
    async with a_world_that_billed(*lines) as address:
        witness, found, numbers = Witness(postgres_url, address), Findings(), iter("123")
        witness.begin()

        async def ask(dice: random.Random, who: str, method: str, path: str, body: object) -> Any:
            assert isinstance(body, NewBudget)
            id_ = f"budget-{next(numbers)}"
            with psycopg.connect(postgres_url) as connection:
                connection.execute(INSERT, (id_, body.scope.value, body.key))
            return {"budget": {"id": id_}}

        made = Treasurer(RUN, found, witness, ask)
        await made.set()
        yield made, found


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treasurer, "SETTLED_S", 1)


async def test_a_run_in_which_no_limit_bit_fails(postgres_url: str) -> None:
    async with minded(postgres_url) as (made, found):
        await made.judge()
    assert found.faults == ["no limit refused or stopped anything, so this says nothing of limits"]


async def test_a_refusal_is_counted_for_the_limit_that_refused(postgres_url: str) -> None:
    async with minded(postgres_url) as (made, found):
        refused = f"the budget of 10 USD a month for user '{OWNER}' doesn't pay for this"
        found.refused["k1"] = (datetime.now(UTC), refused)
        await asyncio.sleep(0.01)
        await made.judge()
    assert found.faults == []
    assert {stage.of: stage.refused for stage in found.stages} == {
        "workspace 'chaos'": 0,
        "user 'ada'": 1,
        "tag 'project=enso'": 0,
    }


async def test_a_limit_that_was_passed_and_an_account_that_knows_less_are_told(postgres_url: str) -> None:
    later = (datetime.now(UTC) - NOW).total_seconds() - 30
    async with minded(postgres_url, line("w1", later, later + 12)) as (made, found):
        with psycopg.connect(postgres_url) as connection:
            connection.execute("UPDATE chaos_limits SET at = at - interval '40 s'")
        await made.judge()
    assert [fault.partition(":")[0] for fault in found.faults] == [
        "a hard limit was passed",
        "the account for workspace 'chaos' holds 0, and 12 was billed",
        "no limit refused or stopped anything, so this says nothing of limits",
    ]
