"""All jobs of an installation that are there, and that were there lately: the roll that each look calls.

The queue says what waits and runs, run directories say what became of what ran, and accounts correct what was billed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tradewind.errors import Unavailable
from tradewind.model.instance import Contact, InstanceStatus, Marks, ObservedInstance, Role
from tradewind.providers.batch.books import Batch
from tradewind.providers.batch.holding import Holding
from tradewind.providers.batch.ledger import Ledger
from tradewind.providers.batch.place import Place
from tradewind.providers.batch.queue import Entry, Queue, Stage
from tradewind.providers.batch.recall import WITHIN_S, Recall
from tradewind.providers.batch.rest import Rest
from tradewind.providers.batch.sight import from_data, mark_of, never, observed, read_mark, to_data
from tradewind.providers.batch.submit import Where

UNMADE_AFTER = timedelta(minutes=10)
"""Longer than any command that submits may take: what the queue doesn't list by then, and never began, wasn't made."""
ACCOUNTS_WITHIN_S = 1.5
"""How long a list waits for the accounts of what has just ended: mostly they are there, and a bill is right at once."""


class Roll:
    """The jobs of one installation.

    Parameters
    ----------
    queue : Queue
        The system's dialect.
    place : Place
        Where it is asked.
    installation : str
        Whose jobs.
    ledger : Ledger
        What accounts say of those that ended.
    rest : Rest
        How often the queue is asked.
    poke : callable
        Called when a scheduler came up or ended.
    end : callable
        Takes jobs back, by their handles.
    """

    def __init__(
        self,
        queue: Queue,
        place: Place,
        *,
        installation: str,
        ledger: Ledger,
        rest: Rest,
        poke: Callable[[], None],
        end: Callable[[Sequence[str]], Awaitable[None]],
    ) -> None:
        self._queue = queue
        self._place = place
        self._runner = place.runner
        self._books = place.books
        self._installation = installation
        self._ledger = ledger
        self._rest = rest
        self._poke = poke
        self._end = end
        self._recall = Recall(queue, place.runner, place.books, installation)
        self._holding = Holding(queue, place.runner)
        self._batches: dict[str, Batch] = {}
        self._ended: dict[str, tuple[ObservedInstance, ...]] = {}
        """Of submissions that are over: the dead don't change."""
        self._dead: dict[Where, ObservedInstance] = {}
        """Of submissions that go on."""
        self._hopeless: dict[str, str] = {}
        """Why, by handle."""
        self._entries: Sequence[Entry] = ()
        """What the queue listed last, and of which submissions there should have been something."""
        self._listed: frozenset[str] = frozenset()

    async def aclose(self) -> None:
        """Ask no accounts any more."""
        await self._ledger.aclose()

    async def call(self) -> Sequence[ObservedInstance]:
        """Return all jobs of this installation, those that ended lately too; one call to the queue.

        Raises
        ------
        Unavailable
            The queue doesn't answer.
        """
        # Before the queue is asked: what is submitted meanwhile isn't missing from an older list.
        await asyncio.to_thread(self._load)
        expected = tuple(batch for batch in self._batches.values() if batch.job is not None)
        orders = [marks.order for batch in expected for marks in batch.marks]
        kept = self._rest.good_enough()
        if kept is not None and self._listed == {batch.id for batch in expected} and not self._ledger.is_due():
            await self._place.look(orders)
            await self._holding.hold(self._entries, self._batches)
            self._watch(expected)
            return kept
        entries = await self._recall.explained(await self._asked())
        await self._place.look(orders)
        listed = {(entry.job, entry.index): entry for entry in entries}
        absent = [
            (batch, index)
            for batch in expected
            for index in range(len(batch.marks))
            if (batch.job, index) not in listed and (batch.job, index) not in self._dead
        ]
        listed |= await self._recall.recalled(absent)
        seen = await asyncio.to_thread(self._seen, listed)
        await self._ledger.correct(self._ended, within_s=ACCOUNTS_WITHIN_S)
        await self._withdraw_unmade({mark[1] for entry in entries if (mark := read_mark(entry.mark)) is not None})
        await self._give_up_hope()
        await self._holding.hold(entries, self._batches)
        seen = [one if one.contact is None else await self._near(one, one.contact) for one in seen]
        found = (*seen, *(one for ends in self._ended.values() for one in ends))
        self._entries, self._listed = entries, frozenset(batch.id for batch in expected)
        self._rest.listed(found)
        return found

    def _watch(self, batches: Sequence[Batch]) -> None:
        """While the queue is asked seldom, look out for schedulers that start, whoever launched them."""
        for batch in batches:
            order = batch.marks[0].order
            run = self._books.records.run(order)
            if batch.marks[0].role is Role.SCHEDULER and not (run.noted("contact.json") or run.noted("exit.json")):
                self._place.watch(order, self._poke)

    async def _near(self, seen: ObservedInstance, contact: Contact) -> ObservedInstance:
        """Return a scheduler with the addresses by which this machine reaches it."""
        try:
            return replace(seen, contact=await self._place.near(contact))
        except OSError as error:
            return replace(seen, contact=None, status=InstanceStatus.STARTING, detail=str(error))

    async def listed(self) -> Sequence[Entry]:
        """Return what the queue lists of this user now, with the marks that are written down. Raises Unavailable."""
        await asyncio.to_thread(self._load)
        return await self._asked()

    async def _asked(self) -> Sequence[Entry]:
        command = self._queue.list_command(await self._place.user())
        said = await self._runner.run(command, patience_s=WITHIN_S)
        if said.code:
            raise Unavailable(f"{self._queue.name} doesn't answer: {said.error.strip()[:300]}")
        return self._marked(self._queue.read_list(said.out))

    def _marked(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the jobs that are in our books with the marks that we gave them: a plugin may have put its own there.

        Another mark of ours is believed, since queues count from 1 again one day.
        """
        ours = {batch.job: batch for batch in self._batches.values() if batch.job is not None}
        found = []
        for entry in entries:
            batch = ours.get(entry.job)
            if batch is not None and entry.index < len(batch.marks) and read_mark(entry.mark) is None:
                entry = replace(entry, mark=mark_of(self._installation, batch.id, batch.cluster))
            found.append(entry)
        return found

    def _load(self) -> None:
        for name in self._books.all():
            if name in self._ended:
                continue
            known = self._batches.get(name)
            if known is not None and known.job is not None:
                continue
            closed = self._books.closed(name)
            if closed is not None:
                self._ended[name] = tuple(
                    one for one in map(from_data, closed) if one.marks.installation == self._installation
                )
                if not self._books.is_told(name):
                    self._ledger.expect(name, self._ended[name], just_ended=False)
                continue
            batch = self._books.batch(name)
            if batch is not None and batch.marks[0].installation == self._installation:
                self._batches[name] = batch

    def _seen(self, listed: Mapping[Where, Entry]) -> list[ObservedInstance]:
        """Return what is known of ours; submissions that are over are closed."""
        of_batch: dict[str, list[ObservedInstance]] = {}
        for where, entry in listed.items():
            mark = read_mark(entry.mark)
            if mark is None or mark[0] != self._installation or mark[1] in self._ended or where in self._dead:
                continue
            batch = self._batches.get(mark[1]) or self._books.batch(mark[1])
            marks = batch.marks[entry.index] if batch is not None else _stray(entry, mark)
            seen = observed(entry, marks, self._books.records.run(marks.order))
            if entry.is_hopeless:
                self._hopeless[seen.handle] = entry.words
            if (why := self._hopeless.get(seen.handle)) is not None:
                seen = never(seen, why)
            if entry.stage is Stage.OVER:
                self._dead[where] = seen
            else:
                of_batch.setdefault(mark[1], []).append(seen)
        for batch in list(self._batches.values()):
            places = [(batch.job or "", index) for index in range(len(batch.marks))]
            dead = [self._dead[place] for place in places if place in self._dead]
            of_batch.setdefault(batch.id, []).extend(dead)
            if len(dead) == len(batch.marks):
                self._close(batch, of_batch.pop(batch.id))
        return [one for some in of_batch.values() for one in some]

    def _close(self, batch: Batch, dead: Sequence[ObservedInstance]) -> None:
        self._books.close(batch.id, [to_data(one) for one in dead])
        self._ended[batch.id] = tuple(dead)
        self._ledger.expect(batch.id, dead)
        self._batches.pop(batch.id, None)
        self._place.closed(batch.id)
        for index in range(len(batch.marks)):
            self._dead.pop((batch.job or "", index), None)

    async def _withdraw_unmade(self, listed: Collection[str]) -> None:
        """Clear away what was to be submitted, got no answer, and isn't asked for again: its letters hold keys."""
        oldest = datetime.now(UTC) - UNMADE_AFTER
        for batch in list(self._batches.values()):
            if batch.job is not None or batch.id in listed or batch.submitted_at > oldest:
                continue
            if not any(self._books.records.run(marks.order).noted("instance.json") for marks in batch.marks):
                self._batches.pop(batch.id)
                await self._place.withdraw(batch)

    async def _give_up_hope(self) -> None:
        """Take back what waits for what will never be; its reason was noticed."""
        ended = {one.handle for one in self._dead.values()}
        ended |= {one.handle for ends in self._ended.values() for one in ends}
        hopeless = [handle for handle in self._hopeless if handle not in ended]
        if hopeless:
            await self._end(hopeless)


def _stray(entry: Entry, mark: tuple[str, str, str]) -> Marks:
    """Return marks for a job of ours of which nothing is written down: it is found, so that it can be ended."""
    name = f"job-{entry.job}-{entry.index}"
    return Marks(installation=mark[0], workspace="", cluster=mark[2], instance=name, order=name, role=Role.WORKER)
