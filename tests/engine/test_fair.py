"""Whose rounds always go wrong keep nobody else waiting, in an engine and between engines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import psycopg
import pytest

from tests.engine.stage import Stage
from tradewind.engine import engine as loop
from tradewind.engine.engine import BATCH, Engine
from tradewind.engine.rounds.rounds import LEASE
from tradewind.store.store import Store

BROKEN, LEFT = BATCH + 50, 40
LONGEST_S = 30


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loop scan as often as these tests move their clock on."""
    monkeypatch.setattr(loop, "SCAN", timedelta(milliseconds=20))


async def until(stage: Stage, condition: Callable[[], Awaitable[bool]]) -> None:
    """Move the clock on by seconds until it is so."""
    async with asyncio.timeout(LONGEST_S):
        while not await condition():
            stage.clock.advance(1)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("holders", ["A", "AB"])
async def test_a_dead_replicas_clusters_are_taken_over_beside_a_full_scan_of_those_that_always_go_wrong(
    postgres_url: str, holders: str
) -> None:
    stage = await Stage.open(postgres_url)
    for number in range(BROKEN * len(holders)):
        await stage.create(f"broken{number}")
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("UPDATE clusters SET intent = '{'")
    dead = stage.engine("dead")
    left = {f"left{number}" for number in range(LEFT)}
    for cluster_id in left:
        await stage.create(cluster_id, adopted_by=dead)
    stage.clock.advance(LEASE.total_seconds())
    stores = [await Store.open(postgres_url) for _ in holders]
    engines = [Engine(stage.engine(holder), store, stage.clock) for holder, store in zip(holders, stores, strict=True)]
    for each in engines:
        each.start()

    async def all_are_held() -> bool:
        return left <= {lease.cluster_id for lease in await stage.store.leases() if lease.holder in set(holders)}

    try:
        await until(stage, all_are_held)
    finally:
        for each in engines:
            await each.aclose()
        for store in (stage.store, *stores):
            await store.aclose()
