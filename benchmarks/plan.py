"""One planning decision over very many instances: the first, the one that sees them up, a quiet one, and the last.

``python benchmarks/plan.py --pairs 7 --json plan.json``
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from time import perf_counter

from pairs import arguments, machine, measure, report, take_turns

from tradewind.model.cluster import Cluster, ClusterSpec, ClusterStatus, Intent, ScaleMemory, Scaling
from tradewind.model.instance import Instance, InstanceStatus, Marks, ObservedInstance, Role
from tradewind.model.money import Price
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Resources
from tradewind.model.status import StatusPage, WorkerStatus
from tradewind.model.usage import Usage
from tradewind.planning.choose import Choice
from tradewind.planning.plan import plan
from tradewind.planning.snapshot import Plan, Snapshot

INSTANCES = 10_000
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OFFER = Offer(
    provider="fake", vm_type="large", resources=Resources(cpus=4, memory=16 * GIB), price=Price(per_hour=Decimal("0.2"))
)


def cluster_of(workers: int) -> Cluster:
    """Return a cluster that wants this many workers."""
    scaling = Scaling.fixed(workers)
    return Cluster(
        id="cluster",
        spec=ClusterSpec(name="benchmark", workspace="default", provider="fake", scaling=scaling),
        intent=Intent(scaling=scaling),
        owner="benchmark",
        created_at=NOW - MINUTE,
        scale=ScaleMemory(wanted=workers),
    )


def instances_of(cluster: Cluster, status: InstanceStatus) -> tuple[Instance, ...]:
    """Return its scheduler and its workers, all in one status."""
    up = NOW if status is InstanceStatus.RUNNING else None
    return tuple(
        Instance(
            id=f"i{number}",
            cluster_id=cluster.id,
            role=Role.WORKER if number else Role.SCHEDULER,
            order_id=f"o{number}",
            offer=OFFER,
            status=status,
            requested_at=NOW - MINUTE,
            expires_at=None,
            handle=f"h{number}",
            started_at=NOW - MINUTE,
            running_at=up,
        )
        for number in range(cluster.intent.scaling.initial + 1)
    )


def seen(instance: Instance) -> ObservedInstance:
    """Return what a provider says of an instance that runs."""
    return ObservedInstance(
        marks=Marks(
            installation="here",
            workspace="default",
            cluster=instance.cluster_id,
            instance=instance.id,
            order=instance.order_id,
            role=instance.role,
        ),
        handle=instance.handle or instance.id,
        status=InstanceStatus.RUNNING,
        started_at=instance.started_at,
    )


def usage_of(instance: Instance, cluster: Cluster) -> Usage:
    """Return its open usage."""
    return Usage(
        instance_id=instance.id,
        sequence=0,
        cluster_id=cluster.id,
        cluster_name=cluster.name,
        workspace="default",
        owner=cluster.owner,
        provider="fake",
        region=None,
        vm_type=OFFER.vm_type,
        role=instance.role,
        resources=OFFER.resources,
        price=OFFER.price,
        started_at=NOW - MINUTE,
    )


def snapshot_of(workers: int, status: InstanceStatus | None) -> Snapshot:
    """Return what a round knows of ``workers`` instances that are up; ``status`` is what the store still says."""
    cluster = cluster_of(workers)
    instances = () if status is None else instances_of(cluster, status)
    page = StatusPage(
        at=NOW,
        workers=tuple(
            WorkerStatus(
                name=instance.id,
                address=f"tls://10.0.0.1:{number}",
                status="running",
                threads=4,
                memory_limit=16 * GIB,
                memory=GIB,
                spilled=0,
                cpu=100.0,
                processing=4,
            )
            for number, instance in enumerate(instances)
            if instance.role is Role.WORKER
        ),
        clients=1,
        clients_ever=True,
    )
    if instances:
        cluster = replace(cluster, status=ClusterStatus.RUNNING, started_at=NOW - MINUTE, observed_at=NOW)
    choice = Choice(offer=OFFER, why="the only one")
    return Snapshot(
        cluster=cluster,
        instances=instances,
        usages=tuple(usage_of(instance, cluster) for instance in instances),
        observed=tuple(seen(instance) for instance in instances),
        page=page if instances else None,
        choices={role: (choice,) for role in Role},
    )


def measure_here(workers: int) -> dict[str, float]:
    """Return the time of each kind of round, in milliseconds; a round that decides wrongly is an error."""
    quiet = snapshot_of(workers, InstanceStatus.RUNNING)
    asked = replace(quiet.cluster, intent=replace(quiet.cluster.intent, stop=True))
    rounds: dict[str, tuple[Snapshot, Callable[[Plan], int]]] = {
        "first round: launch all": (snapshot_of(workers, None), lambda p: len(p.launches)),
        "all come up": (snapshot_of(workers, InstanceStatus.STARTING), lambda p: len(p.instances)),
        "quiet round": (quiet, lambda p: workers + 1 - len(p.instances) - len(p.launches)),
        "last round: end all": (replace(quiet, cluster=asked), lambda p: len(p.terminations)),
    }
    figures = {}
    for name, (snapshot, decided) in rounds.items():
        start = perf_counter()
        decision = plan(snapshot, NOW + timedelta(seconds=1))
        figures[f"{name}, in ms"] = (perf_counter() - start) * 1000
        if decided(decision) != workers + 1:
            raise RuntimeError(f"{name}: {decided(decision)} of {workers + 1} instances; the plan is wrong")
    return figures


def main() -> None:
    """Measure and report; or, with ``--measure``, be one of the measured processes."""
    parser = arguments("Time of one planning decision.")
    parser.add_argument(
        "--instances", type=int, default=INSTANCES, help=f"workers of the cluster (default {INSTANCES})"
    )
    parser.add_argument("--measure", action="store_true", help="measure in this process and print JSON")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure_here(options.instances)))
        return
    where = machine()
    own = partial(measure, str(Path(__file__).resolve()), "--measure", "--instances", str(options.instances))
    report(take_turns({f"{options.instances} workers": own}, options.pairs), [], where, options.json)


if __name__ == "__main__":
    sys.exit(main())
