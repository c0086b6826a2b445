"""From the constructor's call to the first result in a queue: Tradewind against ``dask_jobqueue``, in turns.

Each measurement is a fresh process with one cluster of two workers; both sides run the same Python on the same
partition. Tradewind's scheduler is a job of the queue and all is encrypted; the other's runs in the calling process, as
it has no other way, in plain TCP. Each begins in a queue that is empty: who closes without waiting leaves jobs that
still end while the other starts. A queue starts jobs when its clock ticks (Slurm's once a second), so a few pairs tell
nothing: take twenty or more. Needs ``dask-jobqueue`` and a Slurm, as ``rigs/slurm.sh start`` gives, or a Grid
Engine, as ``rigs/sge.sh start`` does.

``python benchmarks/queues.py --pairs 25 --json queues.json``, ``… --system sge``
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from time import perf_counter, sleep

from pairs import arguments, compare, home_of_all, machine, measure, report, take_turns

SIDES = ("tradewind", "jobqueue")
WORKERS = 2
SAME = {"cores": 1, "processes": 1, "memory": "1000 MiB", "interface": "lo", "walltime": "01:00:00"}
THEIRS = {
    "slurm": ("SLURMCluster", {**SAME, "queue": "main"}),
    # By itself it asks for address space too, of which a worker needs more than it is given.
    "sge": ("SGECluster", {**SAME, "queue": "main.q", "resource_spec": "mem_free=1000M"}),
}


LIST = {"slurm": ["squeue", "--noheader"], "sge": ["qstat"]}


def wait_until_empty(system: str) -> None:
    """Wait until the queue has no job any more."""
    while subprocess.run(LIST[system], capture_output=True, check=True).stdout.strip():
        sleep(0.2)


def open_cluster(side: str, system: str):  # type: ignore[no-untyped-def]
    """Return a cluster of this side; what it needs was imported before."""
    if side == "tradewind":
        from tradewind import Cluster

        small = {"worker_cpu": 1, "worker_memory": "1000 MiB"}
        return Cluster(provider=system, n_workers=WORKERS, show_widget=False, **small)
    import dask_jobqueue

    name, keywords = THEIRS[system]
    cluster = getattr(dask_jobqueue, name)(**keywords)
    cluster.scale(WORKERS)
    return cluster


def measure_here(side: str, system: str) -> dict[str, float]:
    """Return the figures of one cluster in this process."""
    wait_until_empty(system)
    began = perf_counter()
    if side == "tradewind":
        from tradewind import Cluster  # noqa: F401
    else:
        import dask_jobqueue  # noqa: F401
    figures = {"import": perf_counter() - began}
    start = perf_counter()
    with open_cluster(side, system) as cluster, cluster.get_client() as client:
        if client.submit(sum, (1, 2)).result() != 3:
            raise RuntimeError(f"the cluster of {side} can't add")
        figures["create to first result"] = perf_counter() - start
        client.wait_for_workers(WORKERS)
        figures["create to all workers"] = perf_counter() - start
        closing = perf_counter()
    figures["close"] = perf_counter() - closing
    return figures


def main() -> None:
    """Measure, compare, report; or, with ``--measure``, be one of the measured processes."""
    parser = arguments("Time from the constructor's call to the first result in a queue.")
    parser.add_argument("--system", choices=tuple(THEIRS), default="slurm", help="which queue")
    parser.add_argument("--measure", choices=SIDES, help="measure one side in this process and print JSON")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure_here(options.measure, options.system)))
        return
    where = machine()
    script = str(Path(__file__).resolve())
    with home_of_all(fresh=options.fresh_store) as home:
        sides = {
            side: partial(measure, script, "--measure", side, "--system", options.system, home=home) for side in SIDES
        }
        taken = take_turns(sides, options.pairs)
    report(taken, compare(taken, "tradewind", "jobqueue"), where, options.json)


if __name__ == "__main__":
    sys.exit(main())
