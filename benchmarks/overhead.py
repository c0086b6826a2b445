"""What recording and metering cost a workload: the same cluster with both on, and with recording off, in turns.

Two workloads: very many tasks that do next to nothing, the worst case for anything that looks at tasks; and the demo.

``python benchmarks/overhead.py --pairs 7 --json overhead.json``
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter

from pairs import arguments, compare, home_of_all, machine, measure, report, take_turns

SIDES = ("recorded", "unrecorded", "localcluster")
"""The third shows Dask alone on the same workload; of interest, not the comparison."""

TASKS = 100_000
CONFIG = {"distributed.scheduler.worker-saturation": "inf"}
"""All tasks go to the workers at once: the scheduler's queue would make the time depend on its round trips."""


def open_cluster(side: str):  # type: ignore[no-untyped-def]
    """Return a cluster with two workers of one thread each."""
    if side == "localcluster":
        import dask
        from distributed import LocalCluster
        from distributed.security import Security

        dask.config.set(CONFIG)
        return LocalCluster(n_workers=2, threads_per_worker=1, security=Security.temporary())
    from tradewind import Cluster

    return Cluster(
        n_workers=2,
        worker_options={"nthreads": 1},
        dask_config=CONFIG,
        record_history=side == "recorded",
        wait_for_workers=True,
        show_widget=False,
    )


def increment(x: int) -> int:
    """Return the next number: a task of a microsecond."""
    return x + 1


def run_tiny_tasks(client, tasks: int) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """Return the time of ``tasks`` tiny tasks, from their submission to the last result."""
    from distributed import wait

    client.submit(increment, 0).result()
    start = perf_counter()
    done = client.map(increment, range(tasks), pure=False)
    wait(done)
    seconds = perf_counter() - start
    if done[-1].result() != tasks:
        raise RuntimeError("the last task gave a wrong number")
    return {"tiny tasks": seconds, "tiny task in µs": seconds / tasks * 1e6}


def run_demo_twice(client) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """Return the time the demo takes; its first run is thrown away, since it imports xarray on the workers."""
    from tradewind.demo import run_demo

    with tempfile.TemporaryDirectory() as directory:
        picture = Path(directory) / "two-futures.png"
        run_demo(picture)
        start = perf_counter()
        run_demo(picture)
        return {"demo": perf_counter() - start}


def main() -> None:
    """Measure, compare, report; or, with ``--measure``, be one of the measured processes."""
    parser = arguments("What recording and metering cost.")
    parser.add_argument("--tasks", type=int, default=TASKS, help=f"tiny tasks of one run (default {TASKS})")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=["recorded", "unrecorded"])
    parser.add_argument("--measure", choices=SIDES, help="measure one side in this process and print JSON")
    options = parser.parse_args()
    if options.measure:
        with open_cluster(options.measure) as cluster, cluster.get_client() as client:
            client.wait_for_workers(2)
            print(json.dumps({**run_tiny_tasks(client, options.tasks), **run_demo_twice(client)}))
        return
    where = machine()
    script = str(Path(__file__).resolve())
    with home_of_all(fresh=options.fresh_store) as home:
        sides = {
            side: partial(measure, script, "--measure", side, "--tasks", str(options.tasks), home=home)
            for side in options.sides
        }
        taken = take_turns(sides, options.pairs)
    first, *others = options.sides
    report(taken, [c for other in others for c in compare(taken, first, other)], where, options.json)


if __name__ == "__main__":  # LocalCluster's processes import this file.
    sys.exit(main())
