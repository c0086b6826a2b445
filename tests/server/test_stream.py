"""What changes is told to those who may see it, for as long as they may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.server.running import listening
from tests.server.stage import API, Stage, new, token_of
from tradewind.server import news, stream
from tradewind.server.limits import Streams
from tradewind.store.access.audit import By

STREAM = f"{API}/workspaces/lab/stream"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "PACE_S", 0.05)
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.2)


async def events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Yield each event's id and data."""
    place = ""
    async for line in lines:
        if line.startswith("id: "):
            place = line[4:]
        if line.startswith("data: "):
            yield place, json.loads(line[6:])


def header(user: str, label: str = "") -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(user, label)}"}


async def test_a_listener_is_told_how_all_stands_and_then_what_changes(stage: Stage) -> None:
    seen: list[str] = []
    async with listening(stage) as url, stage.client("mia") as mia, httpx.AsyncClient(base_url=url) as http:
        await mia.post(f"{API}/workspaces/lab/clusters", json=new("first"))
        async with http.stream("GET", STREAM, headers=header("vera")) as answer, asyncio.timeout(10):
            async for _, data in events(answer.aiter_lines()):
                seen.append(f"{data['name']} {data['status']}")
                if seen[-1] == "first running":
                    await mia.post(f"{API}/workspaces/lab/clusters", json=new("second"))
                if seen[-1] == "second running":
                    break

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert seen.index("first running") < seen.index("second running")


async def test_nobody_is_told_of_another_workspace(stage: Stage) -> None:
    async with listening(stage) as url, stage.client("otto") as otto, httpx.AsyncClient(base_url=url) as http:
        await otto.post(f"{API}/workspaces/other/clusters", json=new("theirs", "other"))
        async with http.stream("GET", STREAM, headers=header("olga")) as answer:
            lines: list[str] = []
            async for line in answer.aiter_lines():
                lines.append(line)
                if line == ": nothing new":
                    break

    assert not any("theirs" in line for line in lines)


async def told_of_budgets(url: str, user: str, workspace: str = "lab") -> AsyncIterator[dict[str, Any]]:
    """Yield what somebody is told of budgets, for ten seconds at most."""
    where = f"{API}/workspaces/{workspace}/stream"
    async with (
        httpx.AsyncClient(base_url=url) as http,
        http.stream("GET", where, headers=header(user)) as answer,
        asyncio.timeout(10),
    ):
        kind = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                kind = line[7:]
            if line.startswith("data: ") and kind == "budget":
                yield json.loads(line[6:])


@pytest.mark.parametrize("user", ["olga", "mia", "vera"])
async def test_every_member_is_told_of_a_budget_that_is_set_changed_and_removed(stage: Stage, user: str) -> None:
    budgets, told = f"{API}/workspaces/lab/budgets", []
    async with listening(stage) as url, stage.client("ana") as ana:
        limit = {"limit": {"amount": "50", "currency": "USD"}, "scope": "user", "key": "mia"}
        made = (await ana.post(budgets, json=limit)).json()["budget"]["id"]
        async for news in told_of_budgets(url, user):
            told.append(news)
            if len(told) == 1:
                await ana.patch(f"{budgets}/{made}", json={"is_hard": False})
            elif len(told) == 2:
                await ana.delete(f"{budgets}/{made}")
            else:
                break

    assert [(news["is_hard"], news["removed_at"] is None) for news in told] == [
        (True, True),
        (False, True),
        (False, False),
    ]
    assert {(news["budget_id"], news["scope"], news["key"], news["step"]) for news in told} == {
        (made, "user", "mia", 0)
    }


async def test_a_step_that_a_budget_passes_is_told_and_what_it_spends_is_not(stage: Stage) -> None:
    told: list[dict[str, Any]] = []
    async with listening(stage) as url, stage.client("ana") as ana, stage.client("mia") as mia:
        limit = {"limit": {"amount": "0.0004", "currency": "USD"}, "is_hard": False}
        await ana.post(f"{API}/workspaces/lab/budgets", json=limit)
        await mia.post(f"{API}/workspaces/lab/clusters", json=new("dear"))
        async for news in told_of_budgets(url, "mia"):
            told.append(news)
            if news["step"] == 100:
                break

    steps = [news["step"] for news in told]
    assert steps == sorted(set(steps)), "nothing is told twice"
    assert steps[-1] == 100


