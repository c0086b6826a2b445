"""What a machine under a batch system offers: shares of its nodes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tradewind.errors import BadRequest
from tradewind.model.money import Price
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Need, Resources
from tradewind.providers.batch.queue import Partition, Shape, Site

USUAL_CPUS = 4
"""Of a worker of which nobody said how large it is to be, where nodes have as many."""
SCHEDULER_MEMORY = 4 * GIB
"""Of a scheduler of which nobody said more: it holds graphs, not data."""
MIB = 1024**2
SU = "SU"
AT_ONCE = timedelta(seconds=30)
"""What is expected within this is no wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the settings say of it."""

    provider: str
    partitions: Sequence[str] = ()
    """In the order to try them; none is the system's own default."""
    cpus: int | None = None
    memory: int | None = None
    """Bytes."""
    price_per_su: Decimal | None = None
    """What a service unit costs in money; None counts service units themselves."""
    currency: str = "USD"

    def price_of(self, units: Decimal) -> Price:
        """Return the price of an hour that takes so many service units."""
        if self.price_per_su is None:
            return Price(per_hour=units, currency=SU)
        return Price(per_hour=units * self.price_per_su, currency=self.currency)


def choices_of(table: Mapping[str, Any], *, provider: str, part: str) -> Choices:
    """Return what the table of a system says; ``part`` is what the system calls a part of the machine."""
    price = table.get("price_per_su")
    return Choices(
        provider=provider,
        partitions=tuple(table.get(f"{part}s", ())),
        cpus=table.get("cores"),
        memory=table.get("memory"),
        price_per_su=None if price is None else Decimal(str(price)),
        currency=str(table.get("currency", "USD")),
    )


def offers_for(need: Need, site: Site, choices: Choices) -> tuple[Offer, ...]:
    """Return a share of a node of each partition that may be used, in the order to try them.

    Raises
    ------
    BadRequest
        No such partition is there, or none has nodes that are large enough; the message says what the most is.
    """
    partitions = _usable(need, site, choices)
    found = [offer for partition in partitions if (offer := _offer(need, partition, choices)) is not None]
    if not found:
        raise BadRequest(_too_much(need, partitions, site.part))
    return tuple(sorted(found, key=lambda offer: offer.price.per_hour if offer.price is not None else Decimal(0)))


def partition_of(site: Site, name: str) -> Partition | None:
    """Return the partition of this name."""
    return next((partition for partition in site.partitions if partition.name == name), None)


def units_per_hour(partition: Partition, resources: Resources) -> Decimal:
    """Return the service units that an hour of these resources takes there."""
    parts = (
        partition.per_cpu * Decimal(str(resources.cpus)),
        partition.per_gib * Decimal(resources.memory) / GIB,
        partition.per_gpu * resources.gpus,
    )
    return (max(parts) if partition.takes_largest else sum(parts, Decimal(0))).quantize(Decimal("0.000001"))


