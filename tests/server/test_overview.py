"""The pages about what runs: who sees what, and that names stay names."""

from __future__ import annotations

import re

import pytest

from tests.server.stage import API, Stage, new
from tradewind.model.people import MemberRole

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def lab(stage: Stage) -> Stage:
    """A workspace with four people, and a cluster of one of them."""
    await stage.workspace(
        "fjord",
        {"ada": MemberRole.OWNER, "bob": MemberRole.MEMBER, "eve": MemberRole.MEMBER, "meg": MemberRole.MENTOR},
    )
    await stage.workspace("elsewhere", {"zoe": MemberRole.OWNER})
    async with stage.client("bob") as bob:
        made = await bob.post(f"{API}/workspaces/fjord/clusters", json=new("tides", "fjord", tags={"why": HOSTILE}))
        assert made.status_code == 201, made.text
    return stage


async def test_every_member_sees_what_runs_and_who_runs_it(lab: Stage) -> None:
    for user in ("ada", "bob", "eve", "meg"):
        async with lab.client(user) as client:
            page = await client.get("/workspaces/fjord")
        assert page.status_code == 200
        assert "tides" in page.text
        assert "bob" in page.text


async def test_software_with_a_name_is_shown_with_who_made_it_and_its_note_as_text(lab: Stage) -> None:
    async with lab.client("bob") as bob:
        wanted = {"name": "climate", "image": "ghcr.io/lab/climate:2", "note": HOSTILE}
        made = await bob.post(f"{API}/workspaces/fjord/environments", json=wanted)
    async with lab.client("eve") as eve:
        page = await eve.get("/workspaces/fjord")

    assert made.status_code == 201
    assert "climate@1" in page.text
    assert "image ghcr.io/lab/climate:2" in page.text
    assert HOSTILE not in page.text
    assert "onerror" in page.text


async def test_the_changing_part_alone_is_no_whole_page(lab: Stage) -> None:
    async with lab.client("eve") as client:
        part = await client.get("/workspaces/fjord/now")

    assert "tides" in part.text
    assert "<html" not in part.text


async def test_who_is_in_another_workspace_sees_nothing_of_it(lab: Stage) -> None:
    async with lab.client("zoe") as client:
        for path in ("/workspaces/fjord", "/workspaces/fjord/now", "/workspaces/fjord/clusters/tides"):
            page = await client.get(path)
            assert page.status_code == 404
            assert "tides" not in page.text.replace(path, "")


async def test_the_journal_is_for_the_owner_and_those_who_look_after_all(lab: Stage) -> None:
    seen = {}
    for user in ("ada", "bob", "eve", "meg"):
        async with lab.client(user) as client:
            page = await client.get("/workspaces/fjord/clusters/tides")
        assert page.status_code == 200
        seen[user] = "Ordering" in page.text

    assert seen == {"ada": True, "bob": True, "eve": False, "meg": False}


async def test_a_mentor_reads_on_once_a_member_has_agreed(lab: Stage) -> None:
    async with lab.client("bob") as bob:
        await bob.patch(f"{API}/me/memberships/fjord", json={"agreed_to_mentoring": True})
    async with lab.client("meg") as meg:
        page = await meg.get("/workspaces/fjord/clusters/tides")

    assert "Ordering" in page.text


async def test_only_who_may_can_stop_a_cluster_from_its_page(lab: Stage) -> None:
    ours = {"Sec-Fetch-Site": "same-origin"}
    async with lab.client("eve") as eve:
        refused = await eve.post("/workspaces/fjord/clusters/tides/stop", headers=ours)
    async with lab.client("ada") as ada:
        done = await ada.post("/workspaces/fjord/clusters/tides/stop", headers=ours)
        record = (await ada.get(f"{API}/workspaces/fjord/clusters/tides?live=false")).json()

    assert refused.status_code == 403
    assert done.status_code in {200, 303}
    assert record["intent"]["stop"] is True
    assert "ada" in record["intent"]["stop_detail"]


async def test_a_page_for_a_cluster_that_is_not_there_says_so(lab: Stage) -> None:
    async with lab.client("ada") as client:
        page = await client.get(f"/workspaces/fjord/clusters/{HOSTILE}")

    assert page.status_code == 404
    assert HOSTILE not in page.text


OURS = {"Sec-Fetch-Site": "same-origin"}


def limit(**changes: str) -> dict[str, str]:
    return {"amount": "50", "currency": "usd", "scope": "workspace", "key": "", **changes}


async def test_a_limit_set_on_the_page_stands_there_for_everybody(lab: Stage) -> None:
    async with lab.client("ada") as ada:
        done = await ada.post("/workspaces/fjord/budgets", data=limit(), headers=OURS)
        again = await ada.post("/workspaces/fjord/budgets", data=limit(amount="70", soft="yes"), headers=OURS)
        found = (await ada.get(f"{API}/workspaces/fjord/budgets")).json()["items"]
    async with lab.client("meg") as meg:
        page = await meg.get("/workspaces/fjord")

    assert (done.status_code, again.status_code) == (303, 303)
    assert [(each["budget"]["limit"]["amount"], each["budget"]["is_hard"]) for each in found] == [("70", False)]
    assert "<b>the workspace</b>, 70.00 USD a month, soft" in page.text
    assert 'aria-label="0 USD spent and 0 USD promised of 70.00 USD"' in page.text


async def test_only_who_may_is_offered_a_limit_and_can_set_one(lab: Stage) -> None:
    async with lab.client("bob") as bob:
        page = await bob.get("/workspaces/fjord")
        refused = await bob.post("/workspaces/fjord/budgets", data=limit(), headers=OURS)
        found = (await bob.get(f"{API}/workspaces/fjord/budgets")).json()["items"]

    assert "Set a limit" not in page.text
    assert refused.status_code == 403
    assert found == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "much"},
        {"amount": "NaN"},
        {"amount": "-1"},
        {"amount": "1e99"},
        {"currency": "€"},
        {"scope": "planet"},
        {"scope": "tag"},
        {"scope": "user", "key": "a\0b"},
    ],
    ids=str,
)
async def test_a_limit_that_means_nothing_is_refused_in_words(lab: Stage, wrong: dict[str, str]) -> None:
    async with lab.client("ada") as ada:
        refused = await ada.post("/workspaces/fjord/budgets", data=limit(**wrong), headers=OURS)
        found = (await ada.get(f"{API}/workspaces/fjord/budgets")).json()["items"]

    assert refused.status_code == 400
    assert 'class="problem"' in refused.text
    assert found == []


async def test_whom_a_limit_is_for_stays_text(lab: Stage) -> None:
    async with lab.client("ada") as ada:
        await ada.post("/workspaces/fjord/budgets", data=limit(scope="tag", key=f"why={HOSTILE}"), headers=OURS)
        page = await ada.get("/workspaces/fjord")

    assert HOSTILE not in page.text
    assert "tag why=&lt;img" in page.text


async def test_everything_a_page_loads_is_there(lab: Stage) -> None:
    async with lab.client("ada") as ada:
        page = await ada.get("/workspaces/fjord")
        loaded = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
        answers = {path: (await ada.get(path)).status_code for path in loaded}

    assert len(loaded) >= 4
    assert set(answers.values()) == {200}
