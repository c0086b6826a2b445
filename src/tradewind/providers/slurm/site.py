"""What a machine under Slurm has, read from what Slurm says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, InvalidOperation

from tradewind.providers.batch.queue import Partition, Shape

MIB = 1024**2
IN_GIB = {"M": Decimal(1024), "": Decimal(1024), "G": Decimal(1), "T": 1 / Decimal(1024), "K": Decimal(1024**2)}
"""How often a GiB holds the unit of a weight of memory; Slurm's own unit is the MiB."""
UP = re.compile(r"^(idle|mix|alloc|comp|plan|resv|reserved|completing|allocated|mixed|planned|power)", re.IGNORECASE)


def read_shapes(text: str) -> dict[str, list[Shape]]:
    """Return the nodes of each partition that can run something, from ``sinfo``."""
    found: dict[str, list[Shape]] = {}
    for line in text.splitlines():
        parts = line.strip().split("|")
        if len(parts) != 7:
            continue
        name, count, cpus, memory, gres, use, state = parts
        # A trailing star: the node doesn't answer.
        if not UP.match(state) or state.endswith("*"):
            continue
        idle = use.split("/")
        shape = Shape(
            cpus=_whole(cpus),
            memory=_whole(memory) * MIB,
            gpus=_gpus(gres),
            count=_whole(count),
            idle_cpus=_whole(idle[1]) if len(idle) == 4 else 0,
        )
        _add(found.setdefault(name, []), shape)
    return found


def _add(shapes: list[Shape], one: Shape) -> None:
    """Add nodes to those of the same kind: Slurm lists them apart by what they do now."""
    for place, other in enumerate(shapes):
        if (other.cpus, other.memory, other.gpus) == (one.cpus, one.memory, one.gpus):
            count, idle = other.count + one.count, other.idle_cpus + one.idle_cpus
            shapes[place] = replace(other, count=count, idle_cpus=idle)
            return
    shapes.append(one)


def read_partitions(text: str, shapes: Mapping[str, Sequence[Shape]], *, takes_largest: bool) -> list[Partition]:
    """Return the partitions, from ``scontrol --oneliner show partition``."""
    found = []
    for line in text.splitlines():
        facts = dict(part.partition("=")[::2] for part in line.split() if "=" in part)
        name = facts.get("PartitionName")
        if not name:
            continue
        weights = _weights(facts.get("TRESBillingWeights", ""))
        found.append(
            Partition(
                name=name,
                is_default=facts.get("Default") == "YES",
                is_up=facts.get("State", "UP") == "UP",
                shapes=tuple(shapes.get(name, ())),
                default_time=read_time(facts.get("DefaultTime", "")),
                longest_time=read_time(facts.get("MaxTime", "")),
                per_cpu=weights.get("cpu", Decimal(0)) if weights else Decimal(1),
                per_gib=weights.get("mem", Decimal(0)),
                per_gpu=weights.get("gres/gpu", Decimal(0)),
                takes_largest=takes_largest,
                note=facts.get("TRESBillingWeights", ""),
                makes_room=not {"OFF", "SUSPEND", "GANG"}.issuperset(facts.get("PreemptMode", "OFF").split(",")),
            )
        )
    return found


def read_time(text: str) -> timedelta | None:
    """Return a duration as Slurm writes it, ``1-00:00:00`` or ``05:00``; None for ``UNLIMITED`` or ``NONE``."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(?:(\d+):)?(\d+):)?(\d+)", text.strip())
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _weights(text: str) -> dict[str, Decimal]:
    weights = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        found = re.fullmatch(r"([0-9.]+)([KMGT]?)", value.strip())
        if found is None:
            continue
        try:
            weight = Decimal(found[1])
        except InvalidOperation:
            continue
        name = name.strip().lower()
        weights[name] = weight * IN_GIB[found[2]] if name == "mem" else weight
    return weights


def _gpus(text: str) -> dict[str, int]:
    # "gpu:a100:4(S:0-1),nvme:1"; "(null)" where there is none.
    found: dict[str, int] = {}
    for kind, number in re.findall(r"(?:^|,)gpu:(?:([A-Za-z][\w.-]*):)?(\d+)", text):
        found[kind] = found.get(kind, 0) + int(number)
    return found


def _whole(text: str) -> int:
    digits = re.match(r"\d+", text)
    return int(digits[0]) if digits else 0
