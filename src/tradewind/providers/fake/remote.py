"""A door to a fake world that another process keeps: what is launched there outlives whoever launched it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tradewind import wire
from tradewind.errors import BadRequest, ConfigError, NoCapacity, Rejected, Unavailable
from tradewind.model.instance import ObservedInstance
from tradewind.model.offer import Offer
from tradewind.model.resources import Need
from tradewind.providers.base import Handle, Order, ProviderSettings
from tradewind.providers.fake.provider import FakeProvider
from tradewind.providers.fake.world import FakeWorld, Timing, WallClock

PATIENCE_S = 5.0
"""Seconds one call may take; a world that takes longer doesn't answer."""
LINE_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer: a list of a hundred thousand machines."""
_REFUSALS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (NoCapacity, Rejected, BadRequest, Unavailable)
}


class RemoteFakeProvider(FakeProvider):
    """A door to the world at an address of this machine, as :mod:`tradewind.providers.fake.process` keeps one."""

    def __init__(self, settings: ProviderSettings, *, address: str, timing: Timing) -> None:
        """Connect to nothing yet.

        Raises
        ------
        ConfigError
            ``address`` isn't a host and a port.
        """
        # The world of the base class stays empty: it only says what was promised of the real one.
        super().__init__(settings, world=FakeWorld(WallClock(), timing=timing))
        host, colon, port = address.rpartition(":")
        if not colon or not port.isdecimal():
            raise ConfigError(f"fake: 'world' is host:port, as 127.0.0.1:8900, not {address!r}.")
        self._host, self._port = host, int(port)

    async def offers(self, need: Need, *, spot: bool = False, region: str | None = None) -> Sequence[Offer]:
        """See :meth:`Provider.offers`."""
        found = await self._ask("offers", need=wire.dump(need), spot=spot, region=region)
        return wire.load(tuple[Offer, ...], found)

    async def launch(self, order: Order) -> AsyncIterator[Handle]:
        """See :meth:`Provider.launch`."""
        handle = await self._ask("launch", order=wire.dump(order))
        yield Handle(order=order.marks.order, handle=str(handle))

    async def observe(self) -> Sequence[ObservedInstance]:
        """See :meth:`Provider.observe`."""
        return wire.load(tuple[ObservedInstance, ...], await self._ask("observe"))

    async def terminate(self, handles: Sequence[str]) -> None:
        """See :meth:`Provider.terminate`."""
        await self._ask("terminate", handles=list(handles))

    async def logs(self, handle: str, lines: int) -> Sequence[str]:
        """See :meth:`Provider.logs`."""
        return wire.load(tuple[str, ...], await self._ask("logs", handle=handle, lines=lines))

    async def _ask(self, verb: str, **given: Any) -> Any:
        # The number of our process is for the world's own records: who asked for what, whatever a store says.
        question = {"verb": verb, "installation": self._installation, "by": os.getpid(), **given}
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await exchange(self._host, self._port, question)
        except (OSError, ValueError) as error:
            words = str(error) or "no answer in time"
            raise Unavailable(f"the fake world at {self._host}:{self._port} doesn't answer {verb}: {words}") from None
        if "error" in answer:
            kind = _REFUSALS.get(answer["error"], Unavailable)
            if kind is Unavailable:
                raise Unavailable(answer["message"], timedelta(seconds=answer.get("retry_after_s", 1.0)))
            raise kind(answer["message"])
        return answer["ok"]


def open_remote(settings: ProviderSettings, timing: Timing) -> RemoteFakeProvider:
    """Return the door that the option ``world`` of ``settings`` names."""
    options = {name: value for name, value in settings.options.items() if name != "world"}
    own = replace(settings, options=options)
    return RemoteFakeProvider(own, address=str(settings.options["world"]), timing=timing)


async def exchange(host: str, port: int, question: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one question, over a connection of its own.

    Raises
    ------
    OSError
        Nothing listens there, or the line was cut.
    ValueError
        What came back is no answer.
    """
    reader, writer = await asyncio.open_connection(host, port, limit=LINE_LIMIT)
    try:
        writer.write(json.dumps(question).encode() + b"\n")
        await writer.drain()
        line = await reader.readline()
    finally:
        writer.close()
    answer = json.loads(line) if line.endswith(b"\n") else None
    if not isinstance(answer, dict):
        raise ValueError("the line was cut before it answered")  # noqa: TRY004 - of what it said, not of a type
    return answer
