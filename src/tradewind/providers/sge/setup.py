"""What a site under Grid Engine has for you."""

from __future__ import annotations

from collections.abc import Mapping

from tradewind.providers.batch.queue import Site
from tradewind.providers.batch.runner import CommandRunner
from tradewind.providers.batch.setup import Finding, Survey, ask, survey_of
from tradewind.providers.sge.queue import SgeQueue

QUEUE = SgeQueue()
"""What it is asked as, of which no setting is known yet."""


async def survey(runner: CommandRunner, user: str, environ: Mapping[str, str]) -> Survey:
    """Ask the site's own commands, wherever ``runner`` runs them, as ``user`` of that machine.

    Raises
    ------
    Unavailable
        Grid Engine doesn't answer.
    """
    site = await ask(QUEUE, runner)
    return await survey_of("sge", site, findings_of(site), runner, environ)


def findings_of(site: Site) -> tuple[Finding, ...]:
    """Return how slots, memory and GPUs are asked for there; all of it is found anew by each session."""
    found = []
    environments = dict.fromkeys(name for key, name in site.ways.items() if key.startswith("environment of "))
    if environments:
        words = f"Parallel environments that keep a job on one node: {', '.join(environments)}."
        found.append(Finding(key="parallel_environment", words=words, value=next(iter(environments)), is_sure=False))
    for what, key in (("memory", "memory_resource"), ("gpu", "gpu_resource")):
        if what in site.ways:
            each = "each slot" if site.ways[f"{what} is per slot"] == "yes" else "the job"
            words = f"{'Memory is' if what == 'memory' else 'GPUs are'} counted by {site.ways[what]}, for {each}."
            found.append(Finding(key=key, words=words, value=site.ways[what], is_sure=False))
    return tuple(found)
