"""What a pool of HTCondor has for you."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tradewind.providers.batch.runner import CommandRunner
from tradewind.providers.batch.setup import Survey, ask, survey_of
from tradewind.providers.htcondor.queue import HtcondorQueue

QUEUE = HtcondorQueue()
"""What it is asked as, of which no setting is known yet."""


async def survey(runner: CommandRunner, user: str, environ: Mapping[str, str]) -> Survey:
    """Ask the pool's own commands, wherever ``runner`` runs them, as ``user`` of that machine.

    Raises
    ------
    Unavailable
        HTCondor doesn't answer.
    """
    found = await survey_of("htcondor", await ask(QUEUE, runner), (), runner, environ)
    return replace(found, has_parts=False)
