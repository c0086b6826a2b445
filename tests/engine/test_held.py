"""What an engine remembers between rounds is never believed for longer than it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.engine.stage import Stage, is_running, is_stopped
from tradewind.engine.rounds.rounds import LEASE, RENEWED, UNWATCHED, Rounds
from tradewind.errors import BadRequest, StoreError
from tradewind.model.cluster import ClusterStatus, Scaling
from tradewind.model.instance import Role
from tradewind.planning.funds import ROUND
from tradewind.providers.base import Provider
from tradewind.providers.fake import faults as f
from tradewind.store.records import Changes, Lease
from tradewind.store.store import Store


class Counted:
    """A real store that counts what is asked of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked: list[str] = []

    def __getattr__(self, verb: str) -> Any:
        self.asked.append(verb)
        return getattr(self._store, verb)


class ForgetsToAnswer(Counted):
    """A real store that keeps what it is given, and whose answer then gets lost."""

    armed = False

    async def save(self, lease: Lease, changes: Changes) -> None:
        await self._store.save(lease, changes)
        if self.armed:
            self.armed = False
            raise StoreError("the connection was lost; whether the last change was kept isn't known")


async def at_rest(stage: Stage, engine: Rounds) -> Rounds:
    """Bring a cluster up, and let it be quiet for some rounds."""
    await stage.up(engine)
    for _ in range(3):
        stage.clock.advance(1)
        await engine.round("c1", afresh=False)
    return engine


async def look_as_the_loop_does(stage: Stage, engine: Rounds) -> Any:
    """Do a round that trusts what is remembered, where the store doesn't say otherwise."""
    now = stage.clock.now()
    for lease in await stage.store.take_due(now, engine.holder, now + LEASE):
        engine.leases.grant(lease)
    return await engine.round("c1", afresh=False)


async def test_a_quiet_round_asks_nothing_of_the_store(stage: Stage) -> None:
    await stage.create()
    engine = await at_rest(stage, stage.engine())
    engine.store = engine.leases.store = counted = Counted(stage.store)  # type: ignore[assignment]
    stage.clock.advance(RENEWED)
    await engine.round("c1", afresh=False)
    assert counted.asked == ["take_lease"]
    counted.asked.clear()
    for _ in range(5):
        stage.clock.advance(1)
        assert await engine.round("c1", afresh=False) == stage.clock.now() + ROUND
    assert counted.asked == []


async def test_a_lease_is_renewed_before_it_runs_out_however_quiet_it_is(stage: Stage) -> None:
    await stage.create()
    engine = await at_rest(stage, stage.engine())
    for _ in range(60):
        stage.clock.advance(1)
        await engine.round("c1", afresh=False)
        (lease,) = await stage.store.leases()
        assert lease.until >= stage.clock.now() + RENEWED - timedelta(seconds=1)
        assert await stage.store.due(stage.clock.now(), holder="B") == ()


async def test_what_nobody_wrote_to_is_not_due_for_its_holder_either(stage: Stage) -> None:
    await stage.create()
    engine = await at_rest(stage, stage.engine("A"))
    await stage.scale(Scaling.fixed(2), dismiss=("nobody",))
    for _ in range(4):  # this changes nothing that a round would write
        await look_as_the_loop_does(stage, engine)
        stage.clock.advance(0.1)
    assert await stage.store.due(stage.clock.now(), holder="A") == ()
    for _ in range(40):
        stage.clock.advance(1)
        await engine.round("c1", afresh=False)
        assert await stage.store.due(stage.clock.now(), holder="A") == ()


async def test_leases_that_are_renewed_together_keep_epoch_and_revision(stage: Stage) -> None:
    for cluster in ("c1", "c2"):
        await stage.create(cluster)
    engine = stage.engine()
    await stage.up(engine, "c1")
    await stage.up(engine, "c2")
    before = {lease.cluster_id: lease for lease in await stage.store.leases()}
    revisions = await stage.store.revisions(("c1", "c2"))
    stage.clock.advance(RENEWED)
    assert list(await engine.leases.renew()) == []
    after = {lease.cluster_id: lease for lease in await stage.store.leases()}
    assert [after[c].until for c in ("c1", "c2")] == [stage.clock.now() + LEASE] * 2
    assert [after[c].epoch for c in ("c1", "c2")] == [before[c].epoch for c in ("c1", "c2")]
    assert await stage.store.revisions(("c1", "c2")) == revisions


