"""What Tradewind adds to the caller's process: memory and import time beyond ``import distributed``; and the CLI.

``python benchmarks/memory.py --pairs 7 --json memory.json``
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from time import perf_counter

import psutil
from pairs import Figures, arguments, compare, home_of_all, machine, measure, report, take_turns

SIDES = ("tradewind", "engine", "cli", "distributed")
"""``import tradewind``; that and an engine with its store open; the command line; ``import distributed`` alone."""


def memory_mib() -> dict[str, float]:
    """Return this process's memory; the proportional share (PSS) only where the system tells it."""
    info = psutil.Process().memory_full_info()
    figures = {"rss in MiB": info.rss / 2**20}
    if hasattr(info, "pss"):
        figures["pss in MiB"] = info.pss / 2**20
    return figures


def measure_here(side: str) -> Figures:
    """Return what an import, and what follows, costs in this process."""
    start = perf_counter()
    if side == "cli":
        # As the installed command does it.
        command = "import sys; from tradewind.cli import main; sys.exit(main())"
        subprocess.run([sys.executable, "-c", command, "--help"], check=True, capture_output=True)
        return {"tradewind --help": perf_counter() - start}
    import distributed  # noqa: F401

    figures = {"import distributed": perf_counter() - start}
    if side != "distributed":
        start = perf_counter()
        from tradewind import Cluster  # noqa: F401

        figures["import tradewind after it"] = perf_counter() - start
    if side == "engine":
        start = perf_counter()
        from tradewind.client.door import close_all, open_api

        asyncio.run(open_api().list_clusters())  # The store opens while the caller goes on; an answer means it is open.
        figures["start the engine and its store"] = perf_counter() - start
        figures |= memory_mib()
        close_all()
        return figures
    return {**figures, **memory_mib()}


def main() -> None:
    """Measure, compare, report; or, with ``--measure``, be one of the measured processes."""
    parser = arguments("Memory and import time of the caller.")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--measure", choices=SIDES, help="measure one side in this process and print JSON")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure_here(options.measure)))
        return
    where = machine()
    script = str(Path(__file__).resolve())
    with home_of_all(fresh=options.fresh_store) as home:
        sides = {side: partial(measure, script, "--measure", side, home=home) for side in options.sides}
        taken = take_turns(sides, options.pairs)
    heavier = [side for side in ("tradewind", "engine") if side in taken and "distributed" in taken]
    report(taken, [c for side in heavier for c in compare(taken, side, "distributed")], where, options.json)


if __name__ == "__main__":
    sys.exit(main())
