"""Many orders, one submission; the same order twice, none more."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from tradewind.errors import ProviderError, Rejected, Unavailable
from tradewind.model.instance import Role
from tradewind.providers.base import Order
from tradewind.providers.batch.books import Batch, Books
from tradewind.providers.batch.letters import Habits, job_for, letter_for, walltime_of
from tradewind.providers.batch.offers import has_room_now
from tradewind.providers.batch.place import Ground, Place
from tradewind.providers.batch.queue import Entry, Queue, Site, Stage
from tradewind.providers.batch.sight import read_mark

logger = logging.getLogger("tradewind.batch")

Where = tuple[str, int]
"""The queue's id of a submission, and the index in it."""


class Submitter:
    """Gathers what is launched at the same time and submits it in as few calls as it has kinds.

    Parameters
    ----------
    queue : Queue
        The dialect.
    place : Place
        Where it is submitted.
    books : Books
        Where it is written down first.
    habits : Habits
        How jobs are run here.
    site, listed : callable
        Return what there is, and what the queue has of ours now.
    """

    def __init__(
        self,
        queue: Queue,
        place: Place,
        books: Books,
        habits: Habits,
        *,
        site: Callable[[], Awaitable[Site]],
        listed: Callable[[], Awaitable[Sequence[Entry]]],
    ) -> None:
        self._queue = queue
        self._place = place
        self._books = books
        self._habits = habits
        self._site = site
        self._listed = listed
        self._waiting: list[tuple[Order, asyncio.Future[Where]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def submit(self, order: Order) -> Where:
        """Return where an order is in the queue, after submitting it with all that are given at the same time.

        Goes on when its caller is cancelled: the order is found by giving it again. Raises as ``launch`` does.
        """
        answer: asyncio.Future[Where] = asyncio.get_running_loop().create_future()
        self._waiting.append((order, answer))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await asyncio.shield(answer)

    async def aclose(self) -> None:
        """Wait for what is being submitted."""
        if self._flushing is not None:
            await asyncio.wait([self._flushing])

    async def _flush(self) -> None:
        while self._waiting:
            # Whoever launches at the same time has been scheduled already: one turn of the loop gathers them all.
            await asyncio.sleep(0)
            gathered, self._waiting = self._waiting, []
            kinds: dict[object, list[tuple[Order, asyncio.Future[Where]]]] = {}
            for order, answer in gathered:
                kinds.setdefault((order.marks.role, order.marks.cluster, order.offer), []).append((order, answer))
            # A cluster's scheduler goes first: its workers may have to wait for it.
            for kind in sorted(kinds.values(), key=lambda kind: kind[0][0].marks.role is not Role.SCHEDULER):
                await self._submit_kind(kind)

    async def _submit_kind(self, kind: Sequence[tuple[Order, asyncio.Future[Where]]]) -> None:
        orders = [order for order, _ in kind]
        try:
            ground = await self._place.furnish(orders[0])
            async with self._alone() as lock, self._place.alone():
                where = await self._submitted(orders, ground, lock)
        except Exception as error:
            for _, answer in kind:
                if not answer.done():
                    answer.set_exception(error)
                    # One that nobody waits for any more is told to nobody; who gives the order again hears it anew.
                    answer.exception()
            if not isinstance(error, ProviderError):
                logger.exception("a submission failed")
            return
        for (_, answer), there in zip(kind, where, strict=True):
            if not answer.done():
                answer.set_result(there)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[int]:
        """Keep every other submitter of these books out, whatever its process, until the command has ended too."""
        self._books.open()
        lock = os.open(self._books.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            yield lock
        finally:
            os.close(lock)

    async def _submitted(self, orders: Sequence[Order], ground: Ground, lock: int) -> list[Where]:
        """Return where each order is; submits those that nobody has."""
        known: dict[str, Where] = {}
        new: dict[str, Order] = {}
        for order in orders:
            where = await self._known(order)
            if where is not None:
                known[order.marks.order] = where
            else:
                new[order.marks.order] = order
        if new:
            known |= await self._make(list(new.values()), ground, lock)
        return [known[order.marks.order] for order in orders]

    async def _known(self, order: Order) -> Where | None:
        found = await asyncio.to_thread(self._books.find, order.marks.order)
        if found is None:
            return None
        name, index = found
        batch = await asyncio.to_thread(self._books.batch, name)
        if batch is None:
            return None
        if batch.job is None:
            # Written down, and then somebody died or was told nothing: the queue knows whether it has it.
            marks = {e.mark: e.job for e in await self._listed()}
            job = next((job for mark, job in marks.items() if (of := read_mark(mark)) and of[1] == name), None)
            if job is None and datetime.now(UTC) - batch.submitted_at < self._queue.lists_within:
                raise Unavailable(f"it isn't known yet whether {self._queue.name} took a submission: its list lags")
            if job is None:
                await self._place.withdraw(batch)
                return None
            batch = replace(batch, job=job)
            await asyncio.to_thread(self._books.submitted, batch)
        assert batch.job is not None
        return batch.job, index

    async def _make(self, orders: Sequence[Order], ground: Ground, lock: int) -> dict[str, Where]:
        if undone := self._queue.undone():
            raise Rejected(undone)
        now, site, first = datetime.now(UTC), await self._site(), orders[0]
        walltime = walltime_of(first, site, self._habits, now)
        # With the time: what is left of an earlier try with the same orders is cleared away by its name.
        ids = "\n".join([now.isoformat(), *(order.marks.order for order in orders)])
        batch = Batch(
            id=hashlib.sha256(ids.encode()).hexdigest()[:16],
            marks=tuple(order.marks for order in orders),
            submitted_at=now,
            job=None,
            alone_s=first.boot.orphan_timeout_s,
            holds_s=first.boot.orphan_timeout_s + walltime.total_seconds() if walltime is not None else None,
        )
        after = await self._scheduler_to_wait_for(first, site)
        job = job_for(orders, batch, ground, self._queue, walltime=walltime, after=after)
        script = self._queue.script(job, site)
        letters = [letter_for(order, ground, self._queue, self._habits, walltime) for order in orders]
        await asyncio.to_thread(self._books.write, batch)
        try:
            await self._place.deliver(batch.id, letters)
            await self._place.look(())
        except Exception:
            await self._place.withdraw(batch)  # the queue was told nothing
            raise
        # Where no answer comes it may have it; whoever gives the order again looks first.
        said = await self._place.runner.run(self._queue.submit_command(), text=script, keeps=(lock,))
        if said.code:
            refusal = self._queue.refusal(said.error or said.out, job, site)
            if not isinstance(refusal, Unavailable):
                await self._place.withdraw(batch)
            raise refusal
        batch = replace(batch, job=self._queue.read_submitted(said.out))
        await asyncio.to_thread(self._books.submitted, batch)
        assert batch.job is not None
        return {order.marks.order: (batch.job, index) for index, order in enumerate(orders)}

    async def _scheduler_to_wait_for(self, order: Order, site: Site) -> Where | None:
        """Return the job of a cluster's scheduler, where that may start much later than its workers would."""
        cores = int(order.offer.resources.cpus) + 1
        if order.marks.role is Role.SCHEDULER or order.cluster_contact is not None or not self._queue.waits_for_starts:
            return None
        if has_room_now(site, order.offer.vm_type, cores):
            return None  # they start at the same time, a second sooner than the queue looks at who waits for whom
        entries = await self._listed()
        for entry in entries:
            mark = read_mark(entry.mark)
            batch = self._books.batch(mark[1]) if mark is not None and mark[2] == order.marks.cluster else None
            if batch is not None and batch.marks[0].role is Role.SCHEDULER and entry.stage is Stage.WAITING:
                return entry.job, entry.index
        return None
