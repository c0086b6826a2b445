"""A JupyterHub's tokens as identity, with a real hub."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.server.hub import Hub, hub
from tests.server.stage import API, Stage
from tradewind.config import JupyterHubSettings, Settings
from tradewind.model.people import MemberRole


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub(tmp_path_factory.mktemp("hub")) as started:
        yield started


@pytest.fixture
async def house(tmp_path: Path, running: Hub) -> AsyncIterator[Stage]:
    """A server that lets the hub's users into the workspace ``lab``."""
    settings = Settings(jupyterhub=JupyterHubSettings(api_url=running.api_url, workspace="lab"))
    stage = await Stage.open(tmp_path, settings)
    await stage.workspace("lab", {"olga": MemberRole.OWNER})
    yield stage
    await stage.aclose()


async def exchange(house: Stage, token: str) -> httpx.Response:
    async with house.client() as stranger:
        return await stranger.post(f"{API}/logins/jupyterhub", json={"token": token})


async def me(house: Stage, token: str) -> httpx.Response:
    async with house.client() as stranger:
        return await stranger.get(f"{API}/me", headers={"Authorization": f"Bearer {token}"})


async def test_a_notebooks_own_token_lets_its_user_in_for_some_hours(house: Stage, running: Hub) -> None:
    environ = running.environ_of_notebook("ada")
    answer = await exchange(house, environ["JUPYTERHUB_API_TOKEN"])
    assert answer.status_code == 200, answer.text

    who = (await me(house, answer.json()["token"])).json()

    assert who["user"]["name"] == "ada"
    assert [(m["workspace"], m["role"]) for m in who["memberships"]] == [("lab", "member")]
    left = datetime.fromisoformat(who["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=11) < left <= timedelta(hours=12)


async def test_when_the_notebook_ends_its_token_lets_nobody_in(house: Stage, running: Hub) -> None:
    token = running.environ_of_notebook("zoe")["JUPYTERHUB_API_TOKEN"]
    running.stop_notebook("zoe")

    answer = await exchange(house, token)

    assert (answer.status_code, answer.json()["type"]) == (401, "urn:tradewind:SignInNeeded")


async def test_a_token_made_on_the_hubs_page_is_the_same_user(house: Stage, running: Hub) -> None:
    first = await exchange(house, running.token_of("bob"))
    second = await exchange(house, running.token_of("bob"))

    ids = {(await me(house, answer.json()["token"])).json()["user"]["id"] for answer in (first, second)}
    assert len(ids) == 1


async def test_a_token_that_another_service_got_to_know_who_somebody_is_does_not_let_it_in(
    house: Stage, running: Hub
) -> None:
    answer = await exchange(house, running.token_of("bob", scopes=["read:users:name!user"]))

    assert (answer.status_code, answer.json()["type"]) == (403, "urn:tradewind:Forbidden")


async def test_a_services_token_lets_nobody_in(house: Stage, running: Hub) -> None:
    answer = await exchange(house, running.token)

    assert (answer.status_code, answer.json()["type"]) == (403, "urn:tradewind:Forbidden")
    assert [u.name for u in await house.people.users()] == ["olga"]


@pytest.mark.parametrize("token", ["", "x", "0" * 32, "a b", "\r\nX-Evil: 1", "é" * 20, "x" * 10_000, "../../user"])
async def test_what_the_hub_does_not_know_lets_nobody_in(house: Stage, token: str) -> None:
    answer = await exchange(house, token)

    assert answer.status_code == 401


async def test_a_name_that_is_taken_here_becomes_another_and_never_the_same_person(house: Stage, running: Hub) -> None:
    answer = await exchange(house, running.token_of("olga"))

    who = (await me(house, answer.json()["token"])).json()
    assert who["user"]["name"] == "olga2"
    assert who["memberships"][0]["role"] == "member"


async def test_who_was_taken_out_of_the_workspace_does_not_come_back_by_the_hub(house: Stage, running: Hub) -> None:
    await exchange(house, running.token_of("bob"))
    async with house.client("olga") as olga:
        assert (await olga.delete(f"{API}/workspaces/lab/members/bob")).status_code == 204

    again = await exchange(house, running.token_of("bob"))

    assert (await me(house, again.json()["token"])).json()["memberships"] == []


async def test_who_is_shut_out_does_not_come_in_by_the_hub(house: Stage, running: Hub) -> None:
    await exchange(house, running.token_of("bob"))
    await house.user("root", is_operator=True)
    async with house.client("root") as root:
        assert (await root.patch(f"{API}/users/bob", json={"is_disabled": True})).status_code == 200

    assert (await exchange(house, running.token_of("bob"))).status_code == 403


async def test_what_is_made_with_a_lent_token_ends_with_it(house: Stage, running: Hub) -> None:
    lent = (await exchange(house, running.token_of("bob"))).json()["token"]
    async with house.client() as client:
        client.headers["Authorization"] = f"Bearer {lent}"
        made = await client.post(f"{API}/me/tokens", json={"label": "for long"})
        until = (await client.get(f"{API}/me")).json()["expires_at"]

    assert made.json()["token"]["expires_at"] == until


async def test_a_hub_that_does_not_answer_costs_a_sentence(tmp_path: Path) -> None:
    settings = Settings(jupyterhub=JupyterHubSettings(api_url="http://127.0.0.1:1/hub/api", workspace="lab"))
    stage = await Stage.open(tmp_path, settings)
    answer = await exchange(stage, "0" * 32)

    assert answer.status_code == 503
    assert "0" * 32 not in answer.text
    await stage.aclose()


async def test_a_server_without_a_hub_says_so(tmp_path: Path) -> None:
    stage = await Stage.open(tmp_path)

    assert (await exchange(stage, "0" * 32)).status_code == 400
    await stage.aclose()
