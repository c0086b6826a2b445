"""Rows <-> model. Enums become members here, JSON texts become values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from sqlalchemy import RowMapping

from tradewind import wire
from tradewind.errors import BadRequest
from tradewind.model.cluster import Cluster, ClusterSpec, ClusterStatus, Intent, ScaleMemory, StopReason, Trials
from tradewind.model.computation import Computation
from tradewind.model.environment import Environment, Package
from tradewind.model.events import Event, Level
from tradewind.model.instance import Contact, Instance, InstanceEnd, InstanceStatus, Role
from tradewind.model.money import Price
from tradewind.model.offer import Offer
from tradewind.model.resources import Resources
from tradewind.model.secret import Secret
from tradewind.model.usage import Usage
from tradewind.store.records import ClusterSecrets

Values: TypeAlias = dict[str, Any]


def new_cluster_values(cluster: Cluster) -> Values:
    """Return a whole new row: free, to be looked at as soon as it exists."""
    return {
        "id": cluster.id,
        "workspace": cluster.spec.workspace,
        "name": cluster.spec.name,
        "provider": cluster.spec.provider,
        "owner": cluster.owner,
        "created_at": cluster.created_at,
        "spec": wire.dump_json(cluster.spec),
        "intent": wire.dump_json(cluster.intent),
        **engine_values(cluster),
        **environment_values(cluster.environment),
        "lease_epoch": 0,
        "wake_at": cluster.created_at if cluster.status.is_live else None,
        "revision": 1,
    }


def engine_values(cluster: Cluster) -> Values:
    """Return the columns that are the engine's, but for the large one that hardly ever changes."""
    contact = cluster.contact
    return {
        "status": cluster.status.value,
        "stop_reason": cluster.stop_reason.value if cluster.stop_reason else None,
        "stop_detail": cluster.stop_detail,
        "scale_wanted": cluster.scale.wanted,
        "scale_surplus_since": cluster.scale.surplus_since,
        "scale_surplus_peak": cluster.scale.surplus_peak,
        "scheduler_address": contact.scheduler if contact else None,
        "agent_address": contact.agent if contact else None,
        "dashboard_address": contact.dashboard if contact else None,
        "started_at": cluster.started_at,
        "stopping_at": cluster.stopping_at,
        "stopped_at": cluster.stopped_at,
        "expires_at": cluster.expires_at,
        "observed_at": cluster.observed_at,
        "idle_warned_at": cluster.idle_warned_at,
        "budget_warned": cluster.budget_warned,
        "page_failed_at": cluster.page_failed_at,
        "failed_launches": cluster.failed_launches,
        "retry_at": cluster.retry_at,
        "trials_of": cluster.trials.of,
        "trials_failed": cluster.trials.failed,
    }


def environment_values(environment: Environment | None) -> Values:
    """Return the columns of a cluster's environment."""
    if environment is None:
        return {"environment_hash": None, "environment": None, "environment_name": None}
    return {
        "environment_hash": environment.content_hash,
        "environment": wire.dump_json(environment),
        "environment_name": environment.name or None,
    }


def cluster_from(row: RowMapping) -> Cluster:
    """Return the cluster of a row of ``clusters``."""
    contact = None
    if row["scheduler_address"] is not None:
        contact = Contact(
            scheduler=row["scheduler_address"], agent=row["agent_address"], dashboard=row["dashboard_address"]
        )
    return Cluster(
        id=row["id"],
        spec=_spec(row["spec"]),
        intent=intent_from(row["intent"]),
        owner=row["owner"],
        created_at=row["created_at"],
        status=ClusterStatus(row["status"]),
        stop_reason=StopReason(row["stop_reason"]) if row["stop_reason"] else None,
        stop_detail=row["stop_detail"],
        scale=ScaleMemory(
            wanted=row["scale_wanted"],
            surplus_since=row["scale_surplus_since"],
            surplus_peak=row["scale_surplus_peak"],
        ),
        contact=contact,
        started_at=row["started_at"],
        stopping_at=row["stopping_at"],
        stopped_at=row["stopped_at"],
        expires_at=row["expires_at"],
        observed_at=row["observed_at"],
        idle_warned_at=row["idle_warned_at"],
        budget_warned=row["budget_warned"],
        page_failed_at=row["page_failed_at"],
        failed_launches=row["failed_launches"],
        retry_at=row["retry_at"],
        trials=Trials(of=row["trials_of"], failed=row["trials_failed"]),
        environment=_environment(row["environment"]) if row["environment"] is not None else None,
    )


def intent_from(text: str) -> Intent:
    """Return the intent that is kept as ``text``."""
    return wire.load_json(Intent, text)


def secrets_values(cluster_id: str, secrets: ClusterSecrets) -> Values:
    """Return a row of ``secrets``."""
    return {
        "cluster_id": cluster_id,
        "authority_certificate": secrets.authority_certificate,
        "authority_key": secrets.authority_key.reveal(),
        "agent_token": secrets.agent_token.reveal(),
    }


def secrets_from(row: RowMapping) -> ClusterSecrets:
    """Return the secrets of a row of ``secrets``."""
    return ClusterSecrets(
        authority_certificate=row["authority_certificate"],
        authority_key=Secret(row["authority_key"]),
        agent_token=Secret(row["agent_token"]),
    )


