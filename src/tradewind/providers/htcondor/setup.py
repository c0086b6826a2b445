"""What a pool of HTCondor has for you."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tradewind.providers.batch.runner import Runner, require
from tradewind.providers.batch.setup import Survey, ask, survey_of
from tradewind.providers.htcondor.queue import HtcondorQueue


async def survey(user: str, environ: Mapping[str, str]) -> Survey:
    """Ask the pool's own commands.

    Raises
    ------
    NotSetUp
        This machine has none of them.
    Unavailable
        HTCondor doesn't answer.
    """
    queue = HtcondorQueue()
    require(queue)
    found = survey_of("htcondor", await ask(queue, Runner(queue.prints)), (), environ)
    return replace(found, has_parts=False)
