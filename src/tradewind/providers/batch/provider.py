"""A provider of batch jobs; what differs between systems is its :class:`~tradewind.providers.batch.queue.Queue`."""

from __future__ import annotations

import copy
import json
import logging
import os
import threading
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self, TypeVar, cast

from tradewind.config import read_options
from tradewind.errors import BadRequest, ConfigError, Rejected, Unavailable
from tradewind.host.records import SAFE
from tradewind.model.cluster import ClusterSpec
from tradewind.model.instance import ObservedInstance, Role
from tradewind.model.offer import Offer
from tradewind.model.resources import Need, Resources
from tradewind.providers.base import Capabilities, Handle, Order, Provider, ProviderSettings
from tradewind.providers.batch.books import KEPT_FOR, OUT
from tradewind.providers.batch.chosen import place_from
from tradewind.providers.batch.counter import Counter
from tradewind.providers.batch.ledger import Ledger
from tradewind.providers.batch.letters import Habits, habits_of
from tradewind.providers.batch.offers import Choices, choices_of
from tradewind.providers.batch.place import Here, Place
from tradewind.providers.batch.queue import Queue
from tradewind.providers.batch.rest import Rest
from tradewind.providers.batch.roll import Roll
from tradewind.providers.batch.sight import (
    handle_of,
    read_handle,
)
from tradewind.providers.batch.submit import Where
from tradewind.providers.batch.survey import Survey
from tradewind.providers.unsafe import ADDRESSES, OURS, refuse_from_a_worker, refuse_options

logger = logging.getLogger("tradewind.batch")
P = TypeVar("P", bound="BatchProvider")

AT_A_TIME = 500
"""Jobs named in one command: a line of arguments has an end."""
FIXED = frozenset(
    {
        *("site", "directory", "price_per_su", "currency"),
        *("login", "key", "known_hosts", "ssh_config", "environment", "tunnel", "python"),
    }
)
"""Settings that are the same for all clusters: where notes lie and who is asked, and what is billed."""


