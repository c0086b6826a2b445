"""What Grid Engine's accounts say of jobs that ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tradewind.providers.batch.queue import Account, Entry, Stage
from tradewind.providers.sge.reasons import ended
from tradewind.providers.sge.site import read_time

FIRST = 1
"""What Grid Engine calls the first task."""
MARK = "+"
"""Between the parts of a mark in a job's name, where no colon may stand; no id of ours has one."""
FORMS = ("%Y-%m-%dT%H:%M:%S", "%a %b %d %H:%M:%S %Y", "%m/%d/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S")
"""As qstat, qacct, and qacct of younger kin write a moment."""
TIMES = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3}


def recalled(block: str) -> Iterator[Entry]:
    """Return the task that a block of ``qacct`` tells of; none where it isn't one of an array, so not ours."""
    facts = dict(line.strip().partition(" ")[::2] for line in block.splitlines() if line.strip())
    facts = {key: value.strip() for key, value in facts.items()}
    job, task = facts.get("jobnumber", ""), facts.get("taskid", "")
    if not job or not task.isdigit():
        return
    began, stopped = read_moment(facts.get("start_time", "")), read_moment(facts.get("end_time", ""))
    failed, code = _number(facts.get("failed", "")), _number(facts.get("exit_status", ""))
    asked = re.search(r"\bh_rt=([\d:]+)", facts.get("category", ""))
    lasted = stopped - began if began is not None and stopped is not None else None
    walltime = read_time(asked[1]) if asked is not None else None
    yield Entry(
        job=job,
        index=int(task) - FIRST,
        mark=mark_in(facts.get("jobname", "")),
        stage=Stage.OVER,
        words=ended(failed, code, lasted=lasted, walltime=walltime),
        started_at=began,
        stopped_at=stopped,
        exit_code=code,
        account=Account(
            cpus=_number(facts.get("slots", "")),
            cpu_time=_seconds(facts.get("cpu", "")),
            peak_memory=_largest(facts.get("ru_maxrss", "")),
        ),
    )


def mark_in(name: str) -> str:
    """Return the mark that a job's name holds; empty where it is none of ours."""
    return name.partition(MARK)[2].replace(MARK, ":")


def read_moment(text: str) -> datetime | None:
    """Return a moment; None for ``-/-``, of what never began."""
    for form in FORMS:
        try:
            return datetime.strptime(text.strip(), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _seconds(text: str) -> timedelta | None:
    found = re.match(r"\d+(\.\d+)?", text)
    return timedelta(seconds=float(found[0])) if found is not None else None


def _largest(text: str) -> int | None:
    """Return bytes of the largest process: the kernel counts them in KiB, which qacct takes for bytes."""
    found = re.match(r"(\d+(?:\.\d+)?)([KMG]?)", text)
    return int(float(found[1]) * TIMES[found[2]] * 1024) if found is not None else None


def _number(text: str) -> int:
    found = re.match(r"\d+", text)
    return int(found[0]) if found is not None else 0
