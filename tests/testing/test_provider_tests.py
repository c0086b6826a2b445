"""The suite of providers fails on a provider that breaks one of its properties, and names which."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import pytest

from tradewind.errors import MissingExtra, NoCapacity, Rejected, Unavailable
from tradewind.model.instance import Marks, Role
from tradewind.model.offer import Offer
from tradewind.model.resources import Need
from tradewind.providers.base import Capabilities, Order, ProviderSettings
from tradewind.providers.fake import FakeProvider, FakeWorld
from tradewind.providers.fake.faults import InstanceDies, SaysNoCapacity
from tradewind.testing.clock import FakeClock
from tradewind.testing.extras import require
from tradewind.testing.provider_tests import MINE, ProviderTests


class ListsNothing(FakeProvider):
    async def observe(self):
        await super().observe()
        return ()


class ForgetsOrders(FakeProvider):
    async def launch(self, order: Order) -> AsyncIterator:
        count = len(self._world.machines)
        fresh = replace(order, marks=replace(order.marks, order=f"{order.marks.order}-{count}"))
        machine = self._world.launch(fresh)
        self._world._machines[machine.handle] = replace(machine, marks=order.marks)
        async for handle in super().launch(fresh):
            yield replace(handle, order=order.marks.order)


class YieldsAnEmptyHandleFirst(FakeProvider):
    async def launch(self, order: Order) -> AsyncIterator:
        async for handle in super().launch(order):
            yield replace(handle, handle="not known yet")
            yield handle


class ComplainsOfTheAbsent(FakeProvider):
    async def terminate(self, handles: Sequence[str]) -> None:
        for handle in handles:
            if handle not in [machine.handle for machine in self._world.alive()]:
                raise Unavailable(f"no {handle}")
        await super().terminate(handles)


class StopsAtTheFirstAbsent(FakeProvider):
    async def terminate(self, handles: Sequence[str]) -> None:
        for handle in handles:
            if handle not in [machine.handle for machine in self._world.alive()]:
                return
            await super().terminate([handle])


class ShowsWhatOthersOwn(FakeProvider):
    async def observe(self):
        return [seen for name in (MINE, "installation-of-somebody-else") for seen in self._world.listed(name)]


class RemembersOnlyItsOwn(FakeProvider):
    mine: set[str]

    async def launch(self, order: Order) -> AsyncIterator:
        self.mine = {*getattr(self, "mine", set()), order.marks.order}
        async for handle in super().launch(order):
            yield handle

    async def observe(self):
        return [seen for seen in await super().observe() if seen.marks.order in getattr(self, "mine", set())]


class CallsAllRefusalsTheSame(FakeProvider):
    async def launch(self, order: Order) -> AsyncIterator:
        try:
            async for handle in super().launch(order):
                yield handle
        except (NoCapacity, Rejected):
            raise Unavailable("something is wrong") from None


class OffersTheDearestFirst(FakeProvider):
    async def offers(self, need: Need, *, spot: bool = False, region: str | None = None) -> Sequence[Offer]:
        found = await super().offers(need, spot=spot, region=region)
        return [o for o in found if o.price][::-1]


class OffersAnything(FakeProvider):
    async def offers(self, need: Need, *, spot: bool = False, region: str | None = None) -> Sequence[Offer]:
        return await super().offers(Need(), spot=spot, region=region)


class MixesUpIds(FakeProvider):
    async def launch(self, order: Order) -> AsyncIterator:
        boot = replace(order.boot, instance_id="somebody")
        async for handle in super().launch(replace(order, boot=boot)):
            yield handle


class WritesTheTokenInItsLogs(FakeProvider):
    async def logs(self, handle: str, lines: int) -> Sequence[str]:
        machine = self._world.machines.get(handle)
        return [f"started with {machine.boot.agent_token.reveal()}"] if machine else []


class NeverExpires(FakeProvider):
    async def launch(self, order: Order) -> AsyncIterator:
        async for handle in super().launch(replace(order, expires_at=None)):
            yield handle


class LosesLogs(FakeProvider):
    async def logs(self, handle: str, lines: int) -> Sequence[str]:
        return ()


class TellsNaiveTimes(FakeProvider):
    async def observe(self):
        return [
            replace(seen, started_at=seen.started_at and seen.started_at.replace(tzinfo=None))
            for seen in await super().observe()
        ]


class DoesNotEndThings(FakeProvider):
    async def terminate(self, handles: Sequence[str]) -> None:
        return


class Suite(ProviderTests):
    step: ClassVar[timedelta] = timedelta(seconds=1)
    provider: type[FakeProvider] = FakeProvider

    def __init__(self, provider: type[FakeProvider] = FakeProvider) -> None:
        self.provider = provider
        self.clock = FakeClock()
        self.world = FakeWorld(self.clock)

    def make_provider(self, installation: str = MINE):
        return self.provider(ProviderSettings(installation=installation, state_directory=""), world=self.world)

    async def alive(self) -> Collection[Marks]:
        return [machine.marks for machine in self.world.alive()]

    async def ran_as(self, marks: Marks) -> tuple[Role, str, str] | None:
        machine = self.world.find(marks.instance)
        return None if machine is None else (machine.boot.role, machine.boot.cluster_id, machine.boot.instance_id)

    async def exposed(self, marks: Marks) -> Sequence[str]:
        machine = self.world.find(marks.instance)
        return () if machine is None else machine.exposed

    async def pass_time(self, duration: timedelta) -> None:
        self.clock.advance(duration)

    def now(self):
        return self.clock.now()

    def too_many(self, order: Order) -> Order:
        self.world.arm(SaysNoCapacity())
        return order

    def bad(self, order: Order) -> tuple[Order, str]:
        return replace(order, offer=replace(order.offer, vm_type="fake.colossal")), "InvalidSize"


BROKEN = [
    (ListsNothing, "test_01_what_was_launched"),
    (ForgetsOrders, "test_02_the_same_order_twice"),
    (ForgetsOrders, "test_02_the_same_order_through_two_doors"),
    (ForgetsOrders, "test_02_an_order_whose_instance_has_ended"),
    (YieldsAnEmptyHandleFirst, "test_03_killed_after_each_yield"),
    (ForgetsOrders, "test_03_a_launch_that_was_cancelled"),
    (ComplainsOfTheAbsent, "test_04_terminate_is_silent"),
    (StopsAtTheFirstAbsent, "test_04_terminate_ends_the_present"),
    (DoesNotEndThings, "test_05"),
    (RemembersOnlyItsOwn, "test_06_a_fresh_provider"),
    (ShowsWhatOthersOwn, "test_06_nobody_observes"),
    (CallsAllRefusalsTheSame, "test_07"),
    (CallsAllRefusalsTheSame, "test_08"),
    (OffersTheDearestFirst, "test_09_offers_satisfy"),
    (OffersAnything, "test_09_what_can_never_be_had"),
    (MixesUpIds, "test_10"),
    (WritesTheTokenInItsLogs, "test_11"),
    (NeverExpires, "test_12"),
    (LosesLogs, "test_13_the_dead"),
    (WritesTheTokenInItsLogs, "test_13_the_dead"),
    (TellsNaiveTimes, "test_14"),
]


@pytest.mark.parametrize(("broken", "test"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
async def test_the_suite_fails_where_a_provider_is_broken_and_passes_where_it_is_not(broken, test):
    (name,) = [name for name in dir(ProviderTests) if name.startswith(test)]
    await getattr(Suite(), name)()
    with pytest.raises((AssertionError, Unavailable, pytest.fail.Exception)):
        await getattr(Suite(broken), name)()


def test_every_property_has_a_provider_that_breaks_it():
    broken = {test[:7] for _, test in BROKEN}
    assert broken == {name[:7] for name in dir(ProviderTests) if name.startswith("test_")}


async def test_a_scheduler_that_dies_while_it_comes_up_is_found_out():
    suite = Suite()
    suite.world.arm(InstanceDies(times=None))
    with pytest.raises(AssertionError, match="expected within"):
        await suite.test_01_a_scheduler_comes_up_and_says_where_it_can_be_reached()


async def test_what_is_not_promised_is_skipped_with_the_reason():
    class Endless(Suite):
        unpromised: ClassVar = {"no_capacity": "there is always room for one more"}

    with pytest.raises(pytest.skip.Exception, match="there is always room for one more"):
        await Endless().test_07_no_room_is_no_capacity_and_leaves_nothing()


async def test_a_capability_that_is_off_without_a_reason_is_a_failure():
    class Forgetful(FakeProvider):
        capabilities: ClassVar[Capabilities] = replace(FakeProvider.capabilities, self_expiry=False)

    with pytest.raises(AssertionError, match="say in unpromised"):
        await Suite(Forgetful).test_12_what_expires_ends_without_any_door_open()


def test_a_missing_library_for_tests_is_a_sentence_with_the_command():
    with pytest.raises(MissingExtra, match=r"'a_library_nobody_has'.*pip install 'tradewind\[test\]'"):
        require("pytest", "a_library_nobody_has")
