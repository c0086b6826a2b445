"""Pages for people, as a browser without JavaScript uses them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest

from tests.server.openid import HERE, Browser
from tests.server.stage import API, Stage
from tradewind.config import ServeSettings, Settings
from tradewind.model.people import MemberRole, Scope
from tradewind.server.pages.places import PLACES

SETTINGS = Settings(serve=ServeSettings(public_url=HERE))
SIGN_IN = 'action="/sign-in"'


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Stage]:
    """A server that nobody belongs to."""
    stage = await Stage.open(tmp_path, SETTINGS)
    yield stage
    await stage.aclose()


@pytest.fixture
async def house(empty: Stage) -> Stage:
    """A server with a workspace."""
    await empty.workspace("lab", {"olga": MemberRole.OWNER, "mia": MemberRole.MEMBER, "vera": MemberRole.VIEWER})
    return empty


@pytest.fixture
async def browser(empty: Stage) -> AsyncIterator[Browser]:
    browser = Browser(empty.app)
    yield browser
    await browser.aclose()


async def sign_in(house: Stage, browser: Browser, user: str = "olga", **token: object) -> None:
    await browser.open("/sign-in")
    await browser.send(SIGN_IN, token=await house.token(user, "pasted", **token))  # type: ignore[arg-type]


def shown(browser: Browser) -> str:
    """Return the secret that a page shows."""
    found = re.search(r'<pre class="secret"><code>([^<]+)</code>', browser.text)
    assert found, browser.text
    return unescape(found.group(1))


async def test_the_first_link_makes_an_operator_who_can_go_on_at_once(empty: Stage, browser: Browser) -> None:
    secret = await empty.shared.assembly.people.first_admin_secret()
    assert secret is not None
    await browser.open("/welcome")
    await browser.send("/welcome", secret=secret.reveal(), name="ada", email="")
    token = shown(browser)

    await browser.open("/")
    assert "you are an owner" in browser.text
    async with empty.client() as client:
        who = await client.get(f"{API}/me", headers={"Authorization": f"Bearer {token}"})
    assert who.json()["user"]["is_operator"]
    await browser.open("/welcome")
    assert "has its first user already" in browser.text


async def test_an_invitation_and_a_confirmed_program_from_nothing_to_a_token(house: Stage, browser: Browser) -> None:
    await sign_in(house, browser)
    await browser.open("/workspaces/lab/people")
    await browser.send("/workspaces/lab/invitations", role="member", email="bob@example.org")
    path, _, secret = shown(browser).removeprefix(HERE).partition("#")
    assert "bob@example.org" in browser.text
    newcomer = Browser(house.app)
    await newcomer.open(path)
    await newcomer.send("/invitations/accept", secret=secret, name="bob", email="")
    assert "Welcome, bob" in newcomer.text

    async with house.client() as program:
        login = (await program.post(f"{API}/logins")).json()
        assert (await program.post(f"{API}/logins/poll", json={"secret": login["secret"]})).status_code == 202
        await newcomer.open(login["url"])
        assert login["code"] in newcomer.text
        await newcomer.send('action=""')
        assert newcomer.status == 200
        answer = await program.post(f"{API}/logins/poll", json={"secret": login["secret"]})
        who = await program.get(f"{API}/me", headers={"Authorization": f"Bearer {answer.json()['token']}"})

    assert who.json()["user"]["name"] == "bob"
    await newcomer.aclose()


async def test_who_is_not_signed_in_is_led_to_a_program_s_page_after_signing_in(house: Stage, browser: Browser) -> None:
    async with house.client() as program:
        login = (await program.post(f"{API}/logins")).json()
    await browser.open(login["url"])
    assert browser.url.startswith(HERE + "/sign-in?next=/logins/")

    await browser.send(SIGN_IN, token=await house.token("mia", "pasted"))

    assert browser.url == login["url"]
    assert login["code"] in browser.text


async def test_a_forged_link_of_a_program_lets_nothing_in(house: Stage, browser: Browser) -> None:
    await sign_in(house, browser)
    await browser.open("/logins/" + "A" * 80)

    assert browser.status == 400


async def test_signing_out_ends_the_cookie_wherever_it_is(house: Stage, browser: Browser) -> None:
    await sign_in(house, browser)
    stolen = browser.client.cookies["__Host-tradewind"]
    await browser.open("/settings")
    await browser.send("/sign-out")
    browser.client.cookies.set("__Host-tradewind", stolen, domain="tradewind.test")

    await browser.open("/settings")

    assert browser.url.startswith(HERE + "/sign-in")


async def test_the_cookie_is_for_this_host_over_tls_and_for_no_script(house: Stage, browser: Browser) -> None:
    token = await house.token("olga", "pasted")
    answer = await browser.client.post(
        HERE + "/sign-in", data={"token": token}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    cookie = answer.headers["set-cookie"].lower()

    assert cookie.startswith("__host-tradewind=")
    for word in ("secure", "httponly", "samesite=lax", "path=/"):
        assert word in cookie
    assert "domain" not in cookie


async def test_what_is_signed_in_with_a_limited_token_can_do_no_more(house: Stage, browser: Browser) -> None:
    await sign_in(house, browser, scopes=frozenset({Scope.READ}))
    await browser.open("/workspaces/lab/people")
    assert browser.status == 200
    assert "Invite" not in browser.text

    await browser.post("/workspaces/lab/invitations", {"role": "member"})

    assert browser.status == 403
    assert "without the scope" in browser.text


WRITES = sorted(path for path, (_, methods) in PLACES.items() if "POST" in methods)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": HERE},
        {"Sec-Fetch-Site": "none"},
        {"Referer": HERE},
    ],
    ids=str,
)
async def test_a_form_of_another_site_does_nothing(house: Stage, browser: Browser, headers: dict[str, str]) -> None:
    await sign_in(house, browser)
    before = len(await house.people.audit("lab")) + len(await house.people.audit(None))
    data = {"token": "t", "name": "x", "role": "owner", "do": "remove", "label": "x", "scopes": "read", "secret": "x"}

    for path in WRITES:
        there = path.format(
            workspace="lab", user="mia", cluster="c", invitation="i", token="t-olga-pasted", request="r"
        )
        await browser.post(there, data, headers)
        assert browser.status == 403, there

    assert len(await house.people.audit("lab")) + len(await house.people.audit(None)) == before


async def test_a_form_that_signs_in_needs_our_own_page_also_where_nobody_is_signed_in(
    house: Stage, browser: Browser
) -> None:
    await browser.post("/sign-in", {"token": await house.token("olga", "evil")}, {"Sec-Fetch-Site": "cross-site"})

    assert browser.status == 403
    assert not browser.client.cookies


async def test_pages_may_do_nothing_of_anybody_else_s_making(house: Stage, browser: Browser) -> None:
    await sign_in(house, browser)
    for path in (
        "/",
        "/settings",
        "/workspaces/lab",
        "/workspaces/lab/people",
        "/sign-in",
        "/welcome",
        "/invitations/accept",
        "/nothing",
    ):
        await browser.open(path)
        policy = browser.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert browser.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script(?! src=\"/static/)|<style|\son\w+=|style=\"|javascript:", browser.text)
        assert not re.search(r'(?:src|href)="(?:https?:)?//', browser.text), "nothing is loaded from elsewhere"


async def test_markup_in_what_people_write_is_shown_and_not_obeyed(house: Stage, browser: Browser) -> None:
    evil = "<script>alert(1)</script>"
    await house.user("root", is_operator=True)
    await sign_in(house, browser, "root")
    await browser.post("/workspaces", {"name": "evil", "title": evil})
    assert browser.url.startswith(HERE + "/workspaces/evil")
    await browser.open("/workspaces/evil/people")
    assert evil in unescape(browser.text)
    assert evil not in browser.text
    await browser.post("/settings/tokens", {"label": evil, "scopes": "read", "days": "1"})

    assert evil not in browser.text
    assert unescape(browser.text).count(evil) >= 2


async def test_a_member_looks_after_tokens_on_a_page(house: Stage, browser: Browser) -> None:
    await sign_in(house, browser, "mia")
    await browser.open("/settings")
    await browser.send('action="/settings/tokens"', label="laptop", scopes="read", workspace="lab", days="30")
    token = shown(browser)
    async with house.client() as client:
        client.headers["Authorization"] = f"Bearer {token}"
        assert (await client.get(f"{API}/workspaces/lab/members")).status_code == 200
        made = [t for t in (await client.get(f"{API}/me/tokens")).json()["items"] if t["label"] == "laptop"]
        await browser.open("/settings")
        assert token not in browser.text
        await browser.send(f"/settings/tokens/{made[0]['id']}/revoke")
        assert (await client.get(f"{API}/workspaces/lab/members")).status_code == 401


async def test_a_viewer_is_offered_nothing_they_may_not_do(house: Stage, browser: Browser) -> None:
    await sign_in(house, browser, "vera")
    await browser.open("/workspaces/lab/people")

    assert "Invite" not in browser.text
    assert "What was changed" not in browser.text
    assert re.findall(r">(Remove|Leave|Change)<", browser.text) == ["Leave"]


async def test_what_a_page_can_not_do_is_told_in_words(house: Stage, browser: Browser) -> None:
    await sign_in(house, browser)
    await browser.open("/workspaces/lab/people")
    await browser.post("/workspaces/lab/members/olga", {"do": "remove"})
    assert "last owner" in unescape(browser.text)
    await browser.open("/workspaces/nosuch")

    assert browser.status == 404
    assert "no workspace" in browser.text


@pytest.mark.parametrize("name", ["../frame.py", "..%2fframe.py", "style.css/../../frame.py", "base.html", ""])
async def test_only_what_is_meant_for_it_is_given_out_as_it_is(empty: Stage, name: str) -> None:
    async with empty.client() as client:
        answer = await client.get(f"/static/{name}")

    assert answer.status_code == 404
