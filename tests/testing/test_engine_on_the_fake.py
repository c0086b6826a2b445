"""The engine's rounds run on the fake infrastructure as they would on a real one, and its bill is the true one."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tradewind.boot.tls import Authority
from tradewind.engine.link import AgentLink
from tradewind.engine.rounds.rounds import Rounds
from tradewind.model.cluster import Cluster, ClusterSpec, ClusterStatus, Intent, Lifetimes, ScaleMemory, Scaling
from tradewind.model.instance import Role
from tradewind.model.secret import Secret
from tradewind.providers.base import ProviderSettings
from tradewind.providers.fake import FakeProvider, FakeWorld, Timing
from tradewind.providers.fake import faults as f
from tradewind.store.store import ClusterSecrets, Store
from tradewind.testing.clock import FakeClock

TIMING = Timing(
    pending=timedelta(seconds=3, microseconds=5),
    starting=timedelta(seconds=20),
    stopping=timedelta(seconds=4, microseconds=11),
)
CHANGING = frozenset({"launch", "observe", "terminate"})
SPEC = ClusterSpec(
    name="c",
    workspace="w",
    provider="fake",
    scaling=Scaling.fixed(3),
    lifetimes=Lifetimes(idle=timedelta(minutes=2), no_client=None),
)


class House:
    """One engine on one fake world, moved by hand; :meth:`restart` is what is left after a SIGKILL."""

    def __init__(self, store: Store, timing: Timing = TIMING) -> None:
        self.clock = FakeClock()
        self.world = FakeWorld(self.clock, timing=timing)
        self.store = store
        self._numbers = itertools.count(1)
        self.restart()

    def restart(self) -> None:
        link: AgentLink = self.world.agents
        provider = FakeProvider(ProviderSettings(installation="mine", state_directory=""), world=self.world)
        self.rounds = Rounds(
            store=self.store,
            provider_of=lambda name: provider,
            link=link,
            clock=self.clock,
            new_id=lambda prefix: f"{prefix}-{next(self._numbers)}",
            installation="mine",
            holder=f"engine-{next(self._numbers)}",
        )

    async def create(self, spec: ClusterSpec = SPEC) -> str:
        now = self.clock.now()
        authority = Authority.create("c1", now)
        cluster = Cluster(
            id="c1",
            spec=spec,
            intent=Intent(scaling=spec.scaling),
            owner="me",
            created_at=now,
            scale=ScaleMemory(wanted=spec.scaling.initial),
        )
        await self.store.create_cluster(
            cluster,
            ClusterSecrets(
                authority_certificate=authority.certificate, authority_key=authority.key, agent_token=Secret("token")
            ),
        )
        return cluster.id

    async def run(self, until: ClusterStatus, at_most: timedelta = timedelta(minutes=30)) -> Cluster:
        end = self.clock.now() + at_most
        while (cluster := await self.store.get_cluster("c1")).status is not until:
            assert self.clock.now() < end, f"{cluster.status}: {cluster.stop_detail}"
            try:
                wake_at = await self.rounds.round("c1")
            except f.ProcessKilled:
                self.restart()
                self.clock.advance(20)
                continue
            self.clock.advance(max(timedelta(seconds=0.5), (wake_at or self.clock.now()) - self.clock.now()))
        return cluster

    async def billed(self) -> dict[str, tuple[datetime, datetime | None, Decimal]]:
        return {
            usage.instance_id: (usage.started_at, usage.stopped_at, usage.price.per_hour)
            for usage in await self.store.usages(cluster_ids=("c1",))
            if usage.price is not None
        }

    def owed(self) -> dict[str, tuple[datetime, datetime | None, Decimal]]:
        return {
            line.instance: (line.started_at, line.stopped_at, line.price.per_hour)
            for line in self.world.ledger("c1")
            if line.price is not None
        }


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = await Store.open("sqlite://")
    yield store
    await store.aclose()


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


async def test_a_cluster_that_runs_and_idles_is_billed_as_the_infrastructure_bills_it(house: House) -> None:
    await house.create()
    await house.run(ClusterStatus.RUNNING)
    cluster = await house.run(ClusterStatus.STOPPED)
    assert cluster.stop_reason == "idle"
    assert not house.world.alive()
    assert len(house.owed()) == 4
    assert await house.billed() == house.owed()


@pytest.mark.parametrize(
    "fault",
    [
        f.DiesBefore(verbs=frozenset({"launch"})),
        f.DiesBetweenLaunchAndHandle(),
        f.DiesAfterHandle(times=2),
        f.LosesAnswerOfLaunch(times=3),
        f.LosesAnswerOfTerminate(),
        f.IgnoresTerminate(times=2),
        f.DoesNotAnswer(times=4, verbs=CHANGING),
        f.Throttles(calls=2, per=timedelta(seconds=1), verbs=CHANGING),
        f.ListsTwice(),
        f.SaysNoCapacity(vm_type="fake.small", times=None),
        f.AgentIsDeaf(times=5),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_whatever_goes_wrong_nothing_is_left_and_the_bill_is_the_true_one(house: House, fault: f.Fault) -> None:
    house.world.arm(fault)
    await house.create()
    await house.run(ClusterStatus.RUNNING)
    cluster = await house.run(ClusterStatus.STOPPED)
    assert cluster.stop_reason == "idle"
    assert not house.world.alive()
    assert await house.billed() == house.owed()


async def test_a_worker_that_dies_is_replaced_and_billed_to_its_last_microsecond(house: House) -> None:
    await house.create()
    await house.run(ClusterStatus.RUNNING)
    for _ in range(60):
        await house.rounds.round("c1")
        house.clock.advance(1)
    victim = next(machine for machine in house.world.alive() if machine.marks.role == "worker")
    house.world.arm(f.InstanceDies(instance=victim.marks.instance, exit_code=-9))
    await house.run(ClusterStatus.STOPPED)
    assert len(house.owed()) == 5
    assert await house.billed() == house.owed()


async def test_what_vanished_is_billed_until_it_was_last_seen(house: House) -> None:
    await house.create()
    house.world.arm(f.InstanceVanishes(role=Role.WORKER, after=timedelta(seconds=60.25)))
    await house.run(ClusterStatus.STOPPED)
    billed, owed = await house.billed(), house.owed()
    assert billed.keys() == owed.keys()
    (vanished,) = [instance for instance in billed if billed[instance] != owed[instance]]
    began, ended, _ = owed[vanished]
    assert ended is not None
    assert billed[vanished][0] == began
    assert ended - timedelta(seconds=6) < (billed[vanished][1] or ended) <= ended


async def test_a_promised_lag_of_the_list_makes_nothing_look_vanished(store: Store) -> None:
    house = House(store, replace(TIMING, list_lag=timedelta(seconds=30)))
    await house.create()
    await house.run(ClusterStatus.STOPPED)
    assert len(house.owed()) == 4
    assert await house.billed() == house.owed()


async def test_a_launch_that_was_put_off_has_the_whole_lag_to_appear(store: Store) -> None:
    house = House(store, replace(TIMING, list_lag=timedelta(seconds=30)))
    house.world.arm(f.DoesNotAnswer(times=4, verbs=frozenset({"launch"}), retry_after=timedelta(seconds=24)))
    await house.create()
    cluster = await house.run(ClusterStatus.STOPPED)
    assert not house.world.alive()
    assert cluster.stop_reason == "idle"


async def test_what_waits_and_is_slow_to_be_cancelled_is_not_billed(house: House) -> None:
    await house.create(replace(SPEC, lifetimes=replace(SPEC.lifetimes, start=timedelta(seconds=10))))
    house.world.arm(f.StaysPending(times=None))
    house.world.arm(f.IgnoresTerminate(times=3))
    await house.run(ClusterStatus.STOPPED)
    assert await house.billed() == house.owed() == {}


async def test_a_running_cluster_lives_on_while_nobody_can_say_prices(house: House) -> None:
    await house.create()
    await house.run(ClusterStatus.RUNNING)
    house.clock.advance(timedelta(minutes=2))
    house.world.arm(f.DoesNotAnswer(times=None, verbs=frozenset({"offers"})))
    await house.rounds.round("c1")
    assert house.clock.now() in house.world.agents.last_pull.values()