def instance_values(instance: Instance) -> Values:
    """Return a row of ``instances``."""
    return {
        "id": instance.id,
        "cluster_id": instance.cluster_id,
        "role": instance.role.value,
        "order_id": instance.order_id,
        "offer": wire.dump_json(instance.offer),
        "status": instance.status.value,
        "requested_at": instance.requested_at,
        "expires_at": instance.expires_at,
        "handle": instance.handle,
        "started_at": instance.started_at,
        "running_at": instance.running_at,
        "stopped_at": instance.stopped_at,
        "exit_code": instance.exit_code,
        "end": instance.end.value if instance.end else None,
        "detail": instance.detail,
        "wanted": instance.wanted,
        "unwanted_at": instance.unwanted_at,
        "equipment": instance.equipment,
    }


def instance_from(row: RowMapping) -> Instance:
    """Return the instance of a row of ``instances``."""
    return Instance(
        id=row["id"],
        cluster_id=row["cluster_id"],
        role=Role(row["role"]),
        order_id=row["order_id"],
        offer=_offer(row["offer"]),
        status=InstanceStatus(row["status"]),
        requested_at=row["requested_at"],
        expires_at=row["expires_at"],
        handle=row["handle"],
        started_at=row["started_at"],
        running_at=row["running_at"],
        stopped_at=row["stopped_at"],
        exit_code=row["exit_code"],
        end=InstanceEnd(row["end"]) if row["end"] else None,
        detail=row["detail"],
        wanted=row["wanted"],
        unwanted_at=row["unwanted_at"],
        equipment=row["equipment"],
    )


def usage_values(usage: Usage) -> Values:
    """Return a row of ``usages``."""
    return {
        "instance_id": usage.instance_id,
        "sequence": usage.sequence,
        "cluster_id": usage.cluster_id,
        "cluster_name": usage.cluster_name,
        "workspace": usage.workspace,
        "owner": usage.owner,
        "provider": usage.provider,
        "region": usage.region,
        "vm_type": usage.vm_type,
        "role": usage.role.value,
        "cpus": usage.resources.cpus,
        "memory": usage.resources.memory,
        "gpus": usage.resources.gpus,
        "disk": usage.resources.disk,
        "price_per_hour": usage.price.per_hour if usage.price else None,
        "currency": usage.price.currency if usage.price else None,
        "started_at": usage.started_at,
        "stopped_at": usage.stopped_at,
        "tags": json.dumps(dict(usage.tags)),
    }


def usage_from(row: RowMapping) -> Usage:
    """Return the usage of a row of ``usages``."""
    price = None
    if row["price_per_hour"] is not None:
        price = Price(per_hour=row["price_per_hour"], currency=row["currency"])
    return Usage(
        instance_id=row["instance_id"],
        sequence=row["sequence"],
        cluster_id=row["cluster_id"],
        cluster_name=row["cluster_name"],
        workspace=row["workspace"],
        owner=row["owner"],
        provider=row["provider"],
        region=row["region"],
        vm_type=row["vm_type"],
        role=Role(row["role"]),
        resources=Resources(cpus=row["cpus"], memory=row["memory"], gpus=row["gpus"], disk=row["disk"]),
        price=price,
        started_at=row["started_at"],
        stopped_at=row["stopped_at"],
        tags=json.loads(row["tags"]),
    )


def event_values(event: Event) -> Values:
    """Return a row of ``events``; the database numbers it."""
    return {
        "cluster_id": event.cluster_id,
        "at": event.at,
        "kind": event.kind,
        "level": event.level.value,
        "message": event.message,
        "instance_id": event.instance_id,
    }


def event_from(row: RowMapping) -> Event:
    """Return the event of a row of ``events``."""
    return Event(
        at=row["at"],
        cluster_id=row["cluster_id"],
        kind=row["kind"],
        level=Level(row["level"]),
        message=row["message"],
        instance_id=row["instance_id"],
    )


def computation_values(computation: Computation, workspace: str) -> Values:
    """Return a row of ``computations``."""
    return {
        "cluster_id": computation.cluster_id,
        "id": computation.id,
        "workspace": workspace,
        "started_at": computation.started_at,
        "record": wire.dump_json(computation),
    }


def computation_from(row: RowMapping) -> Computation:
    """Return the computation of a row of ``computations``."""
    return wire.load_json(Computation, row["record"])


# The same few texts come back at every round, and the values are frozen: each is read once.


@lru_cache(maxsize=2048)
def _spec(text: str) -> ClusterSpec:
    return wire.load_json(ClusterSpec, text)


@lru_cache(maxsize=256)
def _offer(text: str) -> Offer:
    return wire.load_json(Offer, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OldEnvironment:
    python: str
    platform: str
    packages: tuple[tuple[str, str], ...]
    content_hash: str


@lru_cache(maxsize=16)
def _environment(text: str) -> Environment:
    try:
        return wire.load_json(Environment, text)
    except BadRequest:
        # Before 0.3 a package was a pair of name and version.
        old = wire.load_json(_OldEnvironment, text)
    packages = tuple(Package(name=name, version=version) for name, version in old.packages)
    return Environment(python=old.python, platform=old.platform, packages=packages, content_hash=old.content_hash)