async def test_what_another_process_wants_is_done_at_the_next_look(stage: Stage) -> None:
    await stage.create()
    engine = await at_rest(stage, stage.engine())
    await stage.scale(Scaling.fixed(3))
    await look_as_the_loop_does(stage, engine)
    assert len(await stage.live(role=Role.WORKER)) == 3
    await stage.stop()
    await look_as_the_loop_does(stage, engine)
    assert (await stage.store.get_cluster("c1")).status is ClusterStatus.STOPPING


async def test_a_renewal_neither_sleeps_over_what_people_want_nor_trusts_what_was_remembered(stage: Stage) -> None:
    await stage.create()
    engine = await at_rest(stage, stage.engine())
    stage.clock.advance(RENEWED)
    await stage.scale(Scaling.fixed(3))
    assert list(await engine.leases.renew()) == ["c1"]
    assert await stage.store.due(stage.clock.now(), holder="A") == ("c1",)
    await engine.round("c1", afresh=False)
    assert len(await stage.live(role=Role.WORKER)) == 3


async def test_a_lease_that_was_lost_and_won_again_is_not_trusted(stage: Stage) -> None:
    await stage.create()
    a, b = await at_rest(stage, stage.engine("A")), stage.engine("B")
    stage.clock.advance(LEASE + timedelta(seconds=1))
    await stage.scale(Scaling.fixed(4))
    await stage.up(b)
    stage.clock.advance(LEASE + timedelta(seconds=1))
    await a.round("c1", afresh=False)
    assert (await stage.store.leases())[0].holder == "A"
    assert len(await stage.live(role=Role.WORKER)) == 4
    assert len(stage.machines()) == 4, "it would order again what the other had ordered"


async def test_who_lost_the_lease_renews_nothing(stage: Stage) -> None:
    await stage.create()
    a, b = await at_rest(stage, stage.engine("A")), stage.engine("B")
    stage.clock.advance(LEASE + timedelta(seconds=1))
    await b.round("c1")
    assert list(await a.leases.renew()) == []
    (lease,) = await stage.store.leases()
    assert lease.holder == "B"


@pytest.mark.parametrize("saves_before", [0, 1])
async def test_an_answer_that_got_lost_after_the_commit_launches_nothing_twice(stage: Stage, saves_before: int) -> None:
    await stage.create()
    engine = stage.engine()
    store = ForgetsToAnswer(stage.store)
    engine.store = engine.leases.store = store  # type: ignore[assignment]
    for _ in range(saves_before):
        await engine.round("c1", afresh=False)
        stage.clock.advance(1)
    store.armed = True
    with pytest.raises(StoreError):
        await stage.go(engine, lambda cluster: False, step=timedelta(seconds=1))
    stage.clock.advance(5)
    await stage.up(engine)
    assert len(stage.world.machines) == 3
    assert len(await stage.live()) == 3


async def test_a_fault_in_a_round_leaves_nothing_remembered(stage: Stage) -> None:
    await stage.create()
    engine = await at_rest(stage, stage.engine())
    stage.world.arm(f.DiesBefore(verbs=frozenset({"observe"})))
    stage.clock.advance(2)
    with pytest.raises(f.ProcessKilled):
        await engine.round("c1", afresh=False)
    assert engine.leases.revision("c1") is None


async def test_a_page_that_changes_is_news_only_while_somebody_watches(stage: Stage) -> None:
    await stage.create()
    engine = await at_rest(stage, stage.engine())
    before = await stage.store.revision("c1")
    stage.world.agents.stage("c1", tasks_running=7)
    stage.clock.advance(1)
    await engine.round("c1", afresh=False)
    assert await stage.store.revision("c1") == before
    engine.lookout.watch("c1")
    await engine.round("c1", afresh=False)
    told = await stage.store.revision("c1")
    assert told > before, "what changed unwatched is told to whoever comes"
    await engine.round("c1", afresh=False)
    assert await stage.store.revision("c1") == told
    assert engine.leases.revision("c1") == told


