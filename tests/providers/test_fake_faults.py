"""Each fault of the fake infrastructure does what its name says, as often as it was armed for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tradewind.boot.process import Boot, KeyPair
from tradewind.errors import NoCapacity, Rejected, Unavailable
from tradewind.model.instance import InstanceStatus, Marks, ObservedInstance, Role
from tradewind.model.resources import Need
from tradewind.model.secret import Secret
from tradewind.providers.base import Handle, Order, ProviderSettings
from tradewind.providers.fake import FakeProvider, FakeWorld, Timing
from tradewind.providers.fake import faults as f
from tradewind.providers.fake.sizes import SIZES, offers
from tradewind.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world(clock: FakeClock) -> FakeWorld:
    return FakeWorld(clock, timing=Timing(starting=timedelta(seconds=10)))


@pytest.fixture
def provider(world: FakeWorld) -> FakeProvider:
    return FakeProvider(ProviderSettings(installation="mine", state_directory=""), world=world)


def order(number: int = 1, role: Role = Role.SCHEDULER, cluster: str = "c1", vm_type: str = "fake.small") -> Order:
    offer = offers(SIZES, Need(vm_types=(vm_type,)), spot=False, region=None)[0]
    instance = f"{role}-{number}"
    keys = KeyPair(authority="authority", certificate="certificate", key=Secret("key"))
    return Order(
        marks=Marks(
            installation="mine", workspace="w", cluster=cluster, instance=instance, order=f"order-{number}", role=role
        ),
        offer=offer,
        boot=Boot(
            role=role,
            cluster_id=cluster,
            instance_id=instance,
            keys=keys,
            agent_token=Secret("token"),
            threads=2,
            memory=offer.resources.memory,
        ),
    )


async def launch(provider: FakeProvider, order: Order) -> Handle:
    return [handle async for handle in provider.launch(order)][-1]


async def only(provider: FakeProvider) -> ObservedInstance:
    (seen,) = await provider.observe()
    return seen


async def test_a_process_that_dies_between_launch_and_handle_leaves_one_instance(provider, world):
    world.arm(f.DiesBetweenLaunchAndHandle())
    with pytest.raises(f.ProcessKilled):
        await launch(provider, order())
    assert len(world.alive()) == 1
    handle = await launch(provider, order())
    assert [machine.handle for machine in world.alive()] == [handle.handle]


async def test_a_process_that_dies_after_the_handle_has_said_it(provider, world):
    world.arm(f.DiesAfterHandle())
    launching = provider.launch(order())
    heard = await anext(launching)
    with pytest.raises(f.ProcessKilled):
        await anext(launching)
    assert [heard.handle] == [machine.handle for machine in world.alive()]


async def test_a_process_that_dies_before_the_launch_leaves_nothing(provider, world):
    world.arm(f.DiesBefore(verbs=frozenset({"launch"})))
    await provider.observe()
    with pytest.raises(f.ProcessKilled):
        await launch(provider, order())
    assert not world.machines


def test_no_handler_of_ordinary_errors_survives_a_killed_process():
    assert not issubclass(f.ProcessKilled, Exception)


async def test_no_capacity_strikes_as_often_as_armed_and_only_the_size_it_names(provider, world):
    world.arm(f.SaysNoCapacity(times=2, vm_type="fake.small"))
    await launch(provider, order(1, vm_type="fake.large"))
    for _ in range(2):
        with pytest.raises(NoCapacity, match="InsufficientCapacity"):
            await launch(provider, order(2))
    await launch(provider, order(2))
    assert len(world.alive()) == 2


async def test_a_size_has_room_for_its_capacity_and_again_when_one_ended(clock):
    world = FakeWorld(clock, sizes=[replace(SIZES[0], capacity=1)])
    provider = FakeProvider(ProviderSettings(installation="mine", state_directory=""), world=world)
    first = await launch(provider, order(1))
    with pytest.raises(NoCapacity, match="every fake.small in fake-north is let"):
        await launch(provider, order(2))
    await provider.terminate([first.handle])
    await launch(provider, order(2))


async def test_a_rejection_quotes_its_words(provider, world):
    world.arm(f.Rejects(words="VcpuLimitExceeded: ask for more"))
    with pytest.raises(Rejected, match="VcpuLimitExceeded: ask for more"):
        await launch(provider, order())
    assert not world.machines


async def test_what_does_not_answer_says_when_to_come_back_and_heard_nothing(provider, world):
    world.arm(f.DoesNotAnswer(times=2, retry_after=timedelta(seconds=7)))
    with pytest.raises(Unavailable) as refusal:
        await launch(provider, order())
    assert refusal.value.retry_after == timedelta(seconds=7)
    with pytest.raises(Unavailable):
        await provider.observe()
    assert await provider.observe() == ()
    assert [call.verb for call in world.calls] == ["observe"]


async def test_throttling_lets_so_many_calls_through_and_names_the_wait(provider, world, clock):
    world.arm(f.Throttles(calls=2, per=timedelta(seconds=10), verbs=frozenset({"observe"})))
    await provider.observe()
    clock.advance(4)
    await provider.observe()
    with pytest.raises(Unavailable) as refusal:
        await provider.observe()
    assert refusal.value.retry_after == timedelta(seconds=6)
    await provider.offers(Need())
    clock.advance(refusal.value.retry_after)
    await provider.observe()


async def test_a_lost_answer_of_launch_leaves_one_that_the_same_order_finds(provider, world):
    world.arm(f.LosesAnswerOfLaunch())
    with pytest.raises(Unavailable):
        await launch(provider, order())
    assert (await launch(provider, order())).handle == world.alive()[0].handle
    assert len(world.machines) == 1


async def test_a_lost_answer_of_terminate_ends_it_all_the_same(provider, world):
    handle = await launch(provider, order())
    world.arm(f.LosesAnswerOfTerminate())
    with pytest.raises(Unavailable):
        await provider.terminate([handle.handle])
    assert not world.alive()


async def test_an_ignored_terminate_succeeds_and_ends_nothing(provider, world):
    handle = await launch(provider, order())
    world.arm(f.IgnoresTerminate())
    await provider.terminate([handle.handle])
    assert len(world.alive()) == 1
    await provider.terminate([handle.handle])
    assert not world.alive()


async def test_a_late_list_shows_it_when_it_said_and_not_before(provider, world, clock):
    world.arm(f.ListsLate(by=timedelta(seconds=30)))
    await launch(provider, order())
    clock.advance(timedelta(seconds=30) - timedelta(microseconds=1))
    assert await provider.observe() == ()
    clock.advance(timedelta(microseconds=1))
    await only(provider)


async def test_a_double_list_shows_everything_twice_until_it_is_disarmed(provider, world):
    world.arm(f.ListsTwice())
    await launch(provider, order())
    first, second = await provider.observe()
    assert first == second
    world.disarm(f.ListsTwice())
    await only(provider)


async def test_an_instance_dies_when_and_as_it_was_said(provider, world, clock):
    world.arm(f.InstanceDies(after=timedelta(seconds=90), exit_code=-9, detail="used 2.1 GiB of its 2 GiB"))
    await launch(provider, order())
    launched_at = clock.now()
    clock.advance(3600 / 2)
    seen = await only(provider)
    assert seen.status is InstanceStatus.STOPPED
    assert seen.stopped_at == launched_at + timedelta(seconds=90)
    assert (seen.exit_code, seen.detail) == (-9, "used 2.1 GiB of its 2 GiB")


async def test_an_instance_that_exists_dies_at_once_when_it_is_named(provider, world):
    await launch(provider, order())
    world.arm(f.InstanceDies(instance="scheduler-1", exit_code=3))
    assert (await only(provider)).exit_code == 3


async def test_what_vanished_is_not_listed_among_the_dead(provider, world):
    await launch(provider, order())
    world.arm(f.InstanceVanishes(instance="scheduler-1"))
    assert await provider.observe() == ()
    assert not world.alive()


async def test_what_stays_pending_is_never_billed_and_can_be_ended(provider, world, clock):
    world.arm(f.StaysPending())
    handle = await launch(provider, order())
    clock.advance(timedelta(days=2))
    assert (await only(provider)).status is InstanceStatus.PENDING
    await provider.terminate([handle.handle])
    assert not world.alive()
    assert world.ledger() == ()


async def test_what_never_comes_up_is_billed_and_stays_starting(provider, world, clock):
    world.arm(f.NeverComesUp())
    await launch(provider, order())
    clock.advance(timedelta(hours=1))
    seen = await only(provider)
    assert (seen.status, seen.contact) == (InstanceStatus.STARTING, None)
    (line,) = world.ledger()
    assert line.microseconds(clock.now()) == 3600 * 10**6
