"""What carries our mark and belongs to no live cluster ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.engine.stage import Stage
from tradewind.providers.base import Order
from tradewind.providers.fake import FakeWorld


async def launched_without_a_row(stage: Stage, world: FakeWorld, **marks: str) -> None:
    """Launch a copy of some machine under other marks, as a program would that died before it wrote anything."""
    model = world.alive()[0]
    order = Order(
        marks=replace(model.marks, instance="stray", order="stray", **marks), offer=model.offer, boot=model.boot
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
