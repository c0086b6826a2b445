"""Workers that were started with other software than is wanted now: who goes, and how many come before that.

Level by level, as all planning: it holds whoever asked for the new software, and whether anybody waits for it. The
scheduler stays, since it alone knows what was computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tradewind.model.cluster import Cluster, Trials
from tradewind.model.instance import Instance, InstanceEnd, InstanceStatus, Role
from tradewind.planning import scale
from tradewind.planning.snapshot import Snapshot

SHARE = 10
"""A tenth of the workers is replaced at a time, and one at least."""
LEAVES_WITHIN = timedelta(minutes=10)
"""How long one that is replaced may take to hand over its results, before it is ended with them."""
TRIALS = 3
"""New software that failed to start so often, without a worker that came up in between, isn't tried again by itself."""
FULL = timedelta(minutes=5)
"""After a refusal for want of room, nothing is asked for beyond the number of workers that is wanted, for this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What becomes of the workers whose software is an older one, and with that of their number."""

    leaving: frozenset[str] = frozenset()
    """Ids of those that are let go now."""
    left: int = 0
    """How many follow later."""
    gap: int
    """How many are missing; below 0: how many are too many, besides those that leave."""


def is_behind(instance: Instance, cluster: Cluster) -> bool:
    """Whether it is a worker that was started with other software than is wanted now."""
    wanted = cluster.intent.equipment
    return bool(wanted) and instance.role is Role.WORKER and instance.equipment != wanted


def goes_on_without_it(instances: Sequence[Instance], cluster: Cluster) -> bool:
    """Whether older workers are up while newer ones are tried: where these fail, the cluster has not failed."""
    equipment, running = cluster.intent.equipment, InstanceStatus.RUNNING
    older = [i for i in instances if i.equipment != equipment]  # first, since there hardly ever are any
    return any(i.wanted and i.status is running and is_behind(i, cluster) for i in older)


def after_failure(cluster: Cluster, now: datetime, *, count: int = 1, is_trial: bool) -> Cluster:
    """Return the cluster after ``count`` launches failed now, with when to launch again.

    Parameters
    ----------
    cluster : Cluster
        As it was before.
    now : datetime
        Aware UTC.
    count : int
        How many failed.
    is_trial : bool
        Whether older workers are up, see :func:`goes_on_without_it`: such failures say nothing of the cluster.
    """
    if not is_trial:
        return scale.after_failure(cluster, now, count=count)
    of, before = _tried(cluster), cluster.trials
    failed = before.failed if before.of == of else 0
    # Of those that were ordered together, one after the other fails: that is one bad wave, and no proof.
    is_same_wave = failed > 0 and cluster.retry_at is not None and now < cluster.retry_at
    if not is_same_wave and failed < TRIALS:
        failed += 1
    return replace(cluster, trials=Trials(of=of, failed=failed), retry_at=now + scale.LONGEST_DELAY)


def after_success(cluster: Cluster, instance: Instance) -> Cluster:
    """Return the cluster after an instance has come up."""
    is_newer = instance.role is Role.WORKER and not is_behind(instance, cluster)
    return replace(cluster, failed_launches=0, retry_at=None, trials=Trials() if is_newer else cluster.trials)


def has_given_up(cluster: Cluster) -> bool:
    """Whether the wanted software failed to start so often that it is tried no more while older workers are up.

    Each try is billed, and a broken environment is mended by a person: who changes the software, or the number of
    workers, has it tried again.
    """
    return cluster.trials.failed >= TRIALS and cluster.trials.of == _tried(cluster)


def renew(
    snapshot: Snapshot, cluster: Cluster, instances: Sequence[Instance], crew: Sequence[Instance], now: datetime
) -> Renewal:
    """Return who of a crew goes now, and how many are missing then.

    Of ``n`` workers that are wanted and up, ``n`` stay up: one goes only where a newer one is up in its place. Where
    the infrastructure has just refused one beside them for want of room, one of several goes first, and ``n - 1`` stay
    up. In all, a tenth more of them exist than are wanted, or one, counting those that hand over their results. Where
    newer ones don't start at all, those that are there stay, and none is missing.

    Parameters
    ----------
    snapshot : Snapshot
        As it was read.
    cluster : Cluster
        As it is after this round's observations, with the number of workers that is wanted now.
    instances : sequence of Instance
        All of its rows, settled.
    crew : sequence of Instance
        The workers that nobody let go.
    now : datetime
        Aware UTC.
    """
    wanted = cluster.scale.wanted
    if has_given_up(cluster) and goes_on_without_it(instances, cluster):
        return Renewal(gap=min(0, wanted - len(crew)))
    behind = [i for i in crew if is_behind(i, cluster)]
    handing_over = sum(not i.wanted and i.status.is_live and is_behind(i, cluster) for i in instances)
    if not (behind or handing_over) or cluster.intent.ends_by is not None:
        return Renewal(gap=wanted - len(crew))
    spare = 0 if _is_full(instances, now) else max(1, wanted // SHARE)
    running = InstanceStatus.RUNNING
    # Without a page nobody knows who is up, and nobody could hand over.
    there = {worker.name for worker in snapshot.page.workers} if snapshot.page is not None else set()
    up = [i for i in crew if i.status is running and i.id in there]
    too_many = len(up) - wanted
    if not spare and not handing_over and not too_many and len(crew) == wanted > 1:
        too_many = 1
    # What isn't up holds nothing, and would only come to be replaced.
    leaving = [i.id for i in behind if i.status is not running] if snapshot.choices is not None else []
    leaving += [i.id for i in behind if i in up][: max(0, too_many)]
    left, stay = len(behind) - len(leaving), len(crew) - len(leaving)
    gap = wanted + min(spare, left) - stay
    if gap > 0:
        gap = max(0, min(gap, wanted + spare - stay - handing_over - len(leaving)))
    return Renewal(leaving=frozenset(leaving), left=left, gap=gap)


def _tried(cluster: Cluster) -> str:
    scaling = cluster.intent.scaling
    return f"{cluster.intent.equipment} on {scaling.minimum}-{scaling.maximum}"


def _is_full(instances: Sequence[Instance], now: datetime) -> bool:
    return any(
        i.end is InstanceEnd.NO_CAPACITY
        and i.role is Role.WORKER
        and i.stopped_at is not None
        and now < i.stopped_at + FULL
        for i in instances
    )
