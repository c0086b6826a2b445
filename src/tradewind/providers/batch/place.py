"""Where jobs are submitted from, and what of it they share with us: this machine, or a login node."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradewind.errors import ConfigError
from tradewind.host.bare.ground import last_lines
from tradewind.host.records import Run
from tradewind.host.task import HOME
from tradewind.model.instance import Contact
from tradewind.providers.base import Order
from tradewind.providers.batch.books import Batch, Books
from tradewind.providers.batch.runner import CommandRunner

PLAIN = re.compile(r"[\w./+@=~-]+")
LOOK_FIRST_S, LOOK_LAST_S = 0.03, 1.0
ENDS_WITHIN_S = 3.0
"""How long a cancelled job's note of its end is looked for; then the queue is asked in its turn."""
SETTLES_S = 0.15
"""How much later than its instance a job is over in a quick queue; others are asked again in their turn."""


def plain(directory: str, provider: str) -> str:
    """Return a directory whose name means to every batch system what it says.

    Raises
    ------
    ConfigError
        Its name has what some system reads otherwise in the name of a job's log: a blank ends it, and ``%``, ``$``,
        ``:`` and the like stand for something else.
    """
    if PLAIN.fullmatch(directory) is None:
        strange = "".join(dict.fromkeys(PLAIN.sub("", directory)))
        raise ConfigError(
            f"jobs can't leave their notes in {directory!r}, since batch systems read {strange!r} in a name as "
            f"something else: set `directory` in [{provider}] to one of letters, digits and ._+@=- that all nodes share"
        )
    return directory


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a job stands on."""

    root: Path
    """Of letters and notes, as every node sees it."""
    python: str
    """What runs it, as every node sees it."""
    is_here: bool = True
    """Whether it is ours as well: then addresses that we know mean the same there, and Tradewind is where ours is."""
    environ: Mapping[str, str]
    """The caller's variables, where they mean anything to a node."""
    user: str
    """Whose jobs they are."""

    @property
    def home(self) -> str | None:
        """The directory that Tradewind is imported from; None: it is among the packages of ``python``."""
        return HOME if self.is_here else None


class Place(ABC):
    """Runs commands, has letters delivered, and sees notes.

    Parameters
    ----------
    books : Books
        What this machine remembers; notes are seen in its records.
    runner : CommandRunner
        Runs the queue's commands there.
    """

    def __init__(self, books: Books, runner: CommandRunner) -> None:
        self.books = books
        self.runner = runner

    @abstractmethod
    async def open(self) -> None:
        """Make ready to ask for what there is.

        Raises
        ------
        ConfigError
            It can't be reached as the settings say, and waiting won't help.
        Unavailable
            It can't be reached now.
        """

    @abstractmethod
    async def user(self) -> str:
        """Return whose jobs are ours, as the queue's commands know them. Raises Unavailable."""

    @abstractmethod
    async def furnish(self, order: Order) -> Ground:
        """Return what a job of this order stands on, made where it isn't yet. Raises as ``launch`` does."""

    @abstractmethod
    async def deliver(self, batch: str, letters: Sequence[Mapping[str, Any]]) -> None:
        """Put letters, which hold keys, where the jobs of a submission find them. Raises as ``launch`` does."""

    @abstractmethod
    async def look(self, orders: Sequence[str]) -> None:
        """Have the notes of these in our records, and write down that somebody looks after them. Raises Unavailable."""

    @abstractmethod
    async def give_up(self, orders: Sequence[str]) -> None:
        """Take away what these would be told, so that they start nothing, and no keys lie about. Raises Unavailable."""

    @abstractmethod
    async def tail(self, order: str, first: str, lines: int) -> Sequence[str]:
        """Return the last lines that an instance wrote, or what the queue wrote to ``first`` below the batches."""

    async def withdraw(self, batch: Batch) -> None:
        """Forget a submission that certainly wasn't made, here and there: what its jobs would be told holds keys."""
        await asyncio.to_thread(self.books.withdraw, batch)
        self.closed(batch.id)

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Return a context in which nobody else submits there, whatever machine they are on."""
        return nullcontext()  # those of this machine are kept out by the lock of its books

    @abstractmethod
    def watch(self, order: str, poke: Callable[[], None]) -> None:
        """Call ``poke`` once when a scheduler has left a note of where it listens, or of its end. A hint."""

    def watch_ends(self, orders: Sequence[str], poke: Callable[[], None]) -> None:  # noqa: B027 - a hint
        """Call ``poke`` once when those of these orders that run have left a note of their end; maybe never."""

    async def near(self, contact: Contact) -> Contact:
        """Return how this machine reaches a scheduler. Raises OSError where it can't; the message says why."""
        return contact

    def closed(self, batch: str) -> None:  # noqa: B027 - for what lies in our own books, the books have seen to that
        """All of a submission has ended: nothing that it was told has to lie there any more."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of connections and of what looks."""


