"""Who asks for new software waits for the workers that have it, on a real engine and a fake infrastructure."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from tests.engine.stage import Stage
from tradewind.client.api import Engine
from tradewind.client.session import Session
from tradewind.client.software.renewal import TRIES, renew, until_renewed
from tradewind.engine.rounds.rounds import Rounds
from tradewind.errors import SyncError
from tradewind.model.cluster import Cluster, Scaling
from tradewind.model.environment import Environment, Package, seal
from tradewind.model.instance import Role
from tradewind.model.usage import Cost
from tradewind.model.views import ClusterView
from tradewind.providers.fake import Timing
from tradewind.providers.fake import faults as f


def software(version: str) -> Environment:
    packages = (Package(name="numpy", version=version),)
    return seal(Environment(python="3.11.7", platform="linux-x86_64", packages=packages, content_hash=""))


OLD, NEW = software("2"), software("3")


@dataclass
class Played:
    """The engine's verbs, on a clock that goes a second further whenever somebody waits."""

    stage: Stage
    rounds: Rounds

    async def find(self, name: str, *, live: bool = True) -> Cluster | None:
        return await self.stage.store.get_cluster(name)

    async def view(self, cluster_id: str) -> ClusterView:
        store = self.stage.store
        return ClusterView(
            cluster=await store.get_cluster(cluster_id),
            instances=tuple(await store.instances(cluster_id)),
            cost=Cost(),
            budget=None,
            page=None,
            revision=await store.revision(cluster_id),
        )

    async def wait_changed(self, cluster_id: str, revision: int, timeout_s: float) -> ClusterView:
        self.stage.clock.advance(1)
        await self.rounds.round(cluster_id)
        return await self.view(cluster_id)

    async def set_environment(
        self, cluster_id: str, environment: Environment | None = None, *, compiled: str = ""
    ) -> None:
        await self.stage.store.equip(cluster_id, environment, self.stage.clock.now(), compiled=compiled)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    timing = Timing(pending=timedelta(seconds=1), starting=timedelta(seconds=2), stopping=timedelta(seconds=1))
    stage = await Stage.open(f"sqlite:///{tmp_path / 'tradewind.db'}", timing)
    yield stage
    await stage.store.aclose()


async def up(stage: Stage, workers: int = 3) -> Session:
    """Return a program's hold on a cluster whose workers all run."""
    cluster = await stage.create(scaling=Scaling.fixed(workers))
    await stage.store.equip("c1", OLD, stage.clock.now())
    rounds = stage.engine()
    await stage.up(rounds)
    session = Session(cast("Engine", cast("Any", Played(stage, rounds))), cluster.spec)
    await session.find_or_create(look_for_name=True, scaling_asked=None)
    return session


def names(stage: Stage) -> set[str]:
    return {machine.marks.instance for machine in stage.machines()}


async def test_those_that_were_replaced_are_named_and_progress_is_told(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    session = await up(stage)
    before = names(stage)
    with caplog.at_level(logging.INFO, logger="tradewind"):
        assert set(await renew(session, NEW, compiled="")) == before
    assert not names(stage) & before
    assert [line for line in caplog.messages if "replaced" in line] == [
        f"Cluster 'c1': {count} of 3 workers are replaced." for count in (1, 2, 3)
    ]


async def test_nobody_is_waited_for_where_nothing_is_new(stage: Stage) -> None:
    session = await up(stage)
    assert await renew(session, OLD, compiled="") == ()
    assert await until_renewed(session) == ()


async def test_compiled_code_alone_has_them_replaced_too(stage: Stage) -> None:
    session = await up(stage)
    before = names(stage)
    assert set(await renew(session, None, compiled="c0ffee")) == before
    assert (await stage.store.get_cluster("c1")).environment == OLD


async def test_who_comes_back_waits_for_what_was_asked_before(stage: Stage) -> None:
    session = await up(stage)
    before = names(stage)
    await session.api.set_environment("c1", NEW)
    for _ in range(8):
        await session.follow(1)
    assert before & names(stage) < before, "some are replaced already, and nobody waits"
    assert await until_renewed(session)
    assert not names(stage) & before


async def test_software_that_never_starts_is_taken_back_and_the_reason_told(stage: Stage) -> None:
    session = await up(stage)
    before = names(stage)
    stage.world.arm(f.InstanceDies(role=Role.WORKER, after=timedelta(seconds=2), detail="no numpy 3", times=TRIES))
    with pytest.raises(SyncError, match=r"don't start: no numpy 3\. The cluster goes on with the packages") as caught:
        await renew(session, NEW, compiled="")
    assert set(caught.value.workers) == before
    after = await stage.store.get_cluster("c1")
    assert (after.environment, after.intent.equipment) == (OLD, OLD.content_hash)
    for _ in range(100):
        await session.follow(1)
    assert names(stage) == before


async def test_one_that_dies_does_not_make_software_broken(stage: Stage) -> None:
    session = await up(stage)
    before = names(stage)
    stage.world.arm(f.InstanceDies(role=Role.WORKER, after=timedelta(seconds=2), times=TRIES - 1))
    assert set(await renew(session, NEW, compiled="")) == before


async def test_where_nothing_fits_beside_the_only_worker_it_stays_and_the_way_out_is_told(stage: Stage) -> None:
    (small, *_) = stage.world.sizes
    stage.world.sizes = (replace(small, capacity=2),)  # the scheduler and one worker
    session = await up(stage, workers=1)
    before = names(stage)
    with pytest.raises(SyncError, match=r"no room for another one beside it: .*cluster\.scale\(0\)"):
        await renew(session, NEW, compiled="")
    assert names(stage) == before
    assert (await stage.store.get_cluster("c1")).intent.equipment == OLD.content_hash


async def test_a_cluster_that_ends_meanwhile_ends_the_wait(stage: Stage) -> None:
    session = await up(stage)
    await session.api.set_environment("c1", NEW)
    await stage.stop()
    with pytest.raises(SyncError, match="the cluster ended meanwhile"):
        await until_renewed(session)
