"""Whatever people, infrastructures and servers do: a hard budget is kept, by the infrastructure's own ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from tests.engine.purse import accounts, budgets, metered, truly_spent, usd
from tests.engine.stage import Stage, bury, killed
from tradewind.engine.rounds.rounds import LEASE, Rounds
from tradewind.engine.spending.accounts import Accounts
from tradewind.errors import TradewindError
from tradewind.model.cluster import Scaling
from tradewind.model.instance import Role
from tradewind.planning.funds import ROUND
from tradewind.providers.fake import Timing
from tradewind.providers.fake import faults as f

T = TypeVar("T")
CLUSTERS = ("c1", "c2", "c3")
MOMENT = Decimal("1e-9")
"""What some microseconds cost: times are kept to whole ones, so what is promised may be one too long for each."""
seconds = st.sampled_from([0, 1, 3]).map(lambda s: timedelta(seconds=s))
timings = st.builds(Timing, starting=seconds, stopping=seconds)
verbs = st.sampled_from([frozenset({"launch"}), frozenset({"observe"}), frozenset({"terminate"})])
roles = st.sampled_from([None, Role.SCHEDULER, Role.WORKER])
faults = st.one_of(
    st.builds(f.DiesBefore, verbs=verbs),
    st.builds(f.DoesNotAnswer, verbs=verbs, times=st.integers(1, 2)),
    st.builds(f.DiesAfterHandle, role=roles),
    st.builds(f.DiesBetweenLaunchAndHandle, role=roles),
    st.builds(f.LosesAnswerOfLaunch, role=roles),
    st.builds(f.LosesAnswerOfTerminate),
    st.builds(f.InstanceDies, role=roles, after=seconds),
    st.builds(f.AgentIsDeaf, times=st.integers(1, 2)),
    st.builds(f.WorkersCling),
)


class Purses(RuleBasedStateMachine):
    """A budget, three clusters, two servers that die and come again."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.engines: list[Rounds] = []
        self.looks: list[Accounts] = []
        self.created: list[str] = []
        self.deaths = 0
        self.limit = Decimal(0)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    @initialize(timing=timings, limit=st.sampled_from(["0.004", "0.012", "0.03", "0.2"]))
    def begin(self, timing: Timing, limit: str) -> None:
        self.stage: Stage = self.run(Stage.open("sqlite://", timing))
        self.limit = Decimal(limit)
        self.budget = self.run(budgets(self.stage).create_budget(usd(limit))).budget.id
        self.engines = [self.stage.engine("A"), self.stage.engine("B")]
        self.looks = [accounts(self.stage, "A"), accounts(self.stage, "B")]

    @precondition(lambda self: self.engines and len(self.created) < len(CLUSTERS))
    @rule(workers=st.integers(0, 6))
    def create(self, workers: int) -> None:
        name = CLUSTERS[len(self.created)]
        self.created.append(name)
        self.run(self.stage.create(name, scaling=Scaling.fixed(workers)))
        self.stage.world.agents.stage(name, tasks_running=3, clients=1, adaptive_target=workers)

    @precondition(lambda self: self.created)
    @rule(who=st.integers(0, 1), times=st.sampled_from([1, 3, 10, 30]), step=st.sampled_from([0.5, 1]))
    def look(self, who: int, times: int, step: float) -> None:
        for _ in range(times):
            for name in self.created:
                self.run(self.survivable(who, name))
            self.run(self.looks[who].look_at_all())
            self.is_kept()
            self.stage.clock.advance(step)
            self.is_kept()

    @precondition(lambda self: self.created)
    @rule(who=st.integers(0, 1), at=st.integers(0, 20), pick=st.integers(0, 2))
    def crash(self, who: int, at: int, pick: int) -> None:
        self.run(killed(self.survivable(who, self.created[pick % len(self.created)]), at))
        self.dies(who)

    @precondition(lambda self: self.created)
    @rule(pick=st.integers(0, 2), workers=st.integers(0, 8))
    def scale(self, pick: int, workers: int) -> None:
        name = self.created[pick % len(self.created)]
        self.run(self.stage.scale(Scaling.fixed(workers), name))
        self.stage.world.agents.stage(name, adaptive_target=workers)

    @precondition(lambda self: self.created)
    @rule(pick=st.integers(0, 2))
    def stop(self, pick: int) -> None:
        self.run(self.stage.stop(self.created[pick % len(self.created)]))

    @rule(by=st.sampled_from([0.2, 1, 2, 16, 70, 400, 4000]))
    def all_servers_are_away(self, by: float) -> None:
        self.stage.clock.advance(by)

    @rule(by=st.sampled_from(["0.001", "0.01"]))
    def people_raise_it(self, by: str) -> None:
        self.limit += Decimal(by)
        self.run(budgets(self.stage).change_budget(self.budget, limit=usd(self.limit)))

    @rule(fault=faults)
    def arm(self, fault: f.Fault) -> None:
        self.stage.world.arm(fault)

    @invariant()
    def is_kept(self) -> None:
        if not self.engines:
            return
        alive = self.stage.world.alive()
        burn = sum((m.offer.price.per_hour for m in alive if m.offer.price is not None), Decimal(0))
        round_s = Decimal(ROUND.total_seconds())
        assert truly_spent(self.stage) <= self.limit + burn * round_s / 3600

    @invariant()
    def no_more_is_promised_than_there_is(self) -> None:
        if not self.engines:
            return
        ((_, account),) = self.run(self.stage.store.money.open_accounts(self.stage.clock.now()))
        assert account is not None
        held = self.run(self.stage.store.money.state(self.budget_of(), self.stage.clock.now()))
        assert held is not None
        spent = truly_spent(self.stage)
        assert account.committed.amount <= max(self.limit, spent) + MOMENT

    def budget_of(self) -> Any:
        return self.run(self.stage.store.money.budget("lab", self.budget))

    async def survivable(self, who: int, name: str) -> Any:
        others = asyncio.all_tasks()
        try:
            return await self.engines[who].round(name)
        except f.ProcessKilled:
            await bury(others)
            self.dies(who)
        except TradewindError:
            return None

    def dies(self, who: int) -> None:
        self.deaths += 1
        holder = f"{'AB'[who]}{self.deaths}"
        self.engines[who] = self.stage.engine(holder)
        self.looks[who] = accounts(self.stage, holder)

    def teardown(self) -> None:
        if self.engines:
            try:
                self.finish()
            finally:
                self.run(bury())
                self.run(self.stage.store.aclose())
        self.runner.close()

    def finish(self) -> None:
        """In the end, all is settled: what is promised is what was spent."""
        stage = self.stage
        stage.world.faults = f.Pile(())
        for name in self.created:
            self.run(stage.stop(name))
        for number in range(40):
            for name in self.created:
                self.run(self.survivable(0, name))
            self.run(self.looks[0].look_at_all())
            stage.clock.advance(LEASE + timedelta(seconds=1) if number < 2 else timedelta(seconds=2))
        ours = self.run(stage.store.usages(workspace="lab"))
        state = self.run(stage.store.money.state(self.budget_of(), stage.clock.now()))
        assert state is not None
        assert state.holders == ()
        assert state.account.committed.amount == metered(ours, state.account, stage.clock.now())


