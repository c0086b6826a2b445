"""What is told to all workers comes to those, too, that can't be asked just then."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from distributed import Scheduler, Worker
from distributed.diagnostics.plugin import WorkerPlugin

from tradewind.agent.telling import tell_all

OP = "tell_test"
HERE = "127.0.0.1"


class Ear(WorkerPlugin):  # type: ignore[misc]
    """Takes what it is told, by question and by stream."""

    name = "ear"

    def __init__(self) -> None:
        self.heard: asyncio.Queue[int] = asyncio.Queue()

    def setup(self, worker: Worker) -> None:
        worker.handlers[OP] = worker.stream_handlers[OP] = self.take

    async def take(self, number: int) -> Mapping[str, Any]:
        self.heard.put_nowait(number)
        return {"status": "OK"}


async def test_a_worker_that_takes_no_new_connection_is_told_by_the_one_it_has() -> None:
    deaf, well = Ear(), Ear()
    async with (
        Scheduler(host=HERE, port=0, dashboard_address=f"{HERE}:0", dashboard=False) as scheduler,
        Worker(scheduler.address, host=HERE, nthreads=1, plugins=(deaf,)) as one,
        Worker(scheduler.address, host=HERE, nthreads=1, plugins=(well,)) as other,
    ):
        for listener in one.listeners:
            listener.stop()

        answers = await tell_all(scheduler, {"op": OP, "number": 7}, 0.5)

        assert isinstance(answers[one.address], OSError | TimeoutError)
        assert answers[other.address] == {"status": "OK"}
        assert await asyncio.wait_for(deaf.heard.get(), 5) == 7
        assert await asyncio.wait_for(well.heard.get(), 5) == 7
        assert well.heard.empty()
