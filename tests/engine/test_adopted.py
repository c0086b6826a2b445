"""A cluster that an engine wrote down itself is looked after without being read first."""

from __future__ import annotations

from dataclasses import replace

from tests.engine.stage import Stage, is_running
from tests.engine.test_held import Counted
from tradewind.engine.rounds.rounds import LEASE
from tradewind.model.cluster import ClusterStatus, Intent, StopReason


async def test_what_was_adopted_comes_up_as_anything_else_does(stage: Stage) -> None:
    engine = stage.engine()
    await stage.create(adopted_by=engine)

    await engine.round("c1", afresh=False)
    ordered = await stage.store.instances("c1")
    cluster = await stage.go(engine, is_running)

    assert len(ordered) == 3
    assert all(instance.handle for instance in ordered)
    assert cluster.status is ClusterStatus.RUNNING
    assert len(stage.world.alive()) == 3


async def test_what_was_adopted_is_not_read_again(stage: Stage) -> None:
    engine, counted = stage.engine(), Counted(stage.store)
    engine.store = engine.leases.store = counted  # type: ignore[assignment]
    await stage.create(adopted_by=engine)

    await engine.round("c1", afresh=False)

    assert counted.asked == ["save", "save"]


async def test_what_people_changed_before_the_first_round_is_read_where_the_engine_was_told(stage: Stage) -> None:
    engine = stage.engine()
    await stage.create(adopted_by=engine)
    await stage.store.change_intent("c1", stop, now=stage.clock.now())
    engine.leases.doubt("c1")

    await engine.round("c1", afresh=False)

    assert not stage.world.machines
    assert (await stage.store.get_cluster("c1")).stop_reason is StopReason.ASKED


async def test_what_people_changed_elsewhere_before_the_first_round_makes_it_due(stage: Stage) -> None:
    engine = stage.engine()
    await stage.create(adopted_by=engine)
    assert await stage.store.due(stage.clock.now(), holder=engine.holder) == ()

    await stage.store.change_intent("c1", stop, now=stage.clock.now())
    before = await stage.store.due(stage.clock.now(), holder=engine.holder)
    await engine.round("c1", afresh=False)
    after = await stage.store.due(stage.clock.now(), holder=engine.holder)

    assert before == after == ("c1",)


async def test_an_adopted_cluster_that_another_took_over_is_left_to_it(stage: Stage) -> None:
    engine, other = stage.engine("A"), stage.engine("B")
    await stage.create(adopted_by=engine)
    assert await other.round("c1") is None
    stage.clock.advance(LEASE)
    assert await stage.store.due(stage.clock.now(), holder="B") == ("c1",)

    await other.round("c1")
    launched = len(stage.world.machines)

    assert await engine.round("c1", afresh=False) is None
    assert len(stage.world.machines) == launched == 3


async def test_a_slow_engine_that_still_believes_in_its_lease_launches_nothing(stage: Stage) -> None:
    engine, other = stage.engine("A"), stage.engine("B")
    cluster = await stage.create(adopted_by=engine)
    held = engine.leases.held[cluster.id]
    stage.clock.advance(LEASE)
    await other.round("c1")
    launched = len(stage.world.machines)

    engine.leases.held[cluster.id] = replace(held, lease=replace(held.lease, until=stage.clock.now() + LEASE))
    assert await engine.round("c1", afresh=False) is None

    assert len(stage.world.machines) == launched == 3


def stop(intent: Intent) -> Intent:
    """Ask for the end."""
    return replace(intent, stop=True)
