"""What a program does with one cluster's record."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from tradewind.boot.environment.capture import capture
from tradewind.client import session as client_session
from tradewind.client.api import Api
from tradewind.client.session import Session
from tradewind.errors import NameTaken
from tradewind.model.cluster import Cluster, ClusterSpec, ClusterStatus, Intent, ScaleMemory, Scaling
from tradewind.model.environment import Environment
from tradewind.model.exchange import Deposit, NewDeposit
from tradewind.model.usage import Cost
from tradewind.model.views import ClusterView, DryRun

SPEC = ClusterSpec(name="mine", workspace="default", provider="fake", scaling=Scaling.fixed(1))
RECORD = Cluster(
    id="tw-1",
    spec=SPEC,
    intent=Intent(scaling=SPEC.scaling),
    owner="me",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    status=ClusterStatus.RUNNING,
    scale=ScaleMemory(wanted=1),
)


class Register:
    """Knows one record, and starts nothing."""

    takes_deposits = False

    def __init__(self, record: Cluster, stops_after: int | None = None) -> None:
        self.record = record
        self.stops_after = stops_after
        self.expected: list[Environment] = []

    async def find(self, name: str, *, live: bool = True) -> Cluster | None:
        return self.record if name == self.record.name and self.record.status.is_live else None

    async def view(self, cluster_id: str) -> ClusterView:
        return ClusterView(cluster=self.record, instances=(), cost=Cost(), budget=None, page=None, revision=0)

    async def wait_changed(self, cluster_id: str, revision: int, timeout_s: float) -> ClusterView:
        if self.stops_after is None:
            await asyncio.sleep(timeout_s)
        elif self.stops_after == 0:
            self.record = replace(self.record, status=ClusterStatus.STOPPED)
        else:
            self.stops_after -= 1
        return await self.view(cluster_id)

    def needs_software(self, provider: str) -> bool:
        return provider == "far"

    def expect(self, provider: str, planned: DryRun, environment: Environment) -> None:
        self.expected.append(environment)

    async def dry_run(self, spec: ClusterSpec) -> DryRun:
        return DryRun(instances=(), cost_per_hour=Cost(), notes=())

    async def deposit(self, wanted: NewDeposit) -> Deposit:
        return Deposit(is_taken=self.takes_deposits)

    async def create(self, spec: ClusterSpec, *, environment: Environment) -> Cluster:
        self.created_with = environment
        return self.record


def session(record: Cluster) -> Session:
    return Session(cast("Api", cast("Any", Register(record))), SPEC)


async def test_the_name_of_a_stopping_cluster_is_waited_for(caplog):
    caplog.set_level("INFO")
    register = Register(replace(RECORD, status=ClusterStatus.STOPPING), stops_after=2)
    mine = Session(cast("Api", cast("Any", register)), SPEC)
    await mine.find_or_create(look_for_name=True, scaling_asked=None)
    assert not mine.attached
    assert register.created_with is not None
    assert "'mine' is stopping; waiting for its name" in caplog.text


async def test_the_name_of_a_cluster_that_goes_on_stopping_is_taken_and_says_what_to_do(monkeypatch):
    monkeypatch.setattr(client_session, "ENDS_WITHIN_S", 0.01)
    with pytest.raises(NameTaken, match="'mine' is still stopping.*another name"):
        await session(replace(RECORD, status=ClusterStatus.STOPPING)).find_or_create(
            look_for_name=True, scaling_asked=None
        )


async def test_a_live_cluster_of_the_name_is_attached_to_as_it_is(caplog):
    mine = session(RECORD)
    await mine.find_or_create(look_for_name=True, scaling_asked=Scaling.fixed(5))
    assert mine.attached
    assert mine.record is RECORD
    assert "n_workers is ignored" in caplog.text


@pytest.mark.parametrize(("provider", "travels"), [("near", False), ("far", True)])
async def test_what_no_index_has_travels_to_machines_that_do_not_see_our_files(
    provider: str, travels: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("TRADEWIND_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "analysis.py").write_text("x = 1")
    register = Register(RECORD)

    mine = Session(cast("Api", cast("Any", register)), replace(SPEC, provider=provider))
    await mine.find_or_create(look_for_name=False, scaling_asked=None)

    assert bool(register.created_with.artifacts) is travels
    assert (register.created_with == capture()) is not travels
    assert (tmp_path / "cache").exists() is travels
    assert [one.artifacts for one in register.expected] == [()] * travels, "told once, while it was being made"


@pytest.mark.parametrize("is_taken", [True, False])
async def test_code_that_lies_where_machines_fetch_it_is_not_brought_over_the_line_too(
    is_taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("TRADEWIND_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "analysis.py").write_text("x = 1")
    register = Register(RECORD)
    register.takes_deposits = is_taken

    mine = Session(cast("Api", cast("Any", register)), replace(SPEC, provider="far"), streams=True)
    await mine.find_or_create(look_for_name=False, scaling_asked=None)

    assert bool(register.created_with.artifacts) is is_taken
    assert (mine.to_bring is not None) is not is_taken
