"""The witnesses of a chaos run tell what is wrong where something is: else a quiet run would say nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.chaos.witness import Witness
from tradewind.model.cluster import Cluster, ClusterSpec, Intent, ScaleMemory, Scaling
from tradewind.model.secret import Secret
from tradewind.store.records import Changes, ClusterSecrets
from tradewind.store.store import Store

HOLDER, OTHER = "vm/11/x:1", "vm/22/x:2"
PIDS = {"ours": 11, "theirs": 22}
NOW = datetime.now(UTC) - timedelta(minutes=1)


@pytest.fixture
async def witness(postgres_url: str) -> AsyncIterator[Witness]:
    """One that looks at a store with one live cluster, whose lease process 11 holds."""
    store = await Store.open(postgres_url)
    scaling = Scaling.fixed(1)
    spec = ClusterSpec(name="c1", workspace="lab", provider="fake", scaling=scaling)
    scale = ScaleMemory(wanted=1)
    cluster = Cluster(id="c1", spec=spec, intent=Intent(scaling=scaling), owner="ada", created_at=NOW, scale=scale)
    secrets = ClusterSecrets(authority_certificate="", authority_key=Secret(""), agent_token=Secret(""))
    await store.create_cluster(cluster, secrets)
    await store.aclose()
    made = Witness(postgres_url, "127.0.0.1:1")
    made.begin()
    await asyncio.to_thread(write, postgres_url, "ours", f"lease_holder = '{HOLDER}', lease_epoch = 1")
    return made


def write(url: str, writer: str, changes: str) -> None:
    """Change the cluster as this writer would."""
    with psycopg.connect(url, options=f"-c chaos.replica={writer}") as connection:
        connection.execute(f"UPDATE clusters SET {changes}")  # type: ignore[arg-type]


@asynccontextmanager
async def a_world_that_billed(*lines: dict[str, Any]) -> AsyncIterator[str]:
    """Answer every question with these lines of a ledger; yields the address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(json.dumps({"ok": lines}).encode() + b"\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


def line(instance: str, began_s: float, ended_s: float, price: str = "3600") -> dict[str, Any]:
    """Return a line of a ledger, from and to so many seconds after NOW."""
    times = [(NOW + timedelta(seconds=s)).isoformat() for s in (began_s, ended_s)]
    return {
        "instance": instance,
        "cluster": "c1",
        "price_per_hour": price,
        "started_at": times[0],
        "stopped_at": times[1],
    }


def test_a_save_by_its_holder_is_no_fault(witness: Witness, postgres_url: str) -> None:
    write(postgres_url, "ours", "revision = 2")
    assert witness.usurped(PIDS) == []


def test_a_save_by_another_is_told(witness: Witness, postgres_url: str) -> None:
    write(postgres_url, "theirs", "revision = 2")
    [fault] = witness.usurped(PIDS)
    assert f"theirs wrote cluster c1 that {HOLDER} held (epoch 1)" in fault


def test_a_change_of_mind_may_come_through_any_server(witness: Witness, postgres_url: str) -> None:
    write(postgres_url, "theirs", "revision = revision + 1, intent = intent || ' '")
    assert witness.usurped(PIDS) == []


def test_a_bill_or_a_budget_may_be_changed_through_any_server(witness: Witness, postgres_url: str) -> None:
    write(postgres_url, "theirs", "wake_at = now(), revision = clusters.revision + 1")
    assert witness.usurped(PIDS) == []


async def test_what_the_store_saves_is_known_for_a_save(witness: Witness, postgres_url: str) -> None:
    store = await Store.open(postgres_url)
    until = datetime.now(UTC) + timedelta(minutes=1)
    lease = await store.take_lease("c1", HOLDER, datetime.now(UTC), until)
    assert lease is not None
    await store.save(lease, Changes(wake_at=until))
    await store.aclose()
    assert witness.saves() == 1


def test_an_epoch_that_two_have_held_is_told(witness: Witness, postgres_url: str) -> None:
    write(postgres_url, "theirs", f"lease_holder = '{OTHER}'")
    assert witness.usurped(PIDS) == [f"cluster c1, epoch 1: held by {[HOLDER, OTHER]}"]


def test_a_live_cluster_without_a_wake_up_is_told(witness: Witness, postgres_url: str) -> None:
    assert witness.asleep() == []
    write(postgres_url, "ours", "wake_at = NULL")
    assert witness.asleep() == ["live cluster c1 has no wake-up"]


def test_a_live_cluster_that_nobody_looked_at_in_time_is_told(witness: Witness) -> None:
    assert witness.overdue(timedelta(days=1)) == []
    [fault] = witness.overdue(timedelta(seconds=30))
    assert fault.startswith("cluster c1 (pending) is overdue by 0:")


async def test_what_was_billed_and_isnt_in_our_books_is_told(witness: Witness, postgres_url: str) -> None:
    async with a_world_that_billed(line("w1", 0, 10), line("w2", 0, 0.5)) as address:
        seconds, faults = await Witness(postgres_url, address).billed()
    assert (seconds.ledger_s, seconds.usages_s, seconds.worst_s) == (10.5, 0, 10)
    assert len(faults) == 1
    assert faults[0].startswith("instance w1: the ledger says")


@pytest.mark.parametrize(("limit", "rounds"), [("10", 5.0), ("15", 2.5), ("20", 0.0)])
async def test_an_overrun_is_told_in_rounds_at_the_pace_of_the_moment(
    witness: Witness, postgres_url: str, limit: str, rounds: float
) -> None:
    # A dollar a second, and from the fifth second on two.
    async with a_world_that_billed(line("w1", 0, 12.5), line("w2", 5, 12.5)) as address:
        overrun = await Witness(postgres_url, address).overrun(Decimal(limit))
    assert float(overrun.spent) == pytest.approx(20)
    assert overrun.rounds == pytest.approx(rounds)
