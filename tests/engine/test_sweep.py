"""What carries our mark and belongs to no live cluster ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.engine.purse import account, budgets, usd
from tests.engine.stage import Stage, is_stopped
from tradewind.model.instance import InstanceEnd, Role
from tradewind.planning.meter import settle
from tradewind.providers.base import Order
from tradewind.providers.fake import FakeWorld, Timing
from tradewind.providers.fake.faults import DoesNotAnswer, ListsLate, Pile


async def launched_without_a_row(stage: Stage, world: FakeWorld, **marks: str) -> None:
    """Launch a copy of some machine under other marks, as a program would that died before it wrote anything."""
    model = world.alive()[0]
    order = Order(
        marks=replace(model.marks, **({"instance": "stray", "order": "stray"} | marks)),
        offer=model.offer,
        boot=model.boot,
    )
    async for _ in stage.provider.launch(order):
        pass


async def test_what_no_store_knows_is_ended_and_what_lives_is_spared(tmp_path: Path) -> None:
    stage = await Stage.open(f"sqlite:///{tmp_path}/store.db")
    rounds = stage.engine()
    cluster = await stage.create()
    await stage.up(rounds)
    await launched_without_a_row(stage, stage.world, cluster="never-heard-of")
    before = {m.marks.instance for m in stage.world.alive()}

    stage.clock.advance(1)
    assert await rounds.sweep() == 1

    assert before - {m.marks.instance for m in stage.world.alive()} == {"stray"}
    assert {m.marks.cluster for m in stage.world.alive()} == {cluster.id}
    await stage.store.aclose()


async def test_another_installation_is_left_alone(tmp_path: Path) -> None:
    stage = await Stage.open(f"sqlite:///{tmp_path}/store.db")
    rounds = stage.engine()
    await stage.create()
    await stage.up(rounds)
    await launched_without_a_row(stage, stage.world, cluster="theirs", installation="somebody-else")

    stage.clock.advance(1)
    assert await rounds.sweep() == 0

    assert "stray" in {m.marks.instance for m in stage.world.alive()}
    await stage.store.aclose()


async def test_who_looked_after_nothing_yet_sweeps_what_it_was_told_to(tmp_path: Path) -> None:
    stage = await Stage.open(f"sqlite:///{tmp_path}/store.db")
    await stage.create()
    await stage.up(stage.engine())
    await launched_without_a_row(stage, stage.world, cluster="never-heard-of")
    fresh = stage.engine("B")

    assert await fresh.sweep() == 0
    fresh.sweeps = ("fake",)
    stage.clock.advance(1)

    assert await fresh.sweep() == 1
    await stage.store.aclose()


async def test_what_was_launched_after_its_cluster_had_stopped_is_ended_and_billed(tmp_path: Path) -> None:
    stage = await Stage.open(f"sqlite:///{tmp_path}/store.db", Timing(stopping=timedelta(seconds=7)))
    rounds = stage.engine()
    await stage.create("c2")
    await stage.up(rounds, "c2")
    stage.world.arm(DoesNotAnswer(verbs=frozenset({"launch"}), times=None))
    await stage.create("c1")
    await rounds.round("c1")
    await stage.stop("c1")
    await stage.go(rounds, is_stopped, "c1")
    given_up = (await stage.store.instances("c1"))[0]
    assert given_up.end is InstanceEnd.NEVER_LAUNCHED
    stage.world.faults = Pile(())

    # As by an engine that had stood still between writing the order down and giving it.
    await launched_without_a_row(stage, stage.world, cluster="c1", instance=given_up.id, order=given_up.order_id)
    stage.clock.advance(11)
    assert await rounds.sweep() == 1
    stage.clock.advance(60)
    assert await rounds.sweep() == 0

    assert not stage.machines("c1")
    assert len(stage.truth("c1")) == 1
    assert await stage.bill("c1") == stage.truth("c1")
    await stage.store.aclose()


async def test_what_is_billed_after_its_cluster_had_stopped_is_in_its_budget_and_its_view(tmp_path: Path) -> None:
    stage = await Stage.open(f"sqlite:///{tmp_path}/store.db", Timing(stopping=timedelta(seconds=7)))
    rounds = stage.engine()
    await budgets(stage).create_budget(usd("5"))
    await stage.create("c2")
    await stage.up(rounds, "c2")
    await stage.create("c1")
    await stage.up(rounds, "c1")
    await stage.stop("c1")
    await stage.go(rounds, is_stopped, "c1")
    await stage.stop("c2")
    await stage.go(rounds, is_stopped, "c2")
    before = await account(stage)
    seen = await stage.store.revision("c1")
    worker = (await stage.store.instances("c1"))[1]
    assert worker.stopped_at is not None

    # As where its provider says later that it lived on.
    after = replace(worker, stopped_at=worker.stopped_at + timedelta(hours=1))
    cluster = await stage.store.get_cluster("c1")
    stage.clock.advance(timedelta(hours=2))
    for _ in range(2):
        await stage.store.correct(after, settle(worker, after, (), cluster), stage.clock.now())

    price = worker.offer.price
    assert price is not None
    assert (await account(stage)).committed.amount == before.committed.amount + price.per_hour
    assert await stage.store.revision("c1") > seen
    await stage.store.aclose()


async def test_what_a_list_showed_too_late_is_ended_and_billed(tmp_path: Path) -> None:
    stage = await Stage.open(f"sqlite:///{tmp_path}/store.db", Timing(stopping=timedelta(seconds=3)))
    rounds = stage.engine()
    stage.world.arm(ListsLate(role=Role.WORKER, by=timedelta(seconds=40)))
    cluster = await stage.create()
    await stage.go(rounds, lambda c: stage.clock.now() > cluster.created_at + timedelta(seconds=60), most=200)

    await stage.stop()
    await stage.go(rounds, is_stopped)

    assert len(stage.truth()) == 4, "a scheduler, two workers, and the one in place of what seemed to have vanished"
    assert await stage.bill() == stage.truth()
    await stage.store.aclose()
