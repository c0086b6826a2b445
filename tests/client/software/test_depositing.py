"""The caller's own code on its way to where machines fetch it."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.client.servers import Replies, serving
from tradewind.boot.restore import fetch
from tradewind.client.remote.connection import Connection
from tradewind.client.remote.verbs import Remote
from tradewind.client.software import depositing
from tradewind.client.software.depositing import deposit
from tradewind.config import artifact_file
from tradewind.model.environment import Artifact, Environment
from tradewind.model.exchange import Deposit, NewDeposit, Upload

CONTENT = b"my own code" * 1000
WHEEL = Artifact(file_name="mine-1.0-py3-none-any.whl", sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT))
ENVIRONMENT = Environment(python="3.11.7", platform="linux-x86_64", packages=(), content_hash="", artifacts=(WHEEL,))
DONE = (200, {}, b"")


class Server:
    """Tells one answer."""

    def __init__(self, told: Deposit) -> None:
        self.told = told
        self.asked: list[NewDeposit] = []

    async def deposit(self, wanted: NewDeposit) -> Deposit:
        self.asked.append(wanted)
        return self.told


def to(*urls: str) -> Any:
    """Return a server that wants the wheel at some addresses."""
    return Server(Deposit(is_taken=True, uploads=tuple(Upload(sha256=WHEEL.sha256, url=url) for url in urls)))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIND_CACHE_DIR", str(tmp_path / "cache"))
    place = artifact_file(WHEEL)
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    monkeypatch.setattr(fetch, "FIRST_REST_S", 0.01)


async def test_a_file_arrives_whole_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    replies = Replies(DONE)
    with serving(replies) as store, caplog.at_level(logging.INFO, "tradewind"):
        server = to(f"{store}/there?signature=s")
        done = await deposit(server, "ssh", ENVIRONMENT)

    assert done is True
    assert [(method, path, body) for method, path, _, body in replies.asked] == [("PUT", "/there?signature=s", CONTENT)]
    assert server.asked == [NewDeposit(provider="ssh", artifacts=(WHEEL,))]
    assert "uploaded: 0.0 MiB" in caplog.text
    assert "signature" not in caplog.text


async def test_how_far_it_has_come_is_said_now_and_then(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depositing, "SAID_EVERY_S", 0.0)
    with serving(Replies(DONE)) as store, caplog.at_level(logging.INFO, "tradewind"):
        await deposit(to(f"{store}/there"), "ssh", ENVIRONMENT)

    assert "Uploading your code: 0.0 of 0.0 MiB." in caplog.text


async def test_a_store_that_stumbles_is_asked_again() -> None:
    replies = Replies((503, {}, b""), lambda: None, DONE)
    with serving(replies) as store:
        done = await deposit(to(f"{store}/there"), "ssh", ENVIRONMENT)

    assert done is True
    assert replies.asked[-1][3] == CONTENT, "from its start"


@pytest.mark.parametrize(("status", "times"), [(403, 1), (500, 4)])
async def test_a_store_that_refuses_is_told_and_the_code_goes_over_the_line(
    status: int, times: int, caplog: pytest.LogCaptureFixture
) -> None:
    replies = Replies((status, {}, b"no"))
    with serving(replies) as store:
        done = await deposit(to(f"{store}/there?signature=s"), "ssh", ENVIRONMENT)

    assert done is False
    assert len(replies.asked) == times
    assert f"the store answers {status}" in caplog.text
    assert "goes to the cluster itself" in caplog.text
    assert "signature" not in caplog.text


@pytest.mark.parametrize("url", ["file:///tmp/there", "/tmp/there", "ftp://host/there"])
async def test_a_server_makes_nobody_write_a_file_of_their_own_computer(
    url: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    assert await deposit(to(url.replace("/tmp", str(tmp_path))), "ssh", ENVIRONMENT) is False
    assert "isn't on the web" in caplog.text
    assert not (tmp_path / "there").exists()


async def test_a_file_that_is_gone_from_here_is_named(caplog: pytest.LogCaptureFixture) -> None:
    artifact_file(WHEEL).unlink()

    assert await deposit(to("http://127.0.0.1:9/there"), "ssh", ENVIRONMENT) is False
    assert f"{WHEEL.file_name} isn't on this computer any more" in caplog.text


async def test_what_lies_there_already_is_not_sent() -> None:
    assert await deposit(to(), "ssh", ENVIRONMENT) is True


async def test_where_no_files_are_taken_nothing_is_sent_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    server: Any = Server(Deposit(is_taken=False, detail="it has no store"))

    assert await deposit(server, "ssh", ENVIRONMENT) is False
    assert not caplog.messages


async def test_a_server_of_before_takes_none() -> None:
    unknown = (404, {"Content-Type": "application/problem+json"}, NO_SUCH_ADDRESS)
    with serving(Replies(unknown)) as url:
        remote = Remote(Connection(url), "lab")
        try:
            assert await deposit(remote, "ssh", ENVIRONMENT) is False
        finally:
            remote.close()


NO_SUCH_ADDRESS = (
    b'{"type": "urn:tradewind:NotFound", "title": "Not Found", "status": 404, "detail": "there is nothing here", '
    b'"request_id": "r-1"}'
)
"""What a server answers where it has no such route."""
