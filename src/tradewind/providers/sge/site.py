"""What a machine under Grid Engine has, read from what Grid Engine says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from xml.etree import ElementTree

from tradewind.errors import Unavailable
from tradewind.providers.batch.queue import Partition, Shape

UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
MEMORY = ("m_mem_free", "mem_free", "h_rss", "virtual_free", "mem", "memory", "h_vmem", "s_vmem")
"""How sites have memory counted, the kindest first: one of address space ends programs that use little of it."""
GPUS = ("gpu", "gpus", "ngpus", "num_gpus", "gpu_card", "cuda")
OUT = frozenset("udDEco")
"""Letters of a queue's state on a host that somebody has to mend: unreachable, disabled, in error, misconfigured."""
BUSY = frozenset("aAsSCP")
"""Letters of a queue's state on a host that passes by itself: too much load, suspended for a while."""
Kind = tuple[str, str]
"""Cores and memory of a host, as text: hosts that have the same are taken to be the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Something that jobs may ask for."""

    name: str
    is_memory: bool
    is_counted: bool
    """Whether what one job has, no other can have."""
    is_per_slot: bool
    is_forced: bool
    """Whether each job has to ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """What a queue's configuration says."""

    name: str
    environments: Sequence[str]
    longest_time: timedelta | None
    takes_jobs: bool


def read_resources(text: str) -> dict[str, Resource]:
    """Return what jobs may ask for, by name, from ``qconf -sc``."""
    found = {}
    for line in text.splitlines():
        parts = line.split()
        if len(parts) != 8 or line.startswith("#") or parts[4] == "NO":
            continue
        name, _, kind, _, requestable, counted, _, _ = parts
        found[name] = Resource(
            name=name,
            is_memory=kind == "MEMORY",
            is_counted=counted != "NO",
            is_per_slot=counted == "YES",
            is_forced=requestable.startswith("F"),
        )
    return found


def memory_of(resources: Mapping[str, Resource]) -> Resource | None:
    """Return what to ask memory by: what has to be asked for, or the first that is counted; None where nothing is."""
    there = [resources[name] for name in MEMORY if name in resources and resources[name].is_memory]
    forced = [one for one in there if one.is_forced]
    counted = [one for one in there if one.is_counted]
    return next(iter(forced or counted), None)


def gpu_of(resources: Mapping[str, Resource]) -> Resource | None:
    """Return what to ask GPUs by; None where nothing counts them."""
    return next((resources[name] for name in GPUS if name in resources and resources[name].is_counted), None)


def read_environments(text: str) -> tuple[str, ...]:
    """Return the parallel environments that keep all slots of a job on one node, from ``qconf -sp``."""
    found, name = [], ""
    for key, value in _facts(text):
        if key == "pe_name":
            name = value
        elif key == "allocation_rule" and value == "$pe_slots":
            found.append(name)
    return tuple(found)


def read_queues(text: str) -> list[QueueFacts]:
    """Return the queues, from ``qconf -sq '*'``."""
    blocks: list[dict[str, str]] = []
    for key, value in _facts(text):
        if key == "qname":
            blocks.append({})
        if blocks:
            blocks[-1][key] = value
    return [
        QueueFacts(
            name=block["qname"],
            # "smp mpi,[@big=smp]": what holds for all comes first, what holds for some in brackets.
            environments=tuple(re.findall(r"[^\s,\[\]=@]+", re.sub(r"\[@?[^=\]]*=", "[", block.get("pe_list", "")))),
            longest_time=read_time(block.get("h_rt", "").partition(",")[0]),
            takes_jobs="BATCH" in block.get("qtype", "BATCH"),
        )
        for block in blocks
    ]


def read_capacities(text: str) -> dict[str, dict[str, str]]:
    """Return what each host has of what is counted, from ``qconf -se``."""
    found: dict[str, dict[str, str]] = {}
    host = ""
    for key, value in _facts(text):
        if key == "hostname":
            host = value
        elif key == "complex_values" and value != "NONE":
            found[host] = dict(part.partition("=")[::2] for part in value.replace(" ", "").split(","))
    return found


