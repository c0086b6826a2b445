"""From the constructor's call to the first result on Slurm: Tradewind against ``dask_jobqueue.SLURMCluster``, in turns.

Each measurement is a fresh process with one cluster of two workers; both sides run the same Python on the same
partition. Tradewind's scheduler is a job of the queue and all is encrypted; the other's runs in the calling process, as
it has no other way, in plain TCP. Needs ``dask-jobqueue`` and a Slurm, as ``rigs/slurm.sh start`` gives.

``python benchmarks/queues.py --pairs 7 --json queues.json``
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from time import perf_counter

from pairs import arguments, compare, home_of_all, machine, measure, report, take_turns

SIDES = ("tradewind", "jobqueue")
WORKERS = 2


def open_cluster(side: str):  # type: ignore[no-untyped-def]
    """Return a cluster of this side; what it needs was imported before."""
    if side == "tradewind":
        from tradewind import Cluster

        small = {"worker_cpu": 1, "worker_memory": "1000 MiB"}
        return Cluster(provider="slurm", n_workers=WORKERS, show_widget=False, **small)
    from dask_jobqueue import SLURMCluster

    cluster = SLURMCluster(cores=1, processes=1, memory="1000 MiB", interface="lo", queue="main", walltime="01:00:00")
    cluster.scale(WORKERS)
    return cluster


def measure_here(side: str) -> dict[str, float]:
    """Return the figures of one cluster in this process."""
    began = perf_counter()
    if side == "tradewind":
        from tradewind import Cluster  # noqa: F401
    else:
        from dask_jobqueue import SLURMCluster  # noqa: F401
    figures = {"import": perf_counter() - began}
    start = perf_counter()
    with open_cluster(side) as cluster, cluster.get_client() as client:
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
    parser = arguments("Time from the constructor's call to the first result on Slurm.")
    parser.add_argument("--measure", choices=SIDES, help="measure one side in this process and print JSON")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure_here(options.measure)))
        return
    where = machine()
    script = str(Path(__file__).resolve())
    with home_of_all(fresh=options.fresh_store) as home:
        sides = {side: partial(measure, script, "--measure", side, home=home) for side in SIDES}
        taken = take_turns(sides, options.pairs)
    report(taken, compare(taken, "tradewind", "jobqueue"), where, options.json)


if __name__ == "__main__":
    sys.exit(main())
