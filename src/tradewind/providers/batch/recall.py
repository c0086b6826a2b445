"""What a queue tells when it is asked again: of jobs that it lists no more, and of those that it can't start."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from tradewind.errors import ConfigError, Unavailable
from tradewind.host.records import Run
from tradewind.providers.batch.books import Batch, Books
from tradewind.providers.batch.queue import Entry, Queue, Stage
from tradewind.providers.batch.runner import CommandRunner
from tradewind.providers.batch.sight import mark_of
from tradewind.providers.batch.submit import Where

logger = logging.getLogger("tradewind.batch")

WITHIN_S = 4.5
"""Less than the engine waits for a list."""


class Recall:
    """Asks what became of jobs, and why the queue gives some up; remembers what it was told.

    Parameters
    ----------
    queue : Queue
        The dialect.
    runner : CommandRunner
        Runs its commands.
    books : Books
        Where the notes of instances are.
    installation : str
        Whose jobs they are.
    clock : callable
        Returns seconds that only ever grow.
    now : callable
        Returns the time of day, as submissions are dated.
    """

    def __init__(
        self,
        queue: Queue,
        runner: CommandRunner,
        books: Books,
        installation: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._now = now
        self._queue = queue
        self._runner = runner
        self._books = books
        self._installation = installation
        self._missed_at: dict[Where, float] = {}
        """When a job wasn't listed for the first time, by the clock."""
        self._reasons: dict[str, str] = {}
        """Why a submission can't be started, by the queue's id."""

    async def recalled(self, absent: Sequence[tuple[Batch, int]]) -> dict[Where, Entry]:
        """Return what became of jobs that the queue doesn't list any more."""
        told = await self._accounts(sorted({batch.job for batch, _ in absent if batch.job is not None}))
        found: dict[Where, Entry] = {}
        for batch, index in absent:
            where = (batch.job or "", index)
            entry = told.get(where)
            if entry is None or entry.stage is not Stage.OVER:
                entry = self._without_accounts(where, batch, self._books.records.run(batch.marks[index].order))
            if entry.stage is Stage.OVER:
                self._missed_at.pop(where, None)
            mark = mark_of(self._installation, batch.id, batch.cluster)
            found[where] = replace(entry, mark=mark)
        return found

    async def _accounts(self, jobs: Sequence[str]) -> Mapping[Where, Entry]:
        command = self._queue.recall_command(jobs) if jobs else None
        if command is None:
            return {}
        try:
            said = await self._runner.run(command, patience_s=WITHIN_S)
        except (Unavailable, ConfigError) as error:
            logger.info("what became of older jobs isn't known: %s", error)
            return {}
        return {} if said.code else {(e.job, e.index): e for e in self._queue.read_recalled(said.out)}

    def _without_accounts(self, where: Where, batch: Batch, run: Run) -> Entry:
        """Return what is to be said of a job of which the accounts say nothing: they are late, or there are none."""
        gone = Entry(job=where[0], index=where[1], mark="", stage=Stage.OVER)
        if not run.noted("instance.json"):
            if self._now() - batch.submitted_at < self._queue.lists_within:
                return replace(gone, stage=Stage.WAITING, words="the queue doesn't list it yet")
            # Of what is cancelled before it starts, a queue may keep nothing.
            return replace(gone, words="was cancelled while it waited")
        if run.exit() is not None:
            return gone  # it has told itself how it ended
        since = self._missed_at.setdefault(where, self._clock())
        if self._clock() - since < self._queue.tells_within.total_seconds():
            return replace(
                gone, stage=Stage.ENDING, words="the queue doesn't list it any more; its accounts come later"
            )
        return replace(gone, words="the queue doesn't list it any more, and it left no word of its end")

    async def explained(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return these with the queue's own reason for what it can't start, where it tells that only when asked."""
        for entry in entries:
            command = self._queue.explain_command(entry.job) if entry.is_hopeless and entry.mark else None
            if command is None or entry.job in self._reasons:
                continue
            try:
                said = await self._runner.run(command, patience_s=WITHIN_S)
            except (Unavailable, ConfigError) as error:
                logger.info("why job %s can't start isn't known: %s", entry.job, error)
                continue
            self._reasons[entry.job] = self._queue.read_explained(said.out)
        return [self._with_reason(entry) for entry in entries]

    def _with_reason(self, entry: Entry) -> Entry:
        why = self._reasons.get(entry.job) if entry.is_hopeless else None
        return replace(entry, words=f"{entry.words}: {why}") if why else entry
