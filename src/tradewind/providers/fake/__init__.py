"""An infrastructure that exists in memory and obeys the clock it is handed: for plans, demonstrations and tests."""

from tradewind.providers.fake.agents import FakeAgents
from tradewind.providers.fake.machine import Billed, Machine
from tradewind.providers.fake.provider import FakeProvider
from tradewind.providers.fake.remote import RemoteFakeProvider
from tradewind.providers.fake.sizes import SIZES, Size
from tradewind.providers.fake.world import FakeWorld, Timing, WallClock

__all__ = [
    "SIZES",
    "Billed",
    "FakeAgents",
    "FakeProvider",
    "FakeWorld",
    "Machine",
    "RemoteFakeProvider",
    "Size",
    "Timing",
    "WallClock",
]
