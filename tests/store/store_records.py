"""Records to keep in a store, each complete and each different by its id."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tradewind.model.budget import Budget, BudgetScope, BudgetState, BudgetView, Forecast, Period
from tradewind.model.cluster import Cluster, ClusterSpec, Intent, ScaleMemory, Scaling
from tradewind.model.computation import Computation, TaskGroup
from tradewind.model.environment import Environment, Package
from tradewind.model.events import Event
from tradewind.model.instance import Instance, InstanceStatus, Role
from tradewind.model.money import Money, Price
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Resources
from tradewind.model.secret import Secret
from tradewind.model.usage import Usage
from tradewind.store.store import Changes, ClusterSecrets, Lease, Store

T0 = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECRETS = ClusterSecrets(
    authority_certificate="-----BEGIN CERTIFICATE-----",
    authority_key=Secret("the-key-nobody-may-find-in-the-file"),
    agent_token=Secret("the-token-nobody-may-find-in-the-file"),
)
OFFER = Offer(
    provider="fake",
    vm_type="process",
    resources=Resources(cpus=2.0, memory=4 * GIB),
    price=Price(per_hour=Decimal("0.10"), currency="EUR"),
)


def url_of(path: Path) -> str:
    """Return the store's URL for a file."""
    return f"sqlite:///{path}"


def make_cluster(id: str = "c1", name: str = "ocean", workspace: str = "lab", at: datetime = T0) -> Cluster:
    """Return a new cluster of two workers."""
    spec = ClusterSpec(
        name=name,
        workspace=workspace,
        provider="fake",
        scaling=Scaling.fixed(2),
        budget=Money(amount=Decimal("12.50"), currency="EUR"),
        tags={"project": "tides"},
        dask_config={"distributed": {"worker": {"memory": {"target": 0.6}}}},
    )
    environment = Environment(
        python="3.11.7", platform="linux-x86_64", packages=(Package(name="dask", version="1"),), content_hash="h1"
    )
    return Cluster(
        id=id,
        spec=spec,
        intent=Intent(scaling=spec.scaling),
        owner="ada",
        created_at=at,
        scale=ScaleMemory(wanted=2),
        environment=environment,
    )


def make_instance(id: str = "i1", cluster_id: str = "c1", role: Role = Role.WORKER) -> Instance:
    """Return an instance that was just written down."""
    return Instance(
        id=id,
        cluster_id=cluster_id,
        role=role,
        order_id=f"order-of-{id}",
        offer=OFFER,
        status=InstanceStatus.REQUESTED,
        requested_at=T0,
        expires_at=T0 + timedelta(hours=1),
    )


def make_usage(instance: Instance, sequence: int = 0, started_at: datetime = T0, **changed: object) -> Usage:
    """Return an open usage of ``instance``."""
    usage = Usage(
        instance_id=instance.id,
        sequence=sequence,
        cluster_id=instance.cluster_id,
        cluster_name="ocean",
        workspace="lab",
        owner="ada",
        provider="fake",
        region=None,
        vm_type="process",
        role=instance.role,
        resources=OFFER.resources,
        price=OFFER.price,
        started_at=started_at,
        tags={"project": "tides"},
    )
    return replace(usage, **changed)  # type: ignore[arg-type]


def make_event(message: str = "it began", cluster_id: str = "c1") -> Event:
    """Return a line of the journal."""
    return Event(at=T0, cluster_id=cluster_id, kind="cluster.created", message=message)


def make_computation(id: str = "aa11", cluster_id: str = "c1", started_at: datetime | None = T0) -> Computation:
    """Return a running computation of one group."""
    group = TaskGroup(
        prefix="mean_chunk",
        tasks=9,
        done=4,
        erred=0,
        compute_seconds=1.5,
        transfer_seconds=0.0,
        disk_seconds=0.0,
        nbytes=80,
    )
    return Computation(
        id=id,
        cluster_id=cluster_id,
        name="default",
        started_at=started_at,
        stopped_at=None,
        done=False,
        groups=(group,),
        activity_seconds={"thread-cpu": 1.25},
    )


def make_view(workspace: str, at: datetime) -> BudgetView:
    """Return a new budget of a whole workspace, and how it stands."""
    limit, nothing = Money(amount=Decimal(50), currency="EUR"), Money(amount=Decimal(0), currency="EUR")
    budget = Budget(
        id=f"budget-{workspace}",
        workspace=workspace,
        scope=BudgetScope.WORKSPACE,
        limit=limit,
        period=Period.MONTH,
        created_by="ada",
        created_at=at,
    )
    return BudgetView(
        budget=budget,
        starts_at=at,
        ends_at=at + MINUTE,
        state=BudgetState(limit=limit, spent=nothing, burn_per_hour=nothing),
        reserved=nothing,
        forecast=Forecast(at_period_end=nothing, exhausted_at=None),
    )


async def hold(store: Store, cluster_id: str = "c1", holder: str = "h1", now: datetime = T0) -> Lease:
    """Return a lease of one minute."""
    lease = await store.take_lease(cluster_id, holder, now, now + MINUTE)
    assert lease is not None
    return lease


async def fill(store: Store, cluster: Cluster) -> Changes:
    """Create ``cluster`` and save one of each thing; return what was saved."""
    await store.create_cluster(cluster, SECRETS)
    instance = make_instance(f"i-{cluster.id}", cluster.id)
    changes = Changes(
        cluster=cluster,
        instances=(instance,),
        usages=(make_usage(instance),),
        events=(make_event(cluster_id=cluster.id),),
        computations=(make_computation(f"aa-{cluster.id}", cluster.id),),
        wake_at=T0 + MINUTE,
    )
    lease = await hold(store, cluster.id)
    await store.save(lease, changes)
    await store.release_lease(lease)
    return changes