async def test_what_nobody_watches_is_looked_at_slowly_on_a_server(stage: Stage) -> None:
    await stage.create()
    engine = stage.engine()
    engine.pace = UNWATCHED
    await at_rest(stage, engine)
    assert await engine.round("c1", afresh=False) == stage.clock.now() + UNWATCHED
    engine.lookout.watch("c1")
    assert await engine.round("c1", afresh=False) == stage.clock.now() + ROUND
    stage.clock.advance(timedelta(seconds=20))
    assert await engine.round("c1", afresh=False) == stage.clock.now() + UNWATCHED


async def test_what_is_handed_over_is_due_at_once_for_others(stage: Stage) -> None:
    await stage.create()
    engine = await at_rest(stage, stage.engine("A"))
    await engine.leases.hand_over()
    assert await stage.store.due(stage.clock.now(), holder="B") == ("c1",)
    await stage.engine("B").round("c1")
    assert (await stage.store.leases())[0].holder == "B"


async def test_what_was_taken_and_not_begun_yet_is_handed_over_as_well(stage: Stage) -> None:
    await stage.create()
    engine, now = stage.engine(), stage.clock.now()
    [lease] = await stage.store.take_due(now, engine.holder, now + LEASE)
    engine.leases.grant(lease)
    assert await stage.store.due(now, holder="B") == ()

    await engine.leases.hand_over()

    assert await stage.store.due(now, holder="B") == ("c1",)


async def test_a_round_begun_with_a_lease_that_was_taken_with_others_takes_none_again(stage: Stage) -> None:
    await stage.create()
    engine, now = stage.engine(), stage.clock.now()
    [lease] = await stage.store.take_due(now, engine.holder, now + LEASE)
    engine.leases.grant(lease)
    engine.store = engine.leases.store = counted = Counted(stage.store)  # type: ignore[assignment]

    assert await engine.round("c1", afresh=False) is not None

    assert "load" in counted.asked
    assert "take_lease" not in counted.asked


async def test_an_instance_that_is_up_before_the_list_knows_it_is_billed_from_its_true_begin(stage: Stage) -> None:
    await stage.create()
    engine = stage.engine()
    await stage.go(engine, is_running, step=timedelta(seconds=0.4))
    for _ in range(20):
        stage.clock.advance(0.4)
        await engine.round("c1", afresh=False)
    await stage.stop()
    await stage.go(engine, is_stopped)
    assert await stage.bill() == stage.truth()


async def test_workers_that_ended_long_ago_are_forgotten(stage: Stage) -> None:
    await stage.create()
    engine = await at_rest(stage, stage.engine())
    await stage.scale(Scaling.fixed(0))
    for _ in range(700):
        stage.clock.advance(1)
        await look_as_the_loop_does(stage, engine)
    held = engine.leases.held["c1"]  # what is remembered is what this is about
    assert [i.role for i in held.loaded.instances] == [Role.SCHEDULER]
    loaded = await stage.store.load("c1", ended_since=stage.clock.now() - timedelta(minutes=10))
    assert held.loaded.instances == loaded.instances
    assert held.loaded.revision == loaded.revision
    assert replace(held.cluster, observed_at=None) == replace(loaded.cluster, observed_at=None)


async def test_who_cant_look_after_a_cluster_leaves_it_to_others_at_once_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = await Stage.open("sqlite://")
    await stage.create()
    mine, other = await at_rest(stage, stage.engine()), stage.engine("B")

    def unknown(name: str) -> Provider:
        raise BadRequest(f"there is no {name} here")

    other.provider_of = unknown
    await mine.leases.hand_over()
    assert [await other.round("c1"), await other.round("c1")] == [None, None]

    assert caplog.text.count("can't be looked after here: there is no fake here") == 1
    assert other.left_to_others(stage.clock.now()) == ("fake",), "and doesn't ask for it again"
    assert await stage.store.due(stage.clock.now(), holder="A") == ("c1",)
    assert await mine.round("c1") is not None
    stage.clock.advance(61)
    assert other.left_to_others(stage.clock.now()) == (), "but for once a minute"
    assert (await stage.store.get_cluster("c1")).status is ClusterStatus.RUNNING
    await stage.store.aclose()
