"""What ran: one span of Dask work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskGroup:
    """Tasks of one kind inside a computation, by their key prefix."""

    prefix: str
    """As ``mean_chunk``."""
    tasks: int
    done: int
    """In memory, released or forgotten after they ran."""
    erred: int
    compute_seconds: float
    """Summed over workers."""
    transfer_seconds: float
    disk_seconds: float
    nbytes: int
    """Of all results together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputationError:
    """A task that failed."""

    at: datetime
    key: str
    prefix: str
    exception: str
    """As ``ValueError('…')``; capped and scrubbed."""
    traceback: str
    """Text; capped and scrubbed."""
    worker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Computation:
    """One span of Dask work, as it was last seen. Times are the scheduler's."""

    id: str
    """The span's id."""
    cluster_id: str
    name: str
    """Tags of the span joined by " / "; "default" for work outside any span."""
    started_at: datetime | None
    """When its first task was sent; None before."""
    stopped_at: datetime | None
    """When its last task ended; None while it runs."""
    done: bool
    groups: tuple[TaskGroup, ...] = ()
    activity_seconds: Mapping[str, float] = field(default_factory=dict)
    """Thread-seconds by what the workers did: "thread-cpu", "disk-write", "idle", …"""
    active_cpu_seconds: float = 0.0
    """Thread-seconds the cluster offered while this ran."""
    nbytes: int = 0
    code: tuple[str, ...] = ()
    """Opt-in; capped and scrubbed."""
    errors: tuple[ComputationError, ...] = ()
    workers: int = 0
    """The most that were there while it ran."""

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return sum(group.tasks for group in self.groups)

    @property
    def erred(self) -> int:
        """Number of tasks that failed."""
        return sum(group.erred for group in self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Insight:
    """A measured waste or fault."""

    rule: str
    """Stable name: ``tiny-tasks``."""
    title: str
    """A sentence for a person."""
    evidence: str
    """The figures it rests on."""
    advice: str
    """What to change."""
    saving_seconds: float | None = None
    """Thread-seconds that mending it would save; None where that can't be told."""
    computation_id: str | None = None
    """None where it is about the whole cluster."""
    computation: str = ""
    """That computation's name."""
