"""What could be better, measured: rules over facts, each with its figures and an advice for a novice.

Savings are estimates of single measures. They may overlap, so they aren't to be added up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from tradewind.model.cluster import Cluster
from tradewind.model.computation import Computation, Insight
from tradewind.model.money import Money
from tradewind.model.resources import GIB
from tradewind.model.usage import Cost, Usage
from tradewind.planning import meter
from tradewind.planning.facts import ClusterFacts, ComputationFacts, alone

SCHEDULER_SECONDS_PER_TASK = 0.0005
"""What Dask's scheduler spends on a task (about 1,900 tasks a second), while all threads may wait for it."""
WORTH_SAYING_S = 10.0
"""Thread-seconds; less isn't worth a reader's time."""
LONGEST_ERROR = 200
"""Characters of an error's text; the whole of it is with the computation."""


def insights(
    cluster: Cluster, usages: Sequence[Usage], computations: Sequence[Computation], now: datetime
) -> tuple[Insight, ...]:
    """Return what could be better on ``cluster``, the largest saving first, the unknown savings last.

    Computations of one name with the same fault are one insight, about the worst of them.
    """
    facts = _facts(cluster, usages, computations, now)
    found: dict[tuple[str, str], list[Insight]] = {}
    for one in facts.computations:
        for rule in COMPUTATION_RULES:
            if (insight := rule(one)) is not None:
                found.setdefault((insight.rule, one.computation.name), []).append(insight)
    whole = [insight for cluster_rule in CLUSTER_RULES if (insight := cluster_rule(facts)) is not None]
    merged = [_merged(same) for same in found.values()]
    return tuple(sorted([*whole, *merged], key=lambda insight: -(insight.saving_seconds or 0.0)))


def failed_tasks(facts: ComputationFacts) -> Insight | None:
    """Something is wrong, not slow; said even where it cost nothing."""
    computation = facts.computation
    if not computation.erred:
        return None
    first = min(computation.errors, key=lambda error: error.at, default=None)
    words = f" The first, {first.prefix}: {first.exception[:LONGEST_ERROR]}" if first is not None else ""
    return _insight(
        facts,
        "failed-tasks",
        f"{_count(computation.erred, 'task')} of {_named(facts)} failed",
        f"{computation.erred} of {computation.tasks} tasks failed.{words}",
        "Read the first error and its traceback; try the failing step on one small piece of the data on your own "
        "machine before you run it on all.",
        facts.activity("failed") or None,
    )


def tiny_tasks(facts: ComputationFacts) -> Insight | None:
    """Tasks so short that handing them out takes longer than doing them."""
    if facts.done < 1000 or not facts.is_alone or facts.compute_seconds / facts.done >= 0.1:
        return None
    overhead = facts.offered_seconds - facts.compute_seconds
    if overhead <= facts.offered_seconds / 2:
        return None
    mean_ms = 1000 * facts.compute_seconds / facts.done
    return _insight(
        facts,
        "tiny-tasks",
        f"The tasks of {_named(facts)} are very small",
        f"{facts.done} tasks took {mean_ms:.1f} ms each on average, and the threads spent "
        f"{_percent(overhead / facts.offered_seconds)} of their time on other things than computing.",
        "Handing out a task takes about a millisecond, however small it is. Use larger chunks (about 100 MB each), or "
        "group many small calls into one.",
        min(overhead, facts.done * SCHEDULER_SECONDS_PER_TASK * facts.threads),
    )


def one_long_task(facts: ComputationFacts) -> Insight | None:
    """Few tasks that take most of the time keep all other threads waiting."""
    for group in facts.groups:
        if not group.done or facts.wall_seconds < WORTH_SAYING_S:
            continue
        mean = group.compute_seconds / group.done
        if mean <= facts.wall_seconds / 2 or group.done * 2 > facts.threads:
            continue
        return _insight(
            facts,
            "one-long-task",
            f"{_named(facts)} waits for a few long tasks",
            f"{_count(group.done, 'task')} {group.prefix!r} ran for {_seconds(mean)} each, of "
            f"{_seconds(facts.wall_seconds)} in all, while there were {facts.threads:.0f} threads.",
            f"This step can't be spread over the workers as it is. Split what {group.prefix!r} works on into smaller "
            "chunks (a reduction in several steps, no single chunk over the whole dimension).",
            min(facts.idle_seconds, (facts.threads - group.done) * mean) if facts.is_alone else None,
        )
    return None


