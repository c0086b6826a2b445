"""Carrying out a plan: thin, safe to repeat, deciding nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tradewind import wire
from tradewind.boot.process import Boot, Software
from tradewind.boot.tls import Authority, Signer
from tradewind.engine.clock import Clock
from tradewind.engine.depot import Depots
from tradewind.engine.link import Access, AgentLink
from tradewind.engine.rounds.software import software_for
from tradewind.engine.rounds.told import Told
from tradewind.errors import BadRequest, NoCapacity, Rejected, StillPreparing, Unavailable
from tradewind.model.cluster import Cluster
from tradewind.model.events import Event, Level
from tradewind.model.instance import Contact, Instance, InstanceEnd, Marks, Role
from tradewind.model.secret import Secret
from tradewind.planning.settle import abandoned, refused
from tradewind.planning.snapshot import Plan
from tradewind.providers.base import Order, Provider

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What it takes to act for one cluster."""

    installation: str
    provider: Provider
    link: AgentLink
    clock: Clock
    access: Access
    authority: Authority
    depots: Depots
    """Where what machines fetch is kept, by workspace."""
    told: Told
    """What people needn't be told again."""
    paid_for: timedelta | None = None
    """How long a scheduler may live before anybody asks for its page; None: as long as its orphan timeout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it."""

    instances: tuple[Instance, ...] = ()
    """Rows that changed."""
    events: tuple[Event, ...] = ()
    retry_after: timedelta | None = None
    """Set where the provider was unavailable; the orders stand and are given again."""


async def apply(plan: Plan, rows: Sequence[Instance], crew: Sequence[Instance], means: Means) -> Outcome:
    """Carry out ``plan`` and return what came of it.

    Parameters
    ----------
    plan : Plan
        What was decided, written down already.
    rows : sequence of Instance
        The orders to give: new rows and those to be given again.
    crew : sequence of Instance
        All instances of the cluster as written, to find retired workers in.
    means : Means
        Provider, agent, clock and keys.
    """
    launched, left, _ = await asyncio.gather(
        _launch(plan.cluster, rows, crew, means), _retire(plan, crew, means), _say_and_terminate(plan, means)
    )
    return Outcome(
        instances=(*launched.instances, *left.instances), events=launched.events, retry_after=launched.retry_after
    )


def order_for(
    cluster: Cluster, instance: Instance, means: Means, signer: Signer, now: datetime, software: Software | None
) -> Order:
    """Return the order that launches ``instance``; the same row gives the same order, but for fresh keys."""
    spec, resources = cluster.spec, instance.offer.resources
    is_scheduler = instance.role is Role.SCHEDULER
    shares_files = means.provider.capabilities.same_file_system
    keys = signer.issue(instance.id, now, hosts=("localhost", "127.0.0.1"))
    boot = Boot(
        role=instance.role,
        cluster_id=cluster.id,
        instance_id=instance.id,
        keys=keys,
        agent_token=means.access.token if is_scheduler else Secret(""),
        threads=1 if is_scheduler else spec.worker_threads or max(1, int(resources.cpus)),
        memory=resources.memory,
        gpus=resources.gpus,
        environ=spec.environ,
        dask_config=spec.dask_config,
        options=spec.scheduler_options if is_scheduler else spec.worker_options,
        working_directory=spec.working_directory if shares_files else None,
        python_path=spec.python_path if shares_files else (),
        orphan_timeout_s=spec.lifetimes.orphan.total_seconds(),
        paid_for_s=means.paid_for.total_seconds() if is_scheduler and means.paid_for is not None else None,
        expires_at=instance.expires_at,
        scheduler_address=None if is_scheduler or cluster.contact is None else cluster.contact.scheduler,
        record_history=spec.record_history,
        record_code=spec.record_code,
        software=software,
    )
    marks = Marks(
        installation=means.installation,
        workspace=spec.workspace,
        cluster=cluster.id,
        instance=instance.id,
        order=instance.order_id,
        role=instance.role,
    )
    return Order(
        marks=marks, offer=instance.offer, boot=boot, expires_at=instance.expires_at, cluster_contact=cluster.contact
    )


def packer(cluster: Cluster, rows: Sequence[Instance], crew: Sequence[Instance]) -> str | None:
    """Return the id of the one of ``rows`` whose machine packs what it makes; None where another one does.

    It is the one that is there first with this software: the scheduler, or where workers get other software than the
    scheduler has, the first of them. Packing takes a while, and who comes meanwhile installs.
    """
    if scheduler := next((row.id for row in rows if row.role is Role.SCHEDULER), None):
        return scheduler
    ordered = {row.id for row in rows}
    others = (one for one in crew if one.status.is_live and one.id not in ordered)
    if not rows or any(one.equipment == cluster.intent.equipment for one in others):
        return None
    return rows[0].id


