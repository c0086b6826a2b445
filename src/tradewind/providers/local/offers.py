"""What this machine offers: a share of itself."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from decimal import Decimal
from math import isqrt

from tradewind.errors import BadRequest
from tradewind.model.money import Price
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Need, Resources

LEAST_MEMORY = 128 * 1024**2
"""A Dask worker without any data has about 70 MiB; with less than this it would be killed while it starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is to share."""

    cpus: int
    memory: int
    """Bytes; of a container, its limits count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What an hour of the whole machine costs."""

    per_hour: Decimal
    currency: str


def this_machine() -> Machine:
    """Return what this machine has, or the container that it seems to be: the first time, that may take a second."""
    # Dask's own answers. A server needs nothing else of Dask, so it loads it when somebody asks for a local cluster.
    system = importlib.import_module("distributed.system")
    return Machine(cpus=importlib.import_module("dask.system").CPU_COUNT, memory=system.MEMORY_LIMIT)


def offer_for(need: Need, machine: Machine, rate: Rate | None) -> Offer:
    """Return the share of ``machine`` that answers ``need``, as LocalCluster would cut it.

    Parameters
    ----------
    need : Need
        What is asked; with nothing said, the machine is divided by ``need.count``.
    machine : Machine
        What there is.
    rate : Rate, optional
        None makes it free.

    Raises
    ------
    BadRequest
        It can't be had here; the message says what the most is.
    """
    if need.vm_types:
        raise BadRequest(
            f"VM types ({', '.join(need.vm_types)}) don't exist on this machine; ask for cpus and memory instead"
        )
    if need.gpus or need.gpu_type:
        raise BadRequest("GPUs can't be given out on this machine; leave out the GPUs, or take another provider")
    count = _shares(need, machine)
    # A scheduler runs one thread: cores that it can't use have no place in its receipt.
    cpus = _within(1 if need.beside else max(1, machine.cpus // count), need.cpus.minimum, need.cpus.maximum)
    memory = _memory(need, machine, count)
    has = f"this machine's {machine.cpus} cores and {_gib(machine.memory)}"
    notes = [] if need.beside else [f"each worker has 1 of {count} shares of {has}" if count > 1 else f"it has {has}"]
    if cpus * count > machine.cpus:
        notes.append(f"{count} x {cpus:g} threads take turns on {machine.cpus} cores")
    if rate is None:
        price = Price(per_hour=Decimal(0))
    elif need.beside:
        # A machine full of workers costs its rate already.
        price = Price(per_hour=Decimal(0), currency=rate.currency)
        notes.append("free beside the workers, who pay for the machine")
    else:
        price = _share(rate, cpus, count, machine)
        notes.append(f"the whole machine costs {rate.per_hour.normalize():f} {rate.currency} an hour")
    return Offer(
        provider="local",
        vm_type="process",
        resources=Resources(cpus=cpus, memory=memory),
        price=price,
        room=None if need.beside else machine.memory // memory,
        note="; ".join(notes),
    )


def _shares(need: Need, machine: Machine) -> int:
    """Return how many the machine is divided among.

    A number that was asked for is taken. Of a range, as many as LocalCluster would start: few workers with some
    threads each, which share their memory.
    """
    if need.least is None or need.least >= need.count:
        return max(need.count, 1)
    cores = machine.cpus
    natural = cores if cores <= 4 else next(n for n in range(isqrt(cores - 1) + 1, cores + 1) if cores % n == 0)
    return max(need.least, min(need.count, natural))


def _memory(need: Need, machine: Machine, shares: int) -> int:
    memory = int(_within(machine.memory // shares, need.memory.minimum, need.memory.maximum))
    count = max(1, need.count if need.least is None else min(need.least, need.count))
    if memory * count > machine.memory:
        asked = _gib(memory) if count == 1 else f"{count} workers of {_gib(memory)}, {_gib(memory * count)} in all,"
        most = f"the most is {_gib(machine.memory // count)}" + (f" each for {count}" if count > 1 else "")
        raise BadRequest(f"{asked} can't be had: this machine has {_gib(machine.memory)}; {most}")
    if memory < LEAST_MEMORY:
        raise BadRequest(
            f"{count} of {memory / 1024**2:.0f} MiB can't run: a Dask process needs {LEAST_MEMORY // 1024**2} MiB; "
            f"ask for at most {machine.memory // LEAST_MEMORY} workers here, or for more memory each"
        )
    return memory


def _share(rate: Rate, cpus: float, count: int, machine: Machine) -> Price:
    # Threads that take turns on a core share its price, so that the machine never costs more than its rate.
    used = min(Decimal(str(cpus)) * count, Decimal(machine.cpus)) / count
    return Price(per_hour=rate.per_hour * used / machine.cpus, currency=rate.currency)


def _within(value: float, least: float | None, most: float | None) -> float:
    # What is asked for is given exactly: more would be taken from the others.
    if least is not None:
        return least
    return value if most is None else min(value, most)


def _gib(memory: float) -> str:
    return f"{memory / GIB:.4g} GiB"
