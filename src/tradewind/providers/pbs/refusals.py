"""What qsub means when it refuses, and what to do instead."""

from __future__ import annotations

import re

from tradewind.errors import NoCapacity, ProviderError, Rejected, Unavailable
from tradewind.model.resources import GIB
from tradewind.providers.batch.queue import Job, Site

UNREACHABLE = re.compile(
    r"cannot connect to server|connection refused|connection timed out|server shutting down|no free connections"
    r"|communication failure|batch protocol error|server connection table full|end of file|errno=111",
    re.IGNORECASE,
)
NOWHERE = re.compile(r"pbsconf error|pbs\.conf|no default server|no server specified|server_name", re.IGNORECASE)
FULL = re.compile(
    r"maximum number of jobs already|would exceed .*(per-user|per-group|per-project|limit)"
    r"|job limit|maximum number of jobs",
    re.IGNORECASE,
)


def refusal(text: str, job: Job, site: Site, *, account: str | None, project: str | None) -> ProviderError:
    """Return what a refused submission means, in PBS's own words.

    Parameters
    ----------
    text : str
        What qsub wrote.
    job : Job
        What was asked.
    site : Site
        What there is.
    account, project : str, optional
        As the settings name them.
    """
    words = own_words(text)
    if UNREACHABLE.search(text):
        return Unavailable(f"PBS doesn't answer: {words}")
    if FULL.search(text) and "resource" not in text.lower():
        return NoCapacity(f"{words}: as many jobs as you may have wait or run already")
    advice = _advice(text.lower(), job, site, account, project)
    return Rejected(f"{words}; {advice}" if advice else words)


def own_words(text: str) -> str:
    """Return what PBS's command wrote, without the repeated beginnings of its lines."""
    lines = [re.sub(r"^(qsub|qstat|qdel): ?", "", line.strip()) for line in text.splitlines()]
    return "; ".join(dict.fromkeys(line.rstrip(".") for line in lines if line)) or "qsub failed without a word"


def _advice(text: str, job: Job, site: Site, account: str | None, project: str | None) -> str:
    if "queue" in text and ("unknown" in text or "denied" in text or "not enabled" in text):
        names = ", ".join(partition.name for partition in site.partitions)
        return f"set `queues` in [pbs] to some of: {names}" if names else ""
    if "account" in text or "project" in text:
        said = [f"`{key}` is {value!r}" for key, value in (("account", account), ("project", project)) if value]
        return f"{' and '.join(said) or 'no `account` and no `project` is set'} in [pbs]; your site says which is yours"
    if "unknown resource" in text or "select" in text or "illegal attribute" in text:
        return (
            "what is asked for besides cores and memory stands in `chunk` and `directives` of [pbs]; where this is "
            "Torque, set `torque = true`"
        )
    if "walltime" in text:
        return f"set a shorter `{job.walltime_setting}` in [pbs]"
    if "resource" in text or "node" in text:
        time = f" for {job.walltime}" if job.walltime is not None else ""
        return (
            f"it asked for {job.cpus} cores and {job.memory / GIB:.4g} GiB of one node{time}: ask for less per worker"
        )
    return ""
