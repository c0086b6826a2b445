"""Who asks, and what that one may see and do: what every verb stands on."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Self

from tradewind.engine.clock import Clock
from tradewind.engine.engine import Engine
from tradewind.engine.outward.stories import Stories
from tradewind.engine.rounds.peek import Peeks
from tradewind.errors import Forbidden, NotFound
from tradewind.model.cluster import Cluster
from tradewind.model.people import AuditEntry, Caller, MemberRole
from tradewind.planning.access import Action, may, refusal
from tradewind.providers.base import Provider
from tradewind.store.access.audit import By
from tradewind.store.store import Store

LONGEST_DETAIL = 500
"""Characters that the audit log keeps of what somebody said."""


class ForCaller:
    """The rooms that verbs go to, opened for one caller."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        clock: Clock,
        provider_of: Callable[[str], Provider],
        *,
        peeks: Peeks,
        offered: Callable[[str], Provider] | None = None,
        caller: Caller,
        new_id: Callable[[str], str],
        new_token: Callable[[], str],
    ) -> None:
        self._engine = engine
        self._store = store
        self._stories = Stories(store)
        self._clock = clock
        self._peeks = peeks
        self._provider_of = provider_of
        self._offered = offered or provider_of
        self._caller = caller
        self._workspace = caller.workspace
        self._request_id: str | None = None
        self._new_id = new_id
        self._new_token = new_token

    def as_(self, caller: Caller, request_id: str | None = None) -> Self:
        """Return the same verbs, answered for ``caller``; the audit log names the request."""
        other = copy(self)
        other._caller, other._workspace, other._request_id = caller, caller.workspace, request_id
        return other

    def _entry(self, action: str, cluster: Cluster, detail: str) -> AuditEntry | None:
        """Return what the audit log says of it; None for an engine of one's own: there is nobody to ask."""
        if not self._caller.user_id:
            return None
        about = f"{cluster.name!r} of {cluster.owner}{': ' if detail else ''}{detail[:LONGEST_DETAIL]}"
        return self._audited(action, cluster.id, about)

    def _audited(self, action: str, subject: str, detail: str) -> AuditEntry:
        by = By(user=self._caller.user, at=self._clock.now(), request_id=self._request_id)
        return by.did(action, subject, detail, workspace=self._workspace)

    def _refuse_unless(self, action: Action, *, owner: str | None = None) -> None:
        """Raise Forbidden for what this caller may not do."""
        if not may(self._caller, action, owner=owner):
            raise Forbidden(refusal(self._caller, action))

    def _readable(self) -> frozenset[str] | None:
        """Return the names of those whose computations this caller may read; None is everybody's."""
        if may(self._caller, Action.READ_DETAIL):
            return None
        mentees = self._caller.mentees if self._caller.role is MemberRole.MENTOR else frozenset()
        return mentees | {self._caller.user}

    def _shown(self, cluster: Cluster) -> Cluster:
        """Return the record as this caller may see it: of others, what runs and not how or with what in it."""
        if may(self._caller, Action.READ_DETAIL, owner=cluster.owner):
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

    async def _of_workspace(self, cluster_id: str) -> Cluster:
        return self._within(await self._store.get_cluster(cluster_id))

    def _within(self, cluster: Cluster) -> Cluster:
        if cluster.spec.workspace != self._workspace:
            # The words of a cluster that isn't there: nobody learns what another workspace has.
            raise NotFound(
                f"there is no cluster {cluster.id!r} in this store; list those that are there and take its id"
            )
        return cluster

    @property
    def _is_from_afar(self) -> bool:
        """Whether who asks may be on another machine; an engine of one's own has no users."""
        return bool(self._caller.user_id)

    async def _mine(self, cluster_id: str, action: Action) -> Cluster:
        cluster = await self._of_workspace(cluster_id)
        self._refuse_unless(action, owner=cluster.owner)
        return cluster
