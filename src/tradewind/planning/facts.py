"""The figures that insights rest on: of one computation, or of a whole cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tradewind.model.cluster import Cluster
from tradewind.model.computation import Computation, TaskGroup
from tradewind.model.instance import Role
from tradewind.model.usage import Cost, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputationFacts:
    """One computation, what it cost, and whether it had its cluster for itself."""

    computation: Computation
    cost: Cost
    """Its share of the cluster's."""
    is_alone: bool
    """Whether no other computation ran meanwhile: else its idle time may be another's work."""
    now: datetime

    @property
    def groups(self) -> tuple[TaskGroup, ...]:
        """Its task groups."""
        return self.computation.groups

    @property
    def done(self) -> int:
        """Tasks that ran to their end."""
        return sum(group.done for group in self.groups)

    @property
    def compute_seconds(self) -> float:
        """Thread-seconds inside tasks."""
        return sum(group.compute_seconds for group in self.groups)

    @property
    def transfer_seconds(self) -> float:
        """Seconds of moving results between workers."""
        return sum(group.transfer_seconds for group in self.groups)

    @property
    def disk_seconds(self) -> float:
        """Seconds of writing results to disk and reading them back for want of memory."""
        return sum(group.disk_seconds for group in self.groups)

    @property
    def wall_seconds(self) -> float:
        """From its first task to its last."""
        start = self.computation.started_at
        if start is None:
            return 0.0
        return max(0.0, ((self.computation.stopped_at or self.now) - start).total_seconds())

    @property
    def offered_seconds(self) -> float:
        """Thread-seconds that the cluster held ready meanwhile; 0 where that isn't known."""
        return self.computation.active_cpu_seconds

    @property
    def busy_seconds(self) -> float:
        """Thread-seconds in which a thread did anything for it."""
        known = sum(seconds for name, seconds in self.computation.activity_seconds.items() if not _is_idle(name))
        return max(known, self.compute_seconds)

    @property
    def idle_seconds(self) -> float:
        """Thread-seconds that were held ready and not used."""
        return max(0.0, self.offered_seconds - self.busy_seconds)

    @property
    def threads(self) -> float:
        """Threads that were there on average; 0 where that isn't known."""
        return self.offered_seconds / self.wall_seconds if self.wall_seconds else 0.0

    def activity(self, name: str) -> float:
        """Return the thread-seconds of one activity, 0 where it didn't happen."""
        return self.computation.activity_seconds.get(name, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """A whole cluster."""

    cluster: Cluster
    total: Cost
    waiting: Cost
    """The part after its start in which no computation ran."""
    computations: tuple[ComputationFacts, ...]
    usages: tuple[Usage, ...]

    @property
    def worker_memory(self) -> int | None:
        """Bytes of the smallest worker; None where there was none."""
        sizes = [usage.resources.memory for usage in self.usages if usage.role is Role.WORKER]
        return min(sizes, default=None)


def alone(computations: Sequence[Computation], now: datetime) -> frozenset[str]:
    """Return the ids of those that no other computation of these overlapped."""
    spans = sorted(
        (computation.started_at, computation.stopped_at or now, computation.id)
        for computation in computations
        if computation.started_at is not None
    )
    disturbed: set[str] = set()
    latest: tuple[datetime, str] | None = None
    for start, stop, id_ in spans:
        if latest is not None and start < latest[0]:
            disturbed |= {id_, latest[1]}
        if latest is None or stop > latest[0]:
            latest = (stop, id_)
    return frozenset(computation.id for computation in computations) - disturbed


def _is_idle(activity: str) -> bool:
    # Dask says "idle or other spans" for what it can't tell apart.
    return activity.startswith("idle")
