"""People over HTTP: what is answered, and what of it is a secret."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.stage import API, Stage, token_of
from tradewind.model.people import Scope

LAB = f"{API}/workspaces/lab"


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:tradewind:")


async def test_an_invitation_goes_from_its_maker_to_a_new_member(stage: Stage) -> None:
    async with stage.client("ana") as ana, stage.client() as stranger:
        made = await ana.post(f"{LAB}/invitations", json={"role": "mentor", "email": "bob@example.org"})
        assert made.status_code == 201
        secret = made.json()["url"].partition("#")[2]
        listed = await ana.get(f"{LAB}/invitations")
        assert secret not in listed.text
        welcomed = await stranger.post(f"{API}/invitations/sign-up", json={"secret": secret, "name": "bob"})
        assert welcomed.status_code == 201, welcomed.text
        stranger.headers["Authorization"] = f"Bearer {welcomed.json()['token']}"
        members = (await stranger.get(f"{LAB}/members")).json()["items"]
        log = (await ana.get(f"{LAB}/audit")).json()["items"]

    assert {m["user"]: m["role"] for m in members}["bob"] == "mentor"
    assert log[0] | {"seq": 0, "at": "", "request_id": ""} == {
        "seq": 0,
        "at": "",
        "workspace": "lab",
        "user": "bob",
        "action": "member.added",
        "subject": "bob",
        "detail": "as mentor, invited by ana",
        "request_id": "",
    }


async def test_a_user_accepts_an_invitation_to_a_second_workspace(stage: Stage) -> None:
    async with stage.client("otto") as otto, stage.client("mia") as mia:
        url = (await otto.post(f"{API}/workspaces/other/invitations", json={})).json()["url"]
        accepted = await mia.post(f"{API}/invitations/accept", json={"secret": url.partition("#")[2]})
        again = await mia.post(f"{API}/invitations/accept", json={"secret": url.partition("#")[2]})
        workspaces = (await mia.get(f"{API}/workspaces")).json()["items"]
        await otto.delete(f"{API}/workspaces/other/members/mia")
        when_removed = await mia.post(f"{API}/invitations/accept", json={"secret": url.partition("#")[2]})

    assert accepted.json()["role"] == "member"
    # The first answer may have been lost on its way.
    assert again.json() == accepted.json()
    assert problem(when_removed) == (404, "NotFound")
    assert [w["name"] for w in workspaces] == ["lab", "other"]


async def test_an_invitation_accepted_twice_at_once_is_answered_the_same(stage: Stage) -> None:
    async with stage.client("otto") as otto, stage.client("mia") as mia:
        url = (await otto.post(f"{API}/workspaces/other/invitations", json={})).json()["url"]
        asks = [mia.post(f"{API}/invitations/accept", json={"secret": url.partition("#")[2]}) for _ in range(5)]
        answers = await asyncio.gather(*asks)

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


async def test_a_token_is_made_limited_used_and_revoked(stage: Stage) -> None:
    until = datetime.now(UTC) + timedelta(days=3)
    asked = {"label": "robot", "scopes": ["read"], "workspace": "lab", "expires_at": until.isoformat()}
    async with stage.client("mia") as mia, stage.client() as robot:
        made = await mia.post(f"{API}/me/tokens", json=asked)
        robot.headers["Authorization"] = f"Bearer {made.json()['secret']}"
        who = (await robot.get(f"{API}/me")).json()
        refused = await robot.post(f"{API}/me/tokens", json={"label": "more"})
        await mia.delete(f"{API}/me/tokens/{made.json()['token']['id']}")
        gone = await robot.get(f"{API}/me")

    assert made.json()["secret"].startswith("tw_")
    assert (who["scopes"], who["workspace"]) == (["read"], "lab")
    assert problem(refused) == (403, "Forbidden")
    assert problem(gone) == (401, "SignInNeeded")


@pytest.mark.parametrize(
    "asked",
    [
        {"label": "x", "expires_at": "2020-01-01T00:00:00Z"},
        {"label": "x", "expires_at": "2999-01-01T00:00:00Z"},
        {"label": "x", "expires_at": "2026-12-01T00:00:00"},
        {"label": "x" * 500},
        {"label": "a\nb"},
        {"label": "a\x00b"},
        {"label": "x", "scopes": ["all"]},
        {"label": 7},
        {},
        [],
    ],
    ids=str,
)
async def test_a_token_that_can_not_be_is_refused(stage: Stage, asked: Any) -> None:
    async with stage.client("mia") as mia:
        answer = await mia.post(f"{API}/me/tokens", json=asked)

    assert problem(answer) == (400, "BadRequest")


async def test_an_admin_changes_a_role_and_nobody_an_owner_s_but_an_owner(stage: Stage) -> None:
    async with stage.client("ana") as ana, stage.client("olga") as olga:
        changed = await ana.patch(f"{LAB}/members/mia", json={"role": "viewer"})
        refused = await ana.patch(f"{LAB}/members/olga", json={"role": "member"})
        last = await olga.patch(f"{LAB}/members/olga", json={"role": "member"})
        roles = {m["user"]: m["role"] for m in (await ana.get(f"{LAB}/members")).json()["items"]}

    assert changed.status_code == 204
    assert problem(refused) == (403, "Forbidden")
    assert problem(last) == (400, "BadRequest")
    assert (roles["mia"], roles["olga"]) == ("viewer", "owner")


async def test_who_is_taken_out_is_out_with_the_next_request(stage: Stage) -> None:
    limited = await stage.token("mia", "here", workspace="lab")
    async with stage.client("ana") as ana, stage.client("mia") as mia, stage.client() as robot:
        robot.headers["Authorization"] = f"Bearer {limited}"
        assert (await mia.get(LAB)).status_code == 200
        assert (await ana.delete(f"{LAB}/members/mia")).status_code == 204
        assert problem(await mia.get(LAB)) == (404, "NotFound")
        assert problem(await robot.get(f"{API}/me")) == (401, "SignInNeeded")


async def test_a_member_agrees_to_mentoring_and_no_owner_for_them(stage: Stage) -> None:
    async with stage.client("mia") as mia, stage.client("olga") as olga:
        await mia.patch(f"{API}/me/memberships/lab", json={"agreed_to_mentoring": True})
        members = {m["user"]: m for m in (await olga.get(f"{LAB}/members")).json()["items"]}
        await olga.patch(f"{LAB}/members/vera", json={"role": "viewer", "agreed_to_mentoring": True})
        after = {m["user"]: m for m in (await olga.get(f"{LAB}/members")).json()["items"]}

    assert members["mia"]["agreed_to_mentoring"]
    assert not after["vera"]["agreed_to_mentoring"]


async def test_the_audit_log_comes_in_pages_that_miss_nothing(stage: Stage) -> None:
    async with stage.client("olga") as olga:
        whole = (await olga.get(f"{LAB}/audit?limit=500")).json()
        parts, cursor = [], ""
        while True:
            page = (await olga.get(f"{LAB}/audit?limit=2{cursor}")).json()
            parts += page["items"]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        wrong = await olga.get(f"{LAB}/audit?cursor=' OR 1=1")

    assert whole["next"] is None
    assert parts == whole["items"]
    assert problem(wrong) == (400, "BadRequest")


async def test_an_operator_sees_users_and_shuts_one_out_and_sees_no_workspace(stage: Stage) -> None:
    async with stage.client("root") as root, stage.client("mia") as mia:
        users = (await root.get(f"{API}/users?limit=3")).json()
        more = (await root.get(f"{API}/users?limit=100&cursor={users['next']}")).json()
        assert problem(await root.get(LAB)) == (404, "NotFound")
        assert problem(await mia.get(f"{API}/users")) == (403, "Forbidden")
        assert (await root.patch(f"{API}/users/mia", json={"is_disabled": True})).json()["disabled_at"]
        assert problem(await mia.get(f"{API}/me")) == (401, "SignInNeeded")
        assert (await root.patch(f"{API}/users/mia", json={"is_disabled": False})).json()["disabled_at"] is None
        assert problem(await mia.get(f"{API}/me")) == (401, "SignInNeeded"), "what was revoked stays so"

    names = [u["name"] for u in users["items"] + more["items"]]
    assert names == sorted(stage.users)


async def test_the_first_user_is_made_once_over_http_too(tmp_path: Path) -> None:
    stage = await Stage.open(tmp_path)
    secret = await stage.shared.assembly.people.first_admin_secret()
    assert secret is not None
    async with stage.client() as stranger:
        body = {"secret": secret.reveal(), "name": "ada"}
        answers = await asyncio.gather(
            *[stranger.post(f"{API}/claim", json=body | {"name": f"ada{n}"}) for n in range(4)]
        )
    await stage.aclose()

    assert sorted(a.status_code for a in answers) == [201, 403, 403, 403]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "bearer tw_",
        "Basic dHc6dHc=",
        "Bearer tw_" + "0" * 43,
        "Bearer " + "x" * 20_000,
        f"Bearer {token_of('olga')} ,x",
        f"Token {token_of('olga')}",
        token_of("olga"),
        "Bearer tw_é",
    ],
    ids=lambda header: header[:24],
)
async def test_a_header_that_is_no_token_lets_nobody_in(stage: Stage, header: str) -> None:
    async with stage.client() as stranger:
        answer = await stranger.get(f"{API}/me", headers={b"authorization": header.encode("latin-1")})

    assert problem(answer) == (401, "SignInNeeded")


async def test_a_good_cookie_does_not_help_a_bad_token(stage: Stage) -> None:
    cookie = await stage.shared.assembly.people.session(stage.users["olga"], "browser", "signed in")
    async with stage.client() as stranger:
        stranger.cookies.set("__Host-tradewind", cookie.reveal())
        assert (await stranger.get(f"{API}/me")).status_code == 200
        answer = await stranger.get(f"{API}/me", headers={"Authorization": "Bearer tw_x"})

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "name", ["%00", "a%00b", "%F0%9F%8C%8A", "'; DROP TABLE members; --", "..", "%2e%2e%2f", "x" * 2000]
)
async def test_strange_names_in_addresses_find_nobody(stage: Stage, name: str) -> None:
    async with stage.client("olga") as olga:
        for method, path, body in (
            ("GET", f"{API}/workspaces/{name}/members", None),
            ("DELETE", f"{LAB}/members/{name}", None),
            ("PATCH", f"{LAB}/members/{name}", {"role": "viewer"}),
            ("DELETE", f"{LAB}/invitations/{name}", None),
            ("DELETE", f"{API}/me/tokens/{name}", None),
        ):
            answer = await olga.request(method, path, json=body)
            assert answer.status_code in {400, 404, 405}, (method, path, answer.text)


async def test_a_token_of_a_single_scope_is_good_for_that_alone(stage: Stage) -> None:
    can: dict[str, list[int]] = {}
    for scope in Scope:
        text = await stage.token("olga", scope.value, scopes=frozenset({scope}))
        async with stage.client() as client:
            client.headers["Authorization"] = f"Bearer {text}"
            read = await client.get(f"{LAB}/members")
            manage = await client.post(f"{LAB}/invitations", json={})
            can[scope.value] = [read.status_code, manage.status_code]

    assert can == {"read": [200, 403], "clusters": [403, 403], "manage": [403, 201]}
