"""Measuring in pairs: the sides take turns, each time in a fresh process, and medians are compared.

Machines have slow minutes. Taking turns (A B A B …) lets both sides have them, and a ratio within a pair is freer of
them than a ratio of two averages.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

Figures = Mapping[str, float]
"""What one measurement gave, by name; seconds, unless the name ends in another unit."""

TIMEOUT_S = 600.0


@contextmanager
def home_of_all(*, fresh: bool) -> Iterator[Path | None]:
    """Give a directory that all measurements share for their store, or None where each shall have its own.

    The run that is thrown away creates the store in it, so what is measured is every start but a user's very first.
    """
    with tempfile.TemporaryDirectory(prefix="tradewind-benchmark-", ignore_cleanup_errors=True) as directory:
        yield None if fresh else Path(directory)


def measure(*arguments: str, home: Path | None = None) -> Figures:
    """Run this benchmark's own script in a fresh process and return the JSON of its last line.

    Its store and settings are in ``home``, or in a directory of its own: it neither finds the user's nor writes there.

    Raises
    ------
    RuntimeError
        It failed; holds the end of what it said.
    """
    with home_of_all(fresh=False) as own:
        directory = home or own
        done = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            env={
                # Who installs a package has its bytecode: without it each start would compile our modules anew.
                **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
                "TRADEWIND_DATA_DIR": f"{directory}/data",
                "TRADEWIND_CONFIG_DIR": f"{directory}/config",
            },
        )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    figures: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def take_turns(sides: Mapping[str, Callable[[], Figures]], pairs: int) -> dict[str, list[Figures]]:
    """Return ``pairs`` measurements of each side, taken in turns, after one of each that is thrown away.

    The first run of all fills the file system's cache and compiles the bytecode; it measures the disk.
    """
    for side in sides.values():
        side()
    taken: dict[str, list[Figures]] = {name: [] for name in sides}
    for turn in range(1, pairs + 1):
        for name, side in sides.items():
            taken[name].append(side())
            print(f"{turn}/{pairs} {name}: {_one_line(taken[name][-1])}", file=sys.stderr, flush=True)
    return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One figure of side ``a`` against the same of side ``b``."""

    figure: str
    a: str
    b: str
    pairs: int
    median_a: float
    median_b: float
    ratio_of_medians: float
    """Below 1, ``a`` is the smaller."""
    paired_ratio: float
    """Median of the ratios within pairs."""
    paired_ratio_low: float
    """First quartile of the ratios within pairs."""
    paired_ratio_high: float
    """Third quartile."""


def compare(taken: Mapping[str, Sequence[Figures]], a: str, b: str) -> list[Comparison]:
    """Return the comparison of each figure that both sides have and that isn't 0 on side ``b``."""
    comparisons = []
    for figure in taken[a][0]:
        values_a = [figures[figure] for figures in taken[a]]
        values_b = [figures.get(figure, 0.0) for figures in taken[b]]
        if not all(values_b):
            continue
        ratios = [x / y for x, y in zip(values_a, values_b, strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
        comparisons.append(
            Comparison(
                figure=figure,
                a=a,
                b=b,
                pairs=len(ratios),
                median_a=statistics.median(values_a),
                median_b=statistics.median(values_b),
                ratio_of_medians=statistics.median(values_a) / statistics.median(values_b),
                paired_ratio=statistics.median(ratios),
                paired_ratio_low=low,
                paired_ratio_high=high,
            )
        )
    return comparisons


def table(comparisons: Sequence[Comparison]) -> str:
    """Return the comparisons as a Markdown table."""
    lines = [
        "| figure | A | B | pairs | median A | median B | ratio of medians | median of pairs' ratios (quartiles) |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {c.figure} | {c.a} | {c.b} | {c.pairs} | {c.median_a:.3f} | {c.median_b:.3f} | {c.ratio_of_medians:.3f} "
        f"| {c.paired_ratio:.3f} ({c.paired_ratio_low:.3f} to {c.paired_ratio_high:.3f}) |"
        for c in comparisons
    ]
    return "\n".join(lines)


def medians(taken: Mapping[str, Sequence[Figures]]) -> str:
    """Return the median of each figure of each side, with the smallest and the largest, as a Markdown table."""
    lines = ["| side | figure | runs | median | least | most |", "|---|---|--:|--:|--:|--:|"]
    for side, all_figures in taken.items():
        for figure in all_figures[0]:
            values = [figures[figure] for figures in all_figures]
            lines.append(
                f"| {side} | {figure} | {len(values)} | {statistics.median(values):.3f} "
                f"| {min(values):.3f} | {max(values):.3f} |"
            )
    return "\n".join(lines)


def machine() -> dict[str, object]:
    """Return what a reader must know of where this was measured."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "distributed": importlib.metadata.version("distributed"),
    }


def arguments(description: str, *, pairs: int = 7) -> argparse.ArgumentParser:
    """Return the parser of what every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--pairs", type=int, default=pairs, help=f"measurements of each side (default {pairs})")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    parser.add_argument("--fresh-store", action="store_true", help="a new store each time: a user's very first start")
    return parser


def report(
    taken: Mapping[str, Sequence[Figures]],
    comparisons: Sequence[Comparison],
    where: Mapping[str, object],
    file: Path | None,
) -> None:
    """Print the tables and write the file; ``where`` is :func:`machine` as it was before the first measurement."""
    facts = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in where.items())
    print(f"\n{facts}\n")
    if comparisons:
        print(table(comparisons) + "\n")
    print(medians(taken))
    if file is not None:
        content = {
            "machine": where,
            "load_average_after": machine()["load_average"],
            "comparisons": [{key: getattr(c, key) for key in c.__slots__} for c in comparisons],
            "measurements": taken,
        }
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _one_line(figures: Figures) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
