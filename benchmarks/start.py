"""From the constructor's call to the first result: Tradewind against ``distributed.LocalCluster``, in turns.

Each measurement is a fresh process that starts two clusters, one after the other; the second one shows what stays warm.
Both sides have two workers and both must have both of them up; the main comparison is encrypted on both sides.

``python benchmarks/start.py --pairs 7 --json start.json``
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from time import perf_counter

from pairs import arguments, compare, home_of_all, machine, measure, report, take_turns

SIDES = ("tradewind", "localcluster-tls", "localcluster-tcp")
WORKERS = 2


def open_cluster(side: str):  # type: ignore[no-untyped-def]
    """Return a cluster of this side; what it needs was imported before."""
    if side == "tradewind":
        from tradewind import Cluster

        return Cluster(n_workers=WORKERS, wait_for_workers=True, show_widget=False)
    from distributed import LocalCluster
    from distributed.security import Security

    # Making keys belongs to the start: a user of LocalCluster waits for it too.
    return LocalCluster(n_workers=WORKERS, security=Security.temporary() if side == "localcluster-tls" else None)


def measure_here(side: str) -> dict[str, float]:
    """Return the figures of two clusters, one after the other, in this process."""
    began = perf_counter()
    # The names, since packages put off their imports until somebody asks for one.
    if side == "tradewind":
        from tradewind import Cluster  # noqa: F401
    else:
        from distributed import LocalCluster  # noqa: F401
    figures = {"import": perf_counter() - began}
    for which in ("first", "second"):
        start = perf_counter()
        with open_cluster(side) as cluster, cluster.get_client() as client:
            if client.submit(sum, (1, 2)).result() != 3:
                raise RuntimeError(f"the {which} cluster of {side} can't add")
            figures[f"{which} cluster"] = perf_counter() - start
            # Neither side may win by having fewer workers up.
            client.wait_for_workers(WORKERS)
            figures[f"{which} cluster, all workers"] = perf_counter() - start
            closing = perf_counter()
        figures[f"{which} close"] = perf_counter() - closing
    figures["import and first cluster"] = figures["import"] + figures["first cluster"]
    return figures


def main() -> None:
    """Measure, compare, report; or, with ``--measure``, be one of the measured processes."""
    parser = arguments("Time from the constructor's call to the first result.")
    parser.add_argument(
        "--sides", nargs="+", choices=SIDES, default=list(SIDES), help="the first is compared with the others"
    )
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
    first, *others = options.sides
    report(taken, [c for other in others for c in compare(taken, first, other)], where, options.json)


if __name__ == "__main__":  # LocalCluster's processes import this file.
    sys.exit(main())
