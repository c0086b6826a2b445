"""What waits carries a last moment, which is moved on for as long as somebody looks after it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

from tradewind.providers.batch.books import Batch
from tradewind.providers.batch.queue import Entry, Queue, Stage
from tradewind.providers.batch.runner import CommandRunner
from tradewind.providers.batch.sight import read_mark

logger = logging.getLogger("tradewind.batch")


class Holding:
    """Moves last moments on, each in a quarter of its orphan timeout.

    Parameters
    ----------
    queue : Queue
        The dialect.
    runner : CommandRunner
        Runs its commands.
    """

    def __init__(self, queue: Queue, runner: CommandRunner) -> None:
        self._queue = queue
        self._runner = runner
        self._held_at: dict[str, float] = {}
        """When a submission's was moved, by the monotonic clock."""

    async def hold(self, entries: Sequence[Entry], batches: Mapping[str, Batch]) -> None:
        """Let those of ``entries`` that wait wait on."""
        now, due = time.monotonic(), {}
        for entry in entries:
            mark = read_mark(entry.mark)
            batch = batches.get(mark[1]) if mark is not None and entry.stage is Stage.WAITING else None
            if batch is None or batch.holds_s is None:
                continue
            if now - self._held_at.setdefault(batch.id, now) >= batch.alone_s / 4:
                due[batch.id] = batch
        for batch in due.values():
            assert batch.job is not None
            assert batch.holds_s is not None
            for command in self._queue.wait_on_commands([batch.job], timedelta(seconds=batch.holds_s)):
                said = await self._runner.run(command)
                if said.code:
                    logger.info("job %s may not wait on: %s", batch.job, said.error.strip())
            self._held_at[batch.id] = now
