"""Who is served by a cluster's money at each moment: its computations, in equal shares, or nobody."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tradewind.planning.tally import Amounts, minus, plus, times


@dataclass(frozen=True, slots=True, kw_only=True)
class Burning:
    """An instance that is billed from ``start`` to ``stop`` (microseconds)."""

    cluster_id: str
    start: int
    stop: int
    rate: Amounts
    """Of each microsecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A computation between ``start`` and ``stop`` (microseconds)."""

    id: str
    cluster_id: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Who gets how much, in ``parts``-ths of the rates' units."""

    parts: int
    by_computation: Mapping[str, Amounts]
    """Only computations that ran while something was billed."""
    rest: Amounts
    """While nothing was computed."""


@dataclass(slots=True)
class _Sweep:
    """One cluster, read from left to right. Burnt time is summed by how many computations ran then."""

    nothing: Amounts
    at: int = 0
    rate: Amounts = ()
    running: int = 0
    burnt: dict[int, Amounts] = field(default_factory=dict)

    def move_to(self, at: int) -> None:
        if at > self.at and any(self.rate):
            passed = times(self.rate, at - self.at)
            self.burnt[self.running] = plus(self.burnt.get(self.running, self.nothing), passed)
        self.at = at


def share(burning: Sequence[Burning], running: Sequence[Running], nothing: Amounts) -> Shares:
    """Return what each computation gets, when at each moment those that run on a cluster share its burn equally.

    Exact: ``by_computation`` and ``rest`` together are ``parts`` times what was burnt.
    """
    clusters: defaultdict[str, tuple[list[Burning], list[Running]]] = defaultdict(lambda: ([], []))
    for instance in burning:
        clusters[instance.cluster_id][0].append(instance)
    for computation in running:
        clusters[computation.cluster_id][1].append(computation)

    rest = nothing
    crowds: list[tuple[str, dict[int, Amounts]]] = []
    for instances, computations in clusters.values():
        idle, mine = _swept(instances, computations, nothing)
        rest = plus(rest, idle)
        crowds += mine

    parts = math.lcm(*{crowd for _, burnt in crowds for crowd in burnt})
    shares: dict[str, Amounts] = {}
    for computation_id, burnt in crowds:
        for crowd, amounts in burnt.items():
            mine_now = times(amounts, parts // crowd)
            shares[computation_id] = plus(shares.get(computation_id, nothing), mine_now)
    return Shares(parts=parts, by_computation=shares, rest=times(rest, parts))


def _swept(
    instances: Sequence[Burning], computations: Sequence[Running], nothing: Amounts
) -> tuple[Amounts, list[tuple[str, dict[int, Amounts]]]]:
    """Return what was burnt for nobody, and for each computation what was burnt beside it, by the size of the crowd."""
    points: list[tuple[int, Amounts | None, int | None]] = []
    for instance in instances:
        if instance.stop > instance.start:
            points += [(instance.start, instance.rate, None), (instance.stop, times(instance.rate, -1), None)]
    for number, computation in enumerate(computations):
        if computation.stop > computation.start:
            points += [(computation.start, None, number), (computation.stop, None, number)]
    points.sort(key=lambda point: point[0])

    sweep = _Sweep(nothing=nothing, rate=nothing)
    before: dict[int, dict[int, Amounts]] = {}
    crowds: list[tuple[str, dict[int, Amounts]]] = []
    for at, change, index in points:
        sweep.move_to(at)
        if change is not None:
            sweep.rate = plus(sweep.rate, change)
        elif index is not None and index not in before:
            before[index] = dict(sweep.burnt)
            sweep.running += 1
        elif index is not None:
            sweep.running -= 1
            burnt = _since(before[index], sweep.burnt, nothing)
            if burnt:
                crowds.append((computations[index].id, burnt))
    return sweep.burnt.get(0, nothing), crowds


def _since(before: Mapping[int, Amounts], after: Mapping[int, Amounts], nothing: Amounts) -> dict[int, Amounts]:
    grown = {crowd: minus(amounts, before.get(crowd, nothing)) for crowd, amounts in after.items()}
    return {crowd: amounts for crowd, amounts in grown.items() if any(amounts)}
