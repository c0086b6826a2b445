"""What a machine under PBS has, read from what PBS says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tradewind.providers.batch.queue import Partition, Shape
from tradewind.providers.pbs.text import read_count, read_duration, read_records, read_size

DOWN = re.compile(r"down|offline|unknown|stale|provisioning|maintenance|unresolvable|sleep", re.IGNORECASE)
YES = {"True", "yes"}
MIB = 1024**2


def read_shapes(text: str) -> dict[str, list[Shape]]:
    """Return the nodes that can run something, by the queue that they belong to; "" for those of all queues."""
    found: dict[str, list[Shape]] = {}
    for facts in read_records(text).values():
        if DOWN.search(facts.get("state", "")):
            continue
        shape = _of_pbs(facts) if "resources_available.ncpus" in facts else _of_torque(facts)
        if shape.cpus and shape.memory:
            _add(found.setdefault(facts.get("queue", facts.get("resources_available.Qlist", "")), []), shape)
    return found


def _of_pbs(facts: Mapping[str, str]) -> Shape:
    cpus = read_count(facts["resources_available.ncpus"])
    gpus = read_count(facts.get("resources_available.ngpus", ""))
    return Shape(
        cpus=cpus,
        memory=read_size(facts.get("resources_available.mem", "")) // MIB * MIB,
        gpus={"": gpus} if gpus else {},
        idle_cpus=max(0, cpus - read_count(facts.get("resources_assigned.ncpus", ""))),
    )


def _of_torque(facts: Mapping[str, str]) -> Shape:
    # "status = rectime=1,physmem=131900kb,ncpus=16,…"; "jobs = 0/12.server, 1/12.server", or "0-3/12.server".
    status = dict(part.partition("=")[::2] for part in facts.get("status", "").split(","))
    cpus = read_count(facts.get("np", ""))
    taken = 0
    for part in re.findall(r"([\d,-]+)/", facts.get("jobs", "")):
        for one in part.split(","):
            first, _, last = one.partition("-")
            taken += int(last or first) - int(first) + 1 if first.isdigit() else 0
    gpus = read_count(facts.get("gpus", ""))
    return Shape(
        cpus=cpus,
        memory=read_size(status.get("physmem", "")) // MIB * MIB,
        gpus={"": gpus} if gpus else {},
        idle_cpus=max(0, cpus - taken),
    )


def _add(shapes: list[Shape], one: Shape) -> None:
    """Add a node to those of the same kind; of the same kind is what differs by less than a hundredth of memory."""
    for place, other in enumerate(shapes):
        near = abs(other.memory - one.memory) * 100 < other.memory
        if (other.cpus, other.gpus) == (one.cpus, one.gpus) and near:
            count, idle = other.count + one.count, other.idle_cpus + one.idle_cpus
            shapes[place] = replace(other, memory=min(other.memory, one.memory), count=count, idle_cpus=idle)
            return
    shapes.append(one)


def read_queues(text: str, shapes: Mapping[str, Sequence[Shape]], server: Mapping[str, str]) -> list[Partition]:
    """Return the queues that jobs may be sent to, from ``qstat -Q -f``; what a queue doesn't say its server does."""
    default = server.get("default_queue", "")
    found = []
    for name, own in read_records(text).items():
        facts = {**{key: value for key, value in server.items() if key.startswith("resources_")}, **own}
        if facts.get("from_route_only") == "True":
            continue
        longest = read_duration(facts.get("resources_max.walltime", ""))
        found.append(
            Partition(
                name=name,
                is_default=name == default,
                is_up=all(facts.get(fact, "True") in YES for fact in ("enabled", "started")),
                shapes=tuple(_capped(one, facts) for one in shapes.get(name) or shapes.get("", ())),
                default_time=read_duration(facts.get("resources_default.walltime", "")),
                longest_time=longest,
            )
        )
    return found


def _capped(shape: Shape, facts: Mapping[str, str]) -> Shape:
    """Return of a node what one job of a queue may have."""
    cpus, memory = read_count(facts.get("resources_max.ncpus", "")), read_size(facts.get("resources_max.mem", ""))
    return replace(
        shape,
        cpus=min(shape.cpus, cpus) if cpus else shape.cpus,
        memory=min(shape.memory, memory) if memory else shape.memory,
    )
