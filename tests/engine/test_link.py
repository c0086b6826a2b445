"""The line to agents against servers that mean harm: no answer but a sensible one, and none that takes long."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tradewind.boot.tls import Authority
from tradewind.engine import link as link_module
from tradewind.engine.link import Access, HttpAgentLink
from tradewind.errors import Unavailable
from tradewind.model.instance import Contact
from tradewind.model.secret import Secret

NOW = datetime.now(UTC)
AUTHORITY = Authority.create("c1", NOW)
OTHER = Authority.create("c2", NOW)
ACCESS = Access(cluster_id="c1", authority=AUTHORITY.certificate, token=Secret("only for the agent"))
Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
PATIENCE_S = 0.5


@asynccontextmanager
async def server(tmp_path: Path, answer: Answer, authority: Authority = AUTHORITY) -> AsyncIterator[Contact]:
    """A TLS server that answers each request as told."""
    keys = authority.issue("agent", NOW)
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_text(keys.certificate)
    key.write_text(keys.key.reveal())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    requests: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await answer(await reader.readuntil(b"\r\n\r\n"), writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            return
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield Contact(scheduler="tls://127.0.0.1:1", agent=f"https://127.0.0.1:{port}")
    finally:
        listening.close()
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)


def says(body: bytes, status: str = "200 OK", headers: str = "") -> Answer:
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)
        await writer.drain()

    return answer


async def is_silent(request: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def drips(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def never_ends(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    while True:
        writer.write(chunk)
        await writer.drain()


async def endless_headers(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


PAGE = {"at": NOW.isoformat(), "workers": [], "computations": []}
HOSTILE: dict[str, Answer] = {
    "silent": is_silent,
    "slow": drips,
    "endless": never_ends,
    "endless headers": endless_headers,
    "says it is huge": says(b"", headers="Content-Length: 99999999999\r\n"),
    "packed": says(gzip.compress(json.dumps(PAGE).encode()), headers="Content-Encoding: gzip\r\n"),
    "not JSON": says(b"<html>"),
    "not UTF-8": says(b"\xff\xfe"),
    "a list": says(b"[]"),
    "a number": says(b"7"),
    "deep": says(b"[" * 100_000),
    "another shape": says(json.dumps({"at": "yesterday", "workers": 7}).encode()),
    "a redirect": says(b"", "302 Found", "Location: https://127.0.0.1:1/\r\n"),
    "401": says(b"", "401 Unauthorized"),
    "500": says(b"", "500 Oh"),
    "not HTTP": says(b"", "no such"),
}


@pytest.fixture
async def line(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HttpAgentLink]:
    monkeypatch.setattr(link_module, "PATIENCE_S", PATIENCE_S)
    link = HttpAgentLink()
    yield link
    link.close()


async def pull(line: HttpAgentLink, contact: Contact, access: Access = ACCESS) -> object:
    return await line.pull(contact, access, cursor=0, target_duration=timedelta(minutes=1))


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_server_that_means_harm_is_unavailable_and_soon(line: HttpAgentLink, tmp_path: Path, name: str) -> None:
    async with server(tmp_path, HOSTILE[name]) as contact:
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await pull(line, contact)
        assert time.monotonic() - began < PATIENCE_S + 2
        assert "c1" in str(caught.value)
        assert "only for the agent" not in str(caught.value)


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_peek_at_a_server_that_means_harm_is_unavailable_within_its_second(
    line: HttpAgentLink, tmp_path: Path, name: str
) -> None:
    async with server(tmp_path, HOSTILE[name]) as contact:
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await line.peek(contact, ACCESS, target_duration=timedelta(minutes=1))
        assert time.monotonic() - began < link_module.PEEK_PATIENCE_S + 1
        assert "only for the agent" not in str(caught.value)


async def test_a_peek_reads_no_more_than_it_shows(line: HttpAgentLink, tmp_path: Path) -> None:
    computation = {
        "id": "s1",
        "cluster_id": "c1",
        "name": "n",
        "started_at": None,
        "stopped_at": None,
        "done": False,
        "groups": [],
        "activity_seconds": {},
        "active_cpu_seconds": 0.0,
        "nbytes": 0,
        "code": [],
        "errors": [],
        "workers": 0,
    }
    page = {**PAGE, "tasks_running": 7, "computations": [computation], "cursor": 3}
    async with server(tmp_path, says(json.dumps(page).encode())) as contact:
        pulled = await line.pull(contact, ACCESS, cursor=0, target_duration=timedelta(minutes=1))
        seen = await line.peek(contact, ACCESS, target_duration=timedelta(minutes=1))

    assert len(pulled.computations) == 1
    assert (seen.tasks_running, seen.computations, seen.cursor) == (7, (), 0)


async def test_a_page_that_a_pull_reads_may_be_too_long_to_peek_at(line: HttpAgentLink, tmp_path: Path) -> None:
    body = json.dumps(PAGE).encode() + b" " * link_module.PEEK_LIMIT
    async with server(tmp_path, says(body)) as contact:
        await pull(line, contact)
        with pytest.raises(Unavailable):
            await line.peek(contact, ACCESS, target_duration=timedelta(minutes=1))


async def test_peeks_that_hang_take_no_pull_its_place(
    line: HttpAgentLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "PATIENCE_S", 5.0)
    (tmp_path / "silent").mkdir()
    async with (
        server(tmp_path / "silent", is_silent) as silent,
        server(tmp_path, says(json.dumps(PAGE).encode())) as it,
    ):
        peeks = [
            asyncio.ensure_future(line.peek(silent, ACCESS, target_duration=timedelta(minutes=1)))
            for _ in range(2 * link_module.PEEKS_AT_ONCE)
        ]
        await asyncio.sleep(0.1)
        await pull(line, it)
        was_first = not all(peek.done() for peek in peeks)
        said = await asyncio.gather(*peeks, return_exceptions=True)

    assert was_first
    assert all(isinstance(error, Unavailable) for error in said)


@pytest.mark.parametrize("name", sorted(HOSTILE.keys() - {"a list", "a number", "another shape"}))
async def test_a_server_that_means_harm_lets_nobody_leave(line: HttpAgentLink, tmp_path: Path, name: str) -> None:
    async with server(tmp_path, HOSTILE[name]) as contact:
        with pytest.raises(Unavailable):
            await line.retire(contact, ACCESS, count=1)


async def test_others_go_on_while_a_huge_page_is_read(line: HttpAgentLink, tmp_path: Path) -> None:
    failure = {"at": NOW.isoformat(), "key": "", "prefix": "", "exception": "", "traceback": ""}
    span = {"id": "", "cluster_id": "", "name": "", "started_at": None, "stopped_at": None, "done": True}
    page = {"at": NOW.isoformat(), "workers": [], "computations": [{**span, "errors": [failure] * 100}] * 600}

    async def tick(gaps: list[float]) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.005)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    async def longest() -> float:
        """Return the longest that the loop stood still, as a share of the time that the reading took."""
        gaps: list[float] = []
        ticking = asyncio.create_task(tick(gaps))
        began = time.monotonic()
        await pull(line, contact)
        took = time.monotonic() - began
        ticking.cancel()
        assert len(gaps) > 5
        return max(gaps) / took

    async with server(tmp_path, says(json.dumps(page).encode())) as contact:
        # A busy machine may stop us once; what it does each time is our own doing.
        shares = [await longest() for _ in range(3)]

    assert min(shares) < 0.5, "it was read in one go"


async def test_who_has_a_certificate_of_another_cluster_never_sees_the_token(
    line: HttpAgentLink, tmp_path: Path
) -> None:
    heard: list[bytes] = []

    async def listen(request: bytes, writer: asyncio.StreamWriter) -> None:
        heard.append(request)

    async with server(tmp_path, listen, OTHER) as contact:
        with pytest.raises(Unavailable, match="doesn't answer"):
            await pull(line, contact)
    assert heard == []


async def test_a_redirect_is_not_followed(line: HttpAgentLink, tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def listen(request: bytes, writer: asyncio.StreamWriter) -> None:
        heard.append(request)

    async with server(tmp_path, listen) as trap:
        to = says(b"", "302 Found", f"Location: {trap.agent}/v1/status\r\n")
        async with server(tmp_path, to) as contact:
            with pytest.raises(Unavailable):
                await pull(line, contact)
    assert heard == []


@pytest.mark.parametrize(
    "agent", ["https://127.0.0.1:1", "https://nowhere.invalid:8788", "http://127.0.0.1:1", "nonsense", ""]
)
async def test_an_address_where_nobody_is_is_unavailable(line: HttpAgentLink, agent: str) -> None:
    with pytest.raises(Unavailable):
        await pull(line, Contact(scheduler="tls://x:1", agent=agent))


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"retired": ["w1"], "retiring": ["w2"]}, ("w1", "w2")),
        ({"retired": ["w1", 7, None]}, ("w1",)),
        ({"retired": "w1"}, ()),
        ([], ()),
    ],
)
async def test_who_leaves_is_believed_as_far_as_it_makes_sense(
    line: HttpAgentLink, tmp_path: Path, body: object, names: tuple[str, ...]
) -> None:
    async with server(tmp_path, says(json.dumps(body).encode())) as contact:
        assert await line.retire(contact, ACCESS, count=2) == names


async def test_the_token_goes_in_a_header_and_not_in_the_address(line: HttpAgentLink, tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def listen(request: bytes, writer: asyncio.StreamWriter) -> None:
        heard.append(request)
        await says(b"{}")(request, writer)

    async with server(tmp_path, listen) as contact:
        await line.say(contact, ACCESS, "it stops soon")
        other = replace(ACCESS, token=Secret("another"))
        await line.say(contact, other, "it stops soon")
    first, *headers = heard[0].decode().split("\r\n")
    assert first == "POST /v1/say HTTP/1.1"
    assert "Authorization: Bearer only for the agent" in headers
