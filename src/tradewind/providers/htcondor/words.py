"""What HTCondor says, in plain words: why jobs wait and how they ended, and what a refusal means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tradewind.errors import NoCapacity, ProviderError, Rejected, Unavailable
from tradewind.model.resources import GIB
from tradewind.providers.batch.queue import Job

ASKED = 1
"""The code of a hold that a user asked for."""
UNREACHABLE = re.compile(
    r"failed to connect to|can't find address of|couldn't (locate|contact)|communication error|SECMAN"
    r"|connection refused|failed to fetch ads|collector .* unreachable|timed? ?out",
    re.IGNORECASE,
)
NOWHERE = re.compile(r"condor_config source|CONDOR_CONFIG|no configuration", re.IGNORECASE)
FULL = re.compile(r"would exceed MAX_JOBS_(SUBMITTED|PER_OWNER)", re.IGNORECASE)


def waiting(record: Mapping[str, Any]) -> str:
    """Return why a job waits, with HTCondor's own words behind."""
    if record.get("JobStatus") == 5:
        reason = str(record.get("HoldReason", "")).strip()
        if record.get("HoldReasonCode") == ASKED:
            return "it is held: release it with `condor_release`"
        return f"HTCondor holds it ({reason})" if reason else "HTCondor holds it"
    reason = str(record.get("LastRejMatchReason", "")).strip()
    return f"no slot is free for it yet (HTCondor: {reason})" if reason else "no slot is free for it yet"


def ended(record: Mapping[str, Any], *, ran: bool) -> str:
    """Return how a job ended."""
    if record.get("JobStatus") == 4:
        if record.get("ExitBySignal") is True:
            return f"was killed by signal {record.get('ExitSignal', '?')}"
        code = record.get("ExitCode")
        return "ended by itself" if code == 0 else f"failed with exit code {code}; its log says more"
    reason = str(record.get("RemoveReason", ""))
    held = str(record.get("HoldReason", "")).strip()
    if "PeriodicRemove" not in reason:
        return "was cancelled"
    if held:
        plain = "used more memory than it had asked for, and was stopped" if "memory" in held.lower() else "was stopped"
        return f"{plain} (HTCondor: {held})"
    return "its walltime was over, or its node was taken from it" if ran else "it could no longer start in time"


def refusal(text: str, job: Job) -> ProviderError:
    """Return what a refused submission means, in HTCondor's own words and with what to do instead."""
    lines = [re.sub(r"^(ERROR|WARNING): ?", "", line.strip()) for line in text.splitlines()]
    words = (
        "; ".join(dict.fromkeys(line.rstrip(".") for line in lines if line)) or "condor_submit failed without a word"
    )
    if UNREACHABLE.search(text):
        return Unavailable(f"HTCondor doesn't answer: {words}")
    if FULL.search(text):
        return NoCapacity(f"{words}: as many jobs as you may have wait or run already")
    lower, advice = text.lower(), ""
    if "max_jobs_per_submission" in lower:
        advice = f"it asked for {job.count} jobs at a time: ask for fewer workers at first, and scale later"
    elif "accounting" in lower or "group" in lower:
        advice = "`accounting_group` in [htcondor] names whose share is used; your pool's people say which is yours"
    elif "requirements" in lower or "parse" in lower or "expression" in lower:
        advice = "`requirements` and `directives` in [htcondor] are expressions of HTCondor's own"
    elif "memory" in lower or "cpus" in lower:
        advice = f"it asked for {job.cpus} cores and {job.memory / GIB:.4g} GiB: ask for less per worker"
    return Rejected(f"{words}; {advice}" if advice else words)
