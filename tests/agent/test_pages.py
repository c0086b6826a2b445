"""The pages: who may ask, what they do, and what happens when nobody does."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings

import pytest
from distributed import Client
from distributed.core import Status
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

VERBS = [
    ("/v1/status", None),
    ("/v1/peek", None),
    ("/v1/retire", {"n": 1}),
    ("/v1/say", {"message": "x"}),
    ("/v1/close", {}),
]


@pytest.mark.parametrize("token", [None, "", "wrong", "a-token-for-test", "a-token-for-testss", "ä"])
async def test_without_the_token_nothing_is_said_or_done(rig, token):
    async with rig() as it:
        for path, body in [*VERBS, ("/elsewhere", None)]:
            assert await it.asker.ask(path, body, token=token) == (401, {"error": "Unauthorized"})
        assert list(it.scheduler.workers)
        assert it.scheduler.status is Status.running


async def test_a_page_tells_of_a_worker(rig):
    async with rig() as it:
        page = await it.asker.page()
        (worker,) = page.workers
        assert (worker.name, worker.status, worker.threads, worker.memory_limit) == ("w0", "running", 1, 2**30)
        assert worker.address == it.workers[0].address
        assert page.tasks_running == 0


async def test_the_certificate_is_refused_by_who_does_not_know_the_authority(rig):
    async with rig() as it:
        with pytest.raises(ssl.SSLError):
            await AsyncHTTPClient(force_instance=True).fetch(f"{it.agent.url}/v1/status")


async def test_adaptive_target_follows_the_duration_that_was_asked_for(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        futures = client.map(_sleep, [0.2] * 40, pure=False)
        await futures[0]
        few = await it.asker.page("?target_duration=1000")
        many = await it.asker.page("?target_duration=0.5")
        assert few.adaptive_target == 1
        assert many.adaptive_target > 3
        assert many.tasks_running > 30
        await client.cancel(futures)


async def test_pulling_keeps_a_scheduler_alive_and_silence_ends_it(rig):
    async with rig(orphan_timeout_s=1.5) as it:
        for _ in range(8):
            await it.asker.page()
            await asyncio.sleep(0.3)
        assert it.scheduler.status is Status.running
        async with asyncio.timeout(6):
            await it.scheduler.finished()
            await it.workers[0].finished()
        assert it.scheduler.status is Status.closed
        assert it.workers[0].status is Status.closed


async def test_silence_ends_a_scheduler_whose_history_cannot_be_read(rig):
    async with rig(orphan_timeout_s=1.5, workers=0) as it:
        it.scheduler.extensions["spans"].spans = None
        it.scheduler.transition_counter += 1
        assert (await it.asker.page()).computations == ()
        async with asyncio.timeout(6):
            await it.scheduler.finished()


async def test_asking_without_the_token_does_not_keep_a_scheduler_alive(rig):
    async with rig(orphan_timeout_s=1.5, workers=0) as it:
        async with asyncio.timeout(6):
            while it.scheduler.status is Status.running:
                try:
                    status, _ = await it.asker.ask("/v1/status", token="wrong")
                    assert status == 401
                except (OSError, HTTPClientError):  # it stopped listening, or ended in the middle of an answer
                    pass
                await asyncio.sleep(0.1)
            await it.scheduler.finished()


@pytest.mark.parametrize("look", ["/v1/peek", "/v1/status?renews=no", "/v1/status?renews=no&paid_for=60"])
async def test_a_look_that_does_not_renew_keeps_no_scheduler_alive(rig, look):
    async with rig(orphan_timeout_s=1.5, workers=0) as it:
        looks = 0
        async with asyncio.timeout(6):
            while it.scheduler.status is Status.running:
                try:
                    status, page = await it.asker.ask(look)
                    assert status == 200
                    assert page["tasks_running"] == 0
                    looks += 1
                except (OSError, HTTPClientError):  # it ended in the middle of an answer
                    pass
                await asyncio.sleep(0.1)
            await it.scheduler.finished()
        assert looks > 5


async def test_a_peek_tells_nothing_of_how_long_the_money_lasts(rig):
    async with rig(orphan_timeout_s=60, workers=0) as it:
        await it.asker.page("?paid_for=1.5")
        await it.asker.ask("/v1/peek")
        await it.asker.ask("/v1/status?renews=no&paid_for=60")
        async with asyncio.timeout(6):
            await it.scheduler.finished()


async def test_a_peek_sees_workers_and_work_and_no_computation(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        await client.submit(_double, 2)
        whole = await it.asker.page_when(lambda page: page.computations)
        status, page = await it.asker.ask("/v1/peek")
        assert status == 200
        assert [worker["name"] for worker in page["workers"]] == ["w0"]
        assert page["clients"] == whole.clients == 1
        assert (page["computations"], page["cursor"]) == ([], 0)


async def test_what_is_said_reaches_a_client_as_a_warning(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            answer = await it.asker.ask("/v1/say", {"message": "80 % of 10 USD is spent", "level": "warning"})
            await it.until(lambda: caught)
        assert answer == (200, {"told": 1})
        assert [str(warning.message) for warning in caught] == ["80 % of 10 USD is spent"]


async def test_what_is_said_as_info_is_printed(rig, capsys):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True):
        await it.asker.ask("/v1/say", {"message": "a worker was replaced"})
        shown = []
        await it.until(lambda: shown.append(capsys.readouterr().out) or "a worker was replaced\n" in "".join(shown))


async def test_retiring_by_name_moves_the_results_first(rig):
    async with rig(workers=2) as it, Client(it.scheduler.address, asynchronous=True) as client:
        futures = client.map(_double, range(10), workers=["w0"], allow_other_workers=False)
        await client.gather(futures)
        runs_before = sum(len(group) for group in it.scheduler.task_groups.values())
        assert await it.asker.ask("/v1/retire", {"workers": ["w0", "nobody"]}) == (
            200,
            {"retired": ["w0"], "retiring": []},
        )
        assert [worker.name for worker in it.scheduler.workers.values()] == ["w1"]
        assert await client.gather(futures) == [2 * n for n in range(10)]
        assert sum(len(group) for group in it.scheduler.task_groups.values()) == runs_before
        async with asyncio.timeout(5):
            await it.workers[0].finished()


async def test_retiring_some_takes_the_one_with_nothing_to_lose(rig):
    async with rig(workers=2) as it, Client(it.scheduler.address, asynchronous=True) as client:
        future = client.submit(bytes, 100_000, workers=["w0"])
        await future
        assert await it.asker.ask("/v1/retire", {"n": 1}) == (200, {"retired": ["w1"], "retiring": []})


async def test_the_last_worker_with_results_stays(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        future = client.submit(bytes, 1000)
        await future
        assert await it.asker.ask("/v1/retire", {"workers": ["w0"]}) == (200, {"retired": [], "retiring": []})
        assert (await it.asker.page()).workers[0].name == "w0"


async def test_close_answers_and_then_ends_the_scheduler(rig):
    async with rig() as it:
        assert await it.asker.ask("/v1/close", {"reason": "asked"}) == (200, {"closing": True})
        async with asyncio.timeout(5):
            await it.scheduler.finished()
            await it.workers[0].finished()
        with pytest.raises(OSError, match="refused"):
            await it.asker.ask("/v1/status")


NONSENSE = [
    ("/v1/say", b"{", "isn't JSON"),
    ("/v1/say", b"\xff\xfe", "isn't JSON"),
    ("/v1/say", b"[" * 60_000, "isn't JSON"),
    ("/v1/say", b"[]", "must be a JSON object"),
    ("/v1/say", b"{}", '"message" must be text'),
    ("/v1/say", b'{"message": {"message": "cnt"}}', '"message" must be text'),
    ("/v1/say", b'{"message": "x", "level": "%s"}', "one of info, warning"),
    ("/v1/retire", b"{}", "either"),
    ("/v1/retire", b'{"n": 1, "workers": []}', "either"),
    ("/v1/retire", b'{"n": -1}', "whole number"),
    ("/v1/retire", b'{"n": true}', "whole number"),
    ("/v1/retire", b'{"workers": "w0"}', "list of names"),
    ("/v1/close", b'{"reason": 1}', "must be text"),
]


async def test_a_request_that_makes_no_sense_gets_a_sentence(rig):
    async with rig() as it:
        for path, raw, says in NONSENSE:
            status, answer = await it.asker.ask(path, raw=raw)
            assert status == 400
            assert says in answer["error"]
        assert it.scheduler.status is Status.running


@pytest.mark.parametrize("query", ["?since=x", "?since=-1", "?since=nan", "?target_duration=inf"])
async def test_a_query_that_makes_no_sense_gets_a_sentence(rig, query):
    async with rig(workers=0) as it:
        status, answer = await it.asker.ask(f"/v1/status{query}")
        assert status == 400
        assert "must be a number" in answer["error"]


async def test_a_huge_body_is_refused(rig):
    async with rig(workers=0) as it:
        context = it.asker.context
        reader, writer = await asyncio.open_connection(*_host_and_port(it.agent.url), ssl=context)
        writer.write(b"POST /v1/say HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        writer.close()


async def test_somebody_who_connects_and_is_silent_holds_nobody_up(rig):
    async with rig(workers=0) as it:
        with socket.create_connection(_host_and_port(it.agent.url)):
            async with asyncio.timeout(3):
                await it.asker.page()


async def test_the_token_and_the_key_are_in_no_repr(rig, keys):
    async with rig(workers=0) as it:
        shown = repr(it.agent.settings) + repr(vars(it.agent))
        assert it.asker.agent.settings.token.reveal() not in shown
        assert "PRIVATE" not in shown


def _host_and_port(url):
    host, port = url.removeprefix("https://").split(":")
    return host, int(port)


def _double(n):
    return 2 * n


def _sleep(seconds):
    import time

    time.sleep(seconds)
