"""What a scheduler says is the same on every replica, and nothing lives on because somebody looked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.engine.purse import budgets, usd
from tests.engine.stage import Stage
from tradewind.config import SoftwareSettings
from tradewind.engine.access.asker import Asker
from tradewind.engine.clusters import Clusters
from tradewind.engine.deposits import Deposits
from tradewind.engine.depot import Depots
from tradewind.engine.engine import Engine
from tradewind.engine.rounds.peek import FORGOTTEN, KEPT, SHUNNED, Peeks
from tradewind.model.cluster import ClusterStatus, Lifetimes, StopReason
from tradewind.model.instance import Role
from tradewind.model.people import Caller, MemberRole
from tradewind.providers.fake import faults as f

ORPHANED = timedelta(minutes=10)
EVER = Lifetimes(idle=None, no_client=None, orphan=ORPHANED)
ADA = Caller(user_id="", user="ada", workspace="lab", role=MemberRole.OWNER)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A world with a store."""
    stage = await Stage.open(f"sqlite:///{tmp_path / 'tradewind.db'}")
    yield stage
    await stage.store.aclose()


def peeks(stage: Stage) -> Peeks:
    return Peeks(stage.store, stage.world.agents, stage.clock)


def service(stage: Stage, holder: str, caller: Caller = ADA) -> Clusters:
    """Return the verbs of one replica."""
    asker = Asker(stage.store, stage.clock, caller)
    return Clusters(
        Engine(stage.engine(holder), stage.store, stage.clock),
        stage.store,
        stage.clock,
        lambda name: stage.provider,
        peeks=peeks(stage),
        asker=asker,
        deposits=Deposits(Depots(SoftwareSettings()), lambda name: stage.provider, asker),
        new_id=lambda prefix: f"{prefix}-{next(stage.numbers):05d}",
        new_token=lambda: f"token {next(stage.numbers)}",
    )


async def test_a_replica_without_the_lease_shows_the_page_as_its_holder_does(stage: Stage) -> None:
    await stage.create()
    holder, other = service(stage, "A"), service(stage, "B")
    await stage.up(holder._engine.rounds)
    stage.world.agents.stage("c1", tasks_running=7, clients=1)
    await holder._engine.rounds.round("c1")
    seen = [(await each.view("c1")).page for each in (holder, other)]

    assert [page and (page.tasks_running, page.clients, len(page.workers)) for page in seen] == [(7, 1, 2)] * 2
    assert stage.world.agents.peeks == 1, "the holder has a page of its own"


async def test_who_may_not_look_into_a_cluster_has_nobody_peek_for_them(stage: Stage) -> None:
    await stage.create()
    await stage.up(stage.engine())
    stranger = Caller(user_id="u-eve", user="eve", workspace="lab", role=MemberRole.MEMBER)

    assert (await service(stage, "B", stranger).view("c1")).page is None
    assert stage.world.agents.peeks == 0


async def test_fifty_who_watch_one_cluster_make_one_peek_a_second(stage: Stage) -> None:
    await stage.create()
    cluster = await stage.up(stage.engine())
    mine = peeks(stage)
    for second in (1, 2, 3):
        pages = await asyncio.gather(*(mine.page(cluster) for _ in range(50)))
        assert None not in pages
        assert stage.world.agents.peeks == second
        stage.clock.advance(KEPT)


async def test_one_who_gives_up_takes_the_page_from_nobody(stage: Stage) -> None:
    await stage.create()
    cluster = await stage.up(stage.engine())
    mine = peeks(stage)
    first, second = (asyncio.ensure_future(mine.page(cluster)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    assert await second is not None


async def test_a_scheduler_that_does_not_answer_is_left_alone_for_a_while(stage: Stage) -> None:
    await stage.create()
    cluster = await stage.up(stage.engine())
    mine = peeks(stage)
    stage.world.faults.add(f.AgentIsDeaf(times=1))

    assert await mine.page(cluster) is None
    stage.clock.advance(KEPT)
    assert await mine.page(cluster) is None
    stage.clock.advance(SHUNNED)
    assert await mine.page(cluster) is not None


async def test_a_scheduler_that_hangs_costs_whoever_watches_a_second_at_most(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    await stage.create()
    cluster = await stage.up(stage.engine())
    monkeypatch.setattr(stage.world.agents, "peek", hangs)
    began = asyncio.get_running_loop().time()

    assert await peeks(stage).page(cluster) is None
    assert asyncio.get_running_loop().time() - began < 2


async def test_nothing_is_asked_of_what_is_not_up_or_is_ending(stage: Stage) -> None:
    await stage.create()
    mine = peeks(stage)
    assert await mine.page(await stage.store.get_cluster("c1")) is None
    cluster = await stage.up(stage.engine())
    assert await mine.page(replace(cluster, status=ClusterStatus.STOPPING)) is None

    assert stage.world.agents.peeks == 0


async def test_what_nobody_asks_about_is_forgotten(stage: Stage) -> None:
    mine = peeks(stage)
    for name in ("c1", "c2"):
        await stage.create(name)
        await mine.page(await stage.up(stage.engine(), name))
        stage.clock.advance(FORGOTTEN + KEPT + timedelta(seconds=1))

    assert list(mine._asked) == ["c2"]


async def test_an_orphan_that_is_looked_at_each_minute_ends_all_the_same(stage: Stage) -> None:
    await stage.create(lifetimes=EVER)
    await stage.up(stage.engine("A"))
    for minute in range(9):
        stage.clock.advance(timedelta(minutes=1))
        reader = stage.engine(f"command {minute}")
        reader.lookout.keeps_alive = False
        await reader.round("c1")
        mine = service(stage, f"command {minute}")
        assert (await mine.view("c1")).page is not None
        assert len(stage.machines(role=Role.SCHEDULER)) == 1
    stage.clock.advance(timedelta(minutes=1, seconds=1))

    assert stage.machines(role=Role.SCHEDULER) == ()
    ended = await stage.go(stage.engine("B"), lambda cluster: not cluster.status.is_live)
    assert ended.stop_reason is StopReason.LOST


async def test_a_look_that_tells_nothing_gives_back_no_money_that_was_told(stage: Stage) -> None:
    mine = budgets(stage)
    budget = (await mine.create_budget(usd("100"))).budget
    await stage.create(lifetimes=EVER)
    await stage.up(stage.engine("A"))
    (scheduler,) = stage.machines(role=Role.SCHEDULER)
    told_until = stage.world.agents.paid_until[scheduler.handle]
    (before,) = (await stage.store.load("c1")).reservations
    assert told_until is not None
    stage.clock.advance(timedelta(minutes=1))
    # From now on there is less than it was told of: whoever pulls would tell it so, and give back the rest.
    await mine.change_budget(budget.id, limit=usd(before.reserved.amount * 3 / 5))
    reader = stage.engine("command")
    reader.lookout.keeps_alive = False
    for _ in range(3):
        await reader.round("c1")
        (held,) = (await stage.store.load("c1")).reservations
        lasts_s = (told_until - stage.clock.now()).total_seconds()

        assert stage.world.agents.paid_until[scheduler.handle] == told_until
        assert held.reserved.amount >= held.spent.amount + held.burn_per_hour.amount * int(lasts_s) / 3600
        stage.clock.advance(timedelta(seconds=1))
