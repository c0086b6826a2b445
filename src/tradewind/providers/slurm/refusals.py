"""What sbatch means when it refuses, and what to do instead."""

from __future__ import annotations

import re

from tradewind.errors import NoCapacity, ProviderError, Rejected, Unavailable
from tradewind.model.resources import GIB
from tradewind.providers.batch.queue import Job, Site

UNREACHABLE = re.compile(
    r"Unable to contact slurm controller|Socket timed out|Connection refused|Zero Bytes were transmitted"
    r"|temporarily unable|Resource temporarily unavailable|Unable to establish controller",
    re.IGNORECASE,
)
NOWHERE = re.compile(r"establish a configuration source|unable to (open|status) file .*slurm\.conf", re.IGNORECASE)
FULL = re.compile(r"submit limit|MaxSubmit|MaxJobCount|QOSMaxSubmit|AssocMaxSubmit|job submit limit", re.IGNORECASE)


def refusal(text: str, job: Job, site: Site, *, account: str | None, qos: str | None) -> ProviderError:
    """Return what a refused submission means, in Slurm's own words.

    Parameters
    ----------
    text : str
        What sbatch wrote.
    job : Job
        What was asked.
    site : Site
        What there is.
    account, qos : str, optional
        As the settings name them.
    """
    words = own_words(text)
    if UNREACHABLE.search(text):
        return Unavailable(f"Slurm doesn't answer: {words}")
    if FULL.search(text):
        return NoCapacity(f"{words}: as many jobs as you may have wait or run already")
    advice = _advice(text.lower(), job, site, account, qos)
    return Rejected(f"{words}; {advice}" if advice else words)


def own_words(text: str) -> str:
    """Return what Slurm's command wrote, without the repeated beginnings of its lines."""
    lines = [re.sub(r"^\w+: (?:error: )?", "", line.strip()) for line in text.splitlines()]
    kept = dict.fromkeys(line.rstrip(".") for line in lines if line)
    return "; ".join(kept) or "sbatch failed without a word"


def _advice(text: str, job: Job, site: Site, account: str | None, qos: str | None) -> str:
    if "account" in text:
        which = f"`account` is {account!r} in [slurm]" if account else "[slurm] names no `account`"
        return f"{which}; `sacctmgr show assoc user=$USER format=account,partition,qos` lists yours"
    if "partition" in text:
        names = ", ".join(partition.name for partition in site.partitions)
        return f"set `partition` in [slurm] to one of: {names}" if names else ""
    if "qos" in text:
        which = f"`qos` is {qos!r} in [slurm]" if qos else "[slurm] names no `qos`"
        return f"{which}; `sacctmgr show assoc user=$USER format=account,partition,qos` lists yours"
    if "time limit" in text:
        return "set a shorter `walltime` in [slurm]"
    if "feature" in text or "constraint" in text:
        return "`constraint` in [slurm] names what no node has; `sinfo --format='%N %f'` lists what they have"
    if "memory" in text or "node configuration" in text:
        return f"it asked for {job.cpus} cores and {job.memory / GIB:.4g} GiB of one node: ask for less per worker"
    return ""
