"""The loop: at its time, at once when poked, and never stopped by a fault of one cluster."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.engine.stage import Stage, is_running
from tradewind.engine.clock import SteadyClock
from tradewind.engine.engine import Engine
from tradewind.engine.rounds.rounds import Rounds
from tradewind.errors import NotFound, StoreError, Unavailable
from tradewind.server.logs import JsonLines
from tradewind.store.records import Lease

SOON = 2.0


class Looks:
    """Stands where rounds do, with all that they remember, and notes who is looked at."""

    holder = "A"

    def doubt(self, cluster_id: str) -> None:
        """Nothing is remembered here."""

    def grant(self, lease: Lease) -> None:
        """Nothing is remembered here."""

    def hint(self) -> None:
        """Nothing is remembered here."""

    def left_to_others(self, now: object) -> tuple[str, ...]:
        """Everything can be looked after here."""
        return ()

    async def renew(self) -> tuple[str, ...]:
        return ()

    def __init__(self, clock: SteadyClock, look: Callable[[str], Coroutine[Any, Any, None]] | None = None) -> None:
        self.clock = clock
        self.leases = self.lookout = self
        self.seen: list[str] = []
        self.look = look

    async def round(self, cluster_id: str, *, afresh: bool = True) -> Any:
        self.seen.append(cluster_id)
        if self.look is not None:
            await self.look(cluster_id)
        return self.clock.now() + timedelta(hours=1)


class Due:
    """Stands where the store does, and knows who is due."""

    def __init__(self, *answers: tuple[str, ...] | Exception) -> None:
        self.answers = list(answers)

    async def due(self, now: object, limit: int, holder: str, without: tuple[str, ...]) -> tuple[str, ...]:
        if isinstance(self.answers[0], Exception):
            raise self.answers[0]
        return ("something",)

    async def take_due(
        self, now: datetime, holder: str, until: datetime, limit: int, without: tuple[str, ...]
    ) -> tuple[Lease, ...]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return tuple(Lease(cluster_id=each, holder=holder, epoch=1, until=until) for each in answer)


@asynccontextmanager
async def started(looks: Looks, due: Due) -> AsyncIterator[Engine]:
    engine = Engine(looks, due, looks.clock)  # type: ignore[arg-type]
    engine.start()
    try:
        yield engine
    finally:
        await engine.aclose()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110 - what is waited for knows nothing of events
            await asyncio.sleep(0.005)


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


async def test_what_is_due_is_looked_at_at_once(clock: SteadyClock) -> None:
    looks = Looks(clock)
    async with started(looks, Due(("c1", "c2"))):
        await until(lambda: looks.seen == ["c1", "c2"])


async def test_a_poke_is_a_look_at_once(clock: SteadyClock) -> None:
    looks = Looks(clock)
    async with started(looks, Due(())) as engine:
        await asyncio.sleep(0.02)
        engine.poke("c1")
        await until(lambda: looks.seen == ["c1"])
        engine.poke()
        await until(lambda: looks.seen == ["c1", "c1"])


async def test_a_poke_in_the_middle_of_a_round_leads_to_another_after_it(clock: SteadyClock) -> None:
    go_on = asyncio.Event()

    async def look(cluster_id: str) -> None:
        await go_on.wait()

    looks = Looks(clock, look)
    async with started(looks, Due(())) as engine:
        engine.poke("c1")
        await until(lambda: looks.seen == ["c1"])
        engine.poke("c1")
        engine.poke("c1")
        await asyncio.sleep(0.02)
        assert looks.seen == ["c1"], "never two rounds of one cluster at a time"
        go_on.set()
        await until(lambda: looks.seen == ["c1", "c1"])
        await asyncio.sleep(0.02)
        assert looks.seen == ["c1", "c1"]


@pytest.mark.parametrize(
    "error", [Unavailable("away"), StoreError("full"), ZeroDivisionError("ours"), NotFound("gone")]
)
async def test_a_fault_in_one_cluster_does_not_stop_the_others(clock: SteadyClock, error: Exception) -> None:
    async def look(cluster_id: str) -> None:
        if cluster_id == "bad":
            raise error

    looks = Looks(clock, look)
    async with started(looks, Due(("bad", "good"), ())) as engine:
        await until(lambda: {"bad", "good"} <= set(looks.seen))
        engine.poke("good")
        await until(lambda: looks.seen.count("good") == 2)
        assert looks.seen.count("bad") == 1, "it is left alone for a while"


@pytest.mark.parametrize("error", [StoreError("full"), ZeroDivisionError("ours")])
async def test_a_store_that_can_not_be_read_does_not_end_the_loop(clock: SteadyClock, error: Exception) -> None:
    looks = Looks(clock)
    async with started(looks, Due(error)) as engine:
        await asyncio.sleep(0.02)
        engine.poke("c1")
        await until(lambda: looks.seen == ["c1"])


async def test_what_is_due_again_in_the_middle_of_its_round_is_looked_at_after_it(clock: SteadyClock) -> None:
    go_on = asyncio.Event()

    async def look(cluster_id: str) -> None:
        await go_on.wait()

    looks = Looks(clock, look)
    async with started(looks, Due(("c1",), ("c1",), ())):
        await asyncio.sleep(1.1)  # a second scan: somebody wrote, since taking it had put it off
        assert looks.seen == ["c1"], "never two rounds of one cluster at a time"
        go_on.set()
        await asyncio.sleep(0.05)
        assert looks.seen == ["c1", "c1"]


async def test_each_line_of_the_log_about_a_cluster_says_which(clock: SteadyClock) -> None:
    lines: list[dict[str, Any]] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(JsonLines().format(record)))

    async def look(cluster_id: str) -> None:
        raise Unavailable("away")

    kept, logger = Kept(), logging.getLogger("tradewind")
    logger.addHandler(kept)
    try:
        looks = Looks(clock, look)
        async with started(looks, Due(("c1", "c2"), ())):
            await until(lambda: len(lines) == 2)
    finally:
        logger.removeHandler(kept)

    assert {line["cluster"] for line in lines} == {"c1", "c2"}


async def test_an_engine_that_closes_finishes_its_rounds_and_begins_no_others(clock: SteadyClock) -> None:
    finished: list[str] = []

    async def look(cluster_id: str) -> None:
        await asyncio.sleep(0.05)
        finished.append(cluster_id)

    looks = Looks(clock, look)
    async with started(looks, Due(())) as engine:
        engine.poke("c1")
        await until(lambda: looks.seen == ["c1"])
        await engine.aclose()
        assert finished == ["c1"]
        engine.poke("c1")
        await asyncio.sleep(0.02)
    assert looks.seen == ["c1"]


async def test_who_waits_for_a_change_is_told_when_a_round_is_done(clock: SteadyClock) -> None:
    looks = Looks(clock)
    async with started(looks, Due(())) as engine:
        waiting = asyncio.create_task(engine.changed(10))
        await asyncio.sleep(0)
        engine.poke("c1")
        async with asyncio.timeout(SOON):
            await waiting
        await engine.changed(0.01)


async def test_real_rounds_bring_a_cluster_up(stage: Stage) -> None:
    await stage.create()
    rounds: Rounds = stage.engine()
    engine = Engine(rounds, stage.store, stage.clock)
    engine.start()
    async with asyncio.timeout(10):
        while not is_running(await stage.store.get_cluster("c1")):
            engine.poke("c1")
            await engine.changed(0.05)
            stage.clock.advance(1)
    await engine.aclose()
    assert len(stage.world.machines) == 3
