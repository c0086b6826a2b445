"""One of several servers on one store, with ways to die that a test chooses."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

import tradewind.engine.engine
from tradewind.engine.clock import SteadyClock
from tradewind.engine.engine import Engine
from tradewind.engine.identity import is_dead, new_id, this_process
from tradewind.engine.link import HttpAgentLink
from tradewind.engine.rounds import Rounds
from tradewind.engine.service import Service
from tradewind.errors import TradewindError
from tradewind.model.cluster import ClusterSpec, Lifetimes, Scaling
from tradewind.model.people import Caller, MemberRole
from tradewind.providers.base import Provider, ProviderSettings
from tradewind.providers.registry import open_provider
from tradewind.store.store import Store

INSTALLATION = "chaos"
WORKSPACE = "chaos"
LONG = Lifetimes(
    idle=timedelta(days=1), no_client=timedelta(days=1), orphan=timedelta(hours=2), start=timedelta(minutes=5)
)
"""Nothing ends for another reason than that somebody ended it: what leaks must stay to be seen."""
STEPS = ("due", "take_lease", "load", "save", "create_cluster", "change_intent", "launch", "observe", "terminate")
"""Where a replica can be told to die, before or after; besides "turn", any turn of the event loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """What one is made from."""

    port: int
    store: str
    world: str
    clock_offset_s: float = 0.0
    """How far its clock is ahead of the machine's."""
    disk_delay_s: float = 0.0
    """The longest time that a transaction waits before it begins, as on a slow disk."""
    sweep_s: float = 10.0
    dies_at: str = ""
    """One of :data:`STEPS` or "turn"; empty lives on."""
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


async def run(replica: Replica) -> None:
    """Look after clusters and answer who asks, until killed or told to leave by SIGTERM."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(message)s")
    tradewind.engine.engine.SWEEP = timedelta(seconds=replica.sweep_s)
    clock = WrongClock(replica.clock_offset_s)
    store = await _opened(replica.store)
    for lease in await store.leases():
        if is_dead(lease.holder):
            await store.release_lease(lease)
    settings = ProviderSettings(installation=INSTALLATION, state_directory="", options={"world": replica.world})
    provider = open_provider("fake", settings)
    _slow(store, replica)
    _doomed(store, provider, replica)

    def provider_of(name: str) -> Provider:
        return provider

    rounds = Rounds(
        store=store,
        provider_of=provider_of,
        link=HttpAgentLink(),
        clock=clock,
        new_id=new_id,
        installation=INSTALLATION,
        holder=this_process(),
    )
    engine = Engine(rounds, store, clock)
    caller = Caller(user_id="u", user="ada", workspace=WORKSPACE, role=MemberRole.OWNER)
    token = secrets.token_urlsafe
    service = Service(engine, store, clock, provider_of, caller=caller, new_id=new_id, new_token=token)
    engine.start()
    leave = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leave.set)
    server = await asyncio.start_server(_desk(service), "127.0.0.1", replica.port)
    await leave.wait()
    server.close()
    await engine.aclose()
    for lease in await store.leases():
        if lease.holder == rounds.holder:
            await store.release_lease(lease)
    await store.aclose()


async def _opened(url: str) -> Store:
    # A service starts anew for as long as its database doesn't answer.
    while True:
        try:
            return await Store.open(url)
        except TradewindError:
            await asyncio.sleep(0.2)


def _desk(service: Service) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question = json.loads(await reader.readline())
            try:
                said: dict[str, Any] = {"ok": await _verb(service, question)}
            except TradewindError as error:
                said = {"error": type(error).__name__, "message": str(error)}
            writer.write(json.dumps(said).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError):
            logging.getLogger(__name__).info("somebody hung up")
        finally:
            writer.close()

    return answer


async def _verb(service: Service, question: dict[str, Any]) -> Any:
    match question["verb"]:
        case "create":
            spec = ClusterSpec(
                name=question["name"],
                workspace=WORKSPACE,
                provider="fake",
                scaling=Scaling.fixed(question["n"]),
                lifetimes=LONG,
            )
            return (await service.create(spec)).id
        case "scale":
            return await service.scale(question["id"], Scaling.fixed(question["n"]))
        case "stop":
            return await service.stop(question["id"], "it was enough")
    return "here"


def _slow(store: Store, replica: Replica) -> None:
    if not replica.disk_delay_s:
        return
    dice = random.Random(replica.port)
    for kind in ("read", "write"):
        _wrap(store._transactions, kind, lambda: _rest(dice.uniform(0, replica.disk_delay_s)), None)


async def _rest(seconds: float) -> None:
    await asyncio.sleep(seconds)


def _doomed(store: Store, provider: Provider, replica: Replica) -> None:
    """Let the replica be killed at the step it was told, as by kill -9: nothing is cleaned up."""
    if not replica.dies_at:
        return
    left = replica.dies_count

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # the signal comes at once, but not within this very instruction

    if replica.dies_at == "turn":
        turn = asyncio.events.Handle._run

        def counted(handle: asyncio.events.Handle) -> None:
            count()
            turn(handle)

        asyncio.events.Handle._run = counted  # type: ignore[method-assign]
        return

    async def die() -> None:
        count()

    where = store if hasattr(store, replica.dies_at) else provider
    _wrap(where, replica.dies_at, *((None, die) if replica.dies_after else (die, None)))


def _wrap(thing: Any, verb: str, before: Any, after: Any) -> None:
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
