"""What a queue's entry and the notes of its instance mean together."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from tradewind.host.bare.starter import ASKED
from tradewind.host.records import Run
from tradewind.model.instance import InstanceStatus, Marks, ObservedInstance, Role
from tradewind.model.money import Price
from tradewind.providers.batch.queue import Entry, Stage

VERSION = "tradewind"
BY_ITSELF = "ended by itself"
"""What a queue says of a job that it didn't end, as far as it knows."""


def mark_of(installation: str, batch: str, cluster: str) -> str:
    """Return what a submission carries in the queue, where everybody can read it."""
    return f"{VERSION}:{installation}:{batch}:{cluster}"


def read_mark(text: str) -> tuple[str, str, str] | None:
    """Return installation, submission and cluster; None for what isn't ours."""
    parts = text.strip().split(":")
    return (parts[1], parts[2], parts[3]) if len(parts) == 4 and parts[0] == VERSION else None


def handle_of(job: str, index: int, order: str) -> str:
    """Return what ``terminate`` takes."""
    return f"{job}_{index}/{order}"


def read_handle(handle: str) -> tuple[str, int, str] | None:
    """Return job, index and order; None for what is no handle of ours."""
    where, _, order = handle.partition("/")
    job, _, index = where.rpartition("_")
    return (job, int(index), order) if job and index.isdigit() and order else None


def observed(entry: Entry, marks: Marks, run: Run) -> ObservedInstance:
    """Return what is to be said of a job: the queue says whether it lives, its own notes say how far it is."""
    handle = handle_of(entry.job, entry.index, marks.order)
    if entry.stage is Stage.OVER:
        return _over(entry, marks, run, handle)
    if entry.stage is Stage.WAITING:
        return ObservedInstance(marks=marks, handle=handle, status=InstanceStatus.PENDING, detail=entry.words)
    contact = run.contact() if marks.role is Role.SCHEDULER else None
    status = InstanceStatus.STARTING
    if entry.stage is Stage.ENDING or run.noted("stopping") or run.noted("exit.json"):
        status = InstanceStatus.STOPPING
    elif contact is not None or (marks.role is Role.WORKER and run.noted("ready")):
        status = InstanceStatus.RUNNING
    return ObservedInstance(
        marks=marks,
        handle=handle,
        status=status,
        started_at=entry.started_at,
        detail=entry.words,
        contact=contact,
        ends_at=entry.ends_at,
    )


def _over(entry: Entry, marks: Marks, run: Run, handle: str) -> ObservedInstance:
    end = run.exit()
    # A job that never ran has no start of its own: Slurm gives it its end.
    began = entry.started_at
    if began is not None and began == entry.stopped_at and not run.noted("instance.json"):
        began = None
    return ObservedInstance(
        marks=marks,
        handle=handle,
        status=InstanceStatus.STOPPED,
        started_at=began,
        stopped_at=entry.stopped_at,
        exit_code=end.exit_code if end is not None else entry.exit_code,
        detail=_why(entry, end.detail if end is not None else ""),
    )


def _why(entry: Entry, said: str) -> str:
    # The instance knows best why it ended, unless somebody ended it: who that was, a queue may know.
    if said == ASKED:
        return said if entry.words in {"", BY_ITSELF} else entry.words
    return said or entry.words


def never(seen: ObservedInstance, why: str) -> ObservedInstance:
    """Return a job that waits for what will never be as one that was refused."""
    return ObservedInstance(
        marks=seen.marks,
        handle=seen.handle,
        status=InstanceStatus.STOPPED,
        stopped_at=seen.stopped_at,
        detail=why,
        refused=True,
    )


def to_data(seen: ObservedInstance) -> dict[str, Any]:
    """Return an instance that ended, ready for JSON."""
    return {
        "marks": asdict(seen.marks),
        "handle": seen.handle,
        "started_at": seen.started_at.isoformat() if seen.started_at is not None else None,
        "stopped_at": seen.stopped_at.isoformat() if seen.stopped_at is not None else None,
        "exit_code": seen.exit_code,
        "detail": seen.detail,
        "refused": seen.refused,
        "charged": None if seen.charged is None else [str(seen.charged.per_hour), seen.charged.currency],
    }


def from_data(data: dict[str, Any]) -> ObservedInstance:
    """Return the instance that ended which :func:`to_data` wrote."""
    return ObservedInstance(
        marks=Marks(**{**data["marks"], "role": Role(data["marks"]["role"])}),
        handle=data["handle"],
        status=InstanceStatus.STOPPED,
        exit_code=data["exit_code"],
        detail=data["detail"],
        refused=data["refused"],
        charged=_price(data.get("charged")),
        started_at=_time(data["started_at"]),
        stopped_at=_time(data["stopped_at"]),
    )


def _price(data: list[str] | None) -> Price | None:
    return None if data is None else Price(per_hour=Decimal(data[0]), currency=data[1])


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
