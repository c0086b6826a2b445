"""What a site under PBS has for you."""

from __future__ import annotations

from collections.abc import Mapping

from tradewind.providers.batch.runner import Runner, require
from tradewind.providers.batch.setup import Finding, Survey, ask, survey_of
from tradewind.providers.pbs.queue import PbsQueue, is_torque


async def survey(user: str, environ: Mapping[str, str]) -> Survey:
    """Ask the site's own commands.

    Raises
    ------
    NotSetUp
        This machine has none of them.
    Unavailable
        PBS doesn't answer.
    """
    queue = PbsQueue()
    require(queue)
    runner = Runner(queue.prints)
    version = await runner.run(queue.site_commands()[-1])
    torque = is_torque(version.out)
    site = await ask(PbsQueue(torque=torque), runner)
    words = "This is Torque, which asks for nodes in another form."
    findings = (Finding(key="torque", words=words, value="true", is_sure=True),) if torque else ()
    return survey_of("pbs", site, findings, environ)
