"""What waits carries a last moment, which is moved on for as long as somebody looks after it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

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
    now : callable
        Returns the time of day. No clock that stands still while a laptop sleeps: the queue's doesn't.
    """

    def __init__(
        self, queue: Queue, runner: CommandRunner, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._queue = queue
        self._runner = runner
        self._now = now
        self._held_at: dict[str, datetime] = {}
        """When a submission's was moved last, as far as this process knows."""

    async def hold(self, entries: Sequence[Entry], batches: Mapping[str, Batch]) -> None:
        """Let those of ``entries`` that wait wait on."""
        now = self._now()
        due: dict[str, tuple[str, timedelta]] = {}
        for entry in entries:
            mark = read_mark(entry.mark)
            batch = batches.get(mark[1]) if mark is not None and entry.stage is Stage.WAITING else None
            if batch is None or batch.holds_s is None:
                continue
            # Of one that an earlier process submitted, and moved on nobody knows when, its submission alone is sure.
            since = now - self._held_at.get(batch.id, batch.submitted_at)
            if not timedelta(0) <= since < timedelta(seconds=batch.alone_s / 4):  # below nought: the clock was put back
                due[batch.id] = (entry.job, timedelta(seconds=batch.holds_s))
        for name, (job, until) in due.items():
            for command in self._queue.wait_on_commands([job], until):
                said = await self._runner.run(command)
                if said.code:
                    logger.info("job %s may not wait on: %s", job, said.error.strip())
            self._held_at[name] = now
