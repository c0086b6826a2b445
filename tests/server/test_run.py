"""``tradewind serve`` as its operator meets it: a program that says where it is, ends when told, and hands over."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.stage import spec, token_of
from tradewind import wire
from tradewind.boot import tls
from tradewind.config import ServeSettings, Settings
from tradewind.engine.shared import allowed_providers
from tradewind.errors import ConfigError
from tradewind.model.people import Token, User, Workspace
from tradewind.server.certificate import certificate_for
from tradewind.server.run import listen
from tradewind.store.access.audit import By
from tradewind.store.store import Store

NOW = datetime(2027, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Running:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    said: str

    def get(self, path: str, *, token: str | None = None, body: object = None, method: str | None = None) -> Any:
        """Ask it something; returns the JSON."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = json.dumps(body).encode() if body is not None else None
        asked = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(asked, context=context, timeout=10) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """Tell it to end; return the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(timeout=20)
        return time.monotonic() - began


@contextmanager
def serving(directory: Path, *options: str) -> Iterator[Running]:
    """Start one on a free port, and see that it ends."""
    environ = os.environ | {"TRADEWIND_DATA_DIR": str(directory), "TRADEWIND_CONFIG_DIR": str(directory)}
    command = [sys.executable, "-c", "from tradewind.cli import main; main()", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        said = ""
        while "providers" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        url = re.search(r"at (https?://\S+)", said)
        assert url is not None
        yield Running(process, url.group(1), said)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_it_says_where_it_is_lets_its_first_admin_in_and_ends_when_told(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert server.process.stdout is not None
        link = server.process.stdout.readline() + server.process.stdout.readline()
        secret = link.rsplit("#", 1)[1].strip()
        ready = server.get("/readyz")
        host, port = server.url.removeprefix("https://").split(":")
        shown = tls.fingerprint(ssl.get_server_certificate((host, int(port))))
        welcomed = server.get("/api/v1/claim", body={"secret": secret, "name": "ada"})
        with pytest.raises(urllib.error.HTTPError) as again:
            server.get("/api/v1/claim", body={"secret": secret, "name": "eve"})
        took = server.stop()

        assert ready == {"ok": True, "facts": {"store": "reached", "engine": "looks after clusters"}}
        assert shown in server.said
        assert welcomed["user"]["name"] == "ada"
        assert again.value.code == 403
        assert server.process.returncode == 0
        assert took < 10


def test_who_lost_their_last_token_comes_in_by_a_link_made_beside_the_running_server(tmp_path: Path) -> None:
    environ = os.environ | {"TRADEWIND_DATA_DIR": str(tmp_path), "TRADEWIND_CONFIG_DIR": str(tmp_path)}
    with serving(tmp_path, "--no-tls") as server, httpx.Client(base_url=server.url) as browser:
        assert server.process.stdout is not None
        link = server.process.stdout.readline() + server.process.stdout.readline()
        server.get("/api/v1/claim", body={"secret": link.rsplit("#", 1)[1].strip(), "name": "ada"})
        port = server.url.rpartition(":")[2]
        command = [sys.executable, "-c", "from tradewind.cli import main; main()", "serve", "--no-tls", "--port", port]
        made = subprocess.run(
            [*command, "--sign-in-link", "ada"], env=environ, capture_output=True, text=True, timeout=30, check=False
        )
        stranger = subprocess.run(
            [*command, "--sign-in-link", "eve"], env=environ, capture_output=True, text=True, timeout=30, check=False
        )
        page, _, secret = made.stdout.strip().partition("#")
        assert browser.get(page).status_code == 200
        answers = [
            browser.post(page, data={"secret": secret}, headers={"Sec-Fetch-Site": "same-origin"}) for _ in range(2)
        ]
        forever = browser.post(
            "/api/v1/me/tokens",
            json={"label": "laptop", "never_expires": True},
            headers={"Sec-Fetch-Site": "same-origin"},
        )

    assert made.returncode == 0, made.stderr
    assert page == f"{server.url}/sign-in/link"
    assert [answer.status_code for answer in answers] == [303, 403]
    assert forever.json()["token"]["expires_at"] is None, forever.text
    assert stranger.returncode == 1
    assert "operators are: ada" in stranger.stderr


def test_it_ends_within_seconds_though_somebody_waits_for_an_answer(tmp_path: Path) -> None:
    with serving(tmp_path, "--no-tls") as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as line:
            line.sendall(b"POST /api/v1/logins/poll HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
            line.sendall(b"Content-Length: 10\r\n\r\n{")
            time.sleep(0.3)
            took = server.stop()

        assert server.process.returncode == 0
        assert took < 9


def test_a_second_signal_waits_for_nobody(tmp_path: Path) -> None:
    with serving(tmp_path, "--no-tls") as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as line:
            line.sendall(b"POST /api/v1/logins/poll HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
            line.sendall(b"Content-Length: 10\r\n\r\n{")
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            took = server.stop(signal.SIGINT)

        assert took < 4.5, "it waited for the answer, which takes five"


def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    environ = os.environ | {"TRADEWIND_DATA_DIR": str(tmp_path), "TRADEWIND_CONFIG_DIR": str(tmp_path)}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-c", "from tradewind.cli import main; main()", "serve", "--port", port]
        ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)

    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_two_replicas_share_clusters_and_one_takes_over_at_once(tmp_path: Path, postgres_url: str) -> None:
    asyncio.run(_settle(postgres_url))
    options = ("--no-tls", "--store", postgres_url, "--provider", "fake")
    with serving(tmp_path / "a", *options) as one, serving(tmp_path / "b", *options) as two:
        token = token_of("olga")
        body = {"spec": wire.dump(spec("enso"))}
        made = one.get("/api/v1/workspaces/lab/clusters", token=token, body=body)
        seen = two.get("/api/v1/workspaces/lab/clusters", token=token)
        held = asyncio.run(_holder(postgres_url))
        one.stop()
        began = time.monotonic()
        while (now := asyncio.run(_holder(postgres_url))) in {held, None} and time.monotonic() - began < 10:
            time.sleep(0.2)
        took = time.monotonic() - began

    assert made["id"] == seen["items"][0]["cluster"]["id"]
    assert now not in {held, None}
    assert took < 5, "it waited until the lease had run out"


async def _settle(url: str) -> None:
    """Put an owner and her workspace into a store."""
    store = await Store.open(url)
    now = datetime.now(UTC)
    by = By(user="test", at=now)
    user = await store.people.create_user(User(id="u-olga", name="olga", created_at=now), by)
    await store.people.create_workspace(Workspace(name="lab", created_at=now), user, by)
    token = Token(id="t-olga", user_id=user.id, label="", created_at=now, expires_at=None)
    await store.people.create_token(token, hashlib.sha256(token_of("olga").encode()).hexdigest(), by)
    await store.aclose()


async def _holder(url: str) -> str | None:
    """Return who has the lease on the one live cluster."""
    store = await Store.open(url)
    try:
        return next((lease.holder for lease in await store.leases()), None)
    finally:
        await store.aclose()


def test_the_certificate_is_kept_and_renewed_by_the_same_authority(tmp_path: Path) -> None:
    serve = ServeSettings()
    first = certificate_for(serve, tmp_path, NOW)
    again = certificate_for(serve, tmp_path, NOW + timedelta(days=300))
    renewed = certificate_for(serve, tmp_path, NOW + timedelta(days=350))
    another = certificate_for(ServeSettings(public_url="https://tradewind.example.org"), tmp_path, NOW)

    assert again.fingerprint == first.fingerprint
    assert len({first.fingerprint, renewed.fingerprint, another.fingerprint}) == 3
    assert first.key.stat().st_mode & 0o077 == 0
    assert (tmp_path / "tls" / "authority.key").stat().st_mode & 0o077 == 0
    assert tls.is_good_for(another.chain.read_text(), ("tradewind.example.org", "localhost"), NOW)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"certificate": "a.pem"}, "go together"),
        ({"certificate": "nowhere.pem", "key": "nowhere.key"}, "nowhere.pem"),
    ],
)
def test_a_certificate_that_cant_be_used_is_named(tmp_path: Path, given: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        certificate_for(ServeSettings(**given), tmp_path, NOW)


@pytest.mark.parametrize(
    ("host", "named", "allowed"),
    [
        ("127.0.0.1", (), {"local", "fake"}),
        ("0.0.0.0", (), {"fake"}),
        ("0.0.0.0", ("local",), {"local"}),
    ],
)
def test_local_clusters_are_for_this_machine_alone_unless_named(
    host: str, named: tuple[str, ...], allowed: set[str]
) -> None:
    assert set(allowed_providers(Settings(serve=ServeSettings(host=host, providers=named)))) == allowed


def test_a_provider_that_there_isnt_is_named() -> None:
    with pytest.raises(ConfigError, match="'moon'"):
        allowed_providers(Settings(serve=ServeSettings(providers=("moon",))))


def test_an_answer_in_two_halves_goes_out_at_once() -> None:
    with closing(listen("127.0.0.1", 0)) as listening:
        # asyncio asks for this by the number of the protocol; without, the second half waits for an acknowledgement.
        assert listening.proto == socket.IPPROTO_TCP
