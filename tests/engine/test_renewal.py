"""Workers come to have new software, whoever dies meanwhile; seen by a witness that asks the infrastructure."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.engine.stage import Stage, bury, is_stopped, killed
from tradewind.boot.process import Publishing
from tradewind.config import SoftwareSettings
from tradewind.engine.depot import Depots
from tradewind.engine.rounds.rounds import LEASE
from tradewind.model.cluster import Cluster, ClusterStatus, Scaling
from tradewind.model.environment import Environment, Package, seal
from tradewind.model.instance import Role
from tradewind.planning.renewal import TRIALS
from tradewind.providers.fake import faults as f

CREW = 3
AWAITS = range(2, 26, 3)
"""Of a round; where it is over before that, nobody was killed."""
OLD, NEW = (
    seal(
        Environment(
            python="3.11.7",
            platform="linux-x86_64",
            packages=(Package(name="numpy", version=version),),
            content_hash="",
        )
    )
    for version in ("2", "3")
)


@dataclass(slots=True)
class Witness:
    """Looks at what exists, and never into our store."""

    stage: Stage
    before: frozenset[str]
    least: int = CREW
    most: int = CREW + 1

    @classmethod
    def of(cls, stage: Stage) -> Witness:
        return cls(stage, frozenset(m.marks.instance for m in stage.machines()))

    def looks(self) -> None:
        """Fail where too few can work, too many exist, or the scheduler is another."""
        page = self.stage.world.agents.page("c1")
        assert page is not None
        assert len(page.workers) >= self.least
        assert len(self.stage.machines()) <= self.most
        assert len(self.stage.machines(role=Role.SCHEDULER)) == 1

    def is_done(self) -> bool:
        names = {m.marks.instance for m in self.stage.machines()}
        return len(names) == CREW and not names & self.before


def write(publishing: Publishing) -> None:
    """Put an archive where a machine is told to, as it does."""
    record = {"name": publishing.name, "sha256": "c" * 64, "size": 3}
    for address, text in ((publishing.archive, "all"), (publishing.record, json.dumps(record))):
        Path(address.removeprefix("file://")).write_text(text)


async def up(stage: Stage, workers: int = CREW) -> Witness:
    await stage.create(scaling=Scaling.fixed(workers))
    await stage.store.equip("c1", OLD, stage.clock.now())
    await stage.up(stage.engine("first"))
    return Witness.of(stage)


async def test_all_workers_are_replaced_and_the_bill_is_the_infrastructures_own(stage: Stage) -> None:
    witness = await up(stage)
    engine = stage.engine("first")
    await stage.store.equip("c1", NEW, stage.clock.now())

    await stage.go(engine, lambda _: witness.looks() or witness.is_done(), most=200)

    assert {m.boot.software.environment for m in stage.machines() if m.boot.software} <= {NEW}
    await stage.stop()
    await stage.go(engine, is_stopped)
    assert await stage.bill() == stage.truth()


async def test_of_software_that_only_workers_get_the_first_of_them_packs_what_the_next_unpack(
    stage: Stage, tmp_path: Path
) -> None:
    pytest.importorskip("obstore")
    witness, engine = await up(stage), stage.engine("first")
    engine.depots = Depots(SoftwareSettings(artifacts_url=f"file://{tmp_path}/depot"))
    await stage.store.equip("c1", NEW, stage.clock.now())

    def look(_: Cluster) -> bool:
        for machine in stage.machines():
            software = machine.boot.software
            if software is not None and software.publishing is not None and machine.marks.instance not in packed:
                packed.append(machine.marks.instance)
                write(software.publishing)
        return witness.is_done()

    packed: list[str] = []
    await stage.go(engine, look, most=200)

    newer = sorted((m for m in stage.machines()), key=lambda m: m.marks.instance)
    assert packed == [newer[0].marks.instance]
    assert [bool(m.boot.software and m.boot.software.archive) for m in newer] == [False, True, True]


async def test_where_the_scheduler_packs_no_worker_does(stage: Stage, tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    engine = stage.engine("first")
    engine.depots = Depots(SoftwareSettings(artifacts_url=f"file://{tmp_path}/depot"))
    await stage.create(scaling=Scaling.fixed(1))
    await stage.store.equip("c1", OLD, stage.clock.now())
    await stage.up(engine)
    await stage.scale(Scaling.fixed(2))
    await stage.up(engine)

    machines = [*stage.machines(role=Role.SCHEDULER), *stage.machines()]
    given = [machine.boot.software for machine in machines]

    assert [one is not None and one.publishing is not None for one in given] == [True, False, False]


@pytest.mark.parametrize("at", AWAITS)
async def test_it_goes_on_though_who_asked_is_gone_and_one_server_after_the_other_dies(tmp_path: Path, at: int) -> None:
    stage = await Stage.open(f"sqlite:///{tmp_path / 'tradewind.db'}")
    witness = await up(stage)
    await stage.store.equip("c1", NEW, stage.clock.now())
    for life in range(60):
        await killed(stage.engine(f"dies {life}").round("c1"), at)
        witness.looks()
        stage.clock.advance(LEASE)
        # The next one lives for a round, and is never heard of again.
        await stage.engine(f"vanishes {life}").round("c1")
        witness.looks()
        stage.clock.advance(LEASE)
        if witness.is_done():
            break
    else:
        raise AssertionError("it came to a standstill")
    await stage.stop()
    await stage.go(stage.engine("heir"), is_stopped)
    assert stage.world.alive() == ()
    assert await stage.bill() == stage.truth()
    await stage.store.aclose()


@pytest.mark.parametrize("fault", [f.DiesBetweenLaunchAndHandle(), f.DiesAfterHandle(), f.LosesAnswerOfLaunch()])
async def test_a_launch_that_breaks_off_replaces_nobody_twice(stage: Stage, fault: f.OrderFault) -> None:
    witness = await up(stage)
    await stage.store.equip("c1", NEW, stage.clock.now())
    stage.world.arm(replace(fault, role=Role.WORKER))
    with suppress(f.ProcessKilled):
        await stage.engine("first").round("c1")
    await bury()
    stage.clock.advance(LEASE)

    await stage.go(stage.engine("heir"), lambda _: witness.looks() or witness.is_done(), most=200)

    assert len([m for m in stage.world.machines.values() if m.marks.role is Role.WORKER]) == 2 * CREW


async def test_software_that_never_starts_costs_a_few_tries_and_no_worker(stage: Stage) -> None:
    witness = await up(stage)
    engine = stage.engine("first")
    await stage.store.equip("c1", NEW, stage.clock.now())
    stage.world.arm(f.InstanceDies(role=Role.WORKER, after=timedelta(seconds=2), times=None))

    for _ in range(600):
        await engine.round("c1")
        witness.looks()
        stage.clock.advance(1)

    tried = len([m for m in stage.world.machines.values() if m.marks.role is Role.WORKER]) - CREW
    assert tried == TRIALS
    assert (await stage.store.get_cluster("c1")).status is ClusterStatus.RUNNING
    assert {m.marks.instance for m in stage.machines()} >= witness.before


async def test_where_the_infrastructure_is_full_they_are_replaced_one_in_the_place_of_the_other(stage: Stage) -> None:
    (small, *_) = stage.world.sizes
    stage.world.sizes = (replace(small, capacity=CREW + 1),)  # and the scheduler
    witness = await up(stage)
    witness.least, witness.most = CREW - 1, CREW
    await stage.store.equip("c1", NEW, stage.clock.now())
    began = stage.clock.now()

    await stage.go(stage.engine("first"), lambda _: witness.looks() or witness.is_done(), most=200)

    assert stage.clock.now() - began < timedelta(minutes=2)


async def test_software_that_is_taken_back_leaves_those_that_had_it_before(stage: Stage) -> None:
    witness = await up(stage)
    engine = stage.engine("first")
    before = (await stage.store.get_cluster("c1")).intent
    await stage.store.equip("c1", NEW, stage.clock.now())
    await engine.round("c1")
    assert len(stage.machines()) == CREW + 1

    await stage.change(lambda intent: replace(intent, equipment=before.equipment))
    for _ in range(20):
        stage.clock.advance(1)
        await engine.round("c1")
        witness.looks()

    assert {m.marks.instance for m in stage.machines()} == witness.before
