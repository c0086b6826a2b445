"""What comes from people who mean harm, and from programs that have lost their way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.running import listening
from tests.server.stage import API, Stage, new, token_of
from tradewind import wire
from tradewind.config import ServeSettings, Settings
from tradewind.model.people import MemberRole
from tradewind.server import body, run
from tradewind.server.limits import Limits
from tradewind.server.logs import JsonLines, Lines

LAB = f"{API}/workspaces/lab"


async def test_a_burst_from_one_token_is_refused_and_others_are_answered(stage: Stage) -> None:
    async with stage.client("mia") as mia, stage.client("max") as others:
        assert (await mia.get(f"{API}/me")).status_code == 200
        assert (await others.get(f"{API}/me")).status_code == 200
        began_at = time.monotonic()
        burst = asyncio.gather(*(mia.get(f"{API}/me") for _ in range(2000)))
        others_took = []
        while not burst.done():
            began = time.monotonic()
            answer = await others.get(f"{API}/me")
            others_took.append(time.monotonic() - began)
            assert answer.status_code == 200
            await asyncio.sleep(0.05)
        answers = await burst
        took = time.monotonic() - began_at
    statuses = [answer.status_code for answer in answers]
    refused = next(answer for answer in answers if answer.status_code == 429)

    assert 190 <= statuses.count(200) <= 200 + 50 * took + 1
    assert set(statuses) == {200, 429}
    assert refused.json()["type"] == "urn:tradewind:TooMany"
    assert int(refused.headers["retry-after"]) >= 1
    assert others_took


async def test_a_token_has_one_bucket_in_whatever_way_it_is_sent(stage: Stage) -> None:
    ways = [f"{'bearer' if number % 2 else 'Bearer'}{' ' * (number % 100 + 1)}{token_of('mia')}" for number in range(8)]
    ways += [f"Bearer {token_of('mia')}{' ' * 200}{number}" for number in range(8)]
    statuses = []
    async with stage.client() as stranger:
        for way in ways:
            for _ in range(100):
                statuses.append((await stranger.get(f"{API}/me", headers={"Authorization": way})).status_code)

    assert set(statuses) == {200, 429}
    assert statuses.count(200) < 1000


def test_made_up_tokens_share_the_bucket_of_their_address() -> None:
    limits = Limits(per_second=50, burst=200, now=lambda: 0.0)

    def asks(token: str, address: str) -> dict[str, Any]:
        return {"headers": [(b"authorization", token.encode())], "client": (address, 1)}

    limits.vouch(asks("good", "198.51.100.1"), "t-1")
    waits = [limits.take(asks(f"guess {number}", "198.51.100.1")) for number in range(400)]

    assert waits[:200] == [None] * 200
    assert all(wait is not None for wait in waits[200:])
    assert limits.take(asks("good", "198.51.100.1")) is None
    assert limits.take(asks("guess", "198.51.100.2")) is None


def test_who_has_a_network_of_addresses_has_one_bucket() -> None:
    limits = Limits(per_second=50, burst=200, now=lambda: 0.0)

    def asks(address: str) -> dict[str, Any]:
        return {"headers": [], "client": (address, 1)}

    waits = [limits.take(asks(f"2001:db8::{number:x}")) for number in range(400)]

    assert all(wait is not None for wait in waits[200:])
    assert limits.take(asks("2001:db8:0:1::1")) is None


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{" * 2_000_000, {"Content-Type": "application/json"}, 413),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"spec=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"\x1f\x8b\x08", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"[" * 100_000, {"Content-Type": "application/json"}, 400),
        (b"\xff\xfe", {"Content-Type": "application/json"}, 400),
        (b'{"spec": []}', {"Content-Type": "application/json"}, 400),
        (b"null", {"Content-Type": "application/json; charset=utf-8"}, 400),
    ],
)
async def test_a_body_that_cant_be_read_is_a_problem(
    stage: Stage, content: bytes, headers: dict[str, str], status: int
) -> None:
    async with stage.client("mia") as mia:
        answer = await mia.post(f"{LAB}/clusters", content=content, headers=headers)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


HOSTILE: list[dict[str, Any]] = [
    {"name": "'; DROP TABLE clusters; --"},
    {"name": "a\x00b"},
    {"name": "x" * 5000},
    {"name": "../../etc/passwd"},
    {"name": "<script>alert(1)</script>"},
    {"name": ""},
    {"workspace": "other"},
    {"provider": "local"},
    {"provider": "../fake"},
    {"environ": {"A": "\x00"}},
    {"environ": {"A=B": "1"}},
    {"tags": {"": "x"}},
    {"tags": {str(n): "x" for n in range(3000)}},
    {"region": "a b"},
    {"worker_threads": -1},
    {"budget": {"amount": "NaN", "currency": "USD"}},
    {"budget": {"amount": "1E+999999", "currency": "USD"}},
    {"budget": {"amount": "-5", "currency": "USD"}},
    {"budget": {"amount": "5", "currency": "🦄"}},
    {"scaling": {"minimum": 5, "initial": 1, "maximum": 3}},
    {"scaling": {"minimum": -1, "initial": 0, "maximum": 1}},
    {"scaling": {"minimum": 0, "initial": 0, "maximum": 10**18}},
    {"lifetimes": {"idle": "P999999999D"}},
    {"lifetimes": {"orphan": "P60D"}},
    {"lifetimes": {"total": "-PT1H"}},
    {"worker": {"cpus": {"minimum": 4, "maximum": 2}}},
    {"worker": {"memory": {"minimum": -1, "maximum": None}}},
    {"worker": {"gpus": -3}},
    {"worker": {"vm_types": ["; rm -rf /"]}},
    {"worker_options": {"a": 10**30}},
]


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: str(change)[:50])
async def test_a_wish_that_cant_be_is_refused_and_nothing_is_kept(stage: Stage, change: dict[str, Any]) -> None:
    wish = new()
    wish["spec"] |= change
    async with stage.client("mia") as mia:
        answer = await mia.post(f"{LAB}/clusters", json=wish)
        listed = await mia.get(f"{LAB}/clusters")

    assert answer.status_code == 400, answer.text
    assert listed.json()["items"] == []


@pytest.mark.parametrize("name", ["Zoë-σ", "データ", "a.b-c_d"])
async def test_names_of_all_languages_are_names(stage: Stage, name: str) -> None:
    async with stage.client("mia") as mia:
        made = await mia.post(f"{LAB}/clusters", json=new(name))
        found = await mia.get(f"{LAB}/clusters/{name}")

    assert made.status_code == 201
    assert found.json()["spec"]["name"] == name


@pytest.mark.parametrize(
    "path",
    [
        "../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "..",
        "%00",
        "a%0d%0aSet-Cookie:%20x=1",
        "%F0%9F%A6%84",
        "%ff",
        "x" * 3000,
        "' OR 1=1 --",
    ],
)
async def test_tricks_with_paths_find_nothing(stage: Stage, path: str) -> None:
    async with listening(stage) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        target = f"{LAB}/clusters/{path}/logs".replace(" ", "%20")
        head = (
            f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token_of('olga')}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))
    assert b"root:" not in answer
    assert b"\r\nSet-Cookie" not in answer


async def test_the_host_that_a_request_names_is_in_no_link(stage: Stage) -> None:
    async with stage.client("olga") as olga:
        answer = await olga.post(f"{LAB}/invitations", json={"role": "member"}, headers={"Host": "evil.example"})

    assert answer.status_code == 201
    assert "evil.example" not in answer.text


async def test_answers_forbid_what_browsers_would_allow(stage: Stage) -> None:
    async with stage.client("olga") as olga:
        answer = await olga.get(f"{API}/me", headers={"Origin": "https://evil.example"})

    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 401),
        ({"Origin": "https://127.0.0.1:8886"}, 401),
    ],
)
async def test_another_sites_page_cant_use_a_browsers_cookie(
    stage: Stage, headers: dict[str, str], status: int
) -> None:
    async with stage.client() as browser:
        answer = await browser.delete(f"{API}/me/tokens/x", headers={"Cookie": "tradewind=x", **headers})

    assert answer.status_code == status


async def test_a_fault_of_ours_is_told_without_its_story(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the secret word")

    monkeypatch.setattr(stage.shared.assembly.store, "list_clusters", fail)
    async with stage.client("mia") as mia:
        answer = await mia.get(f"{LAB}/clusters")

    assert answer.status_code == 500
    assert "secret word" not in answer.text
    assert "secret word" in caplog.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_the_log_names_the_request_and_no_secret(stage: Stage) -> None:
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.extend((Lines().format(record), JsonLines().format(record)))

    kept, logger = Kept(), logging.getLogger("tradewind")
    logger.addHandler(kept)
    before, _ = logger.level, logger.setLevel(logging.INFO)
    try:
        async with stage.client("mia") as mia:
            made = await mia.post(f"{LAB}/clusters", json=new("enso"))
            await mia.get(f"{LAB}/clusters/{made.json()['id']}/view?secret=hunter2")
    finally:
        logger.removeHandler(kept)
        logger.setLevel(before)

    told = "\n".join(lines)
    assert f"cluster={made.json()['id']}" in told
    assert f"request_id={made.headers['x-request-id']}" in told
    assert "user=mia" in told
    assert "workspace=lab" in told
    assert "hunter2" not in told
    assert token_of("mia") not in told


def test_a_line_of_the_log_is_one_line_whatever_was_sent() -> None:
    record = logging.LogRecord("tradewind", logging.INFO, "", 0, "GET %s", ("/a\n2027-01-01 info forged",), None)

    assert "\n" not in Lines().format(record)
    assert "\n" not in JsonLines().format(record)


def test_no_line_of_the_log_tells_a_terminal_what_to_do() -> None:
    record = logging.LogRecord("tradewind", logging.INFO, "", 0, "refused: %s", ("\x1b]0;mine\x07\x9b2J\u202e",), None)

    for line in (Lines().format(record), JsonLines().format(record)):
        assert not {"\x1b", "\x07", "\x9b"} & set(line)


async def test_a_body_that_drips_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "PATIENCE_S", 0.3)
    stage = await Stage.open(tmp_path, replace(Settings(), serve=ServeSettings(tls=False)))
    await stage.workspace("lab", {"olga": MemberRole.OWNER})

    head = (
        f"POST {LAB}/clusters HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token_of('olga')}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    )
    async with listening(stage) as url, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(head.encode())
        dripping = asyncio.create_task(drip(writer))
        answer = await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while await reader.read(1000):
                pass
        dripping.cancel()
        writer.close()
    await stage.aclose()

    assert answer.startswith(b"HTTP/1.1 408")


async def drip(writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then."""
    while True:
        writer.write(b" ")
        await asyncio.sleep(0.05)


