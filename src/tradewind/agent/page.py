"""The status page, as JSON-ready data that parses into :class:`~tradewind.model.status.StatusPage`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tradewind.agent.failures import KEY_LIMIT, clip, whole_number

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import WorkerState

    from tradewind.agent.history import History
    from tradewind.agent.presence import Presence

UNFINISHED = ("waiting", "queued", "processing", "no-worker")


def status_page(
    scheduler: Scheduler, presence: Presence, history: History | None, *, since: int, target_duration_s: float
) -> dict[str, Any]:
    """Return what the scheduler says of itself now.

    Parameters
    ----------
    scheduler, presence, history
        What to read; ``history`` is None where none is kept.
    since : int
        Cursor of the last page; computations that changed after it are told.
    target_duration_s : float
        For Dask's own estimate of how many workers would finish the known work in about this time.
    """
    computations, cursor = ([], 0) if history is None else history.changed_since(since)
    return {
        "at": datetime.now(UTC).isoformat(),
        "workers": [worker_status(worker) for worker in scheduler.workers.values()],
        "tasks_running": sum(
            prefix.states[state] for prefix in scheduler.task_prefixes.values() for state in UNFINISHED
        ),
        **presence.facts(),
        "adaptive_target": max(0, scheduler.adaptive_target(target_duration_s)),
        "computations": computations,
        "cursor": cursor,
    }


def worker_status(worker: WorkerState) -> dict[str, Any]:
    """Return one worker's line; before its first heartbeat the figures are 0."""
    memory = worker.memory
    return {
        "name": clip(worker.name, KEY_LIMIT),
        "address": clip(worker.address, KEY_LIMIT),
        "status": worker.status.name,
        "threads": worker.nthreads,
        "memory_limit": whole_number(worker.memory_limit or 0),
        "memory": whole_number(memory.process),
        "spilled": whole_number(memory.spilled),
        "cpu": max(0.0, float(worker.metrics.get("cpu", 0.0))),
        "processing": len(worker.processing),
    }
