"""What the client's side asks of whoever runs clusters: the engine in this process, or a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tradewind.boot.process import KeyPair
from tradewind.model.budget import BudgetState
from tradewind.model.cluster import Cluster, ClusterSpec, Scaling
from tradewind.model.computation import Computation, Insight
from tradewind.model.events import Event
from tradewind.model.instance import Instance, Role
from tradewind.model.offer import Offer
from tradewind.model.status import StatusPage
from tradewind.model.usage import Cost, CostLine, Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """All there is to show of one cluster at one moment."""

    cluster: Cluster
    instances: tuple[Instance, ...]
    cost: Cost
    budget: BudgetState | None
    """None where nothing limits it."""
    page: StatusPage | None
    """What its scheduler last said; None while it doesn't answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedInstances:
    """One line of a dry run."""

    role: Role
    count: int
    offer: Offer
    why: str
    """Why this offer was chosen over the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What would be launched, where, at what price, and why."""

    instances: tuple[PlannedInstances, ...]
    cost_per_hour: Cost
    """Of all of them for one hour."""
    notes: tuple[str, ...]
    """What is worth knowing before it starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing the doctor looked at."""

    name: str
    ok: bool
    fact: str
    advice: str = ""
    """What to do; empty where all is well."""


class Api(Protocol):
    """The verbs. Every one is safe to repeat; clusters are named by id, or by name among the live ones."""

    async def dry_run(self, spec: ClusterSpec) -> DryRun:
        """Return what :meth:`create` would launch; changes nothing. Raises BadRequest as it would."""

    async def create(self, spec: ClusterSpec) -> Cluster:
        """Write the cluster down and start it; returns at once. Raises BadRequest, NameTaken."""

    async def find(self, name: str, *, live: bool = True) -> Cluster | None:
        """Return the newest cluster of this name or id (``live`` only, or any), or None."""

    async def view(self, cluster_id: str) -> ClusterView:
        """Return all there is to show. Raises NotFound."""

    async def keys(self, cluster_id: str) -> KeyPair:
        """Return a client's keys for a live cluster. Raises NotFound."""

    async def scale(self, cluster_id: str, scaling: Scaling) -> None:
        """Change how many workers are wanted."""

    async def dismiss(self, cluster_id: str, instance_ids: Sequence[str]) -> None:
        """End these workers and want that many fewer."""

    async def stop(self, cluster_id: str, detail: str = "") -> None:
        """Ask for the end of a cluster; returns at once, and a stopped cluster is a success."""

    async def wait_changed(self, cluster_id: str, seen: ClusterView | None, timeout_s: float) -> ClusterView:
        """Return the view as soon as it differs from ``seen``, or after ``timeout_s``."""

    async def list_clusters(self, *, live: bool | None = None, limit: int = 100) -> Sequence[ClusterView]:
        """Return clusters, newest first."""

    async def events(self, cluster_id: str, *, after: int = 0) -> Sequence[tuple[int, Event]]:
        """Return the journal of a cluster after the entry numbered ``after``, oldest first."""

    async def logs(self, cluster_id: str, *, lines: int = 1000) -> Sequence[tuple[Instance, Sequence[str]]]:
        """Return the last lines of every instance, the dead included where they are kept."""

    async def computations(self, cluster_id: str | None = None, *, limit: int = 100) -> Sequence[Computation]:
        """Return computations, newest first."""

    async def computation(self, computation_id: str) -> Computation:
        """Return one; an unambiguous beginning of its id will do. Raises NotFound."""

    async def insights(self, cluster_id: str) -> Sequence[Insight]:
        """Return what could be better, the largest saving first."""

    async def usage(
        self, *, by: str = "cluster", since: datetime | None = None, until: datetime | None = None
    ) -> Sequence[CostLine]:
        """Return cost lines by "cluster", "computation", "day" or "tag:<key>", within a time range."""

    async def receipt(self, cluster_id: str) -> Receipt:
        """Return what a cluster cost up to now. Raises NotFound."""

    async def doctor(self) -> Sequence[Check]:
        """Check this machine, the store and each provider."""
