"""Snapshots for the tests of the planner: a cluster that is well, until a test says otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from planning_values import T0, after, make_cluster, make_instance, make_offer

from tradewind.model.cluster import Cluster, ClusterStatus, Intent, Lifetimes, ScaleMemory, Scaling
from tradewind.model.instance import Contact, Instance, InstanceStatus, Marks, ObservedInstance, Role
from tradewind.model.money import Money
from tradewind.model.status import StatusPage, WorkerStatus
from tradewind.planning.choose import Choice
from tradewind.planning.snapshot import Snapshot

NOW = after(3600)
CONTACT = Contact(scheduler="tls://s.invalid:8786", agent="https://s.invalid:8788")
FIRST, SECOND = (Choice(offer=make_offer(vm), why="it is there") for vm in ("small", "large"))


def running_cluster(
    scaling: Scaling | int = 2,
    *,
    lifetimes: Lifetimes | None = None,
    budget: Money | None = None,
    dismiss: tuple[str, ...] = (),
    **changes: object,
) -> Cluster:
    """Return a cluster whose scheduler has answered for an hour."""
    if isinstance(scaling, int):
        scaling = Scaling.fixed(scaling)
    cluster = make_cluster()
    spec = replace(cluster.spec, scaling=scaling, lifetimes=lifetimes or Lifetimes(), budget=budget)
    well = replace(
        cluster,
        spec=spec,
        intent=Intent(scaling=scaling, dismiss=dismiss),
        status=ClusterStatus.RUNNING,
        contact=CONTACT,
        started_at=T0,
        observed_at=NOW - timedelta(seconds=1),
        scale=ScaleMemory(wanted=scaling.initial),
    )
    return replace(well, **changes)  # type: ignore[arg-type]


def row(
    id_: str, role: Role = Role.WORKER, status: InstanceStatus = InstanceStatus.RUNNING, **changes: object
) -> Instance:
    """Return an instance as it would be with this status."""
    billed = status.is_billed
    instance = make_instance(
        id=id_,
        role=role,
        status=status,
        order_id=f"order of {id_}",
        offer=FIRST.offer,
        handle=None if status is InstanceStatus.REQUESTED else f"h-{id_}",
        started_at=(NOW - timedelta(seconds=10) if status is InstanceStatus.STARTING else T0) if billed else None,
        running_at=T0 if status is InstanceStatus.RUNNING else None,
    )
    return replace(instance, **changes)  # type: ignore[arg-type]


NEW = replace(make_cluster(started_at=None), created_at=NOW)
"""A cluster that was just asked for."""
SCHEDULER = row("s", Role.SCHEDULER)


def crew(count: int = 2) -> tuple[Instance, ...]:
    """Return a scheduler and running workers."""
    return (SCHEDULER, *(row(f"w{number}") for number in range(count)))


def sight(instance: Instance, status: InstanceStatus | None = None, **changes: object) -> ObservedInstance:
    """Return what the provider says of a row: what the row says, unless told otherwise."""
    marks = Marks(
        installation="mine",
        workspace="home",
        cluster="c1",
        instance=instance.id,
        order=instance.order_id,
        role=instance.role,
    )
    seen = ObservedInstance(
        marks=marks,
        handle=instance.handle or f"h-{instance.id}",
        status=status or instance.status,
        started_at=instance.started_at,
    )
    return replace(seen, **changes)  # type: ignore[arg-type]


def worker(name: str, status: str = "running") -> WorkerStatus:
    """Return a worker of a page."""
    return WorkerStatus(
        name=name,
        address=f"tls://{name}:1",
        status=status,
        threads=1,
        memory_limit=0,
        memory=0,
        spilled=0,
        cpu=0.0,
        processing=0,
    )


def page_of(instances: Iterable[Instance], **changes: object) -> StatusPage:
    """Return a page of a busy cluster with a client, on which all running workers stand."""
    workers = tuple(worker(i.id) for i in instances if i.role is Role.WORKER and i.status is InstanceStatus.RUNNING)
    page = StatusPage(at=NOW, workers=workers, tasks_running=9, clients=1, clients_ever=True, adaptive_target=2)
    return replace(page, **changes)  # type: ignore[arg-type]


def snapshot_of(cluster: Cluster, instances: tuple[Instance, ...], **changes: object) -> Snapshot:
    """Return a snapshot in which all live rows are seen, and the page tells of them."""
    live = [i for i in instances if i.status.is_live and i.status is not InstanceStatus.REQUESTED]
    snapshot = Snapshot(
        cluster=cluster,
        instances=instances,
        usages=(),
        observed=tuple(sight(i) for i in live),
        looked_at=NOW,
        page=page_of(instances),
        choices={Role.SCHEDULER: (FIRST, SECOND), Role.WORKER: (FIRST, SECOND)},
    )
    return replace(snapshot, **changes)  # type: ignore[arg-type]


def ids(instances: Iterable[Instance]) -> set[str]:
    """Return their ids."""
    return {i.id for i in instances}


def at(seconds: float) -> datetime:
    """Return so many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)
