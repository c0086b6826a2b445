"""Who asks, and what that one may see and do."""

from __future__ import annotations

from dataclasses import replace

from tradewind.engine.clock import Clock
from tradewind.errors import Forbidden, NotFound
from tradewind.model.cluster import Cluster
from tradewind.model.people import AuditEntry, Caller, MemberRole
from tradewind.planning.access import Action, may, refusal
from tradewind.store.access.audit import By
from tradewind.store.store import Store

LONGEST_DETAIL = 500
"""Characters that the audit log keeps of what somebody said."""


class Asker:
    """One caller, in one workspace: what every verb asks before it does anything; the audit log names the request."""

    def __init__(self, store: Store, clock: Clock, caller: Caller, request_id: str | None = None) -> None:
        self.caller = caller
        self.workspace = caller.workspace
        self._store = store
        self._clock = clock
        self._request_id = request_id

    def entry(self, action: str, cluster: Cluster, detail: str) -> AuditEntry | None:
        """Return what the audit log says of it; None for an engine of one's own: there is nobody to ask."""
        if not self.caller.user_id:
            return None
        about = f"{cluster.name!r} of {cluster.owner}{': ' if detail else ''}{detail[:LONGEST_DETAIL]}"
        return self.audited(action, cluster.id, about)

    def audited(self, action: str, subject: str, detail: str) -> AuditEntry:
        return self.by().did(action, subject, detail, workspace=self.workspace)

    def by(self) -> By:
        """Return whose hand a change is that is made now."""
        return By(user=self.caller.user, at=self._clock.now(), request_id=self._request_id)

    def refuse_unless(self, action: Action, *, owner: str | None = None) -> None:
        """Raise Forbidden for what this caller may not do."""
        if not may(self.caller, action, owner=owner):
            raise Forbidden(refusal(self.caller, action))

    def readable(self) -> frozenset[str] | None:
        """Return the names of those whose computations this caller may read; None is everybody's."""
        if may(self.caller, Action.READ_DETAIL):
            return None
        mentees = self.caller.mentees if self.caller.role is MemberRole.MENTOR else frozenset()
        return mentees | {self.caller.user}

    def shown(self, cluster: Cluster) -> Cluster:
        """Return the record as this caller may see it: of others, what runs and not how or with what in it."""
        if may(self.caller, Action.READ_DETAIL, owner=cluster.owner):
            return cluster
        closed = replace(
            cluster.spec,
            environ={},
            dask_config={},
            worker_options={},
            scheduler_options={},
            working_directory=None,
            python_path=(),
        )
        return replace(cluster, spec=closed, contact=None, environment=None)

    async def of_workspace(self, cluster_id: str) -> Cluster:
        return self.within(await self._store.get_cluster(cluster_id))

    def within(self, cluster: Cluster) -> Cluster:
        if cluster.spec.workspace != self.workspace:
            # The words of a cluster that isn't there: nobody learns what another workspace has.
            raise NotFound(
                f"there is no cluster {cluster.id!r} in this store; list those that are there and take its id"
            )
        return cluster

    @property
    def is_from_afar(self) -> bool:
        """Whether who asks may be on another machine; an engine of one's own has no users."""
        return bool(self.caller.user_id)

    async def mine(self, cluster_id: str, action: Action) -> Cluster:
        cluster = await self.of_workspace(cluster_id)
        self.refuse_unless(action, owner=cluster.owner)
        return cluster
