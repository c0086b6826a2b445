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
POLICY = re.compile(r"\s*\(job submit limit, user's size and/or time limits\)", re.IGNORECASE)
"""What Slurm adds to each refusal by a limit, whichever it is; which it is, a line of its own says."""
FULL = re.compile(r"(Max|Grp)(Submit)?Jobs?|submit limit|MaxJobCount", re.IGNORECASE)

LIMITS = "sacctmgr show qos,assoc user=$USER"


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
    if FULL.search(POLICY.sub("", text)):
        return NoCapacity(f"{words}: as many jobs as you may have wait or run already")
    advice = _advice(text.lower(), job, site, account, qos)
    return Rejected(f"{words}; {advice}" if advice else words)


def own_words(text: str) -> str:
    """Return what Slurm's command wrote, without the repeated beginnings of its lines."""
    lines = [re.sub(r"^\w+: (?:error: )?", "", line.strip()) for line in text.splitlines()]
    kept = dict.fromkeys(line.rstrip(".") for line in lines if line)
    return "; ".join(kept) or "sbatch failed without a word"


def _advice(text: str, job: Job, site: Site, account: str | None, qos: str | None) -> str:
    """Return what to do instead; what is surest comes first."""
    text = POLICY.sub("", text)
    policy = "accounting/qos policy" in text
    if re.search(r"max_?wall|time limit", text):
        return _shorter(job)
    if policy and re.search(r"grp\w*minutes", text):
        return f"what is left of the allocation isn't enough for it; `{LIMITS}` shows how much that was"
    if policy and (
        limit := re.search(r"\b(?:assoc|qos)?max\w+per(?:job|node)\w*|\b(?:assoc|qos)(?:max|min|grp)\w+", text)
    ):
        verb = "more" if "min" in limit[0] and "minutes" not in limit[0] else "less"
        return f"{_size(job)}: ask for {verb} per worker; `{LIMITS}` shows what you may have"
    if policy:
        return f"`{LIMITS}` shows what you may have at a time, and of what size"
    if re.search(r"\baccount\b", text):
        which = f"`account` is {account!r} in [slurm]" if account else "[slurm] names no `account`"
        return f"{which}; `sacctmgr show assoc user=$USER format=account,partition,qos` lists yours"
    if "partition" in text:
        names = ", ".join(partition.name for partition in site.partitions)
        return f"set `partitions` in [slurm] to some of: {names}" if names else ""
    if "qos" in text:
        which = f"`qos` is {qos!r} in [slurm]" if qos else "[slurm] names no `qos`"
        return f"{which}; `sacctmgr show assoc user=$USER format=account,partition,qos` lists yours"
    if "feature" in text or "constraint" in text:
        return "`constraint` in [slurm] names what no node has; `sinfo --format='%N %f'` lists what they have"
    if "memory" in text or "node configuration" in text:
        return f"{_size(job)}: ask for less per worker"
    return ""


def _size(job: Job) -> str:
    gpus = f", {job.gpus} GPUs" if job.gpus else ""
    return f"it asked for {job.cpus} cores{gpus} and {job.memory / GIB:.4g} GiB of one node"


def _shorter(job: Job) -> str:
    asked = f"it asked for {job.walltime}: " if job.walltime is not None else ""
    return f"{asked}set a shorter `{job.walltime_setting}` in [slurm]"
