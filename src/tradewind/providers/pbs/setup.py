"""What a site under PBS has for you."""

from __future__ import annotations

from collections.abc import Mapping

from tradewind.providers.batch.runner import CommandRunner
from tradewind.providers.batch.setup import Finding, Survey, ask, survey_of
from tradewind.providers.pbs.queue import PbsQueue, is_torque

QUEUE = PbsQueue()
"""What it is asked as, of which no setting is known yet."""


async def survey(runner: CommandRunner, user: str, environ: Mapping[str, str]) -> Survey:
    """Ask the site's own commands, wherever ``runner`` runs them, as ``user`` of that machine.

    Raises
    ------
    Unavailable
        PBS doesn't answer.
    """
    version = await runner.run(QUEUE.site_commands()[-1])
    torque = is_torque(version.out)
    site = await ask(PbsQueue(torque=torque), runner)
    words = "This is Torque, which asks for nodes in another form."
    findings = (Finding(key="torque", words=words, value="true", is_sure=True),) if torque else ()
    return await survey_of("pbs", site, findings, runner, environ)
