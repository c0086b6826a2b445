"""Answers of an OpenID provider that mustn't be believed, each one wrong in one thing alone."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from tests.server.openid import CLIENT, HERE, SECRET, Browser
from tests.server.stage import Stage
from tests.server.test_oidc import settings_of
from tradewind import wire

KEY, OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one"}), RSAKey.generate_key(2048, {"kid": "one"})
Claims = dict[str, Any]


@dataclass(slots=True)
class Liar:
    """An OpenID provider that answers with whatever token a test makes."""

    url: str = ""
    metadata: Claims = field(default_factory=dict)
    nonce: str = ""
    forge: Callable[[Claims], str] = lambda claims: signed(claims)
    userinfo: Claims = field(default_factory=dict)
    keys_asked: int = 0

    def claims(self) -> Claims:
        """Return those of an honest answer."""
        now = int(datetime.now(UTC).timestamp())
        return {
            "iss": self.url,
            "sub": "1",
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": self.nonce,
            "email": "bob@example.edu",
            "email_verified": True,
            "preferred_username": "bob",
        }

    def answer(self, path: str) -> Claims:
        """Return the JSON of one path."""
        if path == "/jwks":
            self.keys_asked += 1
            return KeySet([KEY]).as_dict(private=False)
        if path == "/token":
            return {"access_token": "x", "token_type": "Bearer", "id_token": self.forge(self.claims())}
        if path == "/me":
            return self.userinfo
        usual = {
            "issuer": self.url,
            "authorization_endpoint": self.url + "/auth",
            "token_endpoint": self.url + "/token",
            "jwks_uri": self.url + "/jwks",
            "userinfo_endpoint": self.url + "/me",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }
        return usual | self.metadata


def signed(claims: Claims, header: Claims | None = None, key: Any = KEY) -> str:
    """Return a token."""
    return jwt.encode({"alg": "RS256", "kid": "one"} | (header or {}), claims, key, algorithms=["RS256", "HS256"])


def unsigned(claims: Claims) -> str:
    """Return a token that says of itself that nobody signed it."""
    registry = jws.JWSRegistry(algorithms=["none"])
    return jws.serialize_compact({"alg": "none"}, wire.dump_json(claims).encode(), None, registry=registry)


@pytest.fixture
def liar() -> Iterator[Liar]:
    liar = Liar()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = wire.dump_json(liar.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    liar.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield liar
    server.shutdown()
    server.server_close()


@pytest.fixture
async def house(tmp_path: Path, liar: Liar) -> AsyncIterator[Stage]:
    stage = await Stage.open(tmp_path, settings_of(liar.url, ("example.edu",)))
    yield stage
    await stage.aclose()


async def sign_in(house: Stage, liar: Liar, spoil: Callable[[str], str] = lambda state: state) -> Browser:
    """Go to the provider and come back with a code, and a state that may be another."""
    browser = Browser(house.app)
    answer = await browser.client.get(HERE + "/sign-in/oidc")
    asked = dict(parse_qsl(urlsplit(answer.headers.get("location", "")).query))
    liar.nonce = asked.get("nonce", "")
    await browser.open(f"/sign-in/oidc/callback?code=x&state={spoil(asked.get('state', ''))}")
    await browser.aclose()
    return browser


async def test_an_honest_answer_signs_in(house: Stage, liar: Liar) -> None:
    browser = await sign_in(house, liar)

    assert (browser.status, browser.url) == (200, HERE + "/")
    assert [u.name for u in await house.people.users()] == ["bob"]


@pytest.mark.parametrize("spoil", [lambda s: "", lambda s: s[:-1], lambda s: "x" * len(s), lambda s: s + "x"])
async def test_an_answer_with_another_state_signs_nobody_in_whatever_the_provider_says(
    house: Stage, liar: Liar, spoil: Callable[[str], str]
) -> None:
    browser = await sign_in(house, liar, spoil)

    assert browser.status == 400
    assert await house.people.users() == ()


async def test_an_answer_is_good_once_in_its_own_browser_too(house: Stage, liar: Liar) -> None:
    browser = Browser(house.app)
    answer = await browser.client.get(HERE + "/sign-in/oidc")
    asked = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    liar.nonce = asked["nonce"]
    back = f"/sign-in/oidc/callback?code=x&state={asked['state']}"
    await browser.open(back)
    assert browser.status == 200

    await browser.open(back)

    assert browser.status == 400
    assert "begun in this browser" in browser.text
    await browser.aclose()


LIES: dict[str, Callable[[Claims], str]] = {
    "another nonce": lambda c: signed(c | {"nonce": "another"}),
    "no nonce": lambda c: signed({k: v for k, v in c.items() if k != "nonce"}),
    "for somebody else": lambda c: signed(c | {"aud": "another-client"}),
    "for somebody else, through us": lambda c: signed(c | {"aud": "another-client", "azp": CLIENT}),
    "for us, through somebody else": lambda c: signed(c | {"azp": "another-client"}),
    "for nobody": lambda c: signed({k: v for k, v in c.items() if k != "aud"}),
    "of another provider": lambda c: signed(c | {"iss": "https://accounts.evil.test"}),
    "too old": lambda c: signed(c | {"exp": c["iat"] - 600, "iat": c["iat"] - 900}),
    "of tomorrow": lambda c: signed(c | {"iat": c["iat"] + 86400, "exp": c["iat"] + 90000}),
    "about nobody": lambda c: signed({k: v for k, v in c.items() if k != "sub"}),
    "about a number": lambda c: signed(c | {"sub": 1}),
    "about an endless name": lambda c: signed(c | {"sub": "x" * 300}),
    "about what can't be kept": lambda c: signed(c | {"sub": "a\x00b"}),
    "signed by nobody": unsigned,
    "signed with another key of the same name": lambda c: signed(c, key=OTHER_KEY),
    "signed with a key nobody knows": lambda c: signed(c, {"kid": "two"}, OTHER_KEY),
    "signed with the secret that we share": lambda c: signed(
        c, {"alg": "HS256"}, OctKey.import_key(SECRET.encode().ljust(32))
    ),
    "signed with the public key as a secret": lambda c: signed(
        c, {"alg": "HS256"}, OctKey.import_key(wire.dump_json(KEY.as_dict(private=False)).encode())
    ),
    "cut off": lambda c: signed(c).rpartition(".")[0] + ".",
    "no token": lambda c: "no token",
    "empty": lambda c: "",
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_token_that_lies_signs_nobody_in(house: Stage, liar: Liar, lie: str) -> None:
    liar.forge = LIES[lie]

    browser = await sign_in(house, liar)

    assert browser.status in {400, 503}, browser.text
    assert not [name for name in browser.client.cookies if not name.endswith("journey")]
    assert await house.people.users() == ()


async def test_a_clock_that_is_a_minute_off_signs_in(house: Stage, liar: Liar) -> None:
    liar.forge = lambda c: signed(c | {"iat": c["iat"] + 60, "exp": c["iat"] - 60})

    assert (await sign_in(house, liar)).status == 200


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://accounts.evil.test"},
        {"token_endpoint": "http://accounts.evil.test/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"authorization_endpoint": 7},
    ],
)
async def test_a_provider_that_describes_itself_wrongly_is_not_used(house: Stage, liar: Liar, metadata: Claims) -> None:
    liar.metadata = metadata

    browser = await sign_in(house, liar)

    assert browser.status in {400, 503}
    assert await house.people.users() == ()


@pytest.mark.parametrize("verified", ["true", 1, None, "yes"])
async def test_only_a_plain_true_verifies_an_address(house: Stage, liar: Liar, verified: object) -> None:
    liar.forge = lambda c: signed(c | {"email_verified": verified})

    assert "ask a member for an invitation" in (await sign_in(house, liar)).text


async def test_what_is_told_beside_the_token_about_somebody_else_is_not_believed(house: Stage, liar: Liar) -> None:
    liar.forge = lambda c: signed({k: v for k, v in c.items() if not k.startswith("email")})
    liar.userinfo = {"sub": "2", "email": "bob@example.edu", "email_verified": True}

    assert "ask a member for an invitation" in (await sign_in(house, liar)).text


async def test_made_up_key_names_do_not_have_us_ask_for_keys_all_day(house: Stage, liar: Liar) -> None:
    liar.forge = LIES["signed with a key nobody knows"]
    for _ in range(5):
        await sign_in(house, liar)

    assert liar.keys_asked <= 2


async def test_a_name_full_of_markup_is_escaped(house: Stage, liar: Liar) -> None:
    liar.forge = lambda c: signed(c | {"preferred_username": "<script>alert(1)</script>", "email": '"><b>@example.edu'})
    browser = await sign_in(house, liar)

    assert "<script>alert" not in browser.text
    assert [u.name for u in await house.people.users()] == ["script-alert-1-script"]