COMMON = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def test_a_hard_budget_is_kept_whatever_happens() -> None:
    run_machine(
        Purses,
        settings=settings(max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=COMMON),
    )


AT_ONCE = Timing(starting=timedelta(0), stopping=timedelta(0))


def _forgotten(state: Purses) -> None:
    """A scheduler lives and ends while no server is up, for longer than its provider lists what ended."""
    state.begin(timing=AT_ONCE, limit="0.004")
    state.create(workers=0)
    state.look(step=0.5, times=1, who=0)
    state.all_servers_are_away(by=4000)
    state.create(workers=0)
    state.look(step=0.5, times=10, who=0)


def _seen_late(state: Purses) -> None:
    """A scheduler's bill begins long before anybody sees it, and workers are asked for in the same look."""
    state.begin(timing=AT_ONCE, limit="0.012")
    state.create(workers=0)
    state.crash(at=19, pick=0, who=0)
    state.all_servers_are_away(by=400)
    state.scale(pick=0, workers=7)
    state.crash(at=12, pick=0, who=0)
    state.all_servers_are_away(by=400)


def _told_long_ago(state: Purses) -> None:
    """A scheduler that can't be told better goes by what came with its order."""
    state.begin(timing=AT_ONCE, limit="0.03")
    state.create(workers=0)
    state.crash(at=19, pick=0, who=0)
    state.all_servers_are_away(by=400)
    state.arm(fault=f.AgentIsDeaf(times=2))
    state.scale(pick=0, workers=7)
    state.crash(at=12, pick=0, who=0)
    state.all_servers_are_away(by=1)
    state.look(step=0.5, times=1, who=1)
    state.all_servers_are_away(by=400)


@pytest.mark.parametrize("story", [_forgotten, _seen_late, _told_long_ago])
def test_a_hard_budget_is_kept_in_stories_that_broke_one(story: Callable[[Purses], None]) -> None:
    state = Purses()
    try:
        story(state)
        state.is_kept()
        state.no_more_is_promised_than_there_is()
    finally:
        state.teardown()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hard_budget_is_kept_whatever_happens_for_long() -> None:
    run_machine(
        Purses,
        settings=settings(
            max_examples=500,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=COMMON,
            # To make a long story short takes longer than to find it.
            phases=tuple(phase for phase in Phase if phase is not Phase.shrink),
        ),
    )
