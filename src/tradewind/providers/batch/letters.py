"""What a job is asked of the queue, and what it is told in private, made from orders."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tradewind.errors import Rejected
from tradewind.host.letter import write_letter
from tradewind.host.task import ONE_THREAD, Task, program_of
from tradewind.model.instance import Role
from tradewind.providers.base import Order
from tradewind.providers.batch.books import Batch, Books
from tradewind.providers.batch.offers import partition_of
from tradewind.providers.batch.place import Ground
from tradewind.providers.batch.queue import Job, Partition, Queue, Site
from tradewind.providers.batch.sight import mark_of

SPARE = timedelta(minutes=1)
"""A job may run for so much longer than its order: the order's own end comes first, and says why."""
OURS = "TRADEWIND_"
AS_DASK = {"PYTHONHASHSEED": "6640", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""As Dask's nanny sets them; all workers need the same hash seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How this installation runs its jobs."""

    walltime: timedelta | None = None
    scheduler_walltime: timedelta | None = None
    """None: as long as may be, since a scheduler can't be replaced as a worker is."""
    interface: str = ""
    scratch: str = ""


def habits_of(table: Mapping[str, Any]) -> Habits:
    """Return what the table of a system says of them."""
    return Habits(
        walltime=table.get("walltime"),
        scheduler_walltime=table.get("scheduler_walltime"),
        interface=table.get("interface") or "",
        scratch=str(table.get("scratch") or ""),
    )


def walltime_of(order: Order, site: Site, habits: Habits, now: datetime) -> timedelta | None:
    """Return the time to ask for; None where nothing limits it.

    Raises
    ------
    Rejected
        It is longer than the partition allows.
    """
    partition = partition_of(site, order.offer.vm_type)
    longest = partition.longest_time if partition is not None else None
    usual = partition.default_time if partition is not None else None
    asked = habits.walltime or usual or longest
    said = habits.walltime
    if order.marks.role is Role.SCHEDULER and (partition is not None or habits.scheduler_walltime is not None):
        # Workers are replaced when their time is over; a scheduler can't be, so it asks for all that there is.
        said = habits.scheduler_walltime
        asked = said or longest
    if partition is not None and said is not None and longest is not None and said > longest:
        raise Rejected(too_long(said, partition, site.part, setting=setting_of(order)))
    if order.expires_at is not None:
        left = max(SPARE, order.expires_at - now + SPARE)
        asked = left if asked is None else min(asked, left)
    return asked if longest is None or asked is None else min(asked, longest)


def setting_of(order: Order) -> str:
    """Return the name of the setting that says how long a job of this order may run."""
    return "scheduler_walltime" if order.marks.role is Role.SCHEDULER else "walltime"


def too_long(walltime: timedelta, partition: Partition, part: str, *, setting: str = "walltime") -> str:
    """Return the sentence on a walltime that no job of a part of the machine may have."""
    by = f" by {partition.limited_by}" if partition.limited_by else ""
    return (
        f"a walltime of {_days(walltime)} is longer than the {_days(partition.longest_time)} that {part} "
        f"{partition.name} allows{by}: set a shorter `{setting}`, or name another {part}"
    )


def _days(time: timedelta | None) -> str:
    """Return a time as Python writes it, whole days without their zero hours."""
    return str(time).removesuffix(", 0:00:00")


def job_for(
    orders: Sequence[Order],
    batch: Batch,
    ground: Ground,
    queue: Queue,
    *,
    walltime: timedelta | None,
    after: tuple[str, int] | None,
) -> Job:
    """Return one submission for orders of the same cluster, role and offer."""
    first = orders[0]
    resources = first.offer.resources
    program = program_of("tradewind.host.bare.queued", "main(sys.argv[1])", home=ground.home)
    start = shlex.join(["exec", ground.python, "-P", "-c", program])
    books = Books(ground.root)
    letter = shlex.quote(str(books.batches / batch.id / "order-"))
    return Job(
        name=name_of(first.marks.cluster),
        mark=mark_of(first.marks.installation, batch.id, first.marks.cluster),
        commands=(f'{start} {letter}"{queue.index_in_shell}".json',),
        log=str(books.log(batch.id)),
        count=len(orders),
        cpus=max(1, int(resources.cpus)),
        memory=resources.memory,
        gpus=resources.gpus,
        queue=first.offer.vm_type,
        walltime=walltime,
        walltime_setting=setting_of(first),
        waits=timedelta(seconds=batch.alone_s) if walltime is not None else None,
        after=after,
    )


def name_of(cluster: str) -> str:
    """Return the name of all jobs of a cluster."""
    return cluster if cluster.startswith("tw-") else f"tw-{cluster}"


def letter_for(
    order: Order, ground: Ground, queue: Queue, habits: Habits, walltime: timedelta | None
) -> dict[str, Any]:
    """Return what a job is told, ready for JSON. It holds secrets.

    Parameters
    ----------
    order : Order
        What to launch.
    ground : Ground
        What it stands on.
    queue : Queue
        Where it waits.
    habits : Habits
        How jobs are run here.
    walltime : timedelta, optional
        What the queue was asked for.
    """
    boot = order.boot
    ends = [end for end in (order.expires_at, boot.expires_at) if end is not None]
    expires_at = min(ends, default=None)
    known = boot.scheduler_address or (order.cluster_contact.scheduler if order.cluster_contact else None)
    # What we know may be a tunnel's end; those there find a scheduler's own note.
    address = known if ground.is_here else None
    # What still waits in the queue would start for nobody, be it days later.
    end_all = queue.end_all_command(name_of(order.marks.cluster), ground.user)
    farewell = (tuple(end_all),) if order.marks.role is Role.SCHEDULER else ()
    task = Task(
        root=ground.root,
        marks=order.marks,
        boot=replace(boot, expires_at=expires_at, scheduler_address=address),
        expires_at=expires_at,
        address="",
        farewell=farewell,
    )
    theirs = {name: value for name, value in ground.environ.items() if not name.startswith(OURS)}
    return {
        "root": str(ground.root),
        "order": order.marks.order,
        "marks": {key: str(value) for key, value in asdict(order.marks).items()},
        "end_all": list(end_all),
        "alone_s": boot.orphan_timeout_s,
        "ends_at": expires_at.timestamp() if expires_at is not None else None,
        "walltime_s": walltime.total_seconds() if walltime is not None else None,
        "interface": habits.interface,
        "scratch": habits.scratch,
        "variables": {**theirs, **ONE_THREAD, **AS_DASK, **boot.environ},
        "task": write_letter(task),
        "keeper": program_of("tradewind.host.__main__", "main()", home=ground.home),
    }