async def test_a_line_without_a_request_is_cut(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "HEAD_PATIENCE_S", 0.3)
    async with listening(stage) as url:
        address = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
        silent, silent_writer = await asyncio.open_connection(*address)
        slow, slow_writer = await asyncio.open_connection(*address)
        slow_writer.write(b"GET / HTTP/1.1\r\nX-Drip:")
        ends = await asyncio.wait_for(asyncio.gather(silent.read(), slow.read()), 5)
        silent_writer.close()
        slow_writer.close()
        async with httpx.AsyncClient(base_url=url) as http:
            later = [await http.get("/healthz") for _ in range(2)]

    assert ends == [b"", b""]
    assert [answer.status_code for answer in later] == [200, 200]


async def test_a_head_that_is_too_large_is_refused(stage: Stage) -> None:
    async with listening(stage) as url, httpx.AsyncClient(base_url=url) as http:
        large = await http.get("/healthz", headers={"X-Large": "x" * 100_000})
        long = await http.get("/healthz?" + "x" * 20_000)

    assert (large.status_code, long.status_code) == (431, 414)


async def test_the_same_limit_set_by_many_at_once_is_set_once(stage: Stage) -> None:
    body = {"limit": {"amount": "5", "currency": "USD"}}
    async with stage.client("ana") as ana:
        answers = await asyncio.gather(*(ana.post(f"{LAB}/budgets", json=body) for _ in range(5)))
        kept = (await ana.get(f"{LAB}/budgets")).json()["items"]

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert len(kept) == 1


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-1", "1E12", "1E-400", "0E+999999", "0.0000000000001"])
async def test_an_amount_that_nobody_pays_is_no_limit(stage: Stage, amount: str) -> None:
    async with stage.client("ana") as ana:
        answer = await ana.post(f"{LAB}/budgets", json={"limit": {"amount": amount, "currency": "USD"}})

    assert answer.status_code == 400