async def test_nobody_is_told_of_the_budgets_of_another_workspace(stage: Stage) -> None:
    async with listening(stage) as url, stage.client("otto") as otto, stage.client("ana") as ana:
        limit = {"limit": {"amount": "50", "currency": "USD"}}
        await otto.post(f"{API}/workspaces/other/budgets", json=limit)
        await ana.post(f"{API}/workspaces/lab/budgets", json={**limit, "scope": "user", "key": "mia"})
        seen = {}
        for user, workspace in (("olga", "lab"), ("otto", "other")):
            async for news in told_of_budgets(url, user, workspace):
                seen[user] = news["workspace"], news["scope"]
                break

    assert seen == {"olga": ("lab", "user"), "otto": ("other", "workspace")}


async def test_who_comes_back_is_told_only_what_changed_meanwhile(stage: Stage) -> None:
    async with listening(stage) as url, stage.client("mia") as mia, httpx.AsyncClient(base_url=url) as http:
        await mia.post(f"{API}/workspaces/lab/clusters", json=new("old"))
        place, first = "", ""
        async with http.stream("GET", STREAM, headers=header("mia")) as answer:
            async for line in answer.aiter_lines():
                place = line.removeprefix("id: ") if line.startswith("id: ") else place
                if line == ": nothing new" and place:
                    break  # it has come to rest
        await mia.post(f"{API}/workspaces/lab/clusters", json=new("new"))
        async with http.stream("GET", STREAM, headers=header("mia") | {"Last-Event-ID": place}) as answer:
            async for _, data in events(answer.aiter_lines()):
                first = data["name"]
                break
        async with http.stream("GET", STREAM, headers=header("mia") | {"Last-Event-ID": "other-7"}) as answer:
            names = set()
            async for _, data in events(answer.aiter_lines()):
                names.add(data["name"])
                if len(names) == 2:
                    break

    assert first == "new"
    assert names == {"old", "new"}


async def test_a_stream_ends_when_its_token_is_revoked(stage: Stage) -> None:
    await stage.token("mia", "brief")
    by = By(user="mia", at=stage.shared.assembly.clock.now())
    async with (
        listening(stage) as url,
        httpx.AsyncClient(base_url=url) as http,
        http.stream("GET", STREAM, headers=header("mia", "brief")) as answer,
        asyncio.timeout(10),
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        await stage.people.revoke_token("u-mia", "t-mia-brief", by)
        rest = [line async for line in lines]

    assert rest[-1:] in ([""], [])


async def test_a_stream_ends_when_its_token_expires(stage: Stage) -> None:
    await stage.token("mia", "brief", life=timedelta(seconds=1))
    async with listening(stage) as url, httpx.AsyncClient(base_url=url) as http, asyncio.timeout(10):
        async with http.stream("GET", STREAM, headers=header("mia", "brief")) as answer:
            assert [line async for line in answer.aiter_lines()]
        again = await http.get(STREAM, headers=header("mia", "brief"))

    assert again.status_code == 401


async def test_the_store_is_asked_once_for_all_who_listen(stage: Stage) -> None:
    async with listening(stage) as url, httpx.AsyncClient(base_url=url) as http:
        answers = [http.stream("GET", STREAM, headers=header(user)) for user in ("mia", "max", "vera", "tom") * 5]
        for answer in answers:
            await answer.__aenter__()
        before = stage.app.state.news.looks
        await asyncio.sleep(0.5)
        looks = stage.app.state.news.looks - before
        for answer in answers:
            await answer.__aexit__(None, None, None)

    assert 1 <= looks <= 11


async def test_one_user_has_a_limited_number_of_streams(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Streams, "MOST", 2)
    async with listening(stage) as url, httpx.AsyncClient(base_url=url) as http:
        async with (
            http.stream("GET", STREAM, headers=header("mia")),
            http.stream("GET", STREAM, headers=header("mia")),
        ):
            refused = await http.get(STREAM, headers=header("mia"))
            async with http.stream("GET", STREAM, headers=header("max")) as others:
                status = others.status_code
        await asyncio.sleep(0.2)
        async with http.stream("GET", STREAM, headers=header("mia")) as later:
            freed = later.status_code

    assert refused.status_code == 429
    assert refused.json()["type"] == "urn:tradewind:TooMany"
    assert (status, freed) == (200, 200)


async def test_a_server_that_ends_lets_its_listeners_go(stage: Stage) -> None:
    async with httpx.AsyncClient() as http:
        async with listening(stage) as url:
            answer = http.stream("GET", url + STREAM, headers=header("mia"))
            opened = await answer.__aenter__()
            began = asyncio.get_running_loop().time()
        took = asyncio.get_running_loop().time() - began
        await answer.__aexit__(None, None, None)

    assert opened.status_code == 200
    assert took < 3
