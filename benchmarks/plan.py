"""How long the planner takes to think about 10,000 instances: ``python benchmarks/plan.py``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tradewind.model.cluster import Cluster, ClusterSpec, ClusterStatus, Intent, ScaleMemory, Scaling
from tradewind.model.instance import Contact, Instance, InstanceStatus, Marks, ObservedInstance, Role
from tradewind.model.money import Price
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Resources
from tradewind.model.status import StatusPage, WorkerStatus
from tradewind.planning.choose import Choice
from tradewind.planning.meter import open_usage
from tradewind.planning.plan import plan
from tradewind.planning.snapshot import Snapshot

COUNT = 10_000
TIMES = 20
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
START = NOW - timedelta(hours=1)
OFFER = Offer(
    provider="fake", vm_type="small", resources=Resources(cpus=2, memory=8 * GIB), price=Price(per_hour=Decimal("0.1"))
)
CHOICES = {role: (Choice(offer=OFFER, why="the only one there is"),) for role in Role}
CONTACT = Contact(scheduler="tls://s.invalid:8786", agent="https://s.invalid:8788")


def running() -> Snapshot:
    """Return a snapshot of a cluster that has what it wants."""
    scaling = Scaling.fixed(COUNT)
    spec = ClusterSpec(name="large", workspace="lab", provider="fake", scaling=scaling)
    cluster = Cluster(
        id="c1",
        spec=spec,
        intent=Intent(scaling=scaling),
        owner="ada",
        created_at=START,
        status=ClusterStatus.RUNNING,
        started_at=START,
        contact=CONTACT,
        observed_at=NOW - timedelta(seconds=1),
        scale=ScaleMemory(wanted=COUNT),
    )
    instances = tuple(_instance(number) for number in range(COUNT + 1))
    return Snapshot(
        cluster=cluster,
        instances=instances,
        usages=tuple(open_usage(cluster, instance) for instance in instances),
        observed=tuple(_observed(instance) for instance in instances),
        looked_at=NOW,
        page=StatusPage(at=NOW, workers=tuple(_worker(i) for i in instances[1:]), tasks_running=1, clients=1),
        choices=CHOICES,
    )


def from_nothing() -> Snapshot:
    """Return a snapshot of a cluster that was just asked for."""
    before = running()
    cluster = replace(
        before.cluster, status=ClusterStatus.PENDING, created_at=NOW, started_at=None, contact=None, observed_at=None
    )
    return replace(before, cluster=cluster, instances=(), usages=(), observed=(), page=None)


def just_up() -> Snapshot:
    """Return a snapshot in which all workers of a cluster came up since the last look."""
    before = running()
    waiting = [
        replace(i, status=InstanceStatus.PENDING, started_at=None, running_at=None) if i.role is Role.WORKER else i
        for i in before.instances
    ]
    return replace(before, instances=tuple(waiting), usages=before.usages[:1])


def median_ms(work: Callable[[], object]) -> float:
    """Return the median time of some runs."""
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def _instance(number: int) -> Instance:
    role = Role.WORKER if number else Role.SCHEDULER
    return Instance(
        id=f"{role}-{number}",
        cluster_id="c1",
        role=role,
        order_id=f"order-{number}",
        offer=OFFER,
        status=InstanceStatus.RUNNING,
        requested_at=START,
        expires_at=None,
        handle=f"handle-{number}",
        started_at=START,
        running_at=START,
    )


def _observed(instance: Instance) -> ObservedInstance:
    return ObservedInstance(
        marks=Marks(
            installation="mine",
            workspace="lab",
            cluster="c1",
            instance=instance.id,
            order=instance.order_id,
            role=instance.role,
        ),
        handle=f"{instance.handle}",
        status=InstanceStatus.RUNNING,
        started_at=START,
    )


def _worker(instance: Instance) -> WorkerStatus:
    return WorkerStatus(
        name=instance.id,
        address=f"tls://{instance.id}:1",
        status="running",
        threads=2,
        memory_limit=8 * GIB,
        memory=GIB,
        spilled=0,
        cpu=100.0,
        processing=1,
    )


if __name__ == "__main__":
    for make in (running, from_nothing, just_up):
        snapshot = make()
        print(f"{make.__name__:>12}: {median_ms(lambda snapshot=snapshot: plan(snapshot, NOW)):7.1f} ms")
