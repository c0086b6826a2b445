"""The verbs that make, change and end a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tradewind.boot.process import KeyPair
from tradewind.boot.tls import Authority
from tradewind.engine.admission import admit, set_aside
from tradewind.engine.environments import as_ours
from tradewind.engine.rounds.rounds import LEASE, LONGEST_LIFE
from tradewind.engine.software import noted, software_of
from tradewind.engine.verbs.deposits import Deposits
from tradewind.errors import BadRequest, FundsChanged, NotFound, OverBudget
from tradewind.model.cluster import Cluster, ClusterSpec, Intent, ScaleMemory, Scaling
from tradewind.model.environment import Environment, equipment
from tradewind.model.secret import Secret
from tradewind.model.views import DryRun
from tradewind.planning.access import Action
from tradewind.planning.wishes import check_keepable, check_scaling, check_software, check_spec
from tradewind.store.idempotency import Once
from tradewind.store.records import ClusterSecrets

HOUR = timedelta(hours=1)
GIVE_BACK_S = (0.1, 1.0, 1.5)
"""Seconds to wait before asking anew for money that others took or hold ahead."""


class Life(Deposits):
    """What people want of clusters, written down; the rounds see to it."""

    async def dry_run(self, spec: ClusterSpec) -> DryRun:
        """Return what :meth:`create` would launch."""
        self._refuse_unless(Action.CREATE_CLUSTER)
        check_spec(spec)
        planned = await admit(spec, self._offered(spec.provider), self._engine.rounds.catalogue)
        environment = await software_of(spec, planned, self._offered(spec.provider), self._store.environments)
        now = self._clock.now()
        await set_aside(planned, self._record(spec, "", now), self._store.money, now)
        return noted(planned, environment)

    async def create(
        self, spec: ClusterSpec, *, environment: Environment | None = None, once: Once | None = None
    ) -> Cluster:
        """Write the cluster down, with the answer to who asked for it ``once``, and start it."""
        self._refuse_unless(Action.CREATE_CLUSTER)
        check_spec(spec)
        check_keepable(environment)
        check_software(environment, is_from_afar=self._is_from_afar)
        if spec.workspace != self._workspace:
            raise BadRequest(f"this is workspace {self._workspace!r}, and the cluster is for {spec.workspace!r}")
        planned = await admit(spec, self._offered(spec.provider), self._engine.rounds.catalogue)
        if environment is not None and spec.software is None:
            environment = await self._with_deposits(as_ours(environment), spec.provider, self._caller.user)
        if spec.software is not None:
            environment = await software_of(spec, planned, self._offered(spec.provider), self._store.environments)
        now = self._clock.now()
        cluster_id = self._new_id("tw")
        lifetime = spec.lifetimes.total or LONGEST_LIFE
        authority = Authority.create(cluster_id, now, lifetime + HOUR)
        cluster = self._record(spec, cluster_id, now, environment)
        secrets = ClusterSecrets(
            authority_certificate=authority.certificate,
            authority_key=authority.key,
            agent_token=Secret(self._new_token()),
        )
        await self._paid(cluster, secrets, planned, once)
        self._engine.begin(cluster_id)
        return cluster

    async def scale(self, cluster_id: str, scaling: Scaling, *, dismiss: Sequence[str] = ()) -> None:
        """Change how many workers are wanted, and which ones shall leave. Raises BadRequest for too many."""
        cluster = await self._mine(cluster_id, Action.CHANGE_CLUSTER)
        check_scaling(scaling)
        check_keepable(list(dismiss))
        await self._engine.rounds.catalogue.choices(cluster.spec, scaling)

        # What isn't there can't leave: a list that only grows would be read and written ever after.
        there = await self._store.instances(cluster_id) if dismiss else ()
        leave = {i.id for i in there if i.status.is_live} & set(dismiss)
        gone = {i.id for i in there if not i.status.is_live}

        def change(intent: Intent) -> Intent:
            left = (one for one in (*intent.dismiss, *sorted(leave)) if one not in gone)
            return replace(intent, scaling=scaling, dismiss=tuple(dict.fromkeys(left)))

        entry = self._entry("cluster.scaled", cluster, f"to {scaling.minimum}-{scaling.maximum} workers")
        await self._store.change_intent(cluster_id, change, now=self._clock.now(), entry=entry)
        self._engine.poke(cluster_id)

    async def set_environment(
        self, cluster_id: str, environment: Environment | None = None, *, compiled: str = ""
    ) -> None:
        """Change what software the workers are to have; the rounds replace those that have another."""
        cluster = await self._mine(cluster_id, Action.CHANGE_CLUSTER)
        check_keepable(environment)
        check_keepable(compiled)
        check_software(environment, is_from_afar=self._is_from_afar)
        if not cluster.status.is_live:
            raise BadRequest(f"cluster {cluster.name!r} has stopped ({cluster.stop_detail}); nothing runs on it again")
        if environment is not None:
            environment = await self._with_deposits(as_ours(environment), cluster.spec.provider, cluster.owner)
        what = f"with the software {environment.content_hash[:12]}" if environment is not None else "with compiled code"
        entry = self._entry("cluster.equipped", cluster, what)
        await self._store.equip(cluster_id, environment, self._clock.now(), compiled=compiled, entry=entry)
        self._engine.poke(cluster_id)

    async def stop(self, cluster_id: str, detail: str = "") -> None:
        """Ask for the end of a cluster."""
        cluster = await self._mine(cluster_id, Action.CHANGE_CLUSTER)
        check_keepable(detail)
        if not cluster.status.is_live:
            return

        def change(intent: Intent) -> Intent:
            return intent if intent.stop else replace(intent, stop=True, stop_detail=detail)

        entry = self._entry("cluster.stopped", cluster, detail)
        await self._store.change_intent(cluster_id, change, now=self._clock.now(), entry=entry)
        self._engine.poke(cluster_id)

    async def keys(self, cluster_id: str) -> KeyPair:
        """Return a client's keys."""
        cluster = await self._mine(cluster_id, Action.USE_CLUSTER)
        secrets = await self._store.secrets(cluster_id)
        if secrets is None:
            raise NotFound(f"cluster {cluster.name!r} has stopped ({cluster.stop_detail}); its keys are gone with it")
        authority = Authority(certificate=secrets.authority_certificate, key=secrets.authority_key)
        return authority.issue("client", self._clock.now())

    def _record(
        self, spec: ClusterSpec, cluster_id: str, now: datetime, environment: Environment | None = None
    ) -> Cluster:
        return Cluster(
            id=cluster_id,
            spec=spec,
            intent=Intent(scaling=spec.scaling, equipment=equipment(environment)),
            owner=self._caller.user,
            created_at=now,
            scale=ScaleMemory(wanted=spec.scaling.initial),
            expires_at=now + (spec.lifetimes.total or LONGEST_LIFE),
            environment=environment,
        )

    async def _paid(self, cluster: Cluster, secrets: ClusterSecrets, planned: DryRun, once: Once | None) -> None:
        """Write the cluster down together with what it needs for its first moments."""
        for wait_s in (*GIVE_BACK_S, None):
            now = self._clock.now()
            opening = await set_aside(planned, cluster, self._store.money, now)
            try:
                until = now + LEASE
                await self._store.create_cluster(
                    cluster,
                    secrets,
                    holder=self._engine.rounds.holder,
                    until=until,
                    opening=opening,
                    member=self._caller.user_id or None,
                    entry=self._entry("cluster.created", cluster, f"on {cluster.spec.provider}"),
                    once=once,
                )
            except FundsChanged as error:
                if wait_s is None:
                    raise OverBudget(
                        f"there is money, and others hold it ahead or took it just now ({error}); try again in a moment"
                    ) from None
            else:
                self._engine.rounds.leases.adopt(cluster, secrets, opening, until)
                return
            # Others hold ahead what is enough for all; each gives of it at its next round.
            await asyncio.sleep(wait_s)
