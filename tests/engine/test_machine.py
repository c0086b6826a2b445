"""Whatever people, infrastructures and engines do: nothing too much, nothing left behind, and a bill that is true."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.engine.stage import INSTALLATION, Interrupted, Stage, bury, killed
from tradewind.engine.rounds.rounds import LEASE, Rounds
from tradewind.errors import TradewindError
from tradewind.model.cluster import Cluster, ClusterStatus, Scaling
from tradewind.model.instance import Instance, InstanceStatus, Role
from tradewind.planning.plan import UNWRITTEN
from tradewind.providers.base import Order
from tradewind.providers.fake import Timing
from tradewind.providers.fake import faults as f

T = TypeVar("T")
MOST = 4
"""Workers of a cluster."""
SLACK = UNWRITTEN + timedelta(seconds=10)
"""All that takes a moment on a stage: coming up, ending, noticing."""
SPOIL_TERMINATE = (f.LosesAnswerOfTerminate, f.IgnoresTerminate)

seconds = st.sampled_from([0, 0, 1, 3]).map(lambda s: timedelta(seconds=s))
timings = st.builds(Timing, pending=seconds, starting=seconds, stopping=seconds, list_lag=seconds)
roles = st.sampled_from([None, Role.SCHEDULER, Role.WORKER])
few = st.integers(1, 2)
verbs = st.sampled_from([f.VERBS, frozenset({"launch"}), frozenset({"observe"}), frozenset({"terminate"})])
faults = st.one_of(
    st.builds(f.DiesBefore, verbs=verbs),
    st.builds(f.DoesNotAnswer, verbs=verbs, times=few),
    st.builds(f.DiesBetweenLaunchAndHandle, role=roles),
    st.builds(f.DiesAfterHandle, role=roles),
    st.builds(f.SaysNoCapacity, times=few),
    st.builds(f.Rejects, role=st.just(Role.WORKER)),
    st.builds(f.LosesAnswerOfLaunch, role=roles, times=few),
    st.builds(f.StaysPending, role=roles),
    st.builds(f.NeverComesUp, role=roles),
    st.builds(f.InstanceDies, role=roles, after=seconds),
    st.builds(f.InstanceVanishes, role=roles, after=seconds),
    st.builds(f.ListsTwice, times=few),
    st.builds(f.LosesAnswerOfTerminate),
    st.builds(f.IgnoresTerminate),
    st.builds(f.AgentIsDeaf, times=few),
    st.builds(f.WorkersCling),
)
scalings = st.one_of(
    st.integers(0, MOST).map(Scaling.fixed),
    st.builds(
        Scaling,
        minimum=st.integers(0, 1),
        initial=st.just(1),
        maximum=st.integers(2, MOST),
        wait_count=st.just(2),
        interval=st.just(timedelta(seconds=1)),
    ),
)


class Clusters(RuleBasedStateMachine):
    """One cluster, two engines."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.engines: list[Rounds] = []
        self.deaths = 0
        self.ranks: dict[str, int] = {}
        self.wanted_most = 0
        self.shown_dead: set[str] = set()
        self.strays = 0
        self.jumps = 0

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    @initialize(timing=timings, scaling=scalings)
    def begin(self, timing: Timing, scaling: Scaling) -> None:
        self.stage: Stage = self.run(Stage.open("sqlite://", timing))
        self.run(self.stage.create(scaling=scaling))
        self.engines = [self.stage.engine("A"), self.stage.engine("B")]
        self.wanted_most = scaling.maximum

    def cluster(self) -> Cluster:
        return self.run(self.stage.store.get_cluster("c1"))

    def rows(self) -> tuple[Instance, ...]:
        return self.run(self.stage.store.instances("c1"))

    def dies(self, who: int) -> None:
        self.deaths += 1
        self.engines[who] = self.stage.engine(f"{'AB'[who]}{self.deaths}")

    @rule(who=st.integers(0, 1), times=st.integers(1, 5), trusts=st.booleans())
    def look(self, who: int, times: int, trusts: bool) -> None:
        """Some rounds at their own times."""
        for _ in range(times):
            wake_at = self.completed(who, trusts=trusts)
            now = self.stage.clock.now()
            self.stage.clock.advance(max(timedelta(0), (wake_at or now + LEASE) - now))

    @rule(who=st.integers(0, 1))
    def renew(self, who: int) -> None:
        """An engine renews what it holds, between rounds."""
        self.run(self.engines[who].leases.renew())

    @rule(who=st.integers(0, 1), at=st.integers(0, 16), trusts=st.booleans())
    def crash(self, who: int, at: int, trusts: bool) -> None:
        """An engine is killed in its round."""
        self.run(killed(self.survivable(who, trusts=trusts), at))
        self.dies(who)

    @rule(who=st.integers(0, 1), at=st.integers(1, 16), trusts=st.booleans())
    def overtake(self, who: int, at: int, trusts: bool) -> None:
        """An engine stands still in its round until the other took over."""

        async def meanwhile() -> None:
            self.stage.clock.advance(LEASE + timedelta(seconds=1))
            await self.survivable(1 - who)

        async def both() -> None:
            await Interrupted(self.survivable(who, trusts=trusts), at, meanwhile)

        self.run(both())

    @rule(who=st.integers(0, 1), at=st.integers(1, 16), pick=st.integers(0, 9), remembered=st.booleans())
    def dawdle(self, who: int, at: int, pick: int, remembered: bool) -> None:
        """A round is slow, and meanwhile something ends."""

        async def meanwhile() -> None:
            self.stage.clock.advance(1)
            self.die(pick, remembered)
            self.stage.clock.advance(2)

        async def both() -> None:
            await Interrupted(self.survivable(who), at, meanwhile)

        self.run(both())

    @rule(who=st.integers(0, 1), at=st.integers(1, 16), scaling=scalings, trusts=st.booleans())
    def change_in_a_round(self, who: int, at: int, scaling: Scaling, trusts: bool) -> None:
        """People change their mind while a round is under way."""
        self.wanted_most = max(self.wanted_most, scaling.maximum)

        async def meanwhile() -> None:
            await self.stage.scale(scaling)

        async def both() -> None:
            await Interrupted(self.survivable(who, trusts=trusts), at, meanwhile)

        self.run(both())

    @rule(scaling=scalings)
    def scale(self, scaling: Scaling) -> None:
        self.wanted_most = max(self.wanted_most, scaling.maximum)
        self.run(self.stage.scale(scaling))

    @rule(pick=st.integers(0, 9))
    def dismiss(self, pick: int) -> None:
        workers = [i for i in self.rows() if i.role is Role.WORKER and i.status.is_live]
        if workers:
            scaling = self.cluster().intent.scaling
            self.run(self.stage.scale(scaling, dismiss=(workers[pick % len(workers)].id,)))

    @precondition(lambda self: self.deaths > 0 or len(self.ranks) > 3)
    @rule()
    def stop(self) -> None:
        self.run(self.stage.stop())

    @rule(by=st.sampled_from([0.2, 1, 2, 7, 20, 40, 400]))
    def wait(self, by: float) -> None:
        self.stage.clock.advance(by)

    @rule()
    def jump(self) -> None:
        """A laptop slept."""
        self.jumps += 1
        self.stage.clock.advance(timedelta(hours=1))

    @rule(fault=faults)
    def arm(self, fault: f.Fault) -> None:
        self.stage.world.arm(fault)

    @rule(pick=st.integers(0, 9), remembered=st.booleans())
    def die(self, pick: int, remembered: bool) -> None:
        alive = self.stage.world.alive()
        if alive:
            victim = alive[pick % len(alive)].marks.instance
            self.stage.world.arm((f.InstanceDies if remembered else f.InstanceVanishes)(instance=victim))

    @precondition(lambda self: self.engines and self.cluster().status.is_live and self.stage.world.alive())
    @rule(pick=st.integers(0, 9))
    def turn_up(self, pick: int) -> None:
        """Something carries our mark that no row ever knew, as after a store was set back."""
        alive = self.stage.world.alive()
        model = alive[pick % len(alive)]
        self.strays += 1
        name = f"stray-{self.strays}"
        marks = replace(model.marks, instance=name, order=name, role=Role.WORKER)
        with suppress(TradewindError):
            self.stage.world.launch(Order(marks=marks, offer=model.offer, boot=model.boot))

    @rule(tasks=st.integers(0, 10), clients=st.integers(0, 1), held=st.integers(0, 2))
    def work(self, tasks: int, clients: int, held: int) -> None:
        self.stage.world.agents.stage("c1", tasks_running=tasks, clients=clients, held_results=held)

    @invariant()
    def statuses_only_go_forward(self) -> None:
        if not self.engines:
            return
        ranks = {"c1": self.cluster().status.rank} | {i.id: i.status.rank for i in self.rows()}
        for id_, rank in ranks.items():
            assert rank >= self.ranks.get(id_, 0), f"{id_} went back"
        self.ranks = ranks

    @invariant()
    def never_more_workers_than_were_ever_wanted(self) -> None:
        if not self.engines:
            return
        unwanted = {i.id for i in self.rows() if not i.wanted}
        crew = [
            m
            for m in self.stage.machines()
            if m.asked_at is None and m.retired_at is None and m.marks.instance not in unwanted
            if not is_stray(m.marks.instance)
        ]
        assert len(crew) <= self.wanted_most

    async def survivable(self, who: int, *, trusts: bool = False) -> Any:
        """Do a round; where it dies of a fault, a new process takes its place.

        One that ``trusts`` does as the loop does: the store says who is due, and the rest is remembered.
        """
        others = asyncio.all_tasks()
        engine = self.engines[who]
        try:
            now = self.stage.clock.now()
            for lease in await self.stage.store.take_due(now, engine.holder, now + LEASE) if trusts else ():
                engine.leases.grant(lease)
            return await engine.round("c1", afresh=not trusts)
        except f.ProcessKilled:
            await bury(others)
            self.dies(who)
        except TradewindError:
            return None

    def completed(self, who: int, *, trusts: bool = False) -> Any:
        """Do a round that nothing disturbs from outside, and check what it leaves."""
        began, deaths = self.stage.clock.now(), self.deaths
        calls = len(self.stage.world.calls)
        spoilt = any(
            isinstance(fault, SPOIL_TERMINATE) or (isinstance(fault, f.CallFault) and fault.concerns_call("terminate"))
            for fault in self.stage.world.faults._faults  # noqa: SLF001 - only the pile knows
        )
        was_live = self.cluster().status.is_live
        # As the round finds it: what it ends itself may stop at once, and be forgotten before the next look.
        listed = self.stage.world.listed(INSTALLATION)
        wake_at = self.run(self.survivable(who, trusts=trusts))
        looked = any(call.verb == "observe" for call in self.stage.world.calls[calls:])
        if wake_at is None and self.cluster().status.is_live or not was_live or deaths != self.deaths or not looked:
            return wake_at
        self.shown_dead |= {o.marks.instance for o in listed if o.status is InstanceStatus.STOPPED}
        known = {i.id for i in self.rows() if i.status.is_live}
        for machine in self.stage.world.alive():
            old = machine.launched_at + self.stage.world.timing.list_lag < began
            if old and not spoilt and machine.marks.instance not in known:
                assert machine.asked_at is not None, f"{machine.handle} is nobody's and nobody ends it"
        return wake_at

    def teardown(self) -> None:
        if self.engines:
            try:
                self.finish()
            finally:
                self.run(bury())
                self.run(self.stage.store.aclose())
        self.runner.close()

    def finish(self) -> None:
        stage = self.stage
        stage.world.faults = f.Pile(())
        self.run(stage.stop())
        for _ in range(40):
            self.statuses_only_go_forward()
            if self.cluster().status is ClusterStatus.STOPPED:
                break
            self.completed(0)
            stage.clock.advance(LEASE + timedelta(seconds=1) if _ < 2 else timedelta(seconds=1))
        assert self.cluster().status is ClusterStatus.STOPPED
        assert not stage.world.alive(), "something outlives its cluster"
        self.the_bill_is_true()

    def the_bill_is_true(self) -> None:
        # What ended at the moment its bill began isn't in the ledger, and nothing in ours.
        ours = {line[0]: line for line in self.run(self.stage.bill()) if line[1] != line[2]}
        truth = {line[0]: line for line in self.stage.truth() if not is_stray(line[0])}
        unknown = {row.id for row in self.rows() if "may have lived" in row.detail}
        assert self.jumps or not unknown
        for id_ in unknown:
            self.the_bill_is_enough(ours.pop(id_), truth.get(id_))
        assert set(ours) <= set(truth), "we bill what the infrastructure doesn't"
        for id_, (_, started_at, stopped_at) in ours.items():
            assert stopped_at is not None, f"{id_} is billed for ever"
            assert started_at == truth[id_][1]
            assert truth[id_][2] is not None
            assert stopped_at <= truth[id_][2], f"{id_} is billed after its end"
        for id_ in (self.shown_dead & set(truth)) - unknown:
            assert ours.get(id_) == truth[id_], f"{id_} was there to be billed"

    def the_bill_is_enough(self, ours: Any, truth: Any) -> None:
        """What came and went while nobody looked is billed for the longest that it may have lived, and no longer."""
        id_, started_at, stopped_at = ours
        _, since, until = truth or ours
        assert started_at <= since <= until <= stopped_at, f"{id_} lived longer"
        most = self.cluster().spec.lifetimes.orphan + SLACK
        assert stopped_at - (until if truth else started_at) <= most, f"{id_} is billed for ever"


def is_stray(instance: str) -> bool:
    return instance.startswith("stray-")


COMMON = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def test_nothing_is_too_much_nothing_is_left_behind_and_the_bill_is_true() -> None:
    run_state_machine_as_test(
        Clusters,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=COMMON,
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_nothing_is_too_much_nothing_is_left_behind_and_the_bill_is_true_for_long() -> None:
    run_state_machine_as_test(
        Clusters,
        settings=settings(
            max_examples=1000,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=COMMON,
            # To make a long story short takes longer than to find it.
            phases=tuple(phase for phase in Phase if phase is not Phase.shrink),
        ),
    )