class Here(Place):
    """This machine, whose files and Python the nodes see."""

    def __init__(self, books: Books, runner: CommandRunner) -> None:
        super().__init__(books, runner)
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._ends: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """See :meth:`Place.open`."""

    async def user(self) -> str:
        """See :meth:`Place.user`."""
        return str(os.getuid())

    async def furnish(self, order: Order) -> Ground:
        """See :meth:`Place.furnish`; the Python that you are in, in place."""
        return Ground(root=self.books.root, python=sys.executable, environ=os.environ, user=str(os.getuid()))

    async def deliver(self, batch: str, letters: Sequence[Mapping[str, Any]]) -> None:
        """See :meth:`Place.deliver`."""
        await asyncio.to_thread(self.books.deliver, batch, letters)

    async def look(self, orders: Sequence[str]) -> None:
        """See :meth:`Place.look`: they leave their notes in our records themselves."""
        await asyncio.to_thread(self.books.hear)

    async def give_up(self, orders: Sequence[str]) -> None:
        """See :meth:`Place.give_up`."""
        await asyncio.to_thread(self.books.give_up, orders)

    async def tail(self, order: str, first: str, lines: int) -> Sequence[str]:
        """See :meth:`Place.tail`."""
        log = self.books.records.run(order).directory / "log"
        found = await asyncio.to_thread(last_lines, str(log), lines)
        return found or (await asyncio.to_thread(last_lines, str(self.books.batches / first), lines) if first else ())

    def watch(self, order: str, poke: Callable[[], None]) -> None:
        """See :meth:`Place.watch`."""
        if order not in self._watches:
            self._watches[order] = asyncio.create_task(self._look_for(order, poke))

    async def _look_for(self, order: str, poke: Callable[[], None]) -> None:
        run, wait_s = self.books.records.run(order), LOOK_FIRST_S
        while not (run.noted("contact.json") or run.noted("exit.json")):
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 1.01, LOOK_LAST_S)
        self._watches.pop(order, None)
        poke()

    def watch_ends(self, orders: Sequence[str], poke: Callable[[], None]) -> None:
        """See :meth:`Place.watch_ends`."""
        runs = [run for run in map(self.books.records.run, orders) if run.noted("instance.json")]
        # Who asks again for an end that was told is told nothing new: the queue takes its time to say the same.
        if not all(run.noted("exit.json") for run in runs):
            watch = asyncio.create_task(self._look_for_ends(runs, poke))
            self._ends.add(watch)
            watch.add_done_callback(self._ends.discard)

    async def _look_for_ends(self, runs: list[Run], poke: Callable[[], None]) -> None:
        tries = int(ENDS_WITHIN_S / LOOK_FIRST_S)
        for _ in range(tries):
            while runs and runs[-1].noted("exit.json"):
                runs.pop()
            if not runs:
                await asyncio.sleep(SETTLES_S)
                poke()
                return
            await asyncio.sleep(LOOK_FIRST_S)

    async def aclose(self) -> None:
        """See :meth:`Place.aclose`."""
        watches = [*self._watches.values(), *self._ends]
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
