"""Clusters that mean harm: the engine keeps its pace for all others, and what they say is text and nothing else."""

from __future__ import annotations

import ast
import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

import tradewind
from tests.server.stage import API, Stage, new
from tradewind.engine.link import Access
from tradewind.errors import Unavailable
from tradewind.model.instance import Contact
from tradewind.model.status import StatusPage

LAB = f"{API}/workspaces/lab"
SILENCE_S = 3.0


async def running(stage: Stage, name: str) -> float:
    """Make a cluster; return the seconds until it runs."""
    began = time.monotonic()
    async with stage.client("mia") as mia, asyncio.timeout(20):
        view = (await mia.post(f"{LAB}/clusters", json=new(name))).json()
        cluster_id, status, revision = view["id"], "pending", 0
        while status != "running":
            asks = {"after_revision": revision, "timeout_s": 5}
            seen = (await mia.get(f"{LAB}/clusters/{cluster_id}/view", params=asks)).json()
            status, revision = seen["cluster"]["status"], seen["revision"]
    return time.monotonic() - began


async def test_silent_schedulers_keep_nobody_else_waiting(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    agents, pull = stage.world.agents, stage.world.agents.pull
    silent: set[str] = set()

    async def sometimes(
        contact: Contact,
        access: Access,
        *,
        cursor: int,
        target_duration: timedelta,
        paid_for: timedelta | None = None,
        renews: bool = True,
    ) -> StatusPage:
        if access.cluster_id in silent:
            await asyncio.sleep(SILENCE_S)
            raise Unavailable("nobody answers")
        return await pull(contact, access, cursor=cursor, target_duration=target_duration, paid_for=paid_for)

    monkeypatch.setattr(agents, "pull", sometimes)
    async with stage.client("max") as other:
        for number in range(30):
            silent.add((await other.post(f"{LAB}/clusters", json=new(f"silent{number}"))).json()["id"])
    await asyncio.sleep(1)

    assert await running(stage, "honest") < SILENCE_S


async def test_what_a_cluster_writes_is_answered_as_text(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def shout(handle: str, lines: int) -> Sequence[str]:
        return ("<script>alert(1)</script>", "\x1b]0;owned\x07", '{"type": "urn:tradewind:Forbidden"}')

    await running(stage, "shouts")
    monkeypatch.setattr(stage.shared.provider("fake"), "logs", shout)
    async with stage.client("mia") as mia:
        cluster_id = (await mia.get(f"{LAB}/clusters/shouts")).json()["id"]
        answer = await mia.get(f"{LAB}/clusters/{cluster_id}/logs")

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script>" in answer.json()["items"][0]["lines"][0]
    assert "\x1b" not in answer.text


def test_nothing_that_can_run_code_reads_what_clusters_say() -> None:
    source = Path(tradewind.__file__).parent
    floors = [path for name in ("engine", "server", "store", "planning", "wire.py") for path in _files(source / name)]
    imported = {
        name.name.split(".")[0]
        for path in floors
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
    }

    assert floors
    assert imported & {"pickle", "cloudpickle", "marshal", "shelve", "distributed", "dask", "yaml"} == set()


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(place.rglob("*.py"))
