"""The same script in two places, and whether it gave the same: ``tradewind freedom SCRIPT --replicate local …``."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console

from tradewind.advisor.freedom.pledge import FILE
from tradewind.advisor.freedom.replicate import Comparison, compare
from tradewind.client.door import close, find_place, open_at
from tradewind.engine import ways
from tradewind.errors import BadRequest, NotFound, SignInNeeded, TradewindError

TAG = "replicate"
"""By which the clusters of a run are known again."""
MOST_CLUSTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the script."""

    way: str
    text: str
    """What it printed: its result."""
    clusters: tuple[str, ...]
    """Names of those it started, on the provider that was meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replication:
    """All runs, each compared with the first."""

    runs: tuple[Run, ...]
    comparisons: tuple[Comparison, ...]
    tolerance: float

    @property
    def is_same(self) -> bool:
        """Whether all gave the same."""
        return all(one.is_same for one in self.comparisons)


def replicate(script: Path, names: Sequence[str], tolerance: float, timeout_s: float) -> Replication:
    """Run a script once in each place, and compare what it prints.

    The store of each place is the witness that it ran there: the clusters it started carry a tag of this run.

    Raises
    ------
    BadRequest
        It starts no cluster, or says itself where; or fewer than two places are named.
    TradewindError
        It failed, or took too long.
    """
    if len(set(names)) < 2:
        raise BadRequest("name two ways at least: --replicate local --replicate slurm.")
    if unknown := set(names) - set(ways.names()):
        raise NotFound(f"there is no way {sorted(unknown)[0]!r} to run clusters; there are {', '.join(ways.names())}.")
    if script.suffix != ".py" or not script.is_file():
        raise BadRequest(f"{script} is no script: name a .py file that starts a cluster and prints its result.")
    # What is missing of any is told before the first has run for an hour.
    places = {name: _place_of(name) for name in names}
    runs = tuple(_run(script.absolute(), name, place, timeout_s) for name, place in places.items())
    comparisons = tuple(compare(runs[0].text, other.text, tolerance) for other in runs[1:])
    return Replication(runs=runs, comparisons=comparisons, tolerance=tolerance)


def _run(script: Path, name: str, place: Mapping[str, str], timeout_s: float) -> Run:
    mark = uuid.uuid4().hex
    environ = {**os.environ, **place, f"TRADEWIND_TAGS__{TAG.upper()}": mark}
    try:
        ended = subprocess.run(
            [sys.executable, str(script)],
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            env=environ,
        )
    except subprocess.TimeoutExpired:
        raise TradewindError(
            f"{script.name} took more than {timeout_s:g} s on {name}: make the example smaller, or --timeout longer."
        ) from None
    if ended.returncode:
        raise TradewindError(f"{script.name} failed on {name} with exit code {ended.returncode}; nothing was compared.")
    if not ended.stdout.strip():
        raise BadRequest(f"{script.name} printed nothing on {name}: print its result, or a hash of it.")
    return Run(way=name, text=ended.stdout, clusters=_witnessed(script, name, mark))


def _place_of(name: str) -> dict[str, str]:
    """Return the settings that send clusters there."""
    if name != ways.SERVER:
        return {"TRADEWIND_SERVER": "solo", "TRADEWIND_PROVIDER": name}
    server = find_place().server
    if server is None:
        raise SignInNeeded("you use no server: tradewind login https://tradewind.example")
    return {"TRADEWIND_SERVER": server}


def _witnessed(script: Path, name: str, mark: str) -> tuple[str, ...]:
    """Return the clusters that a run started, as the store of that place has them."""
    place = find_place()
    if name != ways.SERVER:
        place = replace(place, server=None)
    api = open_at(place, looks_after=False)
    try:
        views = api.run(api.list_clusters(limit=MOST_CLUSTERS))
    finally:
        close(api)
    clusters = [view.cluster for view in views if view.cluster.spec.tags.get(TAG) == mark]
    if not clusters:
        raise BadRequest(f"{script.name} started no cluster on {name}: it is to do so with tradewind.Cluster(...).")
    elsewhere = next((one for one in clusters if name not in {ways.SERVER, one.spec.provider}), None)
    if elsewhere is not None:
        raise BadRequest(
            f"{script.name} ran on {elsewhere.spec.provider}, not on {name}: it says itself where; leave out provider=."
        )
    return tuple(one.name for one in clusters)


def told_replication(replication: Replication) -> dict[str, Any]:
    """Return it as plain data."""
    first = replication.runs[0]
    return {
        "same": replication.is_same,
        "tolerance": replication.tolerance,
        "runs": [{"way": run.way, "clusters": list(run.clusters)} for run in replication.runs],
        "comparisons": [
            {
                "ways": [first.way, run.way],
                "same": one.is_same,
                "identical": one.is_identical,
                "lines": one.lines,
                "largest": one.largest,
                "first": None
                if one.first is None
                else {"line": one.first.line, "values": [one.first.one, one.first.other]},
            }
            for run, one in zip(replication.runs[1:], replication.comparisons, strict=True)
        ],
    }


def print_replication(console: Console, replication: Replication, today: date) -> None:
    """Print it for a person."""
    first = replication.runs[0]
    for run in replication.runs:
        console.print(f"{run.way}: ran on {', '.join(run.clusters)}")
    for run, one in zip(replication.runs[1:], replication.comparisons, strict=True):
        words = f"{first.way} and {run.way}"
        if one.is_identical:
            console.print(f"{words} gave the same, bit for bit ({one.lines} lines)", style="green")
        elif one.is_same:
            console.print(
                f"{words} gave the same within {replication.tolerance:g}: numbers differ by {one.largest:.2g} at most",
                style="green",
            )
        else:
            assert one.first is not None
            console.print(f"{words} differ from line {one.first.line} on:", style="red")
            console.print(f"  {first.way}: {one.first.one}\n  {run.way}: {one.first.other}")
    if replication.is_same:
        console.print(f"\nSay so in {FILE}, below [project]: replicated = {today}", style="bright_black")
