"""Where jobs are asked for: what there is to be had, at what price and from when, and the submitting of it.

A cluster with settings of its own goes to a counter of its own. What then becomes of jobs is the same for all.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tradewind.errors import BadRequest, ConfigError, NoCapacity, ProviderError, Rejected, Unavailable
from tradewind.model.offer import Offer
from tradewind.model.resources import Need, Resources
from tradewind.providers.base import Order
from tradewind.providers.batch.letters import Habits, too_long
from tradewind.providers.batch.offers import Choices, expected, offers_for, partition_of
from tradewind.providers.batch.place import Place
from tradewind.providers.batch.queue import Entry, Job, Queue, Site
from tradewind.providers.batch.submit import Submitter, Where
from tradewind.providers.batch.survey import Survey

logger = logging.getLogger("tradewind.batch")


class Counter:
    """One set of settings to ask with.

    Parameters
    ----------
    queue : Queue
        The dialect, as the settings have it.
    place : Place
        Where it is asked.
    survey : Survey
        What the site says of itself.
    choices : Choices
        What the settings say of sizes and prices.
    habits : Habits
        How jobs are run.
    listed : callable
        Returns what the queue has of ours now.
    """

    def __init__(
        self,
        queue: Queue,
        place: Place,
        survey: Survey,
        *,
        choices: Choices,
        habits: Habits,
        listed: Callable[[], Awaitable[Sequence[Entry]]],
    ) -> None:
        self.queue = queue
        self._place = place
        self._survey = survey
        self._choices = choices
        self._habits = habits
        self._submitter = Submitter(queue, place, place.books, habits, site=self._site, listed=listed)
        self._read: tuple[Sequence[str], Site] | None = None

    async def submit(self, order: Order) -> Where:
        """Return where an order is in the queue, after submitting it with all that are given at the same time."""
        try:
            return await self._submitter.submit(order)
        except Rejected:
            await self._survey.forget()  # what it was asked for by may be out of date
            raise

    async def aclose(self) -> None:
        """Wait for what is being submitted."""
        await self._submitter.aclose()

    async def offers(self, need: Need) -> Sequence[Offer]:
        """Return shares of nodes, one for each partition that may be used. Raises BadRequest for too much."""
        try:
            return self._offers(need, await self._site())
        except BadRequest:
            # Nobody is refused by what held an hour ago.
            if not await self._survey.forget():
                raise
            return self._offers(need, await self._site())

    def _offers(self, need: Need, site: Site) -> Sequence[Offer]:
        found = offers_for(need, site, self._choices)
        setting = "scheduler_walltime" if need.beside else "walltime"
        asked: timedelta | None = getattr(self._habits, setting)
        for offer in found:
            partition = partition_of(site, offer.vm_type)
            longest = partition.longest_time if partition is not None else None
            if partition is not None and asked is not None and longest is not None and asked > longest:
                raise BadRequest(too_long(asked, partition, site.part, setting=setting))
        return found

    async def outlook(self, offer: Offer, count: int) -> str:
        """Return when the queue expects the first of so many to start, and whether all have room together.

        Raises
        ------
        BadRequest
            It would never take such a job.
        """
        command = self.queue.forecast_command()
        if command is None:
            return ""
        job = self._example(offer.resources, offer.vm_type)
        try:
            site = await self._site()
            said = await self._place.runner.run(command, text=self.queue.script(job, site))
            if said.code:
                raise self.queue.refusal(said.error or said.out, job, site)
        except Unavailable as error:
            logger.info("when jobs would start isn't known: %s", error)
            return ""
        except NoCapacity as error:
            return f"{self.queue.name} takes no more at the moment: {error}."
        except ProviderError as error:
            raise BadRequest(str(error)) from None
        at = self.queue.read_forecast(said.error + said.out)
        return "" if at is None else expected(at, datetime.now(UTC), offer, count, self.queue.name)

    async def standing(self) -> str:
        """Return what of the allocation is left, and one's fair share, as far as the system reckons them."""
        try:
            command = self.queue.standing_command(await self._place.user())
            said = await self._place.runner.run(command) if command is not None else None
        except (Unavailable, ConfigError) as error:
            logger.info("what may still be spent isn't known: %s", error)
            return ""
        return "" if said is None or said.code else self.queue.read_standing(said.out)

    async def script_for(self, resources: Resources, count: int = 1) -> str:
        """Return the script that ``count`` jobs of this size are submitted with, for people to look at."""
        job = self._example(resources, next(iter(self._choices.partitions), None))
        return self.queue.script(
            replace(job, name="tw-example", count=count, commands=("exec …",), log="out"), await self._site()
        )

    async def _site(self) -> Site:
        texts = await self._survey.texts()
        if self._read is None or self._read[0] is not texts:
            self._read = (texts, self.queue.read_site(texts))
        return self._read[1]

    def _example(self, resources: Resources, part: str | None) -> Job:
        return Job(
            name="tw-outlook",
            mark="",
            commands=("true",),
            log=os.devnull,
            count=1,
            cpus=max(1, int(resources.cpus)),
            memory=resources.memory,
            gpus=resources.gpus,
            queue=part,
            walltime=self._habits.walltime,
        )
