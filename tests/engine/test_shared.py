"""A server's engine and the engines of programs on one store: who looks after what, and who keeps away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.server.stage import Stage, new, spec
from tradewind.config import ServeSettings, Settings, SoftwareSettings
from tradewind.engine.assembly import Assembly, assemble
from tradewind.engine.depot import Depot
from tradewind.engine.shared import Shared
from tradewind.errors import BadRequest, ConfigError, StoreError
from tradewind.model.people import Caller, MemberRole
from tradewind.providers.base import Provider, ProviderSettings
from tradewind.providers.fake import FakeProvider, FakeWorld
from tradewind.store.store import Store
from tradewind.testing.clock import FakeClock

MIA = Caller(user_id="u-mia", user="mia", workspace="lab", role=MemberRole.MEMBER)


@asynccontextmanager
async def program(directory: Path) -> AsyncIterator[Assembly]:
    """Open the engine of a program as a notebook has it; it looks after nothing by itself."""

    def provider(name: str) -> Provider:
        settings = ProviderSettings(installation="any", state_directory=str(directory))
        return FakeProvider(settings, world=FakeWorld(FakeClock()))

    opened = await assemble(Settings(), directory, provider, looks_after=False)
    yield opened
    await opened.aclose()


async def test_a_program_on_a_servers_file_sees_what_the_server_launched(tmp_path: Path) -> None:
    shared = await Shared.open(Settings(), tmp_path)
    async with program(tmp_path) as mine:
        assert mine.engine.rounds.installation == shared.assembly.engine.rounds.installation
    await shared.aclose()


async def test_a_server_on_a_programs_file_sees_what_the_program_launched(tmp_path: Path) -> None:
    async with program(tmp_path) as mine:
        shared = await Shared.open(Settings(), tmp_path)
        assert mine.engine.rounds.installation == shared.assembly.engine.rounds.installation
        await shared.aclose()


async def test_a_server_has_nothing_packed_on_a_disk_and_a_program_has(tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    depot = Depot(f"file://{tmp_path}/depot")
    shared = await Shared.open(Settings(), tmp_path)
    async with program(tmp_path) as mine:
        assert mine.engine.rounds.depots.packs_into(depot)
        assert not shared.assembly.engine.rounds.depots.packs_into(depot)
        circles = [one.engine.rounds.depots.circle("lab", "ada") for one in (mine, shared.assembly)]
        assert circles == [(mine.engine.rounds.installation, "lab", "ada")] * 2
    await shared.aclose()


async def test_a_server_does_not_start_with_a_store_for_files_that_is_none(tmp_path: Path) -> None:
    software = SoftwareSettings(artifacts_urls={"lab": "s3://ada:hunter2@bucket/x"})

    with pytest.raises(ConfigError, match="artifacts_url is 's3://bucket/x'"):
        await Shared.open(replace(Settings(), software=software), tmp_path)


async def test_a_program_keeps_away_from_the_store_of_a_server_elsewhere(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "tradewind.db")
    await store.facts.agree("installation", "shared-elsewhere")
    await store.aclose()
    with pytest.raises(StoreError, match="belongs to a Tradewind server"):
        async with program(tmp_path):
            pass


async def test_a_program_ends_nothing_of_a_server_that_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = await Stage.open(tmp_path)
    await stage.workspace("lab", {"mia": MemberRole.OWNER})
    await stage.shared.assembly.engine.aclose()
    made = await stage.shared.assembly.as_(MIA).clusters.create(spec())
    await stage.aclose()
    monkeypatch.setattr("tradewind.engine.assembly.is_dead", lambda holder: True)
    async with program(tmp_path) as mine:
        found = await mine.store.get_cluster(made.id)
        assert not found.intent.stop
        assert await mine.store.due(datetime.now(UTC) + timedelta(seconds=1), limit=10) == (made.id,)


async def test_what_runs_where_nothing_new_may_run_is_looked_after(tmp_path: Path) -> None:
    stage = await Stage.open(tmp_path)
    await stage.workspace("lab", {"mia": MemberRole.OWNER})
    serve = ServeSettings(providers=("local",))
    other = await Shared.open(replace(Settings(), serve=serve), tmp_path, link=stage.world.agents)
    assert (await stage.client("mia").post("/api/v1/workspaces/lab/clusters", json=new())).status_code == 201
    assert other.provider("fake").name == "fake"
    with pytest.raises(BadRequest, match="another machine's"):
        stage.shared.provider("local")
    with pytest.raises(BadRequest, match="runs no clusters on 'fake'"):
        await other.assembly.as_(MIA).clusters.create(spec("c2"))
    await other.aclose()
    await stage.aclose()


async def test_local_clusters_are_one_data_directorys_alone(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    settings = Settings(store=f"sqlite:///{tmp_path / 'shared.db'}", serve=ServeSettings(providers=("local", "fake")))
    first = await Shared.open(settings, here)

    with pytest.raises(ConfigError, match="another data directory"):
        await Shared.open(settings, there)

    without = await Shared.open(replace(settings, serve=ServeSettings(providers=("fake",))), there)
    await without.aclose()
    again = await Shared.open(settings, here)
    await again.aclose()
    await first.aclose()
