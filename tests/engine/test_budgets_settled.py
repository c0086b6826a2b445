"""What clusters held becomes what they spent, to the last digit, whenever that becomes known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.purse import accounts, budgets, metered, truly_spent, usd
from tests.engine.stage import LONG, Stage, is_stopped
from tests.engine.test_sweep import launched_without_a_row
from tradewind.errors import TradewindError
from tradewind.model.budget import Account, Budget, BudgetScope
from tradewind.model.cluster import Scaling
from tradewind.model.instance import Role
from tradewind.planning.limits import counts, period_at
from tradewind.providers.fake import Timing
from tradewind.providers.fake import faults as f

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@asynccontextmanager
async def staged(timing: Timing | None = None, url: str = "sqlite://") -> AsyncIterator[Stage]:
    stage = await Stage.open(url, timing or Timing(stopping=timedelta(seconds=7)))
    try:
        yield stage
    finally:
        await stage.store.aclose()


async def books(stage: Stage, *months: datetime) -> list[tuple[Budget, Account]]:
    """Return the accounts of these months; one that was never opened is one of nothing."""
    found = []
    for month in months or (stage.clock.now(),):
        for budget in await stage.store.money.budgets("lab"):
            state = await stage.store.money.state(budget, month)
            starts_at, ends_at = period_at(budget, month)
            nothing = Account(
                budget_id=budget.id, starts_at=starts_at, ends_at=ends_at, committed=usd(0), burn_per_hour=usd(0)
            )
            assert state is None or state.holders == (), "somebody still burns it"
            found.append((budget, nothing if state is None else state.account))
    return found


async def assert_settled(stage: Stage, *months: datetime) -> None:
    bill = await stage.store.usages(workspace="lab")
    for budget, account in await books(stage, *months):
        mine = [usage for usage in bill if counts(budget, usage)]
        assert account.committed.amount == metered(mine, account, stage.clock.now())
        assert account.burn_per_hour.amount == 0


async def test_what_was_launched_after_its_cluster_had_stopped_counts(tmp_path) -> None:
    async with staged(url=f"sqlite:///{tmp_path}/store.db") as stage:
        rounds = stage.engine()
        await budgets(stage).create_budget(usd("100"))
        await stage.create("c2")
        await stage.up(rounds, "c2")
        stage.world.arm(f.DoesNotAnswer(verbs=frozenset({"launch"}), times=None))
        await stage.create("c1")
        await rounds.round("c1")
        await stage.stop("c1")
        await stage.go(rounds, is_stopped, "c1")
        given_up = (await stage.store.instances("c1"))[0]
        stage.world.faults = f.Pile(())
        await launched_without_a_row(stage, stage.world, cluster="c1", instance=given_up.id, order=given_up.order_id)
        await stage.stop("c2")
        await stage.go(rounds, is_stopped, "c2")
        before = (await books(stage))[0][1].committed.amount
        stage.clock.advance(11)
        assert await rounds.sweep() == 1
        stage.clock.advance(60)
        await rounds.sweep()

        assert (await books(stage))[0][1].committed.amount > before
        await assert_settled(stage)
        assert (await books(stage))[0][1].committed.amount == pytest.approx(truly_spent(stage))


async def test_what_lived_on_into_the_next_month_counts_there_too() -> None:
    async with staged() as stage:
        stage.clock.advance(FEBRUARY - timedelta(minutes=2) - stage.clock.now())
        rounds = stage.engine()
        await budgets(stage).create_budget(usd("100"))
        await stage.create("c1")
        await stage.up(rounds)
        await stage.stop()
        await stage.go(rounds, is_stopped)
        assert stage.clock.now() < FEBRUARY
        # It had been shown as ended, and hadn't: found when the month has turned.
        row = (await stage.store.instances("c1"))[0]
        line = next(line for line in await stage.store.usages() if line.instance_id == row.id)
        late = FEBRUARY + timedelta(hours=1)
        await stage.store.correct(replace(row, stopped_at=late), [replace(line, stopped_at=late)], late)

        stage.clock.advance(timedelta(hours=2))
        await accounts(stage).look_at_all()
        await assert_settled(stage, FEBRUARY - SECOND, FEBRUARY)
        january, february = await books(stage, FEBRUARY - SECOND, FEBRUARY)
        assert line.price is not None
        assert february[1].committed == line.price.cost_of(timedelta(hours=1))
        assert january[1].committed.amount > 0


async def test_two_who_correct_the_same_cluster_at_once_count_both(postgres_url: str) -> None:
    async with staged(url=postgres_url) as stage:
        rounds = stage.engine()
        await budgets(stage).create_budget(usd("100"))
        await stage.create("c1", scaling=Scaling.fixed(5))
        await stage.up(rounds)
        await stage.stop()
        await stage.go(rounds, is_stopped)
        stage.clock.advance(timedelta(hours=9))
        rows = {row.id: row for row in await stage.store.instances("c1")}
        late = stage.clock.now()
        async with asyncio.TaskGroup() as together:
            for number, line in enumerate(await stage.store.usages()):
                stopped_at = late - timedelta(minutes=number)
                row = replace(rows[line.instance_id], stopped_at=stopped_at)
                together.create_task(stage.store.correct(row, [replace(line, stopped_at=stopped_at)], late))
        await assert_settled(stage)
        assert (await books(stage))[0][1].committed.amount > Decimal("0.4")


seconds = st.sampled_from([0, 1, 3, 7]).map(lambda s: timedelta(seconds=s))
roles = st.sampled_from([None, Role.SCHEDULER, Role.WORKER])
faults = st.one_of(
    st.builds(f.ListsLate, role=roles, by=st.sampled_from([15, 40]).map(lambda s: timedelta(seconds=s))),
    st.builds(f.InstanceDies, role=roles, after=seconds),
    st.builds(f.DiesBetweenLaunchAndHandle, role=roles),
    st.builds(f.LosesAnswerOfLaunch, role=roles),
    st.builds(f.IgnoresTerminate, times=st.integers(1, 2)),
    st.builds(f.DoesNotAnswer, verbs=st.just(frozenset({"observe"})), times=st.integers(1, 9)),
)
stories = st.lists(
    st.tuples(st.lists(faults, max_size=2), st.integers(0, 3), st.integers(0, 45)), min_size=1, max_size=3
)


COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@settings(COMMON, max_examples=4)
@given(stories, st.integers(-5, 200), st.builds(Timing, starting=seconds, stopping=seconds))
def test_once_all_has_stopped_each_account_shows_what_was_metered(
    story: list[tuple[list[f.Fault], int, int]], before_midnight_s: int, timing: Timing
) -> None:
    asyncio.run(told(story, before_midnight_s, timing))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(COMMON, max_examples=200)
@given(stories, st.integers(-5, 200), st.builds(Timing, starting=seconds, stopping=seconds))
def test_once_all_has_stopped_each_account_shows_what_was_metered_whatever_went_wrong(
    story: list[tuple[list[f.Fault], int, int]], before_midnight_s: int, timing: Timing
) -> None:
    asyncio.run(told(story, before_midnight_s, timing))


async def told(story: list[tuple[list[f.Fault], int, int]], before_midnight_s: int, timing: Timing) -> None:
    async with staged(timing) as stage:
        stage.clock.advance(FEBRUARY - timedelta(seconds=before_midnight_s) - stage.clock.now())
        began = stage.clock.now()
        await budgets(stage).create_budget(usd("100"))
        await budgets(stage).create_budget(usd("0.02"), scope=BudgetScope.CLUSTER, key="c0")
        rounds, looks = stage.engine(), accounts(stage)
        for number, (armed, workers, lives_s) in enumerate(story):
            for fault in armed:
                stage.world.arm(fault)
            await stage.create(f"c{number}", scaling=Scaling.fixed(workers), lifetimes=LONG)
            for _ in range(lives_s):
                rounds = await looked(stage, rounds, looks, number + 1)
            await stage.stop(f"c{number}")
        stage.world.faults = f.Pile(())
        for turn in range(70):
            rounds = await looked(stage, rounds, looks, len(story))
            if turn % 10 == 9:
                await rounds.sweep()
        assert not stage.world.alive()
        await assert_settled(stage, *({FEBRUARY - SECOND, FEBRUARY} if began < FEBRUARY else {FEBRUARY}))


async def looked(stage: Stage, rounds, looks, clusters: int):
    """Look at everything once; return who does so from then on."""
    try:
        with suppress(TradewindError):
            for number in range(clusters):
                await rounds.round(f"c{number}")
            await looks.look_at_all()
    except f.ProcessKilled:
        rounds = stage.engine(f"A{next(stage.numbers)}")
        stage.clock.advance(16)
    stage.clock.advance(1)
    return rounds
