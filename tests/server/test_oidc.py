"""Sign-in with an OpenID provider: a certified one that runs here, and hostile ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.server.openid import CLIENT, HERE, SECRET, Browser, OpenId, provider
from tests.server.stage import Stage
from tradewind.config import OidcSettings, ServeSettings, Settings
from tradewind.model.people import MemberRole, Signed
from tradewind.model.secret import Secret


@pytest.fixture(scope="module")
def openid() -> Iterator[OpenId]:
    with provider() as running:
        yield running


def settings_of(issuer: str, open_to: tuple[str, ...] = ()) -> Settings:
    return Settings(
        serve=ServeSettings(public_url=HERE),
        oidc=OidcSettings(issuer=issuer, client_id=CLIENT, client_secret=Secret(SECRET), open_to=open_to),
    )


@pytest.fixture
async def house(tmp_path: Path, openid: OpenId) -> AsyncIterator[Stage]:
    """A server that lets in who the provider vouches for, of example.edu also without an invitation."""
    stage = await Stage.open(tmp_path, settings_of(openid.issuer, ("example.edu",)))
    await stage.workspace("lab", {"olga": MemberRole.OWNER})
    yield stage
    await stage.aclose()


@pytest.fixture
async def browser(house: Stage) -> AsyncIterator[Browser]:
    browser = Browser(house.app)
    yield browser
    await browser.aclose()


async def sign_in(browser: Browser, name: str, path: str = "/sign-in") -> None:
    await browser.open(path)
    await browser.click("/sign-in/oidc")
    await browser.sign_in_at_provider(name)


async def test_who_the_provider_vouches_for_is_signed_in(house: Stage, browser: Browser) -> None:
    await sign_in(browser, "ada", "/settings")

    assert (browser.status, browser.url) == (200, HERE + "/settings"), browser.text
    assert "<h1>ada</h1>" in browser.text
    user = await house.people.user_named("ada")
    assert user.email == "ada@example.edu"
    assert [(i.issuer, i.subject) for i in await house.people.identities(user.id)] == [
        (house.app.state.oidc.issuer, "sub-of-ada")
    ]


async def test_the_second_sign_in_is_the_same_user(house: Stage, browser: Browser) -> None:
    await sign_in(browser, "ada")
    await browser.send("/sign-out")
    other = Browser(house.app)
    await sign_in(other, "ada")
    await other.aclose()

    assert [u.name for u in await house.people.users()] == ["ada", "olga"]


async def test_a_newcomer_without_a_verified_address_needs_an_invitation(house: Stage, browser: Browser) -> None:
    await sign_in(browser, "eve.unsure")

    assert browser.status == 400
    assert "ask a member for an invitation" in browser.text
    assert [u.name for u in await house.people.users()] == ["olga"]


async def invitation(house: Stage, role: MemberRole = MemberRole.MENTOR) -> str:
    assembly = house.shared.assembly
    caller = await assembly.people.as_(Signed(user=house.users["olga"], token_id="t")).caller("lab")
    _, secret = await assembly.as_(caller).members.invite(role)
    return secret.reveal()


async def test_an_invitation_brings_a_newcomer_through_the_provider_into_the_workspace(
    house: Stage, browser: Browser
) -> None:
    secret = await invitation(house)
    await browser.open("/invitations/accept")
    await browser.send("/sign-in/oidc", secret=secret)
    await browser.sign_in_at_provider("bob.unsure")

    user = await house.people.user_named("bob.unsure")
    assert user.email is None, "nobody verified it"
    assert (await house.people.membership(user.id, "lab")).role is MemberRole.MENTOR


async def test_who_is_known_and_follows_an_invitation_is_asked_before_it_is_used(
    house: Stage, browser: Browser
) -> None:
    await sign_in(browser, "ada")
    secret = await invitation(house)
    await browser.open("/invitations/accept")
    assert "You will become a member as <b>ada</b>" in browser.text

    await browser.send("/invitations/accept", secret=secret)

    assert browser.url == HERE + "/workspaces/lab"


async def test_a_second_sign_in_is_linked_to_who_is_signed_in(house: Stage, browser: Browser) -> None:
    await browser.open("/sign-in")
    await browser.send('action="/sign-in"', token=await house.token("olga", "pasted"))
    await browser.open("/settings")
    await browser.send("/sign-in/oidc", link="yes")
    await browser.sign_in_at_provider("olga-at-home")

    assert browser.url == HERE + "/settings", browser.text
    assert len(await house.people.identities("u-olga")) == 1
    assert [u.name for u in await house.people.users()] == ["olga"]


async def test_a_provider_that_changed_its_keys_is_believed_by_the_new_ones(house: Stage, openid: OpenId) -> None:
    first = Browser(house.app)
    await sign_in(first, "ada")
    await first.aclose()
    openid.stop()
    openid.start("two")
    house.app.state.oidc._keys_at -= timedelta(minutes=1)
    second = Browser(house.app)

    await sign_in(second, "ada", "/settings")

    assert "<h1>ada</h1>" in second.text
    await second.aclose()


@pytest.mark.parametrize(
    "next",
    ["https://evil.test/", "//evil.test/", "///evil.test/", "/\\evil.test", "javascript:alert(1)", "/\tx", "\\\\evil"],
)
async def test_nobody_is_sent_to_another_site_after_signing_in(browser: Browser, next: str) -> None:
    await browser.open(
        "/sign-in/oidc?" + str(browser.client.build_request("GET", HERE, params={"next": next}).url.query, "ascii")
    )
    await browser.sign_in_at_provider("ada")

    assert browser.url == HERE + "/"


async def departed(browser: Browser) -> dict[str, str]:
    """Begin a sign-in, and return what the provider was asked."""
    answer = await browser.client.get(HERE + "/sign-in/oidc")
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


async def test_the_provider_is_asked_with_all_that_protects_a_sign_in(browser: Browser) -> None:
    asked = await departed(browser)

    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 32
    assert len(asked["nonce"]) >= 32
    assert asked["redirect_uri"] == HERE + "/sign-in/oidc/callback"


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x&code=x", "?state=&code=x"])
async def test_an_answer_without_the_state_of_this_browser_signs_nobody_in(browser: Browser, query: str) -> None:
    await departed(browser)
    await browser.open("/sign-in/oidc/callback" + query)

    assert browser.status == 400
    assert "tradewind" not in {name for name in browser.client.cookies if not name.endswith("journey")}


async def test_an_answer_in_a_browser_that_asked_nothing_signs_nobody_in(house: Stage, browser: Browser) -> None:
    asked = await departed(browser)
    victim = Browser(house.app)
    await victim.open(f"/sign-in/oidc/callback?code=x&state={asked['state']}")

    assert victim.status == 400
    assert "wasn&#39;t begun in this browser" in victim.text
    await victim.aclose()


async def test_an_answer_is_good_once(browser: Browser) -> None:
    answers: list[str] = []

    async def note(response: object) -> None:
        location = getattr(response, "headers", {}).get("location", "")
        if "/callback?" in location:
            answers.append(location)

    browser.client.event_hooks["response"].append(note)
    await sign_in(browser, "ada")
    await browser.send("/sign-out")
    await browser.open(answers[-1])

    assert browser.status == 400
    assert "__Host-tradewind" not in browser.client.cookies


async def test_a_provider_that_refuses_is_told_as_such(browser: Browser) -> None:
    asked = await departed(browser)
    await browser.open(f"/sign-in/oidc/callback?error=access_denied&state={asked['state']}")

    assert browser.status == 400
    assert "access_denied" in browser.text


async def test_a_made_up_code_is_refused_by_the_provider(browser: Browser) -> None:
    asked = await departed(browser)
    await browser.open(f"/sign-in/oidc/callback?code=made-up&state={asked['state']}")

    assert browser.status == 400
    assert "invalid_grant" in browser.text


async def test_a_provider_that_does_not_answer_costs_a_sentence(tmp_path: Path) -> None:
    stage = await Stage.open(tmp_path, settings_of("http://127.0.0.1:1"))
    browser = Browser(stage.app)
    await browser.open("/sign-in/oidc")

    assert browser.status == 503
    assert "try again" in browser.text
    await browser.aclose()
    await stage.aclose()
