"""What is done while LSF's list may lag behind what was submitted; on the stand-in for LSF."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from tests.providers import pretend
from tests.providers.batch.contract import BatchContract
from tradewind.errors import Unavailable
from tradewind.model.resources import GIB, Resources
from tradewind.providers.base import Order, ProviderSettings
from tradewind.providers.batch.books import Batch, Books
from tradewind.providers.lsf import LsfProvider
from tradewind.testing.provider_tests import launch

MINE = "installation-of-the-lag"


@pytest_asyncio.fixture
async def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LsfProvider]:
    commands = pretend.install("lsf", tmp_path / "rig")
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    found = LsfProvider.from_settings(
        ProviderSettings(installation=MINE, state_directory=str(tmp_path), options={"interface": "lo"})
    )
    yield found
    await found.terminate([one.handle for one in await found.observe() if one.status.is_live])
    await found.aclose()


async def unanswered(provider: LsfProvider, directory: Path, ago: timedelta) -> Order:
    """Return an order whose submission got no answer, so long ago."""
    order = await BatchContract().order(provider, installation=MINE, cluster="calm-tide")
    books = Books(directory / "lsf")
    books.open()
    books.write(Batch(id="0a1b", marks=(order.marks,), submitted_at=datetime.now(UTC) - ago, job=None))
    return replace(order, offer=replace(order.offer, resources=Resources(cpus=1, memory=GIB)))


async def test_what_may_have_been_submitted_is_not_submitted_again_while_the_list_lags(
    provider: LsfProvider, tmp_path: Path
) -> None:
    order = await unanswered(provider, tmp_path, timedelta(seconds=10))

    with pytest.raises(Unavailable, match="its list lags"):
        await launch(provider, order)

    assert pretend.jobs(tmp_path / "rig" / "state") == []


async def test_what_the_list_still_hasnt_got_afterwards_is_submitted(provider: LsfProvider, tmp_path: Path) -> None:
    order = await unanswered(provider, tmp_path, timedelta(seconds=70))

    await launch(provider, order)

    assert len(pretend.jobs(tmp_path / "rig" / "state")) == 1
