"""A world in another process is the same infrastructure, with a line in between that can fail."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.providers import test_fake_contract as contract
from tradewind.errors import ConfigError, Unavailable
from tradewind.model.resources import Need
from tradewind.providers.base import Provider, ProviderSettings
from tradewind.providers.fake import FakeProvider, FakeWorld
from tradewind.providers.fake.process import Weather, World
from tradewind.testing.clock import FakeClock
from tradewind.testing.provider_tests import MINE


def door(address: str, installation: str = MINE) -> Provider:
    return FakeProvider.from_settings(
        ProviderSettings(installation=installation, state_directory="", options={"world": address, "list_lag_s": 10.0})
    )


class TestRemoteFake(contract.TestFake):
    """All that every provider passes, through the line."""

    @pytest_asyncio.fixture(autouse=True)
    async def _world(self) -> AsyncIterator[None]:  # type: ignore[override]
        self.clock = FakeClock()
        self.world = FakeWorld(self.clock, timing=contract.SLOW)
        self.kept = World(self.world)
        server = await self.kept.serve(0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield
        server.close()
        await self.kept.aclose()

    def make_provider(self, installation: str = MINE) -> Provider:
        return door(self.address, installation)

    @pytest.mark.parametrize("trouble", ["loses_request", "loses_answer"])
    async def test_a_line_that_is_cut_is_an_infrastructure_that_does_not_answer(self, trouble: str) -> None:
        self.kept.weather = Weather(**{trouble: 1.0})
        with pytest.raises(Unavailable, match="doesn't answer offers"):
            await self.make_provider().offers(Need())
        assert self.kept.struck[trouble] == 1


async def test_a_world_where_nobody_listens_does_not_answer() -> None:
    with pytest.raises(Unavailable, match="127.0.0.1:1 doesn't answer observe"):
        await door("127.0.0.1:1").observe()


@pytest.mark.parametrize("address", ["8900", "here:", "127.0.0.1:port"])
def test_an_address_that_is_none_is_a_fault_of_the_settings(address: str) -> None:
    with pytest.raises(ConfigError, match="host:port"):
        door(address)
