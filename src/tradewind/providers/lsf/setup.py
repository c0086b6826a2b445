"""What a site under LSF has for you."""

from __future__ import annotations

from collections.abc import Mapping

from tradewind.providers.batch.runner import CommandRunner
from tradewind.providers.batch.setup import Survey, ask, survey_of
from tradewind.providers.lsf.queue import LsfQueue

QUEUE = LsfQueue()
"""What it is asked as, of which no setting is known yet."""


async def survey(runner: CommandRunner, user: str, environ: Mapping[str, str]) -> Survey:
    """Ask the site's own commands, wherever ``runner`` runs them, as ``user`` of that machine.

    Raises
    ------
    Unavailable
        LSF doesn't answer.
    """
    return await survey_of("lsf", await ask(QUEUE, runner), (), runner, environ)
