"""What qsub means when it refuses, and what to do instead."""

from __future__ import annotations

import re

from tradewind.errors import NoCapacity, ProviderError, Rejected, Unavailable
from tradewind.model.resources import GIB
from tradewind.providers.batch.queue import Job, Site

UNREACHABLE = re.compile(
    r"unable to (send message to|contact) qmaster|can't connect to service|commlib error|got (send|select) error"
    r"|connection refused|qmaster isn't alive|timeout",
    re.IGNORECASE,
)
NOWHERE = re.compile(
    r"set the environment variable SGE_ROOT|(cell|SGE_ROOT) directory .* doesn't exist"
    r"|(unable to|can.t) open .*bootstrap|act_qmaster.*(No such file|not found|can't)|can.t (read|get).*act_qmaster",
    re.IGNORECASE,
)
FULL = re.compile(
    r"max_u_jobs|only \d+ jobs are allowed|only allow a limit of|job rejected: .*(limit|maximum).* jobs|max_jobs",
    re.IGNORECASE,
)


def refusal(text: str, job: Job, site: Site, *, project: str | None) -> ProviderError:
    """Return what a refused submission means, in Grid Engine's own words.

    Parameters
    ----------
    text : str
        What qsub wrote.
    job : Job
        What was asked.
    site : Site
        What there is.
    project : str, optional
        As in the settings.
    """
    words = own_words(text)
    if UNREACHABLE.search(text):
        return Unavailable(f"Grid Engine doesn't answer: {words}")
    if FULL.search(text):
        return NoCapacity(f"{words}: as many jobs as you may have wait or run already")
    advice = _advice(text.lower(), job, site, project)
    return Rejected(f"{words}; {advice}" if advice else words)


def own_words(text: str) -> str:
    """Return what Grid Engine's command wrote, without the beginnings and ends of its own."""
    lines = [re.sub(r"^(Unable to run job: |error: |denied: )+", "", line.strip()) for line in text.splitlines()]
    kept = dict.fromkeys(line.rstrip(".") for line in lines if line and line != "Exiting.")
    return "; ".join(kept) or "qsub failed without a word"


def _advice(text: str, job: Job, site: Site, project: str | None) -> str:
    if "unknown queue" in text:
        names = ", ".join(partition.name for partition in site.partitions)
        return f"set `queues` in [sge] to some of: {names}" if names else ""
    if "project" in text:
        which = f"`project` is {project!r} in [sge]" if project else "[sge] names no `project`"
        return f"{which}; `qconf -sprjl` lists those there are"
    if "parallel environment" in text:
        return "set `parallel_environment` in [sge] to one that keeps a job on one node; `qconf -spl` lists them"
    if "unknown resource" in text:
        return "`memory_resource` or `gpu_resource` in [sge] names what isn't there; `qconf -sc` lists what is"
    if "no suitable queues" in text:
        time = f", {job.walltime} of time" if job.walltime is not None else ""
        return (
            f"it asked for {job.cpus} slots and {job.memory / GIB:.4g} GiB of one node of {job.queue}{time}: ask for "
            "less, or name another queue"
        )
    if "submit host" in text:
        return "run it on a login node that may submit jobs; `qconf -ss` lists them"
    return ""