def read_partitions(
    hosts: str,
    queues: Sequence[QueueFacts],
    capacities: Mapping[str, Mapping[str, str]],
    *,
    memory: str | None,
    gpu: str | None,
    environments: Sequence[str],
) -> list[Partition]:
    """Return the queues with what they have on their hosts, from ``qhost -F -q -xml``."""
    shapes: dict[str, list[Shape]] = {}
    known = {facts.name: facts for facts in queues}
    kinds: dict[Kind, Mapping[str, str]] = {}
    there = [_host(element) for element in _parse(hosts).iter("host")]
    for name, kind, _ in there:
        if name in capacities:
            kinds.setdefault(kind, capacities[name])
    for name, kind, places in there:
        counted = capacities.get(name) or kinds.get(kind, {})
        total = read_size(kind[1])
        limit = read_size(counted[memory]) if memory is not None and memory in counted else total
        gpus = int(float(counted.get(gpu, "0"))) if gpu is not None else 0
        for queue, slots, used, state in places:
            if queue not in known or not total or not slots or set(state) & OUT:
                continue
            together = bool(set(known[queue].environments) & set(environments))
            shape = Shape(
                cpus=slots if together else 1,
                memory=min(limit, total) // (1 if together else slots),
                gpus={"": gpus} if gpus else {},
                count=1 if together else slots,
                idle_cpus=0 if set(state) & BUSY else max(0, slots - used),
            )
            _add(shapes.setdefault(queue, []), shape)
    # Grid Engine has no default queue: those are meant by whoever names none, in which work may last longest.
    usable = [one.longest_time or timedelta.max for one in queues if one.takes_jobs and one.name in shapes]
    longest = max(usable, default=timedelta.max)
    return [
        Partition(
            name=one.name,
            is_default=one.name in shapes and (one.longest_time or timedelta.max) == longest,
            shapes=tuple(shapes.get(one.name, ())),
            longest_time=one.longest_time,
        )
        for one in queues
        if one.takes_jobs
    ]


def read_time(text: str) -> timedelta | None:
    """Return a duration as Grid Engine writes it, ``24:00:00`` or ``300``; None for ``INFINITY``."""
    found = re.fullmatch(r"(?:(\d+):(\d+):)?(\d+)", text.strip())
    if found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def read_size(text: str) -> int:
    """Return bytes as Grid Engine writes them, ``23.5G``; 0 for what is none."""
    found = re.fullmatch(r"([0-9.]+)([kKmMgGT]?)", text.strip())
    return int(float(found[1]) * UNITS[found[2]]) if found is not None else 0


def _host(element: ElementTree.Element) -> tuple[str, Kind, list[tuple[str, int, int, str]]]:
    values = {value.get("name", ""): value.text or "" for value in element.iter("hostvalue")}
    places = []
    for queue in element.iter("queue"):
        facts = {value.get("name", ""): value.text or "" for value in queue.iter("queuevalue")}
        used = _whole(facts.get("slots_used", "")) + _whole(facts.get("slots_resv", ""))
        places.append((queue.get("name", ""), _whole(facts.get("slots", "")), used, facts.get("state_string", "")))
    return element.get("name", ""), (values.get("num_proc", ""), values.get("mem_total", "")), places


def _parse(text: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise Unavailable(f"qhost said {text.strip()[:200]!r}, which can't be read: {error}") from None


def _add(shapes: list[Shape], one: Shape) -> None:
    for place, other in enumerate(shapes):
        if (other.cpus, other.memory, other.gpus) == (one.cpus, one.memory, one.gpus):
            shapes[place] = replace(other, count=other.count + one.count, idle_cpus=other.idle_cpus + one.idle_cpus)
            return
    shapes.append(one)


def _facts(text: str) -> Iterator[tuple[str, str]]:
    for line in text.replace("\\\n", " ").splitlines():
        key, _, value = line.strip().partition(" ")
        if key:
            yield key, " ".join(value.split())


def _whole(text: str) -> int:
    return int(text) if text.isdigit() else 0
