"""Thousands of faults against several servers on one PostgreSQL and one world, in runs that each settle and are judged.

Each run takes a seed, and all of its choices follow from it; a run that finds a fault is named, its replicas' logs are
kept, and it is played again with ``--seed``. What the witnesses look at stands in ``tests/chaos/witness.py``.

``python benchmarks/chaos.py --faults 10000 --json chaos.json``
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import monotonic

from pairs import machine

sys.path[:0] = [str(Path(__file__).parents[1])]
from tests.chaos.bill import NEAR, Stage  # noqa: E402 - the tests aren't installed
from tests.chaos.harness import Chaos  # noqa: E402
from tests.chaos.run import Findings, Run  # noqa: E402
from tests.postgres import running  # noqa: E402

CLOCKS_S = (0.0, 2.0, 6.0, 12.0)
"""How far apart the clocks of the replicas are at most; the runs take turns."""


def play(run: Run, directory: Path) -> Findings:
    """Return what one run found, with a PostgreSQL of its own."""
    with running() as postgres:
        database = postgres.create(postgres.template)
        return asyncio.run(Chaos(run, postgres, database, directory).go())


def summary(runs: Sequence[tuple[Run, Findings]], took_s: float) -> dict[str, object]:
    """Return the figures of all runs together."""
    struck: Counter[str] = Counter()
    answers: Counter[int] = Counter()
    for _, found in runs:
        struck += found.struck
        answers += found.answers
    billed = [found.seconds for _, found in runs if found.seconds is not None]
    stages = [stage for _, found in runs for stage in found.stages]
    return {
        "runs": len(runs),
        "minutes": round(took_s / 60, 1),
        "faults that struck": struck.total(),
        "clusters created": sum(found.created for _, found in runs),
        "instances launched": sum(each.instances for each in billed),
        "seconds on the ledger": round(sum(each.ledger_s for each in billed), 3),
        "seconds metered": round(sum(each.usages_s for each in billed), 3),
        "worst difference of an instance, s": max((each.worst_s for each in billed), default=0.0),
        "limits": _of_limits(stages),
        "clusters that ended alone, paid for no longer": sum(found.ended_alone for _, found in runs),
        "what must not be": sum(len(found.faults) for _, found in runs),
        "settled within, s": round(max(found.settled_within_s for _, found in runs), 1),
        "acts after a lease was lost": sum(len(found.late_acts) for _, found in runs),
        "by kind": dict(struck.most_common()),
        "answers to users": {str(number): count for number, count in answers.most_common()},
    }


def _of_limits(stages: Sequence[Stage]) -> dict[str, object]:
    """Return what came of the limits, by whose spending each limits; one that is raised is another."""
    figures: dict[str, object] = {}
    for of in dict.fromkeys(stage.of for stage in stages):
        mine = [stage for stage in stages if stage.of == of]
        bit = [stage for stage in mine if stage.has_bitten]
        figures[of] = {
            "limits": len(mine),
            "that bit": len(bit),
            f"of which {NEAR:.0%} was spent": sum(stage.share >= NEAR for stage in bit),
            "clusters not let in": sum(stage.refused for stage in mine),
            "clusters stopped": sum(stage.stopped for stage in mine),
            "given, USD": str(sum((stage.limit - stage.before for stage in bit), Decimal(0))),
            "spent of that, median": round(median([stage.share for stage in bit] or [0.0]), 3),
            "spent of that, most": round(max((stage.share for stage in bit), default=0.0), 4),
            "worst overrun, in rounds": round(max(stage.overrun.rounds for stage in mine), 3),
        }
    return figures


def table(stages: Sequence[Stage]) -> str:
    """Return the limits of a run, a line for each."""
    lines = [f"  {'of':24} {'limit':>10} {'spent':>10} {'share':>6} {'rounds over':>11} {'refused':>7} {'stopped':>7}"]
    lines += [
        f"  {stage.of:24} {stage.limit:10.6f} {stage.overrun.spent:10.6f} {stage.share:6.1%} "
        f"{stage.overrun.rounds:11.3f} {stage.refused:7} {stage.stopped:7}"
        for stage in stages
    ]
    return "\n".join(lines)


def main() -> int:
    """Run until enough has struck or the time is over; 1 where a witness found a fault."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--faults", type=int, default=10_000, help="end once so many have struck (default 10000)")
    parser.add_argument("--minutes", type=float, default=90, help="and not later than this (default 90)")
    parser.add_argument("--run-s", type=float, default=90, help="of trouble in each run, seconds (default 90)")
    parser.add_argument("--seed", type=int, default=1, help="of the first run (default 1)")
    parser.add_argument("--runs", type=int, help="end after so many")
    parser.add_argument("--only", nargs="+", default=(), help="only these kinds of fault")
    parser.add_argument("--clusters", type=int, default=8, help="that live at a time (default 8)")
    parser.add_argument("--pause-s", type=float, default=0.2, help="between two faults, on average (default 0.2)")
    parser.add_argument("--limits-every", type=int, default=2, help="so manieth run has hard limits (default 2)")
    parser.add_argument("--limited-s", type=float, default=300, help="of trouble in such a run (default 300)")
    parser.add_argument("--limited-pause-s", type=float, default=0.5, help="between its faults (default 0.5)")
    parser.add_argument("--minute-s", type=float, default=6, help="a minute of planning in such a run (default 6)")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    options = parser.parse_args()
    where, began = machine(), monotonic()
    runs: list[tuple[Run, Findings]] = []
    logs = Path(tempfile.mkdtemp(prefix="tradewind-chaos-"))
    while True:
        seed = options.seed + len(runs)
        has_limits = seed % options.limits_every == 0
        run = Run(
            seed=seed,
            # A limit is used up after minutes, not at once, and that several times.
            duration_s=options.limited_s if has_limits else options.run_s,
            clusters=options.clusters,
            # Small ones fit into what is left.
            workers=2 if has_limits else 4,
            # Where servers die ten times a second, clusters hardly come to spend anything.
            pause_s=options.limited_pause_s if has_limits else options.pause_s,
            # Not by the seed alone: every second run would know two of them only.
            clock_spread_s=CLOCKS_S[seed // options.limits_every % len(CLOCKS_S)],
            faults=tuple(options.only),
            has_limits=has_limits,
            minute_s=options.minute_s if has_limits else 60.0,
            # Its users leave clusters alone for long, so that the limit ends them.
            keeps_s=options.minute_s * 2 if has_limits else 4.0,
        )
        directory = logs / str(seed)
        directory.mkdir()
        found = play(run, directory)
        runs.append((run, found))
        total = sum(each.struck.total() for _, each in runs)
        print(
            f"seed {seed}: {found.struck.total()} faults, {found.created} clusters, {found.seconds}, "
            f"settled in {found.settled_within_s:.0f} s, {len(found.faults)} found; {total} faults so far",
            flush=True,
        )
        if found.stages:
            print(table(found.stages), flush=True)
        for fault in found.faults[:20]:
            print(f"  {fault}", flush=True)
        over = total >= options.faults or monotonic() - began > options.minutes * 60
        if over or (options.runs is not None and len(runs) >= options.runs):
            break
    figures = summary(runs, monotonic() - began)
    print(json.dumps({"machine": where, **figures}, indent=1))
    if options.json is not None:
        faults = {run.seed: found.faults for run, found in runs if found.faults}
        options.json.write_text(json.dumps({"machine": where, **figures, "faults": faults}, indent=1) + "\n")
    if figures["what must not be"]:
        print(f"logs: {logs}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