def idle_workers(facts: ComputationFacts) -> Insight | None:
    """More threads than the work could use. Only where no other computation may have used them."""
    if not facts.is_alone or not facts.computation.activity_seconds or facts.idle_seconds < 6 * WORTH_SAYING_S:
        return None
    share = facts.idle_seconds / facts.offered_seconds
    if share <= 0.5:
        return None
    enough = max(1, round(facts.computation.workers * facts.busy_seconds / facts.offered_seconds / 0.8))
    fewer = ""
    if enough < facts.computation.workers:
        fewer = f"About {enough} in place of {facts.computation.workers} workers would have done. "
    return _insight(
        facts,
        "idle-workers",
        f"The workers were idle for {_percent(share)} of {_named(facts)}",
        f"{_seconds(facts.busy_seconds)} of {_seconds(facts.offered_seconds)} thread time were used"
        f"{_worth(facts.cost, share)}.",
        f"{fewer}Ask for fewer workers, let their number follow the work with cluster.adapt(), or cut the data into "
        "more chunks so that all have something to do.",
        max(0.0, facts.offered_seconds - facts.busy_seconds / 0.8),
    )


def much_transfer(facts: ComputationFacts) -> Insight | None:
    """Moving the data takes a good part of the time that computing does."""
    if facts.transfer_seconds < WORTH_SAYING_S or facts.transfer_seconds <= 0.3 * facts.compute_seconds:
        return None
    return _insight(
        facts,
        "much-transfer",
        f"{_named(facts)} moves much data between workers",
        f"{_seconds(facts.transfer_seconds)} of moving data beside {_seconds(facts.compute_seconds)} of computing.",
        "Take fewer and larger workers, choose chunks that follow the dimension you don't reduce over, and select what "
        "you need before you rechunk or merge.",
        None,  # Moving goes on beside computing, so its seconds aren't what would be won.
    )


def spilling(facts: ComputationFacts) -> Insight | None:
    """Results were written to disk for want of memory."""
    if facts.disk_seconds < WORTH_SAYING_S or facts.disk_seconds <= 0.05 * facts.compute_seconds:
        return None
    return _insight(
        facts,
        "spilling",
        f"{_named(facts)} ran out of memory and used the disk",
        f"{_seconds(facts.disk_seconds)} were spent on writing results to disk and reading them back, beside "
        f"{_seconds(facts.compute_seconds)} of computing.",
        "Give each worker more memory (worker_memory=...), use smaller chunks, or save results to storage in place of "
        "persist().",
        facts.disk_seconds,
    )


def waiting_threads(facts: ComputationFacts) -> Insight | None:
    """Inside tasks, threads waited for storage, or for each other."""
    working, waiting = facts.activity("thread-cpu"), facts.activity("thread-noncpu")
    if waiting < 3 * WORTH_SAYING_S or waiting <= 0.6 * (working + waiting):
        return None
    return _insight(
        facts,
        "waiting-threads",
        f"The tasks of {_named(facts)} mostly wait",
        f"Of {_seconds(working + waiting)} inside tasks, the processor worked for {_seconds(working)} and waited for "
        f"{_seconds(waiting)}.",
        "If the tasks read from storage, more threads per worker (worker_threads=...) read more at once, and a cluster "
        "in the region of the data reads faster. If they are pure Python, threads wait for each other: take more "
        "workers with fewer threads.",
        None,  # Which of the two it is can't be told from here.
    )


def waiting_cluster(facts: ClusterFacts) -> Insight | None:
    """It was paid for while nobody computed on it. Its start doesn't count: nobody can compute before."""
    total, waiting = facts.total, facts.waiting
    if waiting.instance_seconds < 6 * WORTH_SAYING_S or waiting.instance_seconds <= total.instance_seconds / 2:
        return None
    money = f": {waiting} of {total}" if total.money else ""
    return Insight(
        rule="waiting-cluster",
        title=f"Cluster {facts.cluster.name!r} waited for "
        f"{_percent(waiting.instance_seconds / total.instance_seconds)} of its time",
        evidence=f"Nothing was computed in {_seconds(waiting.instance_seconds)} of "
        f"{_seconds(total.instance_seconds)} instance time{money}.",
        advice="Close it when you are done (with Cluster(...) as cluster: does so by itself), let it shrink with "
        "cluster.adapt(minimum=0), or shorten its idle_timeout.",
        saving_seconds=waiting.cpu_seconds,
    )


