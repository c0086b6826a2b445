"""How credentials go from a client to workers, over real comms."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from distributed import Client, Scheduler, Worker
from distributed.core import rpc
from distributed.protocol import to_serialize

from tradewind.agent.credentials import HAND_OVER, Held, Taken
from tradewind.boot.credentials.grant import Grant
from tradewind.boot.credentials.tokens import as_variables

SECRET = "canary-in-the-mine"  # noqa: S105
HERE = "127.0.0.1"
NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_variables() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    async with Scheduler(host=HERE, port=0, dashboard_address=f"{HERE}:0", dashboard=False) as scheduler:
        Held(scheduler)
        yield scheduler


@pytest.fixture
async def taken() -> AsyncIterator[Taken]:
    """What no worker has, so that nobody closes its doors but we."""
    taken = Taken()
    yield taken
    await taken.teardown(cast("Worker", None))


def worker(scheduler: Scheduler) -> Worker:
    return Worker(scheduler.address, host=HERE, nthreads=1, plugins=(Taken(),))


def sealed(*grants: Grant) -> dict[str, Any]:
    return {grant.name: to_serialize(grant) for grant in grants}


def variables(**values: str) -> Grant:
    return as_variables("-".join(values), values, now=NOW)


async def hand_over(scheduler: Scheduler, *grants: Grant) -> dict[str, Any]:
    async with rpc(scheduler.address) as line:
        return dict(await getattr(line, HAND_OVER)(grants=sealed(*grants)))


async def test_workers_that_are_there_have_them_when_handing_over_returns(scheduler: Scheduler) -> None:
    async with worker(scheduler):
        assert await hand_over(scheduler, variables(MY_TOKEN=SECRET)) == {"workers": 1, "failed": {}}
        assert os.environ["MY_TOKEN"] == SECRET


async def test_a_worker_that_comes_later_has_them_before_it_joins(scheduler: Scheduler) -> None:
    await hand_over(scheduler, variables(LATER_TOKEN=SECRET))
    joined = asyncio.Event()

    class Sees(Taken):
        async def setup(self, worker: Worker) -> None:
            await super().setup(worker)
            assert not scheduler.workers
            assert os.environ["LATER_TOKEN"] == SECRET
            joined.set()

    async with Worker(scheduler.address, host=HERE, nthreads=1, plugins=(Sees(),)):
        assert joined.is_set()


async def test_what_comes_while_a_worker_joins_is_there_before_its_first_task(scheduler: Scheduler) -> None:
    class HandedMeanwhile(Taken):
        async def setup(self, worker: Worker) -> None:
            await super().setup(worker)
            await hand_over(scheduler, variables(RACED_TOKEN=SECRET))

    async with Client(scheduler.address, asynchronous=True) as client:
        waiting = client.submit(os.getenv, "RACED_TOKEN")
        async with Worker(scheduler.address, host=HERE, nthreads=1, plugins=(HandedMeanwhile(),)):
            assert await waiting == SECRET


async def test_a_renewal_replaces_and_leaves_the_others(scheduler: Scheduler) -> None:
    async with worker(scheduler):
        await hand_over(scheduler, variables(ONE_TOKEN="first"), variables(OTHER_TOKEN="stays"))
        await hand_over(scheduler, variables(ONE_TOKEN="second"))
        assert (os.environ["ONE_TOKEN"], os.environ["OTHER_TOKEN"]) == ("second", "stays")


async def test_a_worker_of_a_scheduler_that_knows_no_credentials_still_works() -> None:
    async with (
        Scheduler(host=HERE, port=0, dashboard_address=f"{HERE}:0", dashboard=False) as bare,
        worker(bare),
        Client(bare.address, asynchronous=True) as client,
    ):
        assert await client.submit(sum, [1, 2]) == 3


async def test_a_worker_that_can_take_none_is_named(scheduler: Scheduler) -> None:
    async with Worker(scheduler.address, host=HERE, nthreads=1) as stranger:
        answer = await hand_over(scheduler, variables(MY_TOKEN=SECRET))
    assert answer["workers"] == 0
    assert list(answer["failed"]) == [stranger.address]


async def test_neither_logs_nor_dumps_nor_what_dask_says_of_itself_shows_them(
    scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)  # Dask writes every message down at this level
    logging.getLogger("distributed").setLevel(logging.DEBUG)
    async with worker(scheduler), worker(scheduler), Client(scheduler.address, asynchronous=True) as client:
        await hand_over(scheduler, variables(MY_TOKEN=SECRET))
        async with worker(scheduler):
            dump = await scheduler.get_cluster_state(exclude=())
            told = [
                caplog.text,
                repr(dump),
                repr(vars(scheduler)),
                json.dumps(scheduler.identity(), default=repr),
                repr(await client.get_worker_logs()),
                repr(await client.get_events()),
                repr([vars(plugin) for plugin in scheduler.plugins.values()]),
            ]
    assert "Message from" in caplog.text, "messages were written down"
    assert HAND_OVER in caplog.text
    assert [len(text) for text in told if SECRET in text] == []


class StandsStill(Taken):
    """A worker that doesn't get to anything for a time."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = asyncio.Event()

    async def take(self, grants: Mapping[str, Grant], rounds: Mapping[str, int]) -> dict[str, str]:
        await self.goes_on.wait()
        return await super().take(grants, rounds)


async def test_a_worker_that_stands_still_holds_no_renewal_up_and_has_the_newest_when_it_goes_on() -> None:
    still = StandsStill()
    async with Scheduler(host=HERE, port=0, dashboard_address=f"{HERE}:0", dashboard=False) as scheduler:
        Held(scheduler, within_s=0.3)
        async with Worker(scheduler.address, host=HERE, nthreads=1, plugins=(still,)) as stuck:
            async with asyncio.timeout(5):
                for value in ("first", "second"):
                    answer = await hand_over(scheduler, variables(STILL_TOKEN=value))
            assert list(answer["failed"]) == [stuck.address]
            assert "gets them when it does" in answer["failed"][stuck.address]
            assert "STILL_TOKEN" not in os.environ
            still.goes_on.set()
            async with asyncio.timeout(5):
                while os.environ.get("STILL_TOKEN") != "second":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize("order", [(1, 2), (2, 1), (2, 2, 1)])
async def test_the_newest_of_a_name_wins_in_whatever_order_they_come(taken: Taken, order: tuple[int, ...]) -> None:
    grants = {number: variables(ORDER_TOKEN=f"round {number}") for number in (1, 2)}
    await asyncio.gather(*(taken.take({"order": grants[n]}, {"order": n}) for n in order))
    assert os.environ["ORDER_TOKEN"] == "round 2"


async def test_what_is_older_of_one_name_does_not_keep_what_is_newer_of_another(taken: Taken) -> None:
    await taken.take({"one": variables(ONE_TOKEN="new")}, {"one": 5})
    await taken.take({"one": variables(ONE_TOKEN="old"), "two": variables(TWO_TOKEN="there")}, {"one": 3, "two": 4})
    assert (os.environ["ONE_TOKEN"], os.environ["TWO_TOKEN"]) == ("new", "there")
