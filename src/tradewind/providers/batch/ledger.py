"""What a queue's accounts say of what has ended: it is asked for, in one call for all, until they have it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tradewind.errors import TradewindError
from tradewind.model.instance import ObservedInstance
from tradewind.model.money import Price
from tradewind.model.resources import GIB
from tradewind.providers.batch.books import Batch, Books
from tradewind.providers.batch.queue import Account, Entry, Queue, Stage
from tradewind.providers.batch.runner import CommandRunner
from tradewind.providers.batch.sight import observed, read_handle, to_data

logger = logging.getLogger("tradewind.batch")

PAUSES_S = (0.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
"""Before each time that the accounts are asked about a submission: they are written a moment after its end, or, on a
busy site, minutes."""
AT_A_TIME = 200
"""Submissions in one call; the rest follows."""
OLDEST = timedelta(days=2)
"""What ended longer ago, and isn't in the accounts, never will be."""
PATIENCE_S = 10.0
SECOND = timedelta(seconds=1)
Ends = dict[str, tuple[ObservedInstance, ...]]


@dataclass(slots=True, kw_only=True)
class _Asking:
    tries: int = 0
    just_ended: bool
    """Whether somebody may be looking at its bill now."""
    not_before: float = 0.0
    """By the monotonic clock."""


class Ledger:
    """Corrects what is known of the dead by the accounts.

    Parameters
    ----------
    queue : Queue
        The dialect.
    runner : CommandRunner
        Runs its commands.
    books : Books
        Where what was corrected is written down, so that nobody need ask again.
    price_of : callable
        Returns the price of an hour that takes so many service units.
    """

    def __init__(self, queue: Queue, runner: CommandRunner, books: Books, price_of: Callable[[Decimal], Price]) -> None:
        self._queue = queue
        self._runner = runner
        self._books = books
        self._price_of = price_of
        self._open: dict[str, _Asking] = {}
        self._asking: asyncio.Task[None] | None = None

    def expect(self, batch: str, ended: Sequence[ObservedInstance], *, just_ended: bool = True) -> None:
        """Ask about a submission that is over, unless it was told, or ended too long ago.

        One that ended before this program began keeps nobody waiting: the first look of all comes before a launch.
        """
        last = max((one.stopped_at for one in ended if one.stopped_at is not None), default=None)
        ran = any(one.started_at is not None for one in ended)
        if ran and last is not None and datetime.now(UTC) - last < OLDEST and self._queue.account_command(["0"]):
            self._open.setdefault(batch, _Asking(just_ended=just_ended))

    def is_due(self) -> bool:
        """Whether there is something to ask about now."""
        return any(asking.not_before <= time.monotonic() for asking in self._open.values())

    async def correct(self, ends: Ends, within_s: float) -> None:
        """Put into ``ends`` what the accounts say, as far as that is known within a moment; the rest comes later."""
        if self._asking is None or self._asking.done():
            now = time.monotonic()
            due = [batch for batch, asking in self._open.items() if asking.not_before <= now][:AT_A_TIME]
            if not due:
                return
            self._asking = asyncio.create_task(self._ask(due, ends))
        is_new = any(asking.just_ended and asking.tries <= 1 for asking in self._open.values())
        await asyncio.wait([self._asking], timeout=within_s if is_new else 0)

    async def aclose(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self, due: Sequence[str], ends: Ends) -> None:
        for name in due:
            asking = self._open[name]
            asking.tries += 1
            if asking.tries >= len(PAUSES_S):
                del self._open[name]
                continue
            asking.not_before = time.monotonic() + PAUSES_S[asking.tries]
        batches = [batch for name in due if (batch := self._books.batch(name)) is not None and batch.job is not None]
        command = self._queue.account_command([batch.job for batch in batches if batch.job is not None])
        if command is None or not batches:
            return
        try:
            said = await self._runner.run(command, patience_s=PATIENCE_S)
        except TradewindError as error:
            logger.info("the accounts can't be asked: %s", error)
            return
        if said.code:
            logger.info("the accounts don't answer: %s", said.error.strip()[:300])
            return
        told = {(entry.job, entry.index): entry for entry in self._queue.read_accounts(said.out)}
        for batch in batches:
            if batch.id in ends:
                self._settle(batch, ends, told)

    def _settle(self, batch: Batch, ends: Ends, told: Mapping[tuple[str, int], Entry]) -> None:
        ended = ends[batch.id]
        after = tuple(self._corrected(one, told, batch) for one in ended)
        places = [read_handle(one.handle) for one, now in zip(ended, after, strict=True) if one.started_at is not None]
        is_whole = all(place is None or place[:2] in told for place in places)
        if after != ended:
            ends[batch.id] = after
        if is_whole:
            self._open.pop(batch.id, None)
        if after != ended or is_whole:
            self._books.close(batch.id, [to_data(one) for one in after], is_told=is_whole)

    def _corrected(
        self, one: ObservedInstance, told: Mapping[tuple[str, int], Entry], batch: Batch
    ) -> ObservedInstance:
        place = read_handle(one.handle)
        entry = told.get(place[:2]) if place is not None else None
        if entry is None or one.refused or one.started_at is None:
            return one
        after = observed(entry, one.marks, self._books.records.run(one.marks.order))
        account = entry.account
        units = account.units if account is not None else None
        words = spent(account, entry) if account is not None else ""
        return replace(
            after,
            exit_code=one.exit_code if after.exit_code is None else after.exit_code,
            # A price is of an hour from start to end: what it was suspended for makes such an hour cheaper.
            charged=None if units is None else self._price_of(units * _share_run(entry)),
            detail="; ".join(part for part in (after.detail, words) if part),
        )


def _share_run(entry: Entry) -> Decimal:
    """Return how much of the time from its start to its end a job ran: from 0 to 1."""
    ran = entry.account.ran if entry.account is not None else None
    if ran is None or entry.started_at is None or entry.stopped_at is None or entry.stopped_at <= entry.started_at:
        return Decimal(1)
    return min(Decimal(1), Decimal(ran // SECOND) / Decimal((entry.stopped_at - entry.started_at) // SECOND or 1))


def spent(account: Account, entry: Entry) -> str:
    """Return what a job made of what it had, in words; empty where nobody counted."""
    parts = []
    if account.peak_memory is not None:
        of = f" of {account.memory / GIB:.3g}" if account.memory else ""
        parts.append(f"{account.peak_memory / GIB:.2g}{of} GiB at most")
    began, ended = entry.started_at, entry.stopped_at
    ran = ended - began if account.ran is None and began is not None and ended is not None else account.ran
    if account.cpu_time is not None and account.cpus and ran:
        share = account.cpu_time / (ran * account.cpus)
        parts.append(f"{share:.0%} of {account.cpus} cores" if account.cpus > 1 else f"{share:.0%} of its core")
    return f"it used {' and '.join(parts)}" if parts else ""


def is_over(entry: Entry) -> bool:
    """Whether the accounts know how long a job was there."""
    return entry.stage is Stage.OVER and entry.started_at is not None and entry.stopped_at is not None
