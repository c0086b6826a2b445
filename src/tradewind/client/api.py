"""What the client's side asks of whoever runs clusters: the engine in this process, or a server."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tradewind.boot.process import KeyPair
from tradewind.model.budget import BudgetView, Webhook
from tradewind.model.cluster import Cluster, ClusterSpec, Scaling
from tradewind.model.computation import Computation, Insight
from tradewind.model.environment import Environment
from tradewind.model.events import Event
from tradewind.model.exchange import Deposit, MadeEnvironment, MadeWebhook, NewBudget, NewDeposit, NewEnvironment
from tradewind.model.instance import Instance
from tradewind.model.named import EnvironmentVersion, NamedEnvironment
from tradewind.model.usage import CostLine, Receipt
from tradewind.model.views import Check, ClusterView, DryRun

T = TypeVar("T")


class Api(Protocol):
    """The verbs. Every one is safe to repeat; clusters are named by id, or by name among the live ones."""

    def prepare(self, provider: str) -> None:
        """Get a provider ready for a launch that is about to come. A hint: returns at once, may do nothing."""

    async def dry_run(self, spec: ClusterSpec) -> DryRun:
        """Return what :meth:`create` would launch; changes nothing. Raises BadRequest as it would."""

    async def create(self, spec: ClusterSpec, *, environment: Environment | None = None) -> Cluster:
        """Write the cluster down and start it; returns at once. Raises BadRequest, OverBudget, NameTaken.

        ``environment`` is the caller's software, as :func:`tradewind.boot.environment.capture` finds it.
        """

    async def deposit(self, wanted: NewDeposit) -> Deposit:
        """Return where files of the caller's own code may be put, for machines to fetch; changes nothing.

        An engine of one's own needs no such place: it reads them where they are.
        """

    async def find(self, name: str, *, live: bool = True) -> Cluster | None:
        """Return the newest cluster of this name or id (``live`` only, or any), or None."""

    async def view(self, cluster_id: str) -> ClusterView:
        """Return all there is to show. Raises NotFound."""

    async def keys(self, cluster_id: str) -> KeyPair:
        """Return a client's keys for a live cluster. Raises NotFound."""

    async def scale(self, cluster_id: str, scaling: Scaling, *, dismiss: Sequence[str] = ()) -> None:
        """Change how many workers are wanted, and which ones (by instance id) shall leave."""

    async def set_environment(
        self, cluster_id: str, environment: Environment | None = None, *, compiled: str = ""
    ) -> None:
        """Change what software the workers are to have; returns at once.

        Those that were started with another are replaced, a few at a time, whether or not whoever asked stays. The
        same again changes nothing. ``environment`` None leaves it as it is; ``compiled`` names the caller's own
        compiled code, which a running worker can't load anew. Raises NotFound, and BadRequest for a cluster that has
        ended.
        """

    async def stop(self, cluster_id: str, detail: str = "") -> None:
        """Ask for the end of a cluster; returns at once, and a stopped cluster is a success."""

    async def wait_changed(self, cluster_id: str, revision: int, timeout_s: float) -> ClusterView:
        """Return the view as soon as its revision is past ``revision``, or after ``timeout_s``."""

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
        """Return cost lines by "cluster", "computation", "day", "tag:<key>", …, within a time range.

        Or by several with commas between, as "user,tag:project,day": a line for each combination there is; see
        :func:`tradewind.planning.meter.cost_by`. Raises BadRequest for what cost can't be shown by.
        """

    async def budgets(self) -> Sequence[BudgetView]:
        """Return the limits on the workspace's spending, the oldest first, with how they stand."""

    async def set_budget(self, wanted: NewBudget) -> BudgetView:
        """Set a limit, in place of the one that is there for the same. Raises BadRequest, Forbidden."""

    async def remove_budget(self, budget_id: str) -> None:
        """Let a limit hold no longer. Raises NotFound, Forbidden."""

    async def webhooks(self) -> Sequence[Webhook]:
        """Return where the workspace's notifications are posted to. Raises Forbidden."""

    async def add_webhook(self, url: str) -> MadeWebhook:
        """Have notifications posted to ``url``; the key that signs them is answered this once.

        Raises BadRequest for what is no address on the internet, and Forbidden.
        """

    async def remove_webhook(self, webhook_id: str) -> None:
        """Post no more to it. Raises NotFound, Forbidden."""

    async def environments(self, name: str | None = None) -> Sequence[EnvironmentVersion]:
        """Return the newest version of each named environment, or with ``name`` all of it, the newest first.

        Raises NotFound for a name that isn't there.
        """

    async def environment(self, name: str, version: int | None = None) -> NamedEnvironment:
        """Return one version, or with None the newest. Raises NotFound."""

    async def create_environment(self, wanted: NewEnvironment) -> MadeEnvironment:
        """Give software a name; another content of a name that is there is its next version.

        Raises BadRequest, Forbidden.
        """

    async def delete_environment(self, name: str, version: int | None = None) -> None:
        """Delete one version, or with None all. Raises NotFound, Forbidden; NameTaken while live clusters run it."""

    async def receipt(self, cluster_id: str) -> Receipt:
        """Return what a cluster cost up to now. Raises NotFound."""

    async def export(
        self, what: str, to: Path, *, since: datetime | None = None, until: datetime | None = None
    ) -> None:
        """Write a file that can be taken elsewhere; one that is there is replaced.

        ``what`` is "focus-csv", "focus-parquet" or "csv": the workspace's usage within a time range; or "everything":
        all that it has, as JSON lines in a ZIP, without secrets. Raises Forbidden, MissingExtra, OSError.
        """

    async def doctor(self) -> Sequence[Check]:
        """Check this machine, the store and each provider."""


class Engine(Api, Protocol):
    """Whoever answers the verbs, as a program holds it: the engine of its own process, or a line to a server."""

    def needs_software(self, provider: str) -> bool:
        """Return whether what ``provider`` launches must be given the caller's software; at once.

        False also of a server, which can't read the caller's files.
        """

    def expect(self, provider: str, planned: DryRun, environment: Environment) -> None:
        """Let machines begin with as much of the caller's software as they can get by themselves.

        A hint, given while the rest of it is being built: returns at once, may do nothing.
        """

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait in this thread for ``coroutine``, one of the verbs."""

    async def settle(self, timeout_s: float) -> None:
        """Look once at what nobody looks after, for programs too short-lived to do it in passing."""

    def close(self) -> None:
        """End what this process has of it; clusters stay."""
