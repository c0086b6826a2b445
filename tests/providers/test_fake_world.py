"""What exists in the fake infrastructure lives, costs and ends as real things do."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.boot.process import Boot, KeyPair
from tradewind.errors import BadRequest, ConfigError, Unavailable
from tradewind.model.computation import Computation
from tradewind.model.instance import InstanceStatus, Marks, Role
from tradewind.model.resources import GIB, Need, Range
from tradewind.model.secret import Secret
from tradewind.providers.base import Order, ProviderSettings
from tradewind.providers.fake import SIZES, FakeProvider, FakeWorld, Timing
from tradewind.providers.fake import faults as f
from tradewind.providers.fake.sizes import offers
from tradewind.testing import strategies
from tradewind.testing.clock import FakeClock
from tradewind.testing.provider_tests import satisfies

TIMING = Timing(
    pending=timedelta(seconds=5), starting=timedelta(seconds=10), stopping=timedelta(seconds=3, microseconds=7)
)
GPU = Need(gpus=1)


def order(
    number: int, role: Role, *, expires_at: datetime | None = None, vm_type: str = "fake.small", orphan_s: float = 600
) -> Order:
    offer = offers(SIZES, Need(vm_types=(vm_type,)), spot=False, region=None)[0]
    instance = f"{role}-{number}"
    return Order(
        marks=Marks(
            installation="mine", workspace="w", cluster="c1", instance=instance, order=f"order-{number}", role=role
        ),
        offer=offer,
        expires_at=expires_at,
        boot=Boot(
            role=role,
            cluster_id="c1",
            instance_id=instance,
            keys=KeyPair(authority="authority", certificate="certificate", key=Secret("key")),
            agent_token=Secret("token"),
            threads=2,
            memory=offer.resources.memory,
            orphan_timeout_s=orphan_s,
        ),
    )


class Stage:
    """A world with one cluster, and how to look at it."""

    def __init__(self, workers: int = 2, timing: Timing = TIMING, **scheduler: float) -> None:
        self.clock = FakeClock()
        self.world = FakeWorld(self.clock, timing=timing)
        self.scheduler = self.world.launch(order(0, Role.SCHEDULER, **scheduler))
        self.workers = [self.world.launch(order(n, Role.WORKER)) for n in range(1, workers + 1)]

    async def pull(self, cursor: int = 0, paid_for: timedelta | None = None):
        contact = self.scheduler.contact
        assert contact is not None
        access = self.world.agents.access("c1")
        return await self.world.agents.pull(contact, access, cursor=cursor, paid_for=paid_for)

    async def up(self):
        self.clock.advance(TIMING.pending + TIMING.starting)
        return await self.pull()

    def status(self, instance: str) -> InstanceStatus:
        return next(seen.status for seen in self.world.listed("mine") if seen.marks.instance == instance)

    def ended(self, instance: str) -> tuple[datetime, str]:
        machine = self.world.find(instance)
        assert machine is not None
        assert machine.stopped is not None
        return machine.stopped.at, machine.stopped.detail


def test_an_instance_is_pending_then_starting_then_running_at_its_times():
    stage = Stage(workers=0)
    seen = []
    for seconds in (0, 4.999999, 0.000001, 9.999999, 0.000001):
        stage.clock.advance(seconds)
        seen.append(stage.status("scheduler-0").value)
    assert seen == ["pending", "pending", "starting", "starting", "running"]


def test_the_ledger_bills_from_starting_to_the_very_end_to_the_microsecond():
    stage = Stage(workers=0)
    stage.clock.advance(timedelta(seconds=100, microseconds=3))
    stage.world.end([stage.scheduler.handle])
    assert stage.status("scheduler-0") is InstanceStatus.STOPPING
    stage.clock.advance(timedelta(days=1))
    (line,) = stage.world.ledger("c1")
    assert line.microseconds(stage.clock.now()) == (100 - 5) * 10**6 + 3 + 3 * 10**6 + 7
    assert line.amount(stage.clock.now()) == Decimal("0.096") * 98_000_010 / 3_600_000_000


def test_what_was_ended_while_pending_costs_nothing():
    stage = Stage(workers=0)
    stage.clock.advance(4)
    stage.world.end([stage.scheduler.handle])
    stage.clock.advance(60)
    assert stage.status("scheduler-0") is InstanceStatus.STOPPED
    assert stage.world.ledger() == ()


def test_what_has_no_price_has_no_amount():
    clock = FakeClock()
    world = FakeWorld(clock)
    world.launch(order(0, Role.SCHEDULER, vm_type="fake.barter"))
    (line,) = world.ledger()
    assert line.amount(clock.now()) is None


async def test_a_scheduler_nobody_pulls_ends_at_its_orphan_timeout_and_its_workers_follow():
    stage = Stage(orphan_s=60.0)
    await stage.up()
    last = stage.clock.now()
    stage.clock.advance(timedelta(hours=9))
    assert not stage.world.alive()
    assert stage.ended("scheduler-0") == (last + timedelta(seconds=60), "nobody looked after it for 0:01:00")
    assert stage.ended("worker-1")[0] == last + timedelta(seconds=62)


async def test_each_pull_renews_the_lease():
    stage = Stage(orphan_s=60.0)
    await stage.up()
    for _ in range(5):
        stage.clock.advance(59.9)
        await stage.pull()
    assert len(stage.world.alive()) == 3


async def test_who_is_told_that_nothing_pays_for_it_any_longer_answers_and_is_gone():
    stage = Stage()
    await stage.up()
    assert (await stage.pull(paid_for=timedelta(0))).workers
    assert stage.ended("scheduler-0") == (stage.clock.now(), "what was set aside for it is spent")


async def test_looking_at_the_page_renews_nothing():
    stage = Stage(orphan_s=60.0)
    await stage.up()
    for _ in range(3):
        stage.clock.advance(30)
        stage.world.agents.page("c1")
    assert not stage.world.find("scheduler-0").is_alive


def test_a_worker_without_any_scheduler_gives_up():
    clock = FakeClock()
    world = FakeWorld(clock)
    world.launch(order(1, Role.WORKER))
    clock.advance(59)
    assert world.listed("mine")[0].status is InstanceStatus.STARTING
    clock.advance(1)
    assert world.listed("mine")[0].detail == "it found no scheduler"


def test_what_expires_ends_at_that_very_moment():
    clock = FakeClock()
    at = clock.now() + timedelta(seconds=33)
    world = FakeWorld(clock)
    machine = world.launch(order(0, Role.SCHEDULER, expires_at=at))
    clock.advance(500)
    assert world.machines[machine.handle].stopped.at == at


def test_the_dead_are_listed_for_as_long_as_they_are_remembered():
    stage = Stage(workers=0)
    stage.world.end([stage.scheduler.handle])
    stage.clock.advance(timedelta(minutes=59, seconds=59))
    assert stage.status("scheduler-0") is InstanceStatus.STOPPED
    stage.clock.advance(1)
    assert stage.world.listed("mine") == ()


async def test_the_page_shows_running_workers_by_instance_id_and_no_others():
    stage = Stage(workers=2)
    await stage.up()
    late = stage.world.launch(order(3, Role.WORKER))
    assert [worker.name for worker in (await stage.pull()).workers] == ["worker-1", "worker-2"]
    stage.clock.advance(15)
    stage.world.end([stage.workers[0].handle])
    stage.clock.advance(4)
    assert [worker.name for worker in (await stage.pull()).workers] == ["worker-2", late.marks.instance]


async def test_idle_and_lonely_seconds_follow_from_what_a_test_says_and_the_clock():
    stage = Stage()
    await stage.up()
    stage.clock.advance(7)
    page = await stage.pull()
    assert (page.idle_seconds, page.no_client_seconds, page.clients_ever) == (7, 7, False)
    stage.world.agents.stage("c1", clients=1, tasks_running=5)
    stage.clock.advance(7)
    page = await stage.pull()
    assert (page.idle_seconds, page.no_client_seconds, page.tasks_running) == (0, 0, 5)
    assert [worker.processing for worker in page.workers] == [3, 2]
    stage.world.agents.stage("c1", clients=0, tasks_running=0, held_results=2)
    stage.clock.advance(9)
    page = await stage.pull()
    assert (page.idle_seconds, page.no_client_seconds, page.clients_ever, page.held_results) == (9, 9, True, 2)


async def test_adaptive_target_is_one_worker_a_task_unless_said():
    stage = Stage()
    await stage.up()
    stage.world.agents.stage("c1", tasks_running=40)
    assert (await stage.pull()).adaptive_target == 40
    stage.world.agents.stage("c1", adaptive_target=3)
    assert (await stage.pull()).adaptive_target == 3


async def test_a_page_has_the_computations_that_changed_since_its_cursor():
    stage = Stage()
    await stage.up()
    one, two = (
        Computation(id=name, cluster_id="c1", name=name, started_at=None, stopped_at=None, done=False) for name in "ab"
    )
    stage.world.agents.compute(one)
    stage.world.agents.compute(two)
    first = await stage.pull()
    assert [c.id for c in first.computations] == ["a", "b"]
    stage.world.agents.compute(one)
    second = await stage.pull(first.cursor)
    assert [c.id for c in second.computations] == ["a"]
    assert (await stage.pull(second.cursor)).computations == ()


async def test_retired_workers_leave_the_page_at_once_and_end_after():
    stage = Stage(workers=3)
    await stage.up()
    contact, access = stage.scheduler.contact, stage.world.agents.access("c1")
    gone = await stage.world.agents.retire(contact, access, names=("worker-1", "never-was"))
    assert gone == ("worker-1",)
    assert await stage.world.agents.retire(contact, access, count=1) == ("worker-3",)
    assert [worker.name for worker in (await stage.pull()).workers] == ["worker-2"]
    stage.clock.advance(4)
    assert stage.ended("worker-3")[1] == "its scheduler let it go"


async def test_clinging_workers_say_yes_and_stay():
    stage = Stage(workers=1)
    await stage.up()
    stage.world.arm(f.WorkersCling())
    gone = await stage.world.agents.retire(stage.scheduler.contact, stage.world.agents.access("c1"), count=1)
    assert gone == ("worker-1",)
    assert len((await stage.pull()).workers) == 1


async def test_what_is_said_is_recorded_and_a_closed_scheduler_ends():
    stage = Stage()
    await stage.up()
    contact, access = stage.scheduler.contact, stage.world.agents.access("c1")
    await stage.world.agents.say(contact, access, "80 % of the budget is spent")
    await stage.world.agents.close(contact, access, "idle")
    assert [(told.verb, told.words) for told in stage.world.agents.told] == [
        ("say", "80 % of the budget is spent"),
        ("close", "idle"),
    ]
    stage.clock.advance(10)
    assert not stage.world.alive()


async def test_an_agent_answers_only_when_it_is_up_and_only_to_its_own_token():
    stage = Stage()
    with pytest.raises(Unavailable, match="refused"):
        await stage.pull()
    await stage.up()
    wrong = type(stage.world.agents.access("c1"))(authority="authority", token=Secret("guessed"))
    with pytest.raises(Unavailable, match="401"):
        await stage.world.agents.pull(stage.scheduler.contact, wrong)
    foreign = type(wrong)(authority="another", token=Secret("token"))
    with pytest.raises(Unavailable, match="another authority"):
        await stage.world.agents.pull(stage.scheduler.contact, foreign)


async def test_a_deaf_agent_renews_no_lease():
    stage = Stage(orphan_s=60.0)
    await stage.up()
    stage.world.arm(f.AgentIsDeaf(times=None))
    for _ in range(3):
        stage.clock.advance(25)
        with pytest.raises(Unavailable):
            await stage.pull()
    assert not stage.world.find("scheduler-0").is_alive


@settings(deadline=None)
@given(
    need=strategies.needs(tuple({size.vm_type for size in SIZES if size.region == "fake-north"})), spot=st.booleans()
)
def test_offers_satisfy_any_need_in_order_or_are_a_bad_request(need, spot):
    try:
        found = offers(SIZES, need, spot=spot, region=None)
    except BadRequest:
        everything = [*offers(SIZES, Need(), spot=False, region=None), *offers(SIZES, GPU, spot=False, region=None)]
        fitting = [offer for offer in everything if satisfies(offer, need)]
        assert not [offer for offer in fitting if bool(offer.resources.gpus) == bool(need.gpus)]
        return
    assert all(satisfies(offer, need) and offer.spot is spot for offer in found)
    prices = [(offer.price is None, offer.price.per_hour if offer.price else 0) for offer in found]
    assert prices == sorted(prices)


def test_who_asks_for_no_gpu_is_offered_none_unless_the_size_is_named():
    assert not [offer for offer in offers(SIZES, Need(), spot=False, region=None) if offer.resources.gpus]
    assert offers(SIZES, Need(vm_types=("fake.gpu",)), spot=False, region=None)


@pytest.mark.parametrize(
    ("need", "region", "words"),
    [
        (Need(vm_types=("fake.smal",)), None, "did you mean 'fake.small'"),
        (Need(), "fake-nort", "did you mean 'fake-north'"),
        (Need(memory=Range(minimum=65 * GIB)), None, "64 GiB"),
        (Need(gpus=2), None, "1 GPUs"),
    ],
)
def test_what_can_never_be_had_is_told_with_what_can(need, region, words):
    with pytest.raises(BadRequest, match=words):
        offers(SIZES, need, spot=False, region=region)


def test_a_size_without_spot_is_not_offered_as_spot():
    names = [offer.vm_type for offer in offers(SIZES, Need(), spot=True, region="fake-south")]
    assert names == ["fake.small"]


async def test_providers_made_from_the_same_settings_are_doors_to_one_world(tmp_path):
    settings = ProviderSettings(installation="mine", state_directory=str(tmp_path), options={"latency_s": 0.5})
    first, second = FakeProvider.from_settings(settings), FakeProvider.from_settings(settings)
    async for _ in first.launch(order(0, Role.SCHEDULER)):
        pass
    assert len(await second.observe()) == 1


@pytest.mark.parametrize("options", [{"latency": 1}, {"latency_s": -1}, {"latency_s": "soon"}, {"latency_s": True}])
def test_an_option_that_cannot_be_used_is_a_config_error(options):
    with pytest.raises(ConfigError, match="latency"):
        FakeProvider.from_settings(ProviderSettings(installation="m", state_directory="s", options=options))