def expected(at: datetime, now: datetime, offer: Offer, count: int, system: str) -> str:
    """Return in words when the first of ``count`` jobs is expected to start.

    Parameters
    ----------
    at : datetime
        When the queue says.
    now : datetime
        Aware UTC.
    offer : Offer
        What each of them is.
    count : int
        How many.
    system : str
        Name of the queue's system.
    """
    wait = at - now
    if wait <= AT_ONCE:
        words = f"{system} would start one now"
    else:
        hours, minutes = divmod(-(-int(wait.total_seconds()) // 60), 60)
        about = f"{hours} h {minutes} min" if hours else f"{minutes} min"
        words = f"{system} expects to start one at {at:%Y-%m-%d %H:%M} UTC, in about {about}"
    if offer.room is not None and count > offer.room:
        words += f"; {offer.vm_type} has room for {offer.room} of the {count} at a time, and the others wait for that"
    return f"{words}."


def awaited(why: str, at: datetime | None, system: str) -> str:
    """Return why a job waits, with when its system expects to start it, where it says."""
    return why if at is None else f"{why}; {system} expects a start at {at:%Y-%m-%d %H:%M} UTC"


def has_room_now(site: Site, name: str, cpus: int) -> bool:
    """Whether so many cores of a partition were idle when it was looked at."""
    partition = partition_of(site, name)
    return partition is not None and sum(shape.idle_cpus for shape in partition.shapes) >= cpus


def _usable(need: Need, site: Site, choices: Choices) -> list[Partition]:
    asked = need.vm_types or tuple(choices.partitions)
    known = {partition.name: partition for partition in site.partitions}
    missing = [name for name in asked if name not in known]
    if missing:
        names = ", ".join(sorted(known)) or "none at all"
        raise BadRequest(f"there is no {site.part} {missing[0]!r} here; there are: {names}")
    if asked:
        return [known[name] for name in asked]
    return [one for one in site.partitions if one.is_default] or list(site.partitions)


def _offer(need: Need, partition: Partition, choices: Choices) -> Offer | None:
    if not partition.is_up:
        return None
    fitting = [(shape, share) for shape in partition.shapes if (share := _share(need, shape, choices)) is not None]
    if not fitting:
        return None
    # The smallest node that will do decides the share: it is what most jobs can start on.
    shape, resources = min(fitting, key=lambda pair: (pair[1].cpus, pair[1].memory, pair[0].cpus))
    units = units_per_hour(partition, resources)
    price = choices.price_of(units)
    notes = [f"{partition.name} has {_nodes(partition)}"]
    if choices.price_per_su is not None:
        notes.append(
            f"{units.normalize():f} SU an hour at {choices.price_per_su.normalize():f} {choices.currency} each"
        )
    if partition.note:
        notes.append(f"a service unit is what its weights {partition.note} make of an hour")
    if partition.makes_room:
        lost = "the whole cluster ends" if need.beside else "a worker hands over what it holds and is replaced"
        notes.append(f"what runs in {partition.name} may have to make room for others: {lost}")
    return Offer(
        provider=choices.provider,
        vm_type=partition.name,
        resources=resources,
        price=price,
        room=sum(_room(shape, resources) for shape, _ in fitting),
        note="; ".join(notes),
    )


def _share(need: Need, shape: Shape, choices: Choices) -> Resources | None:
    """Return what of a node answers ``need``; None where it is too small."""
    gpus = sum(n for kind, n in shape.gpus.items() if need.gpu_type is None or kind == need.gpu_type.lower())
    usual = 1 if need.beside else (choices.cpus or min(USUAL_CPUS, shape.cpus))
    cpus = int(-(-_within(usual, need.cpus.minimum, need.cpus.maximum) // 1))
    if not 0 < cpus <= shape.cpus or need.gpus > gpus:
        return None
    of_node = shape.memory * cpus // shape.cpus
    usual_memory = min(SCHEDULER_MEMORY, of_node) if need.beside else (choices.memory or of_node)
    memory = int(_within(usual_memory, need.memory.minimum, need.memory.maximum)) // MIB * MIB
    if need.memory.minimum is not None and memory < need.memory.minimum:
        memory += MIB
    if not 0 < memory <= shape.memory:
        return None
    return Resources(cpus=cpus, memory=memory, gpus=need.gpus)


def _room(shape: Shape, resources: Resources) -> int:
    return shape.count * min(shape.cpus // int(resources.cpus), shape.memory // resources.memory)


def _within(value: float, least: float | None, most: float | None) -> float:
    if least is not None:
        return least
    return value if most is None else min(value, most)


def _nodes(partition: Partition) -> str:
    kinds = [f"{s.count} nodes of {s.cpus} cores and {s.memory / GIB:.4g} GiB" for s in partition.shapes]
    return ", ".join(kinds) or "no node that runs anything now"


def _too_much(need: Need, partitions: Sequence[Partition], part: str) -> str:
    asked = []
    if need.cpus.minimum is not None:
        asked.append(f"{need.cpus.minimum:g} cores")
    if need.memory.minimum is not None:
        asked.append(f"{need.memory.minimum / GIB:.4g} GiB")
    if need.gpus:
        asked.append(f"{need.gpus} {need.gpu_type or ''} GPUs".replace("  ", " "))
    down = [partition.name for partition in partitions if not partition.is_up]
    if len(down) == len(partitions):
        return f"{', '.join(down)} takes no jobs at the moment; name another {part}"
    has = "; ".join(f"{partition.name} has {_nodes(partition)}" for partition in partitions)
    return f"no node has {' and '.join(asked) or 'what is asked for'}: {has}; ask for less, or name another {part}"
