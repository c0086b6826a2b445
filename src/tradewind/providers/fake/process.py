"""A fake world in a process of its own, on loopback, so that many engines share it and none of them can touch it.

``python -m tradewind.providers.fake.process --port 8900``; engines reach it with the setting ``[fake] world``.

One line of JSON asks, one answers. Besides the verbs of the provider there are those of the witness (``ledger``,
``alive``, ``calls``, ``struck``) and those of who makes trouble (``weather``, ``arm``, ``stage``). The agent of each
scheduler answers over TLS at a port of its own, as a real one does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from tradewind import wire
from tradewind.errors import BadRequest, ProviderError, Unavailable
from tradewind.model.instance import Contact, ObservedInstance
from tradewind.model.resources import Need
from tradewind.providers.base import Order, ProviderSettings
from tradewind.providers.fake import faults
from tradewind.providers.fake.machine import Billed
from tradewind.providers.fake.pages import Page
from tradewind.providers.fake.provider import FakeProvider
from tradewind.providers.fake.remote import LINE_LIMIT
from tradewind.providers.fake.world import FakeWorld, Timing, WallClock

log = logging.getLogger(__name__)

PROVIDER_VERBS = frozenset({"offers", "launch", "observe", "terminate", "logs"})
GONE_S = 30.0
"""Seconds for which a call is held that shall never be answered; whoever asked has given up long before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What the line from engines to the world does, each as a share of the calls from 0 to 1."""

    loses_request: float = 0.0
    """Nothing is done, and the line is cut."""
    loses_answer: float = 0.0
    """It is done, and the line is cut."""
    delays_request: float = 0.0
    """It is done late: whoever asked may be gone by then."""
    delays_answer: float = 0.0
    """It is done at once, and the answer is old when it comes."""
    repeats_request: float = 0.0
    """It is done twice."""
    never_answers: float = 0.0
    """Nothing is done, and nothing is said."""
    delay_s: float = 2.0
    """The longest delay, seconds."""


class CountedPile(faults.Pile):
    """Faults that are armed, with a count of those that struck."""

    def __init__(self, struck: Counter[str]) -> None:
        super().__init__(())
        self._struck = struck

    def strike(
        self, kind: type[faults.F], concerns: Callable[[faults.F], bool] = lambda fault: True
    ) -> faults.F | None:
        """See :meth:`faults.Pile.strike`."""
        found = super().strike(kind, concerns)
        if found is not None:
            self._struck[kind.__name__] += 1
        return found


class World:
    """Answers every call on the fake world that it keeps."""

    def __init__(self, world: FakeWorld, seed: int = 0) -> None:
        self.world = world
        self.weather = Weather()
        self.struck: Counter[str] = Counter()
        """How often each kind of trouble came to pass."""
        self.asked: list[dict[str, Any]] = []
        """Who asked for launches and ends, and when."""
        self.world.faults = CountedPile(self.struck)
        self._dice = random.Random(seed)
        self._doors: dict[str, FakeProvider] = {}
        self._pages: dict[str, Page] = {}

    async def serve(self, port: int) -> asyncio.Server:
        """Listen at a port of loopback; 0 is any that is free."""
        return await asyncio.start_server(self._answer_line, "127.0.0.1", port, limit=LINE_LIMIT)

    async def aclose(self) -> None:
        """Let go of the pages' ports."""
        for page in self._pages.values():
            page.close()

    async def _answer_line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question = json.loads(await reader.readline())
            answer = await (self._through_weather if question["verb"] in PROVIDER_VERBS else self._told)(question)
            if answer is not None:
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, KeyError) as error:
            log.info("a call that can't be answered: %r", error)
        finally:
            writer.close()

    async def _through_weather(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer, or None where the line is cut instead."""
        troubles = [f.name for f in fields(Weather) if f.name != "delay_s"]
        trouble = next((name for name in troubles if self._dice.random() < getattr(self.weather, name)), None)
        if trouble is not None:
            self.struck[trouble] += 1
        delay_s = self._dice.uniform(0, self.weather.delay_s)
        if trouble == "never_answers":
            await asyncio.sleep(GONE_S)
            return None
        if trouble == "loses_request":
            return None
        if trouble == "delays_request":
            await asyncio.sleep(delay_s)
        answer = await self._done(question)
        if trouble == "repeats_request":
            answer = await self._done(question)
        if trouble == "delays_answer":
            await asyncio.sleep(delay_s)
        return None if trouble == "loses_answer" else answer

    async def _done(self, question: dict[str, Any]) -> dict[str, Any]:
        installation = question["installation"]
        if installation not in self._doors:
            settings = ProviderSettings(installation=installation, state_directory="")
            self._doors[installation] = FakeProvider(settings, world=self.world)
        try:
            return {"ok": await self._verb(self._doors[installation], question)}
        except Unavailable as error:
            retry_after_s = error.retry_after.total_seconds()
            return {"error": "Unavailable", "message": str(error), "retry_after_s": retry_after_s}
        except (ProviderError, BadRequest) as error:
            return {"error": type(error).__name__, "message": str(error)}

    async def _verb(self, door: FakeProvider, question: dict[str, Any]) -> Any:
        now = self.world.clock.now().isoformat()
        match question["verb"]:
            case "offers":
                need = wire.load(Need, question["need"])
                return wire.dump(tuple(await door.offers(need, spot=question["spot"], region=question["region"])))
            case "launch":
                order = wire.load(Order, question["order"])
                marks = order.marks
                note = {"at": now, "by": question["by"], "cluster": marks.cluster, "instance": marks.instance}
                self.asked.append({"verb": "launch", **note})
                handle = [handle async for handle in door.launch(order)][-1].handle
                await self._open_page(handle)
                return handle
            case "observe":
                await self._close_pages()
                return wire.dump(tuple(self._reachable(seen) for seen in await door.observe()))
            case "terminate":
                by_cluster = {m.marks.cluster for h in question["handles"] if (m := self.world.machines.get(h))}
                self.asked += [
                    {"verb": "terminate", "at": now, "by": question["by"], "cluster": cluster} for cluster in by_cluster
                ]
                return await door.terminate(question["handles"])
        return list(await door.logs(question["handle"], question["lines"]))

    async def _open_page(self, handle: str) -> None:
        machine = self.world.machines[handle]
        if machine.contact is not None and handle not in self._pages:
            page = self._pages[handle] = Page(self.world, machine)
            await page.open()

    async def _close_pages(self) -> None:
        ended = [handle for handle in self._pages if not self.world.machines[handle].is_alive]
        for handle in ended:
            self._pages.pop(handle).close()

    def _reachable(self, seen: ObservedInstance) -> ObservedInstance:
        page = self._pages.get(seen.handle)
        if seen.contact is None or page is None:
            return seen
        contact = Contact(scheduler=seen.contact.scheduler, agent=f"https://127.0.0.1:{page.port}")
        return wire.load(ObservedInstance, {**wire.dump(seen), "contact": wire.dump(contact)})

    async def _told(self, question: dict[str, Any]) -> dict[str, Any]:
        given = {key: value for key, value in question.items() if key != "verb"}
        match question["verb"]:
            case "weather":
                self.weather = Weather(**given)
            case "arm":
                self.world.arm(_fault(given))
            case "calm":
                self.world.faults = CountedPile(self.struck)
            case "stage":
                self.world.agents.stage(**given)
            case "struck":
                return {"ok": dict(self.struck)}
            case "asked":
                return {"ok": self.asked}
            case "alive":
                return {"ok": [machine.marks.instance for machine in self.world.alive()]}
            case "ledger":
                return {"ok": [_line(billed) for billed in self.world.ledger()]}
            case unknown:
                return {"error": "BadRequest", "message": f"there is no verb {unknown!r}"}
        return {"ok": None}


def _fault(given: dict[str, Any]) -> faults.Fault:
    kind: type[faults.Fault] = getattr(faults, given.pop("fault"))
    durations = {"after", "by", "retry_after", "per"}
    values: dict[str, Any] = {k: timedelta(seconds=v) if k in durations else v for k, v in given.items()}
    if "verbs" in values:
        values["verbs"] = frozenset(values["verbs"])
    return kind(**values)


def _line(billed: Billed) -> dict[str, Any]:
    return {
        "instance": billed.instance,
        "cluster": billed.cluster,
        "price_per_hour": None if billed.price is None else str(billed.price.per_hour),
        "started_at": billed.started_at.isoformat(),
        "stopped_at": None if billed.stopped_at is None else billed.stopped_at.isoformat(),
    }


async def _run(options: argparse.Namespace) -> None:
    timing = Timing(
        pending=timedelta(seconds=options.pending_s),
        starting=timedelta(seconds=options.latency_s),
        stopping=timedelta(seconds=options.stopping_s),
        list_lag=timedelta(seconds=options.list_lag_s),
    )
    world = World(FakeWorld(WallClock(), timing=timing), options.seed)
    server = await world.serve(options.port)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps({"world": f"127.0.0.1:{port}"}) + "\n")
    sys.stdout.flush()
    try:
        await server.serve_forever()
    finally:
        await world.aclose()


def main() -> None:
    """Keep a world until this process is ended."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="of loopback; default any that is free, which is printed")
    parser.add_argument("--seed", type=int, default=0, help="of the trouble on the line")
    for name in ("pending-s", "latency-s", "stopping-s", "list-lag-s"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
