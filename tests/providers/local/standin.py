"""An agent that does nothing but say where it would be: for tests of the processes around it."""

import asyncio
from dataclasses import dataclass

import distributed

from tradewind.boot.process import Boot


@dataclass
class StandIn:
    url: str
    orphan: asyncio.Task[None]

    async def aclose(self) -> None:
        self.orphan.cancel()


async def attach(scheduler: distributed.Scheduler, boot: Boot) -> StandIn:
    async def end_when_nobody_pulls() -> None:
        await asyncio.sleep(boot.orphan_timeout_s)
        await scheduler.close(reason="nobody pulled")

    return StandIn(url="https://127.0.0.1:1", orphan=asyncio.create_task(end_when_nobody_pulls()))
