"""What bsub means when it refuses, and what to do instead."""

from __future__ import annotations

import re

from tradewind.errors import NoCapacity, ProviderError, Rejected, Unavailable
from tradewind.model.resources import GIB
from tradewind.providers.batch.queue import Job, Site

UNREACHABLE = re.compile(
    r"LSF is down|cannot connect to LSF|batch (system )?daemon (is )?not responding|failed in an LSF library call"
    r"|LSF is processing your request|master batch daemon|communication time ?out|slave LIM|connection refused",
    re.IGNORECASE,
)
NOWHERE = re.compile(r"lsf\.conf|bad configuration environment|LSF_ENVDIR|LSF_CONFDIR", re.IGNORECASE)
FULL = re.compile(
    r"pending job (threshold|limit)|MAX_PEND|job limit|user has (too many|reached)|too many jobs", re.IGNORECASE
)


def refusal(text: str, job: Job, site: Site, *, project: str | None) -> ProviderError:
    """Return what a refused submission means, in LSF's own words.

    Parameters
    ----------
    text : str
        What bsub wrote.
    job : Job
        What was asked.
    site : Site
        What there is.
    project : str, optional
        As the settings name it.
    """
    words = own_words(text)
    if UNREACHABLE.search(text):
        return Unavailable(f"LSF doesn't answer: {words}")
    if FULL.search(text):
        return NoCapacity(f"{words}: as many jobs as you may have wait or run already")
    advice = _advice(text.lower(), job, site, project)
    return Rejected(f"{words}; {advice}" if advice else words)


def own_words(text: str) -> str:
    """Return what bsub wrote, without what it always adds."""
    lines = [
        re.sub(r"\s*(Request aborted by esub\.|Job not submitted\.)\s*$", "", line.strip())
        for line in text.splitlines()
    ]
    return "; ".join(dict.fromkeys(line.rstrip(".") for line in lines if line)) or "bsub failed without a word"


def _advice(text: str, job: Job, site: Site, project: str | None) -> str:
    if "queue" in text and ("no such" in text or "cannot use" in text or "closed" in text):
        names = ", ".join(partition.name for partition in site.partitions)
        return f"set `queues` in [lsf] to some of: {names}" if names else ""
    if "project" in text:
        return f"`project` is {project!r} in [lsf]" if project else "[lsf] names no `project`, and this site wants one"
    if "array" in text:
        return f"it asked for {job.count} jobs at a time: ask for fewer workers at first, and scale later"
    if "run limit" in text or "runlimit" in text or "time limit" in text:
        return f"set a shorter `{job.walltime_setting}` in [lsf]"
    if "memory" in text or "resource" in text or "processors" in text or "slots" in text or "tasks" in text:
        return f"it asked for {job.cpus} cores and {job.memory / GIB:.4g} GiB of one node: ask for less per worker"
    return ""
