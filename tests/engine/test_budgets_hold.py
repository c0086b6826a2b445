"""A hard budget is kept, by the infrastructure's own ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.engine.purse import account, accounts, budgets, truly_spent, usd
from tests.engine.stage import LONG, Stage, is_stopped
from tradewind.engine.engine import Engine
from tradewind.model.budget import BudgetScope, Period
from tradewind.model.cluster import Cluster, Scaling, StopReason
from tradewind.model.events import BUDGET_STEP
from tradewind.providers.fake import Timing

CLUSTER_PER_HOUR = Decimal("0.288")
"""A scheduler and two workers of the smallest size."""


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    timing = Timing(starting=timedelta(seconds=2), stopping=timedelta(seconds=2))
    stage = await Stage.open("sqlite://", timing)
    yield stage
    await stage.store.aclose()


async def run(stage: Stage, *ids: str, seconds: int, holder: str = "A") -> None:
    """Let one engine look at everything once a second."""
    engine, money = stage.engine(holder), accounts(stage, holder)
    for _ in range(seconds):
        for cluster_id in ids:
            await engine.round(cluster_id)
        await money.look_at_all()
        stage.clock.advance(1)


async def ends(stage: Stage, *ids: str, within: int) -> list[Cluster]:
    """Run until all of these have stopped, and return them."""
    engine, money = stage.engine(), accounts(stage)
    for _ in range(within):
        found = [await stage.store.get_cluster(cluster_id) for cluster_id in ids]
        if all(is_stopped(one) for one in found):
            return found
        for cluster_id in ids:
            await engine.round(cluster_id)
        await money.look_at_all()
        stage.clock.advance(1)
    raise AssertionError([(one.id, one.status) for one in found])


async def test_a_cluster_is_stopped_before_the_workspace_has_spent_its_month(stage: Stage) -> None:
    await budgets(stage).create_budget(usd("0.01"))
    await stage.create("c1")
    (ended,) = await ends(stage, "c1", within=300)
    assert ended.stop_reason is StopReason.BUDGET
    assert "budget of 0.01 USD a month for workspace 'lab'" in ended.stop_detail
    assert Decimal("0.004") < truly_spent(stage) <= Decimal("0.01")


async def test_who_watches_a_cluster_is_woken_by_a_step_of_its_budget(stage: Stage) -> None:
    await budgets(stage).create_budget(usd("0.01"), is_hard=False)
    await stage.create("c1")
    engine, money = stage.engine(), accounts(stage)
    for _ in range(300):
        await engine.round("c1")
        before = await stage.store.revision("c1")
        await money.look_at_all()
        if any(event.kind == BUDGET_STEP for _, event in await stage.store.events("c1")):
            break
        stage.clock.advance(1)

    assert await stage.store.revision("c1") == before + 1
    assert await engine.round("c1") is not None, "its holder goes on with what it has"


async def test_what_was_set_aside_and_not_spent_is_given_back_when_a_cluster_stops(stage: Stage) -> None:
    await budgets(stage).create_budget(usd("5"))
    await stage.create("c1")
    await run(stage, "c1", seconds=30)
    assert (await account(stage)).committed.amount > truly_spent(stage)
    await stage.stop("c1")
    await ends(stage, "c1", within=20)
    settled = await account(stage)
    assert settled.committed.amount == pytest.approx(truly_spent(stage))
    assert settled.burn_per_hour.amount == 0


async def test_when_every_server_dies_no_more_is_spent_than_was_set_aside(stage: Stage) -> None:
    await budgets(stage).create_budget(usd("0.02"))
    await stage.create("c1")
    await run(stage, "c1", seconds=60)
    assert stage.machines()
    stage.clock.advance(timedelta(hours=2))
    assert not stage.world.alive()
    assert truly_spent(stage) <= Decimal("0.02")


async def test_servers_that_die_before_the_scheduler_is_up_spend_no_more_than_was_set_aside() -> None:
    stage = await Stage.open("sqlite://", Timing(starting=timedelta(seconds=5)))
    await budgets(stage).create_budget(usd("0.006"))
    await stage.create("c1")
    await stage.engine().round("c1")
    assert stage.world.alive()
    stage.clock.advance(timedelta(hours=2))
    assert truly_spent(stage) <= Decimal("0.006")
    await stage.store.aclose()


async def test_a_budget_that_is_set_while_clusters_run_counts_what_they_spent(stage: Stage) -> None:
    await stage.create("c1")
    await run(stage, "c1", seconds=100)
    before = truly_spent(stage)
    view = await budgets(stage).create_budget(usd("0.012"))
    assert view.state.spent.amount == pytest.approx(before)
    (ended,) = await ends(stage, "c1", within=200)
    assert ended.stop_reason is StopReason.BUDGET
    assert truly_spent(stage) <= Decimal("0.012")


async def test_a_lowered_budget_stops_what_it_does_not_pay_for(stage: Stage) -> None:
    view = await budgets(stage).create_budget(usd("5"))
    await stage.create("c1")
    await run(stage, "c1", seconds=60)
    await budgets(stage).change_budget(view.budget.id, limit=usd("0.006"))
    (ended,) = await ends(stage, "c1", within=100)
    assert ended.stop_reason is StopReason.BUDGET
    assert truly_spent(stage) <= Decimal("0.006")


@pytest.mark.parametrize("change", ["lowered", "removed", "raised"])
async def test_a_changed_budget_is_felt_at_once_by_those_it_holds_for_and_by_nobody_else(
    stage: Stage, change: str
) -> None:
    made = await budgets(stage).create_budget(usd("10"), scope=BudgetScope.CLUSTER, key="c1")
    engine = stage.engine()
    engine.pace = timedelta(seconds=5)
    for name in ("c1", "c2"):
        await stage.create(name)
        await stage.up(engine, name)
    await engine.round("c1", afresh=False)
    await engine.round("c2", afresh=False)
    assert await stage.store.due(stage.clock.now(), holder="A") == ()
    read = await stage.store.revisions(("c1", "c2"))
    if change == "removed":
        await budgets(stage).remove_budget(made.budget.id)
    else:
        await budgets(stage).change_budget(made.budget.id, limit=usd("0" if change == "lowered" else "20"))
    assert await stage.store.due(stage.clock.now(), holder="A") == ("c1",)
    assert await stage.store.revisions(("c1", "c2")) == {"c1": read["c1"] + 1, "c2": read["c2"]}


@pytest.mark.parametrize(("tasks", "within"), [(0, 2), (3, 32)], ids=["nothing would be missed", "at work"])
async def test_a_budget_lowered_to_nothing_winds_its_clusters_down_within_two_looks(
    stage: Stage, tasks: int, within: int
) -> None:
    made = await budgets(stage).create_budget(usd("10"), scope=BudgetScope.TAG, key="project=enso")
    engine, money = Engine(stage.engine(), stage.store, stage.clock), accounts(stage)
    engine.rounds.pace = timedelta(seconds=5)
    await stage.create("c1", tags={"project": "enso"})
    stage.world.agents.stage("c1", tasks_running=tasks, clients=1, adaptive_target=2)
    await stage.up(engine.rounds)
    await engine.rounds.round("c1", afresh=False)
    await budgets(stage).change_budget(made.budget.id, limit=usd("0"))
    changed_at = stage.clock.now()
    while (found := await stage.store.get_cluster("c1")).stop_reason is None:
        assert stage.clock.now() <= changed_at + timedelta(seconds=within)
        stage.clock.advance(1)
        await engine._scan()
        await money.look_at_all()
        if engine._wake_at.pop("c1", None) is not None:
            wake_at = await engine.rounds.round("c1", afresh=False)
            assert wake_at is not None
            engine._wake("c1", wake_at)
        assert (await stage.store.get_cluster("c1")).intent.ends_by is not None
    assert found.stop_reason is StopReason.BUDGET


async def test_a_raised_budget_lets_a_cluster_go_on_that_was_about_to_end(stage: Stage) -> None:
    view = await budgets(stage).create_budget(usd("0.01"))
    await stage.create("c1")
    stage.world.agents.stage("c1", tasks_running=3, clients=1, adaptive_target=2)
    engine, money = stage.engine(), accounts(stage)
    for _ in range(200):
        await engine.round("c1")
        await money.look_at_all()
        stage.clock.advance(1)
        if (await stage.store.get_cluster("c1")).intent.ends_by is not None:
            break
    else:
        raise AssertionError("it never winds down")
    assert (await stage.store.get_cluster("c1")).status.rank < 3
    await budgets(stage).change_budget(view.budget.id, limit=usd("1"))
    await run(stage, "c1", seconds=60)
    cluster = await stage.store.get_cluster("c1")
    assert cluster.intent.ends_by is None
    assert cluster.status.is_live
    assert len(stage.machines()) == 2


async def test_a_full_budget_does_not_take_back_what_an_empty_one_said(stage: Stage) -> None:
    await budgets(stage).create_budget(usd("100"))
    await budgets(stage).create_budget(usd("0.01"), scope=BudgetScope.USER, key="ada")
    await stage.create("c1")
    stage.world.agents.stage("c1", tasks_running=3, clients=1, adaptive_target=2)
    engine, money = stage.engine(), accounts(stage)
    deadlines = set()
    for _ in range(200):
        await engine.round("c1")
        await money.look_at_all()
        stage.clock.advance(1)
        deadlines.add((await stage.store.get_cluster("c1")).intent.ends_by)
    assert len(deadlines - {None}) == 1
    warnings = [one for one in stage.world.agents.told if one.verb == "say" and "Save what you need" in one.words]
    assert len(warnings) == 1


async def test_a_removed_budget_lets_go_on_whom_it_told_to_end(stage: Stage) -> None:
    await budgets(stage).create_budget(usd("100"))
    view = await budgets(stage).create_budget(usd("0.01"), scope=BudgetScope.USER, key="ada")
    await stage.create("c1")
    stage.world.agents.stage("c1", tasks_running=3, clients=1, adaptive_target=2)
    engine, money = stage.engine(), accounts(stage)
    while (await stage.store.get_cluster("c1")).intent.ends_by is None:
        await engine.round("c1")
        await money.look_at_all()
        stage.clock.advance(1)
    await budgets(stage).remove_budget(view.budget.id)
    await run(stage, "c1", seconds=60)
    cluster = await stage.store.get_cluster("c1")
    assert cluster.status.is_live
    assert cluster.intent.ends_by is None


async def test_a_removed_budget_limits_nothing(stage: Stage) -> None:
    view = await budgets(stage).create_budget(usd("0.01"))
    await stage.create("c1")
    await run(stage, "c1", seconds=30)
    await budgets(stage).remove_budget(view.budget.id)
    await run(stage, "c1", seconds=300)
    assert (await stage.store.get_cluster("c1")).status.is_live
    assert truly_spent(stage) > Decimal("0.02")


async def test_clusters_share_what_is_left_and_go_by_turns(stage: Stage) -> None:
    await budgets(stage).create_budget(usd("0.08"))
    for number in range(4):
        await stage.create(f"c{number}")
        stage.world.agents.stage(f"c{number}", tasks_running=9, clients=1, adaptive_target=2)
        stage.clock.advance(1)
    ids = [f"c{number}" for number in range(4)]
    ended = await ends(stage, *ids, within=600)
    assert {one.stop_reason for one in ended} == {StopReason.BUDGET}
    assert truly_spent(stage) <= Decimal("0.08")
    assert truly_spent(stage) > Decimal("0.06")
    times = [one.stopped_at for one in ended if one.stopped_at is not None]
    assert times == sorted(times, reverse=True)
    assert times[0] - times[-1] > timedelta(seconds=30)


async def test_who_winds_down_is_told_what_results_it_holds(stage: Stage) -> None:
    await budgets(stage).create_budget(usd("0.01"))
    await stage.create("c1")
    stage.world.agents.stage("c1", tasks_running=2, clients=1, held_results=7, adaptive_target=2)
    await ends(stage, "c1", within=300)
    said = [told.words for told in stage.world.agents.told if told.verb == "say"]
    assert any("7 results are in its memory" in words for words in said)
    assert any(told.verb == "retire" for told in stage.world.agents.told)


async def test_each_step_is_told_once(stage: Stage) -> None:
    await budgets(stage).create_budget(usd("0.04"))
    await budgets(stage).add_webhook("https://example.org/hook")
    await stage.create("c1")
    stage.world.agents.stage("c1", tasks_running=2, clients=1, adaptive_target=2)
    await ends(stage, "c1", within=600)
    told = await stage.store.outbox.take(stage.clock.now(), stage.clock.now() + timedelta(hours=1))
    assert [message.id.split("/")[3] for message in told] == ["50", "80"]


async def test_a_grant_pays_for_nothing_before_it_begins_nor_after_its_end(stage: Stage) -> None:
    now = stage.clock.now()
    await budgets(stage).create_budget(
        usd("5"),
        period=Period.GRANT,
        starts_at=now,
        ends_at=now + timedelta(seconds=200),
        scope=BudgetScope.USER,
        key="ada",
    )
    await stage.create("c1")
    (ended,) = await ends(stage, "c1", within=300)
    assert ended.stop_reason is StopReason.BUDGET
    assert max(line.stopped_at or stage.clock.now() for line in stage.world.ledger()) <= now + timedelta(seconds=200)


async def test_a_month_that_turns_opens_a_new_account_and_settles_the_old(stage: Stage) -> None:
    stage.clock.advance(timedelta(days=29, hours=20, minutes=54))
    view = await budgets(stage).create_budget(usd("1"))
    await stage.create("c1", lifetimes=LONG)
    end = view.ends_at
    while stage.clock.now() < end - timedelta(seconds=30):
        stage.clock.advance(1)
    await run(stage, "c1", seconds=60)
    assert stage.clock.now() > end
    found = await account(stage)
    assert found.starts_at == end
    await stage.stop("c1")
    await ends(stage, "c1", within=20)
    assert (await account(stage)).committed.amount == pytest.approx(truly_spent(stage, since=end))


async def test_workers_that_nobody_can_pay_for_are_not_launched(stage: Stage) -> None:
    await budgets(stage).create_budget(usd("0.06"))
    await stage.create("c1", scaling=Scaling.fixed(20))
    await run(stage, "c1", seconds=10)
    assert 0 < len(stage.machines()) < 20
    assert truly_spent(stage) <= Decimal("0.06")


async def test_servers_that_die_after_a_cluster_gave_money_back_spend_no_more_than_is_left(stage: Stage) -> None:
    await budgets(stage).create_budget(usd("0.1"))
    await stage.create("c1")
    await run(stage, "c1", seconds=20)
    engine = stage.engine()
    for number in range(2, 5):
        await stage.create(f"c{number}", scaling=Scaling.fixed(3))
    # Each joins, and the first gives back; killed after each round.
    for _ in range(6):
        for number in (1, 2, 3, 4):
            await engine.round(f"c{number}")
            held = sum(
                one.committed.amount for _, one in await stage.store.money.open_accounts(stage.clock.now()) if one
            )
            assert held <= Decimal("0.1")
        stage.clock.advance(1)
    stage.clock.advance(timedelta(hours=2))
    assert truly_spent(stage) <= Decimal("0.1")


async def test_a_cluster_that_grows_is_told_first_that_it_may_live_for_less(stage: Stage) -> None:
    await budgets(stage).create_budget(usd("0.3"))
    await stage.create("c1", scaling=Scaling.fixed(1))
    await run(stage, "c1", seconds=20)
    await stage.scale(Scaling.fixed(20))
    engine = stage.engine()
    for _ in range(10):
        await engine.round("c1")
        stage.clock.advance(0.5)
    assert len(stage.machines()) > 10
    stage.clock.advance(timedelta(hours=2))
    assert truly_spent(stage) <= Decimal("0.3")
