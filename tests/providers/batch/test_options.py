"""Settings that are other ones for one cluster; on the stand-in for PBS."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.providers import pretend
from tests.providers.batch.contract import BatchContract
from tradewind.errors import BadRequest, ConfigError
from tradewind.model.instance import InstanceStatus
from tradewind.model.resources import GIB, Need, Resources
from tradewind.providers.base import ProviderSettings
from tradewind.providers.fake import FakeProvider
from tradewind.providers.pbs import PbsProvider
from tradewind.testing.provider_tests import launch

MINE = "installation-of-options"
SMALL = Resources(cpus=1, memory=GIB)


@pytest_asyncio.fixture
async def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PbsProvider]:
    commands = pretend.install("pbs", tmp_path / "pbs")
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    options = {"interface": "lo", "account": "lab", "cores": 2}
    found = PbsProvider.from_settings(
        ProviderSettings(installation=MINE, state_directory=str(tmp_path), options=options)
    )
    yield found
    await found.terminate([one.handle for one in await found.observe() if one.status.is_live])
    await found.aclose()


async def test_a_clusters_options_stand_in_place_of_the_settings_and_the_others_stay(provider: PbsProvider) -> None:
    script = await provider.configured({"walltime": 7200.0, "project": "tides"}).script_for(SMALL)

    assert "#PBS -l walltime=02:00:00\n" in script
    assert "#PBS -P tides\n" in script
    assert "#PBS -A lab\n" in script
    assert "tides" not in await provider.script_for(SMALL)


async def test_options_of_sizes_are_those_of_its_offers(provider: PbsProvider) -> None:
    (usual,) = await provider.offers(Need())
    (other,) = await provider.configured({"cores": 8}).offers(Need())

    assert (usual.resources.cpus, other.resources.cpus) == (2, 8)


async def test_what_was_launched_with_options_is_looked_after_like_all_the_others(provider: PbsProvider) -> None:
    order = await BatchContract().order(provider, installation=MINE, cluster="calm-tide")
    order = replace(order, offer=replace(order.offer, resources=SMALL))

    await launch(provider.configured({"account": "other"}), order)

    (seen,) = await provider.observe()
    assert seen.marks == order.marks
    await provider.terminate([seen.handle])
    for _ in range(100):
        (seen,) = await provider.observe()
        if seen.status is InstanceStatus.STOPPED:
            break
        await asyncio.sleep(0.1)
    assert seen.status is InstanceStatus.STOPPED


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"acount": "x"}, "did you mean 'account'"),
        ({"walltime": "soon"}, "isn't a duration"),
        ({"price_per_su": "0"}, "the same for all clusters"),
        ({"directory": "/elsewhere"}, "the same for all clusters"),
    ],
)
def test_options_that_cant_be_are_refused_by_name(
    provider: PbsProvider, options: dict[str, object], words: str
) -> None:
    with pytest.raises(BadRequest, match=words):
        provider.configured(options)


def test_no_options_change_nothing_and_who_takes_none_says_so(provider: PbsProvider) -> None:
    assert provider.configured({}) is provider
    fake = FakeProvider.from_settings(ProviderSettings(installation=MINE, state_directory=""))
    assert fake.configured({}) is fake
    with pytest.raises(BadRequest, match="leave out account"):
        fake.configured({"account": "x"})


@pytest.mark.parametrize(
    ("name", "strange"), [("my work", " "), ("100%n", "%"), ("$(WORK)", "$()"), ("a:b,c", ":,"), ("it's", "'")]
)
async def test_a_directory_whose_name_systems_misread_is_refused_before_anything_is_submitted(
    name: str, strange: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = pretend.install("pbs", tmp_path / "pbs")
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")

    for options, state in (({"directory": str(tmp_path / name)}, tmp_path), ({}, tmp_path / name)):
        settings = ProviderSettings(installation=MINE, state_directory=str(state), options=options)
        with pytest.raises(ConfigError, match=re.escape(f"{strange!r} in a name") + r".*`directory` in \[pbs\]"):
            PbsProvider.from_settings(settings)
