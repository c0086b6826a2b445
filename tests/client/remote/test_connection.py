"""A line to a server: what is asked again and what isn't, and in what words it fails."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from datetime import timedelta

import pytest

from tests.client.servers import OURS, Replies, certificate_of, new_authority, ours, problem, serving
from tradewind.client.remote import connection as lines
from tradewind.client.remote.connection import Connection, Interrupted, Question, path
from tradewind.errors import BadRequest, NotFound, ServerError, SignInNeeded, TooMany, TradewindError, Unavailable
from tradewind.model.secret import Secret

GET = Question(method="GET", path="things")
CREATE = Question(method="POST", path="things", body=b"{}", key="k-1")
PATCH = Question(method="PATCH", path="things", body=b"{}")
CUT = lambda: None  # noqa: E731 - a reply like the others


@pytest.fixture(autouse=True)
def short_rests(monkeypatch):
    monkeypatch.setattr(lines, "FIRST_REST_S", 0.001)


def ask(replies, question=GET, kind=dict, **options):
    with serving(replies) as url:
        connection = Connection(url, **options)
        try:
            return connection.ask_here(question, kind)
        finally:
            connection.close()


def broken(whole: bytes, told: dict[str, str] = OURS):
    """Return a reply that ends in the middle."""
    return (200, {**told, "Content-Length": str(len(whole) + 7)}, whole)


def download(replies, to):
    with serving(replies) as url:
        connection = Connection(url)
        try:
            asyncio.run(connection.download("export", to))
        finally:
            connection.close()


@pytest.mark.parametrize("breaks", [[], ["begin"], ["middle"], ["middle", "begin"], ["middle", "middle"]])
def test_a_download_that_breaks_is_begun_anew_and_the_file_is_whole(tmp_path, breaks):
    replies = Replies(
        ours({}), *(CUT if where == "begin" else broken(b"a half" * 9) for where in breaks), (200, OURS, b"all of it")
    )
    download(replies, tmp_path / "export.csv")

    assert (tmp_path / "export.csv").read_bytes() == b"all of it"
    assert [asked[1] for asked in replies.asked] == ["/api/v1/me", *["/api/v1/export"] * (len(breaks) + 1)]


def test_a_download_that_breaks_three_times_is_given_up_in_words(tmp_path):
    replies = Replies(ours({}), broken(b"a half"))
    with pytest.raises(
        Interrupted, match=r"was cut .* broke 3 times, .* isn't whole: try again later, or ask for less"
    ):
        download(replies, tmp_path / "export.csv")

    assert len(replies.asked) == 1 + 3


def test_a_download_that_is_refused_is_asked_for_once(tmp_path):
    replies = Replies(ours({}), problem("Forbidden", 403, "ask an owner"))
    with pytest.raises(TradewindError, match="ask an owner"):
        download(replies, tmp_path / "export.csv")

    assert len(replies.asked) == 2
    assert not (tmp_path / "export.csv").exists()


def test_a_download_that_nobody_waits_for_any_more_is_not_begun_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "FIRST_REST_S", 5.0)
    asked = threading.Event()

    def breaks():
        asked.set()
        return broken(b"a half")

    replies = Replies(ours({}), breaks)
    with serving(replies) as url:
        connection = Connection(url)

        async def give_up() -> None:
            download = asyncio.ensure_future(connection.download("export", tmp_path / "export.csv"))
            await asyncio.to_thread(asked.wait, 10)
            download.cancel()
            await asyncio.gather(download, return_exceptions=True)

        asyncio.run(give_up())
        began = time.monotonic()
        connection.close()
    assert time.monotonic() - began < 2
    assert len(replies.asked) == 2


def test_questions_share_one_line_and_say_who_asks():
    replies = Replies(ours({"a": 1}))
    with serving(replies) as url:
        connection = Connection(url, lambda: Secret("tw_x"))
        assert [connection.ask_here(GET, dict) for _ in range(3)] == [{"a": 1}] * 3
        connection.close()
    assert replies.lines == 1
    assert replies.asked[0][1] == "/api/v1/things"
    assert replies.asked[0][2]["authorization"] == "Bearer tw_x"


@pytest.mark.parametrize(
    ("question", "reply", "times"),
    [
        (GET, CUT, 2),
        (CREATE, CUT, 2),
        (PATCH, CUT, 1),
        (GET, (502, {}, b"<html>bad gateway</html>"), 2),
        (CREATE, (504, {}, b""), 2),
        (PATCH, (502, {}, b""), 1),
        (PATCH, problem("TooMany", 429, "slowly", Retry_After="0"), 2),
        (GET, problem("StoreError", 503, "the store is away", Retry_After="0"), 2),
        (GET, problem("NoCapacity", 503, "all taken"), 1),
        (GET, problem("NotFound", 404, "there is none"), 1),
    ],
    ids=lambda value: str(value)[:40],
)
def test_it_is_asked_again_only_where_that_can_do_no_harm(question, reply, times):
    replies = Replies(reply, ours({}))
    try:
        ask(replies, question)
    except TradewindError:
        assert times == 1
    assert len(replies.asked) == times
    assert {told.get("idempotency-key") for _, _, told, _ in replies.asked} == {question.key}


def test_it_gives_up_after_some_tries():
    replies = Replies(CUT)
    with pytest.raises(Interrupted, match="was cut"):
        ask(replies)
    assert len(replies.asked) == lines.TRIES


def test_a_server_that_asks_for_a_long_rest_is_not_asked_again():
    replies = Replies(problem("TooMany", 429, "too often", Retry_After="60"))
    with pytest.raises(TooMany, match="too often") as caught:
        ask(replies)
    assert caught.value.retry_after == timedelta(seconds=60)
    assert len(replies.asked) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (problem("NotFound", 404, "there is no cluster 'x'"), NotFound, "no cluster 'x'"),
        (problem("BadRequest", 400, "n_workers=-1"), BadRequest, "n_workers"),
        (problem("Unavailable", 502, "the cloud is away"), Unavailable, "cloud"),
        (problem("SignInNeeded", 401, "revoked; tradewind login URL"), SignInNeeded, "tradewind login http://127"),
        (problem("Exception", 400, "an evil name"), ServerError, "an evil name"),
        (problem("timedelta", 400, "not an error"), ServerError, "not an error"),
        (problem("ServerError", 500, "a fault"), ServerError, "request r-1"),
        (problem("BadRequest", 400, "\x1b[2Jgone"), BadRequest, "\ufffd\\[2Jgone"),
        ((200, {"Content-Type": "text/html"}, b"<html>hello</html>"), ServerError, "not as a Tradewind server"),
        ((404, {"Content-Type": "text/html"}, b"<html>no page</html>"), ServerError, "is the address right"),
        ((302, {"Location": "https://elsewhere/"}, b""), ServerError, "sends us to https://elsewhere/"),
        ((200, {**OURS, "Tradewind-Version": "9.1.0"}, b"[]"), ServerError, "tradewind==9.1.0"),
        ((200, OURS, b"[]"), ServerError, "isn't in the books"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_goes_wrong_is_one_of_our_errors_in_words(reply, kind, words):
    with pytest.raises(kind, match=words) as caught:
        ask(Replies(reply))
    assert type(caught.value) is kind


def test_nobody_there_is_said_with_the_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ServerError, match=f"nobody answers at {url}"):
        Connection(url).ask_here(GET, dict)


def test_a_server_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(lines, "ANSWER_S", 0.05)
    silent = threading.Event()

    def wait():
        silent.wait(5)

    with pytest.raises(Interrupted, match="didn't answer within"):
        ask(Replies(wait), PATCH)
    silent.set()


def test_an_endless_answer_is_refused(monkeypatch):
    monkeypatch.setattr(lines, "BODY_LIMIT", 1000)
    with pytest.raises(ServerError, match="more than"):
        ask(Replies(ours("x" * 2000)))


def test_a_token_that_is_no_good_any_more_is_renewed_once():
    replies = Replies(problem("SignInNeeded", 401, "expired"), ours({}))
    seen = []

    def renew(used):
        seen.append(used)
        return Secret("tw_new")

    ask(replies, token=lambda: Secret("tw_old"), renew=renew)
    assert [told["authorization"] for _, _, told, _ in replies.asked] == ["Bearer tw_old", "Bearer tw_new"]
    assert seen == [Secret("tw_old")]
    with pytest.raises(SignInNeeded):
        ask(Replies(problem("SignInNeeded", 401, "expired")), renew=renew)


async def test_closing_ends_whoever_waits():
    silent = threading.Event()
    with serving(Replies(lambda: silent.wait(20) and None)) as url:
        connection = Connection(url)
        asked = asyncio.create_task(connection.ask(Question(method="GET", path="x", wait_s=20), dict))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await asyncio.to_thread(connection.close)
        with pytest.raises(ServerError):
            await asked
        assert time.monotonic() - began < 2
        with pytest.raises(ServerError, match="was closed"):
            await connection.ask(GET, dict)
        silent.set()


def test_a_pinned_authority_vouches_for_its_server_and_no_other_does(tmp_path):
    mine, other = new_authority("mine"), new_authority("other")
    for authority, words in ((None, "nothing on this machine vouches"), (other, "another certificate than")):
        with (
            serving(Replies(ours({})), certificate_of(mine, tmp_path)) as url,
            pytest.raises(ServerError, match=words),
        ):
            Connection(url, authority=authority and authority.certificate).ask_here(GET, dict)
    replies = Replies(ours({}))
    with serving(replies, certificate_of(mine, tmp_path)) as url:
        connection = Connection(url, lambda: Secret("tw_x"), authority=mine.certificate)
        assert connection.ask_here(GET, dict) == {}
        connection.close()


def test_names_in_a_path_stay_names():
    assert path("clusters", "../me", live=True, cursor=None) == "clusters/..%2Fme?live=true"
    assert path("clusters", "a b?c#d&é", lines=5) == "clusters/a%20b%3Fc%23d%26%C3%A9?lines=5"