async def _launch(cluster: Cluster, rows: Sequence[Instance], crew: Sequence[Instance], means: Means) -> Outcome:
    if not rows:
        return Outcome()
    places, signer = asyncio.Semaphore(means.provider.capabilities.launches_at_once), Signer(means.authority)
    shares_files = means.provider.capabilities.same_file_system
    try:
        found = None if shares_files else await software_for(cluster, means.depots)
    except Rejected as error:
        return _refused(cluster, rows, means, error)
    except Unavailable as error:
        # What machines fetch is still on its way to where they do.
        words = f"{wire.printable(str(error))}; machines are launched once that is done."
        return Outcome(events=_told(cluster, words, means), retry_after=error.retry_after)
    said: tuple[Event, ...] = ()
    if found is not None and found.trouble:
        words = wire.printable(found.trouble)
        words = f"artifacts_url can't be used: {words}; machines get files from here, and pack nothing."
        said = _told(cluster, words, means)

    packs = packer(cluster, rows, crew)

    async def one(row: Instance) -> tuple[Instance, Event | None, timedelta | None]:
        software = None if found is None else found.software
        if software is not None and row.id != packs:
            software = replace(software, publishing=None)
        async with places:
            return await _launch_one(cluster, row, means, signer, software)

    done = await asyncio.gather(*(one(row) for row in rows))
    waits = [wait for _, _, wait in done if wait is not None]
    return Outcome(
        instances=tuple(after for (after, _, _), before in zip(done, rows, strict=True) if after is not before),
        events=(*said, *_once(event for _, event, _ in done if event is not None)),
        retry_after=max(waits, default=None),
    )


def _once(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return the events without what many orders say, each a moment later than the other."""
    found: dict[tuple[str, str], Event] = {}
    for event in events:
        found.setdefault((event.kind, event.message), event)
    return tuple(found.values())


def _refused(cluster: Cluster, rows: Sequence[Instance], means: Means, error: Rejected) -> Outcome:
    words, now = wire.printable(str(error)), means.clock.now()
    event = _event(cluster, now, "launch.rejected", f"{means.provider.name} refused: {words}.", Level.ERROR)
    return Outcome(instances=tuple(refused(row, InstanceEnd.REJECTED, words, now) for row in rows), events=(event,))


def _told(cluster: Cluster, words: str, means: Means) -> tuple[Event, ...]:
    """Return what a cluster's people are told of its depot, the first time."""
    if not means.told.is_news(cluster.id, words):
        return ()
    return (_event(cluster, means.clock.now(), "software.depot", words),)


async def _launch_one(
    cluster: Cluster, row: Instance, means: Means, signer: Signer, software: Software | None
) -> tuple[Instance, Event | None, timedelta | None]:
    now = means.clock.now()
    name = means.provider.name
    after = row
    try:
        provider = means.provider.configured(cluster.spec.backend_options)
        async for handle in provider.launch(order_for(cluster, row, means, signer, now, software)):
            after = replace(after, handle=handle.handle)
    except NoCapacity as error:
        words = wire.printable(str(error))
        ended = refused(row, InstanceEnd.NO_CAPACITY, words, means.clock.now())
        return (
            ended,
            _event(cluster, now, "capacity.none", f"{name} has no room for {row.offer.vm_type}: {words}."),
            None,
        )
    except (Rejected, BadRequest) as error:
        words = wire.printable(str(error))
        ended = refused(row, InstanceEnd.REJECTED, words, means.clock.now())
        return ended, _event(cluster, now, "launch.rejected", f"{name} refused: {words}.", Level.ERROR), None
    except StillPreparing as error:
        said = _event(cluster, now, "launch.preparing", f"{name}: {wire.printable(str(error))}.", Level.INFO)
        return after, said, error.retry_after
    except Unavailable as error:
        return (
            after,
            _event(cluster, now, "provider.unavailable", f"{name} doesn't answer: {error}."),
            error.retry_after,
        )
    return after, None, None


async def _retire(plan: Plan, crew: Sequence[Instance], means: Means) -> Outcome:
    contact = plan.cluster.contact
    if contact is None or not (plan.retire or plan.retire_any):
        return Outcome()
    names: list[str] = []
    try:
        if plan.retire:
            await means.link.retire(contact, means.access, names=plan.retire)
        if plan.retire_any:
            names += await means.link.retire(contact, means.access, count=plan.retire_any)
    except Unavailable as error:
        log.info("can't let workers go now: %s", error)
    now = means.clock.now()
    return Outcome(instances=tuple(abandoned(i, now) for i in crew if i.id in names and i.wanted))


async def _say_and_terminate(plan: Plan, means: Means) -> None:
    # In this order: a scheduler that ends can't tell anybody why.
    await _say(plan, means)
    await _terminate(plan, means)


async def _terminate(plan: Plan, means: Means) -> None:
    if not plan.terminations:
        return
    try:
        await means.provider.terminate(plan.terminations)
    except Unavailable as error:
        # The next round sees them alive and asks again.
        log.info("can't end %d instances now: %s", len(plan.terminations), error)


async def _say(plan: Plan, means: Means) -> None:
    contact: Contact | None = plan.cluster.contact
    if contact is None:
        return
    for message in plan.say:
        try:
            await means.link.say(contact, means.access, message)
        except Unavailable as error:
            log.info("can't tell clients now: %s", error)


def _event(cluster: Cluster, now: datetime, kind: str, message: str, level: Level = Level.WARNING) -> Event:
    return Event(at=now, cluster_id=cluster.id, kind=kind, message=message, level=level)
