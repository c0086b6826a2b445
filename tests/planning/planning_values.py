"""Values for the tests of planning: everything has a default, so that a test names only what matters to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tradewind.model.cluster import Cluster, ClusterSpec, Intent, ScaleMemory, Scaling
from tradewind.model.computation import Computation, TaskGroup
from tradewind.model.instance import Instance, InstanceStatus, Role
from tradewind.model.money import Money, Price
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Resources
from tradewind.model.usage import Usage

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEFAULT_PRICE = Price(per_hour=Decimal("0.5"))


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def usd(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="USD")


def make_offer(vm_type: str = "m5.large", price: str | None = "0.1", **changes: object) -> Offer:
    offer = Offer(
        provider="fake",
        vm_type=vm_type,
        resources=Resources(cpus=4, memory=16 * GIB),
        price=None if price is None else Price(per_hour=Decimal(price)),
        region="north-1",
    )
    return replace(offer, **changes)  # type: ignore[arg-type]


def make_cluster(**changes: object) -> Cluster:
    scaling = Scaling.fixed(2)
    spec = ClusterSpec(name="sea", workspace="home", provider="fake", scaling=scaling, tags={"project": "cmip"})
    cluster = Cluster(
        id="c1",
        spec=spec,
        intent=Intent(scaling=scaling),
        owner="ada",
        created_at=T0,
        scale=ScaleMemory(wanted=2),
        started_at=T0,
    )
    return replace(cluster, **changes)  # type: ignore[arg-type]


def make_instance(**changes: object) -> Instance:
    instance = Instance(
        id="i1",
        cluster_id="c1",
        role=Role.WORKER,
        order_id="o1",
        offer=make_offer(),
        status=InstanceStatus.RUNNING,
        requested_at=T0,
        expires_at=None,
        started_at=T0,
    )
    return replace(instance, **changes)  # type: ignore[arg-type]


def make_usage(start: float = 0, stop: float | None = 3600, **changes: object) -> Usage:
    usage = Usage(
        instance_id="i1",
        sequence=0,
        cluster_id="c1",
        cluster_name="sea",
        workspace="home",
        owner="ada",
        provider="fake",
        region="north-1",
        vm_type="m5.large",
        role=Role.WORKER,
        resources=Resources(cpus=4, memory=16 * GIB),
        price=DEFAULT_PRICE,
        started_at=after(start),
        stopped_at=None if stop is None else after(stop),
        tags={"project": "cmip"},
    )
    return replace(usage, **changes)  # type: ignore[arg-type]


def make_computation(
    id_: str = "k1", start: float | None = 0, stop: float | None = 100, **changes: object
) -> Computation:
    computation = Computation(
        id=id_,
        cluster_id="c1",
        name="trend",
        started_at=None if start is None else after(start),
        stopped_at=None if stop is None else after(stop),
        done=stop is not None,
        workers=4,
    )
    return replace(computation, **changes)  # type: ignore[arg-type]


def make_group(**changes: object) -> TaskGroup:
    group = TaskGroup(
        prefix="mean_chunk",
        tasks=100,
        done=100,
        erred=0,
        compute_seconds=100.0,
        transfer_seconds=0.0,
        disk_seconds=0.0,
        nbytes=0,
    )
    return replace(group, **changes)  # type: ignore[arg-type]