def roomy_workers(facts: ClusterFacts) -> Insight | None:
    """All results of the largest computation together would fill a small part of the memory."""
    memory = facts.worker_memory
    ran = [one for one in facts.computations if one.computation.workers and one.offered_seconds >= 60 * WORTH_SAYING_S]
    if memory is None or memory < 4 * GIB or not ran or any(one.disk_seconds for one in facts.computations):
        return None
    largest = max(ran, key=lambda one: one.computation.nbytes / one.computation.workers)
    each = largest.computation.nbytes / largest.computation.workers
    if not each or each >= 0.1 * memory:
        return None
    return Insight(
        rule="roomy-workers",
        title=f"The workers of {facts.cluster.name!r} have more memory than their results need",
        evidence=f"All results of {_named(largest)} together were {each / GIB:.2g} GiB per worker, which had "
        f"{memory / GIB:.3g} GiB.",
        advice="Try half the memory per worker (worker_memory=...), where the tasks themselves don't need it for what "
        "they hold while they run.",
        computation_id=largest.computation.id,
        computation=largest.computation.name,
    )


COMPUTATION_RULES: tuple[Callable[[ComputationFacts], Insight | None], ...] = (
    failed_tasks,
    spilling,
    one_long_task,
    tiny_tasks,
    idle_workers,
    much_transfer,
    waiting_threads,
)
"""All that apply speak. The order decides between equal savings: faults before causes, causes before symptoms."""

CLUSTER_RULES: tuple[Callable[[ClusterFacts], Insight | None], ...] = (waiting_cluster, roomy_workers)


def _facts(
    cluster: Cluster, usages: Sequence[Usage], computations: Sequence[Computation], now: datetime
) -> ClusterFacts:
    usages = tuple(usage for usage in usages if usage.cluster_id == cluster.id)
    mine = [computation for computation in computations if computation.cluster_id == cluster.id]
    costs = {line.key: line.cost for line in meter.cost_by(usages, mine, "computation", now)}
    waiting = Cost()
    if cluster.started_at is not None:
        running = meter.cost_by(usages, mine, "computation", now, since=cluster.started_at)
        waiting = next((line.cost for line in running if line.key == meter.NOT_COMPUTING), waiting)
    undisturbed = alone(mine, now)
    return ClusterFacts(
        cluster=cluster,
        total=meter.cost(usages, now),
        waiting=waiting,
        computations=tuple(
            ComputationFacts(computation=one, cost=costs.get(one.id, Cost()), is_alone=one.id in undisturbed, now=now)
            for one in mine
        ),
        usages=usages,
    )


def _merged(same: Sequence[Insight]) -> Insight:
    """Return the worst of some insights of one rule, with the savings of all: a loop makes the same fault often."""
    worst = max(same, key=lambda insight: insight.saving_seconds or 0.0)
    if len(same) == 1:
        return worst
    known = [insight.saving_seconds for insight in same if insight.saving_seconds is not None]
    return replace(
        worst,
        evidence=f"{worst.evidence} {_count(len(same) - 1, 'other computation')} of this name did the same.",
        saving_seconds=sum(known) if known else None,
    )


def _insight(
    facts: ComputationFacts, rule: str, title: str, evidence: str, advice: str, saving_seconds: float | None
) -> Insight:
    return Insight(
        rule=rule,
        title=title[0].upper() + title[1:],
        evidence=evidence,
        advice=advice,
        saving_seconds=saving_seconds,
        computation_id=facts.computation.id,
        computation=facts.computation.name,
    )


def _named(facts: ComputationFacts) -> str:
    return f"computation {facts.computation.name!r}"


def _worth(cost: Cost, share: float) -> str:
    if not cost.money:
        return ""
    part = Decimal(str(share))
    worth = [str(Money(amount=money.amount * part, currency=money.currency)) for money in cost.money]
    return f"; the rest cost {' + '.join(worth)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _seconds(seconds: float) -> str:
    for size, word in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {word}"
    return f"{seconds:.1f} s"
