"""The fake passes what every provider passes, without waiting on real time."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

import pytest

from tradewind.model.instance import Marks, Role
from tradewind.model.resources import GIB, Need, Range
from tradewind.providers.base import Order, Provider, ProviderSettings
from tradewind.providers.fake import FakeProvider, FakeWorld, Timing
from tradewind.providers.fake.faults import SaysNoCapacity
from tradewind.testing.clock import FakeClock
from tradewind.testing.provider_tests import MINE, ProviderTests

SLOW = Timing(
    pending=timedelta(seconds=40),
    starting=timedelta(seconds=50),
    stopping=timedelta(seconds=20),
    list_lag=timedelta(seconds=10),
)


class TestFake(ProviderTests):
    start_within: ClassVar[timedelta] = timedelta(seconds=120)
    step: ClassVar[timedelta] = timedelta(seconds=1)
    clock_skew: ClassVar[timedelta] = timedelta(0)

    @pytest.fixture(autouse=True, params=[Timing(), SLOW], ids=["prompt", "slow"])
    def _world(self, request: pytest.FixtureRequest) -> None:
        self.clock = FakeClock()
        self.world = FakeWorld(self.clock, timing=request.param)

    def make_provider(self, installation: str = MINE) -> Provider:
        return FakeProvider(ProviderSettings(installation=installation, state_directory=""), world=self.world)

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

    def now(self) -> datetime:
        return self.clock.now()

    def needs(self) -> Sequence[Need]:
        return (
            *super().needs(),
            Need(gpus=1),
            Need(cpus=Range(minimum=4, maximum=4), memory=Range(minimum=64 * GIB)),
            Need(vm_types=("fake.large", "fake.small")),
        )

    def too_many(self, order: Order) -> Order:
        self.world.arm(SaysNoCapacity(vm_type=order.offer.vm_type))
        return order

    def bad(self, order: Order) -> tuple[Order, str]:
        return replace(order, offer=replace(order.offer, vm_type="fake.colossal")), "InvalidSize"
