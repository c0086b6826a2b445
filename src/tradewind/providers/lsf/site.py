"""What a machine under LSF has, read from what LSF says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from tradewind.providers.batch.queue import Partition, Shape

UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4, "P": 1024**5}
MIB = 1024**2


def read_hosts(slots: str, sizes: str) -> dict[str, Shape]:
    """Return the nodes that run jobs, from ``bhosts -w`` (slots, those taken) and ``lshosts -w`` (memory)."""
    memory = {}
    for row in _rows(sizes):
        memory[row.get("HOST_NAME", "")] = (_size(row.get("maxmem", "")), row.get("ncpus", ""))
    found = {}
    for row in _rows(slots):
        name, status = row.get("HOST_NAME", ""), row.get("STATUS", "")
        has, cores = memory.get(name, (0, ""))
        # "ok" and what is full now (closed_Full, closed_Busy) run jobs again; the others are closed by people or gone.
        if not re.match(r"ok|closed_(Full|Busy|Excl|cu_Excl)|closed$", status) or not has:
            continue
        most = row.get("MAX", "-")
        cpus = _whole(most if most != "-" else cores)
        if cpus:
            idle = cpus - _whole(row.get("NJOBS", "")) if status == "ok" else 0
            found[name] = Shape(cpus=cpus, memory=has // MIB * MIB, idle_cpus=max(0, idle))
    return found


def read_queues(text: str, hosts: Mapping[str, Shape]) -> list[Partition]:
    """Return the queues, from ``bqueues -l``."""
    found = []
    for block in re.split(r"^QUEUE: ", text, flags=re.MULTILINE)[1:]:
        name = block.split(None, 1)[0]
        status = re.search(r"\b(Open|Closed):(Active|Inact)", block)
        default, most = _limits(block, "DEFAULT LIMITS:"), _limits(block, "MAXIMUM LIMITS:")
        of = re.search(r"^HOSTS:\s*(.*)$", block, re.MULTILINE)
        named = {word.rstrip("+0123456789") if "+" in word else word for word in (of[1].split() if of else ())}
        # Groups of nodes are names that no node has; then all are taken to be meant, and LSF says what it has.
        theirs = (
            [hosts[one] for one in named if one in hosts] if named and named <= set(hosts) else list(hosts.values())
        )
        found.append(
            Partition(
                name=name,
                is_default="This is the default queue" in block,
                is_up=status is None or (status[1], status[2]) == ("Open", "Active"),
                shapes=tuple(_gathered(theirs)),
                default_time=default,
                longest_time=most,
            )
        )
    return found


def _limits(block: str, heading: str) -> timedelta | None:
    """Return the run limit below a heading: ``RUNLIMIT`` and, on the line below, ``1440.0 min of hostA``."""
    _, there, rest = block.partition(heading)
    if not there:
        return None
    section = re.split(r"^ ?(?:DEFAULT LIMITS|MAXIMUM LIMITS|SCHEDULING PARAMETERS|USERS|HOSTS):", rest, flags=re.M)[0]
    found = re.search(r"\bRUNLIMIT\b[^\n]*\n\s*([\d.]+) min", section)
    return timedelta(minutes=float(found[1])) if found is not None else None


def _gathered(shapes: Sequence[Shape]) -> list[Shape]:
    """Return nodes of one kind as one; of the same kind is what differs by less than a hundredth of memory."""
    kinds: list[Shape] = []
    for one in shapes:
        for place, other in enumerate(kinds):
            if other.cpus == one.cpus and abs(other.memory - one.memory) * 100 < other.memory:
                count, idle = other.count + 1, other.idle_cpus + one.idle_cpus
                kinds[place] = replace(other, memory=min(other.memory, one.memory), count=count, idle_cpus=idle)
                break
        else:
            kinds.append(one)
    return kinds


def _rows(text: str) -> list[dict[str, str]]:
    """Return a table with a heading; its last column may hold blanks, the others none."""
    lines = [line for line in text.splitlines() if line.strip()]
    head = next((place for place, line in enumerate(lines) if line.startswith("HOST_NAME")), None)
    if head is None:
        return []
    names = lines[head].split()
    return [dict(zip(names, line.split(None, len(names) - 1), strict=False)) for line in lines[head + 1 :]]


def _size(text: str) -> int:
    found = re.fullmatch(r"([\d.]+)([KMGTP])", text)
    return int(float(found[1]) * UNITS[found[2]]) if found is not None else 0


def _whole(text: str) -> int:
    return int(text) if text.isdigit() else 0
