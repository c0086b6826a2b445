"""One of several servers on one store, with ways to die that a test chooses."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial, wraps
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

import tradewind.engine.engine
import tradewind.engine.shared
from tradewind.config import FakeSettings, ServeSettings, Settings
from tradewind.engine.clock import SteadyClock
from tradewind.errors import StoreError
from tradewind.providers.fake import RemoteFakeProvider
from tradewind.providers.local import LocalProvider
from tradewind.server.operation import Operation
from tradewind.server.run import Started, serve
from tradewind.store.sql.transactions import Transactions
from tradewind.store.store import Store

STARTING_S = 0.4
"""From the begin of an instance's bill until Dask is up, as the world is told and as its door promises."""
STEPS = (
    "due",
    "take_due",
    "take_lease",
    "renew_leases",
    "load",
    "save",
    "create_cluster",
    "change_intent",
    "launch",
    "observe",
    "terminate",
)
"""Where a replica can be told to die, before or after; besides "turn", any turn of the event loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """What one is made from."""

    port: int
    store: str
    world: str
    directory: str
    provider: str = "fake"
    clock_offset_s: float = 0.0
    """How far its clock is ahead of the machine's."""
    disk_delay_s: float = 0.0
    """The longest time that a transaction waits before it begins, as on a slow disk."""
    sweep_s: float = 10.0
    dies_at: str = ""
    """One of :data:`STEPS`, "turn", or an operation of the server, as "clusters.create"; empty lives on.

    In an operation it dies before the first await, at each (what it waits for is under way), after each (that is
    done, and nobody has learnt of it), or at the end, when the answer isn't sent.
    """
    dies_by: str = "SIGKILL"
    """Or by SIGSTOP: then it stands still there, until somebody lets it go on."""
    dies_after: bool = False
    """Whether the step is done first."""
    dies_count: int = 1
    """At which time."""


class WrongClock(SteadyClock):
    """Steady, and off by a constant, as that of a machine without NTP."""

    def __init__(self, offset_s: float) -> None:
        super().__init__()
        self._offset = timedelta(seconds=offset_s)

    def now(self) -> datetime:
        return super().now() + self._offset


class Stepped(Awaitable[Response]):
    """A coroutine that tells of each of its steps."""

    def __init__(self, inner: Coroutine[Any, Any, Response], step: Callable[[], None]) -> None:
        self._inner = inner
        self._step = step

    def __await__(self) -> Generator[Any, Any, Response]:
        """Run it, and tell before the first await, when each begins to wait, when it goes on, and at the end."""
        steps = self._inner.__await__()
        go_on: Callable[[], Any] = partial(next, steps)
        self._step()
        while True:
            try:
                awaited = go_on()
            except StopIteration as end:
                self._step()
                answer: Response = end.value
                return answer
            self._step()
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - a cancellation, too, is the coroutine's to deal with
                go_on = partial(steps.throw, error)
            else:
                self._step()
                go_on = partial(next, steps)


async def run(replica: Replica) -> None:
    """Serve until killed, or told to leave by SIGTERM."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(name)s %(message)s")
    tradewind.engine.engine.SWEEP = timedelta(seconds=replica.sweep_s)
    tradewind.engine.shared.SteadyClock = lambda: WrongClock(replica.clock_offset_s)  # type: ignore[misc, assignment]
    if replica.disk_delay_s:
        dice = random.Random(replica.port)
        for kind in ("read", "write"):
            _wrap(Transactions, kind, lambda: _rest(dice.uniform(0, replica.disk_delay_s)), None)
    _doom(replica)
    often = ServeSettings(
        port=replica.port, tls=False, providers=(replica.provider,), requests_per_second=10_000.0, burst=10_000
    )
    settings = Settings(store=replica.store, serve=often, fake=FakeSettings(world=replica.world, latency_s=STARTING_S))
    # A service is started anew for as long as its database doesn't answer.
    while True:
        try:
            await serve(settings, Path(replica.directory), _told)
        except StoreError:
            await asyncio.sleep(0.2)
        else:
            return


def _told(started: Started) -> None:
    """Nobody reads where it serves: who started it knows."""


async def _rest(seconds: float) -> None:
    await asyncio.sleep(seconds)


def _doom(replica: Replica) -> None:
    """Let the replica be killed at the step it was told, as by kill -9: nothing is cleaned up."""
    if not replica.dies_at:
        return
    left = replica.dies_count

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.Signals[replica.dies_by])
            time.sleep(0.01)  # the signal comes at once, but not within this very instruction

    if replica.dies_at == "turn":
        turn = asyncio.events.Handle._run

        def counted(handle: asyncio.events.Handle) -> None:
            count()
            turn(handle)

        asyncio.events.Handle._run = counted  # type: ignore[method-assign]
        return

    if "." in replica.dies_at:
        answer_to = Operation.answer_to

        async def stepped(operation: Operation, request: Request) -> Response:
            steps = answer_to(operation, request)
            return await (Stepped(steps, count) if operation.name == replica.dies_at else steps)

        Operation.answer_to = stepped  # type: ignore[method-assign]
        return

    async def die() -> None:
        count()

    provider = RemoteFakeProvider if replica.provider == "fake" else LocalProvider
    where = Store if hasattr(Store, replica.dies_at) else provider
    _wrap(where, replica.dies_at, *((None, die) if replica.dies_after else (die, None)))


def _wrap(thing: type, verb: str, before: Any, after: Any) -> None:
    inner = getattr(thing, verb)
    if verb == "launch":

        async def launch(*args: Any, **kwargs: Any) -> Any:
            if before is not None:
                await before()
            async for handle in inner(*args, **kwargs):
                if after is not None:
                    await after()
                yield handle

        setattr(thing, verb, launch)
        return

    @wraps(inner)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            await before()
        answer = await inner(*args, **kwargs)
        if after is not None:
            await after()
        return answer

    setattr(thing, verb, wrapped)
