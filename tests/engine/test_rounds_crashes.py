"""Rounds that end in the middle, that are overtaken, and that people interrupt."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.engine.purse import budgets, usd
from tests.engine.stage import INSTALLATION, Interrupted, Stage, is_stopped, killed
from tradewind.engine.rounds import rounds
from tradewind.engine.rounds.rounds import LEASE
from tradewind.errors import StoreError
from tradewind.model.cluster import ClusterStatus, Scaling
from tradewind.model.instance import Role
from tradewind.providers.base import Handle, Order, ProviderSettings
from tradewind.providers.fake import FakeProvider, FakeWorld

AWAITS = 40
"""More than a round has."""


class SlowProvider(FakeProvider):
    """An infrastructure that thinks before it carries out an order."""

    def __init__(self, world: FakeWorld) -> None:
        super().__init__(ProviderSettings(installation=INSTALLATION, state_directory=""), world=world)
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def launch(self, order: Order) -> AsyncIterator[Handle]:
        self.asked.set()
        await self.go_on.wait()
        async for handle in super().launch(order):
            yield handle


async def ended_well(stage: Stage, holder: str = "heir") -> None:
    """Let another engine finish it; nothing may be left, and the bill must be true."""
    heir = stage.engine(holder)
    stage.clock.advance(LEASE)
    await stage.up(heir)
    assert len(stage.machines()) == 2
    assert len(stage.machines(role=Role.SCHEDULER)) == 1
    await stage.stop()
    await stage.go(heir, is_stopped)
    assert stage.world.alive() == ()
    assert await stage.bill() == stage.truth()


async def test_a_first_round_killed_at_any_await_launches_nothing_twice_and_leaves_nothing(tmp_path: Path) -> None:
    for at in range(AWAITS):
        stage = await Stage.open(f"sqlite:///{tmp_path / f'{at}.db'}")
        await stage.create()
        reached = await killed(stage.engine("A").round("c1"), at)
        await ended_well(stage)
        assert len(stage.world.machines) == 3
        await stage.store.aclose()
        if not reached:
            assert at > 5, "a round waits for the store and for its provider"
            return
    raise AssertionError("a round has more awaits than that")


async def test_a_round_that_shrinks_a_cluster_killed_at_any_await_lets_go_of_as_many_as_asked(tmp_path: Path) -> None:
    for at in range(AWAITS):
        stage = await Stage.open(f"sqlite:///{tmp_path / f'{at}.db'}")
        await stage.create(scaling=Scaling.fixed(4))
        engine = stage.engine("A")
        await stage.up(engine)
        await stage.scale(Scaling.fixed(2))
        reached = await killed(engine.round("c1"), at)
        await ended_well(stage)
        assert len(stage.world.machines) == 5
        await stage.store.aclose()
        if not reached:
            return
    raise AssertionError("a round has more awaits than that")


async def test_a_last_round_killed_at_any_await_is_finished_by_another(tmp_path: Path) -> None:
    for at in range(AWAITS):
        stage = await Stage.open(f"sqlite:///{tmp_path / f'{at}.db'}")
        await stage.create()
        engine = stage.engine("A")
        await stage.up(engine)
        await stage.stop()
        reached = await killed(engine.round("c1"), at)
        stage.clock.advance(LEASE)
        await stage.go(stage.engine("heir"), is_stopped)
        assert stage.world.alive() == ()
        assert await stage.bill() == stage.truth()
        await stage.store.aclose()
        if not reached:
            return
    raise AssertionError("a round has more awaits than that")


async def test_a_round_overtaken_at_any_await_launches_nothing_twice(tmp_path: Path) -> None:
    for at in range(1, AWAITS):
        stage = await Stage.open(f"sqlite:///{tmp_path / f'{at}.db'}")
        await stage.create()

        async def overtake(stage: Stage = stage) -> None:
            stage.clock.advance(LEASE)
            assert await stage.engine("B").round("c1") is not None

        slow = Interrupted(stage.engine("A").round("c1"), at, overtake)
        await slow
        assert len(stage.world.machines) == 3
        await ended_well(stage, "B")
        await stage.store.aclose()
        if not slow.reached:
            return
    raise AssertionError("a round has more awaits than that")


async def test_people_who_change_their_mind_at_any_await_of_a_round_are_heard(tmp_path: Path) -> None:
    for at in range(AWAITS):
        stage = await Stage.open(f"sqlite:///{tmp_path / f'{at}.db'}")
        await stage.create()
        engine = stage.engine("A")
        await stage.up(engine)

        async def change(stage: Stage = stage) -> None:
            await stage.scale(Scaling.fixed(3))

        changed = Interrupted(engine.round("c1"), at, change)
        await changed
        if changed.reached:
            assert (await stage.store.get_cluster("c1")).intent.scaling == Scaling.fixed(3)
            due = await stage.store.due(stage.clock.now(), holder="A")
            assert due == ("c1",) or len(stage.machines()) == 3
            await stage.up(engine)
            assert len(stage.machines()) == 3
        await stage.store.aclose()
        if not changed.reached:
            return
    raise AssertionError("a round has more awaits than that")


@pytest.mark.parametrize("looked_s", [0, 10], ids=["a quick round", "one that renews its lease"])
async def test_a_budget_set_at_any_await_of_a_round_is_read_by_it_or_leaves_the_cluster_due(
    tmp_path: Path, looked_s: int
) -> None:
    for at in range(AWAITS):
        stage = await Stage.open(f"sqlite:///{tmp_path / f'{at}.db'}")
        await stage.create()
        engine = stage.engine("A")
        await stage.up(engine)
        await stage.scale(Scaling.fixed(3))

        async def set_limit(stage: Stage = stage) -> None:
            stage.clock.advance(looked_s)
            await budgets(stage).create_budget(usd("50"))

        limited = Interrupted(engine.round("c1"), at, set_limit)
        await limited
        if limited.reached:
            due = await stage.store.due(stage.clock.now(), holder="A")
            assert due == ("c1",) or engine.leases.revision("c1") == await stage.store.revision("c1"), at
        await stage.store.aclose()
        if not limited.reached:
            assert at > 5, "a round waits for the store and for its provider"
            return
    raise AssertionError("a round has more awaits than that")


async def test_while_one_looks_after_a_cluster_another_does_nothing(stage: Stage) -> None:
    await stage.create()
    await stage.engine("A").round("c1")
    before = await stage.store.revision("c1")
    calls = len(stage.world.calls)
    assert await stage.engine("B").round("c1") is None
    assert (await stage.store.revision("c1"), len(stage.world.calls)) == (before, calls)


async def test_two_engines_that_begin_at_the_same_time_launch_once(stage: Stage) -> None:
    await stage.create()
    results = await asyncio.gather(stage.engine("A").round("c1"), stage.engine("B").round("c1"))
    assert results.count(None) == 1
    assert len(stage.world.machines) == 3


async def test_one_engine_that_is_asked_twice_at_the_same_time_launches_once(stage: Stage) -> None:
    """A lease says who may, not how often: the loop and a command may both be at it in one process."""
    await stage.create()
    engine = stage.engine("A")
    await asyncio.gather(*(engine.round("c1") for _ in range(3)))
    assert len(stage.world.machines) == 3


async def test_a_cluster_is_not_called_stopped_while_another_engine_may_still_be_launching(stage: Stage) -> None:
    """One engine hangs in the call that launches. Another takes over, and the cluster is told to stop."""
    await stage.create()
    slow = SlowProvider(stage.world)
    hanging = asyncio.create_task(stage.engine("A", slow).round("c1"))
    await slow.asked.wait()
    stage.clock.advance(LEASE)
    await stage.stop()
    heir = stage.engine("B")
    await heir.round("c1")
    assert (await stage.store.get_cluster("c1")).status is ClusterStatus.STOPPING
    slow.go_on.set()
    assert await hanging is None
    assert len(stage.world.alive()) == 3

    await stage.go(heir, is_stopped)

    assert stage.world.alive() == ()
    assert await stage.bill() == stage.truth()


async def test_a_round_does_not_act_beyond_its_lease(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the infrastructure is: what isn't launched by then is launched by whoever leads the next round."""
    monkeypatch.setattr(rounds, "LEASE", timedelta(milliseconds=300))  # what is waited for here is real time
    await stage.create()
    slow = SlowProvider(stage.world)
    assert await stage.engine("A", slow).round("c1") is None
    assert slow.asked.is_set()
    slow.go_on.set()
    await asyncio.sleep(0)
    assert stage.world.alive() == ()
    await ended_well(stage)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_full_disk_launches_nothing_that_is_not_written_down_and_goes_on_when_there_is_room(
    small_disk: Path,
) -> None:
    stage = await Stage.open(f"sqlite:///{small_disk / 'tradewind.db'}")
    await stage.create(scaling=Scaling.fixed(300))
    ballast = small_disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    engine = stage.engine()

    with pytest.raises(StoreError, match="the disk is full"):
        await engine.round("c1")

    assert stage.world.alive() == ()
    assert await stage.store.instances("c1") == ()
    ballast.unlink()
    await stage.scale(Scaling.fixed(2))
    await stage.up(engine)
    assert len(stage.world.machines) == 3
    await stage.store.aclose()


async def test_changes_of_scale_in_the_middle_of_a_crash_are_not_lost(stage: Stage) -> None:
    await stage.create()
    await killed(stage.engine("A").round("c1"), 8)
    await stage.change(lambda intent: replace(intent, scaling=Scaling.fixed(1)))
    stage.clock.advance(LEASE)
    await stage.up(stage.engine("B"))
    assert len(stage.machines()) == 1