class BatchProvider(Provider):
    """Jobs of a batch system whose nodes see this machine's files.

    Parameters
    ----------
    settings : ProviderSettings
        Its own table of the settings.
    queue : Queue
        The system's dialect.
    place : Place
        Where they are run, and what the nodes share with us.
    choices : Choices
        What the settings say of sizes and prices.
    habits : Habits
        How jobs are run.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        gpus=True,
        vm_types=True,
        same_file_system=True,
        logs_of_the_dead=True,
        self_expiry=True,
        queues=True,
        starts_within=timedelta(seconds=30),
        ends_within=timedelta(seconds=35),
        remembers=KEPT_FOR,
        launches_at_once=10_000,
        poll_every=timedelta(seconds=3),
    )

    def __init__(
        self, settings: ProviderSettings, *, queue: Queue, place: Place, choices: Choices, habits: Habits
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._place = place
        self._books = place.books
        self._rest = Rest()
        self._roll = Roll(
            queue,
            place,
            installation=settings.installation,
            ledger=Ledger(queue, place.runner, place.books, choices.price_of),
            rest=self._rest,
            poke=self._poke,
            end=self.terminate,
        )
        self._survey = Survey(queue, place)
        self._counter = self._counter_of(queue, choices, habits)
        self._refused: set[Where] = set()
        """What wasn't cancelled when it was to be."""
        self._pokes: list[Callable[[], None]] = []
        self._variants: dict[str, Self] = {}
        """For clusters with settings of their own, by these."""

    def _counter_of(self, queue: Queue, choices: Choices, habits: Habits) -> Counter:
        return Counter(queue, self._place, self._survey, choices=choices, habits=habits, listed=self._roll.listed)

    def configured(self, options: Mapping[str, object]) -> Self:
        """Return this provider with other settings for one cluster. Raises BadRequest for what can't be one."""
        if not options:
            return self
        key = json.dumps(options, sort_keys=True)
        if key not in self._variants:
            fixed = sorted(FIXED & set(options))
            if fixed:
                raise BadRequest(
                    f"backend_options: {', '.join(fixed)} is the same for all clusters of an installation: "
                    f"set it in the table [{self.name}] of the settings file"
                )
            try:
                given = read_options(self.name, options, "backend_options")
            except ConfigError as error:
                raise BadRequest(str(error)) from None
            table = {**self._settings.options, **given}
            # It is the same provider at another counter: one list and one rest are of all jobs.
            variant = copy.copy(self)
            variant._settings = replace(self._settings, options=table)
            variant._queue = self.dialect(table)
            choices = choices_of(table, provider=self.name, part=self._queue.part)
            variant._counter = self._counter_of(variant._queue, choices, habits_of(table))
            variant._variants = {}
            self._variants[key] = variant
        return self._variants[key]

    @classmethod
    @abstractmethod
    def dialect(cls, table: Mapping[str, Any]) -> Queue:
        """Return the system, as its table of the settings has it."""

    @classmethod
    def from_settings(cls, settings: ProviderSettings) -> Self:
        """Return the provider; asks nothing yet.

        Raises
        ------
        NotSetUp
            This machine has none of the system's commands.
        ConfigError
            Its directory has a name that batch systems misread.
        MissingExtra
            It is to be reached by SSH, and the library for that isn't installed.
        """
        table = cast("dict[str, Any]", settings.options)
        queue = cls.dialect(table)
        made = _from_afar(cls) if table.get("login") else cls
        return made(
            settings,
            queue=queue,
            place=place_from(cls.name, settings, queue),
            choices=choices_of(table, provider=cls.name, part=queue.part),
            habits=habits_of(table),
        )

    def check(self, spec: ClusterSpec) -> None:
        """Refuse what can't run there.

        Raises
        ------
        BadRequest
            A keyword would undo what makes the cluster safe, or the caller is an instance itself.
        """
        refuse_from_a_worker()
        refuse_options(spec, OURS | ADDRESSES, f"on {self._queue.name}")
        if undone := self._queue.undone():
            raise BadRequest(undone)

    async def offers(self, need: Need, *, spot: bool = False, region: str | None = None) -> Sequence[Offer]:
        """Return shares of nodes, one for each partition that may be used. Raises BadRequest for too much."""
        return () if spot else await self._counter.offers(need)

    async def outlook(self, offer: Offer, count: int) -> str:
        """Return when the queue expects the first of so many to start, and whether all have room together."""
        return await self._counter.outlook(offer, count)

    async def standing(self) -> str:
        """Return what of the allocation is left, and one's fair share, as far as the system reckons them."""
        return await self._counter.standing()

    async def script_for(self, resources: Resources, count: int = 1) -> str:
        """Return the script that ``count`` jobs of this size are submitted with, for people to look at."""
        return await self._counter.script_for(resources, count)

    # Launching

    async def launch(self, order: Order) -> AsyncIterator[Handle]:
        """Submit one order with all that are launched at the same time; yields once the queue has it."""
        marks = order.marks
        for name in (marks.order, marks.cluster, marks.installation):
            if not SAFE.fullmatch(name):
                raise Rejected(f"{name!r} is no plain file name, as a run directory needs")
        job, index = await self._counter.submit(order)
        self._rest.wake()
        if marks.role is Role.SCHEDULER:
            self._place.watch(marks.order, self._poke)
        yield Handle(order=marks.order, handle=handle_of(job, index, marks.order))

    # Looking

    async def observe(self) -> Sequence[ObservedInstance]:
        """Return all jobs of this installation, those that ended lately too; one call to the queue."""
        return await self._roll.call()

    # Ending

    async def terminate(self, handles: Sequence[str]) -> None:
        """Cancel these jobs, all in one call; the queue kills them after its own grace.

        Raises
        ------
        Unavailable
            The queue doesn't answer, or refuses for the second time; the message has its words.
        """
        found = [read for handle in handles if (read := read_handle(handle)) is not None]
        if not found:
            return
        self._rest.wake()
        orders = [order for _, _, order in found if SAFE.fullmatch(order)]
        await self._place.give_up(orders)
        jobs = list(dict.fromkeys((job, index) for job, index, _ in found))
        refusals = [await self._end(jobs[start : start + AT_A_TIME]) for start in range(0, len(jobs), AT_A_TIME)]
        self._place.watch_ends(orders, self._poke)
        if said := "; ".join(filter(None, refusals)):
            raise Unavailable(f"{self._queue.name} doesn't cancel: {said}; the jobs run on, and are charged")

    async def _end(self, jobs: Sequence[Where]) -> str:
        """Cancel some; return what was said against it, where it has been said of one of them before."""
        said = await self._place.runner.run(self._queue.end_command(jobs))
        if said.code and self._queue.is_unreachable(said.error):
            raise Unavailable(f"{self._queue.name} doesn't answer: {said.error.strip()[:300]}")
        words = self._queue.kept(f"{said.error}\n{said.out}")[:300] if said.code else ""
        # Once may be a job that ended meanwhile, of which a system says so in words that nobody knows here.
        again = self._refused.intersection(jobs)
        self._refused.difference_update(jobs)
        if not words:
            return ""
        self._refused.update(jobs)
        logger.warning("%s doesn't cancel %d jobs: %s", self._queue.name, len(jobs), words)
        return words if again else ""

    async def logs(self, handle: str, lines: int) -> Sequence[str]:
        """Return the last lines that it wrote, or what the queue wrote in its place."""
        read = read_handle(handle)
        if read is None or not SAFE.fullmatch(read[2]):
            return ()
        where = self._books.find(read[2])
        first = "" if where is None else self._queue.log_of(os.path.join(where[0], OUT), where[1])
        return tuple(await self._place.tail(read[2], first, lines))

    async def aclose(self) -> None:
        """Wait for what is being submitted; jobs stay. Nobody is poked any more."""
        self._pokes.clear()
        for variant in self._variants.values():
            await variant._counter.aclose()
        await self._counter.aclose()
        await self._roll.aclose()
        await self._place.aclose()

    def prepare(self) -> None:
        """Ask what there is, while the store still opens; and forget what ended long ago."""
        if isinstance(self._place, Here):
            self._survey.begin()
        threading.Thread(
            target=self._books.prune, args=(datetime.now(UTC),), name="tradewind-prune", daemon=True
        ).start()

    def on_change(self, poke: Callable[[], None]) -> None:
        """Call ``poke`` when a scheduler came up or ended."""
        self._pokes.append(poke)

    def _poke(self) -> None:
        self._rest.wake()
        for poke in self._pokes:
            poke()


def _from_afar(provider: type[P]) -> type[P]:
    """Return the same provider for a login node: its machines don't see our directories, and are given software."""
    can = replace(provider.capabilities, same_file_system=False, software=True)
    return cast("type[P]", type(provider.__name__, (provider,), {"capabilities": can}))
