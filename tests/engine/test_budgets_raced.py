"""Two hundred clusters race for the last dollars of one budget, over three servers on one PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.engine.purse import OWNER, accounts, budgets, truly_spent, usd
from tests.engine.stage import LONG, Stage
from tradewind.config import SoftwareSettings
from tradewind.engine import clusters as verbs
from tradewind.engine.access.asker import Asker
from tradewind.engine.clusters import Clusters
from tradewind.engine.deposits import Deposits
from tradewind.engine.depot import Depots
from tradewind.engine.engine import Engine
from tradewind.engine.rounds.peek import Peeks
from tradewind.errors import OverBudget
from tradewind.model.cluster import Cluster, ClusterSpec, Scaling, StopReason
from tradewind.providers.fake import Timing
from tradewind.store.store import Store

RACERS = 200
REPLICAS = 3
LIMIT = Decimal("0.2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """One world and one database, and a server for each of its stages."""

    servers: tuple[Stage, ...]
    services: tuple[Clusters, ...]


@pytest.fixture
async def race(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Race]:
    monkeypatch.setattr(verbs, "GIVE_BACK_S", (0.01,))
    first = await Stage.open(postgres_url, Timing(starting=timedelta(seconds=1), stopping=timedelta(seconds=1)))
    others = [
        Stage(
            store=await Store.open(postgres_url),
            world=first.world,
            clock=first.clock,
            provider=first.provider,
            numbers=first.numbers,
        )
        for _ in range(REPLICAS - 1)
    ]
    servers = (first, *others)
    yield Race(servers=servers, services=tuple(service(stage, f"server {i}") for i, stage in enumerate(servers)))
    for stage in servers:
        await stage.store.aclose()


def service(stage: Stage, holder: str) -> Clusters:
    """Return the verbs of one server."""
    asker = Asker(stage.store, stage.clock, replace(OWNER, user_id=""))
    return Clusters(
        Engine(stage.engine(holder), stage.store, stage.clock),
        stage.store,
        stage.clock,
        lambda name: stage.provider,
        peeks=Peeks(stage.store, stage.world.agents, stage.clock),
        asker=asker,
        deposits=Deposits(Depots(SoftwareSettings()), lambda name: stage.provider, asker),
        new_id=lambda prefix: f"{prefix}-{next(stage.numbers):05d}",
        new_token=lambda: f"token {next(stage.numbers)}",
    )


async def test_no_more_is_promised_than_there_is_whoever_races_and_whoever_dies(race: Race) -> None:
    stage = race.servers[0]
    await budgets(stage).create_budget(usd(LIMIT))
    asked = await asyncio.gather(
        *(create(race.services[number % REPLICAS], number) for number in range(RACERS)), return_exceptions=True
    )
    let_in = [one for one in asked if isinstance(one, Cluster)]
    refused = [one for one in asked if isinstance(one, OverBudget)]
    assert len(let_in) + len(refused) == RACERS, [one for one in asked if one not in let_in and one not in refused][:1]
    assert 5 <= len(let_in) <= 40
    looks = [accounts(server, f"server {i}") for i, server in enumerate(race.servers)]
    for _ in range(8):
        await asyncio.gather(
            *(race.services[i % REPLICAS]._engine.rounds.round(one.id) for i, one in enumerate(let_in)),
            *(look.look_at_all() for look in looks),
        )
        promised = sum(
            account.committed.amount for _, account in await stage.store.money.open_accounts(now(stage)) if account
        )
        assert promised <= LIMIT
        stage.clock.advance(1)
    assert truly_spent(stage) > 0
    stage.clock.advance(timedelta(hours=3))
    assert not stage.world.alive()
    assert truly_spent(stage) <= LIMIT


@pytest.mark.slow
async def test_the_last_dollars_are_spent_and_no_more(race: Race) -> None:
    stage = race.servers[0]
    await budgets(stage).create_budget(usd(LIMIT))
    asked = await asyncio.gather(
        *(create(race.services[number % REPLICAS], number) for number in range(RACERS)), return_exceptions=True
    )
    live = {one.id: race.services[number % REPLICAS] for number, one in enumerate(asked) if isinstance(one, Cluster)}
    for id_ in live:
        stage.world.agents.stage(id_, tasks_running=4, clients=1, adaptive_target=2)
    looks = [accounts(server, f"server {i}") for i, server in enumerate(race.servers)]
    for _ in range(600):
        await asyncio.gather(
            *(service._engine.rounds.round(id_) for id_, service in live.items()),
            *(look.look_at_all() for look in looks),
        )
        stage.clock.advance(1)
        assert truly_spent(stage) <= LIMIT
        ended = [id_ for id_ in live if not (await stage.store.get_cluster(id_)).status.is_live]
        for id_ in ended:
            del live[id_]
        if not live:
            break
    assert not live
    assert truly_spent(stage) > LIMIT * Decimal("0.75")
    racers = [await stage.store.get_cluster(one.id) for one in asked if isinstance(one, Cluster)]
    assert {one.stop_reason for one in racers} == {StopReason.BUDGET}


async def create(service: Clusters, number: int) -> Cluster:
    spec = ClusterSpec(
        name=f"racer-{number}", workspace="lab", provider="fake", scaling=Scaling.fixed(2), lifetimes=LONG
    )
    return await service.create(spec)


def now(stage: Stage):
    return stage.clock.now()