async def test_the_same_key_creates_once(stage: Stage) -> None:
    async with stage.client("mia") as mia, stage.client("max") as others:
        key = {"Idempotency-Key": "k1"}
        first = await mia.post(f"{LAB}/clusters", json=new("enso"), headers=key)
        second = await mia.post(f"{LAB}/clusters", json=new("enso"), headers=key)
        another = await mia.post(f"{LAB}/clusters", json=new("other"), headers=key)
        theirs = await others.post(f"{LAB}/clusters", json=new("theirs"), headers=key)
        unusable = await mia.post(f"{LAB}/clusters", json=new("x"), headers={"Idempotency-Key": "k" * 300})

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert another.status_code == 400
    assert theirs.status_code == 201
    assert unusable.status_code == 400


async def test_twenty_at_once_with_one_key_create_once(stage: Stage) -> None:
    async with stage.client("mia") as mia:
        asks = (mia.post(f"{LAB}/clusters", json=new("enso"), headers={"Idempotency-Key": "k"}) for _ in range(20))
        answers = await asyncio.gather(*asks)
        listed = await mia.get(f"{LAB}/clusters")

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(listed.json()["items"]) == 1


async def test_what_was_refused_may_be_asked_again_with_its_key(stage: Stage) -> None:
    async with stage.client("mia") as mia:
        key = {"Idempotency-Key": "k"}
        await mia.post(f"{LAB}/clusters", json=new("enso"))
        refused = await mia.post(f"{LAB}/clusters", json=new("enso"), headers=key)
        await mia.delete(f"{LAB}/clusters/{(await mia.get(f'{LAB}/clusters/enso')).json()['id']}")
        for _ in range(100):
            if (await mia.get(f"{LAB}/clusters/enso")).status_code == 404:
                break
            await asyncio.sleep(0.1)
        later = await mia.post(f"{LAB}/clusters", json=new("enso"), headers=key)

    assert (refused.status_code, later.status_code) == (409, 201)


async def test_pages_of_a_list_hold_everything_once(stage: Stage) -> None:
    async with stage.client("mia") as mia:
        names = [f"c{number}" for number in range(5)]
        for name in names:
            await mia.post(f"{LAB}/clusters", json=new(name))
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await mia.get(f"{LAB}/clusters", params={"limit": 2, **cursor})).json()
            seen += [item["cluster"]["spec"]["name"] for item in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        unknown = await mia.get(f"{LAB}/clusters", params={"cursor": "made-up"})

    assert seen == names[::-1]
    assert unknown.status_code == 400


def test_every_error_has_a_status_of_its_own_or_of_its_parent() -> None:
    from tradewind import errors
    from tradewind.server import problems

    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]

    assert all(400 <= problems.status_of(kind) <= 599 for kind in kinds)
    assert wire.dump({"status": problems.status_of(errors.OverBudget)}) == {"status": 402}
