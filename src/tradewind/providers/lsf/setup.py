"""What a site under LSF has for you."""

from __future__ import annotations

from collections.abc import Mapping

from tradewind.providers.batch.runner import Runner, require
from tradewind.providers.batch.setup import Survey, ask, survey_of
from tradewind.providers.lsf.queue import LsfQueue


async def survey(user: str, environ: Mapping[str, str]) -> Survey:
    """Ask the site's own commands.

    Raises
    ------
    NotSetUp
        This machine has none of them.
    Unavailable
        LSF doesn't answer.
    """
    queue = LsfQueue()
    require(queue)
    return survey_of("lsf", await ask(queue, Runner(queue.prints)), (), environ)
