"""Who follows a worker whose walltime is nearly over is ordered before it goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from planning_snapshots import NOW, SCHEDULER, T0, row, running_cluster, sight, snapshot_of

from tradewind.model.cluster import Cluster
from tradewind.model.instance import Instance, InstanceStatus, ObservedInstance
from tradewind.planning.plan import plan
from tradewind.planning.snapshot import Plan

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def seen(instance: Instance, left: timedelta | None) -> ObservedInstance:
    return replace(sight(instance), ends_at=None if left is None else NOW + left)


def decide(
    *left: timedelta | None,
    cluster: Cluster | None = None,
    scheduler: timedelta | None = None,
    more: Instance | None = None,
) -> Plan:
    """Return what is planned for workers that have so much time left, and what is ordered besides."""
    workers = [row(f"w{number}") for number in range(len(left))]
    others = [] if more is None else [more]
    observed = [seen(SCHEDULER, scheduler), *map(seen, workers, left), *map(sight, others)]
    cluster = cluster or running_cluster(len(left))
    return plan(snapshot_of(cluster, (SCHEDULER, *workers, *others), observed=tuple(observed)), NOW)


@pytest.mark.parametrize(
    ("left", "ordered"),
    [
        ((None, None), 0),
        ((60 * MINUTE, 60 * MINUTE), 0),
        ((4 * MINUTE, 60 * MINUTE), 1),
        ((4 * MINUTE, 4 * MINUTE), 2),
    ],
)
def test_as_many_are_ordered_as_leave_soon(left: tuple[timedelta | None, ...], ordered: int) -> None:
    assert len(decide(*left).launches) == ordered


def test_nobody_is_sent_away_before_its_time() -> None:
    decided = decide(4 * MINUTE, 60 * MINUTE)

    assert not decided.retire
    assert not decided.retire_any
    assert not decided.terminations


def test_while_who_follows_waits_or_runs_nobody_else_is_ordered_and_nobody_leaves() -> None:
    for status in (InstanceStatus.PENDING, InstanceStatus.RUNNING):
        decided = decide(4 * MINUTE, 60 * MINUTE, cluster=running_cluster(2), more=row("w9", status=status))

        assert not decided.launches
        assert not decided.retire
        assert not decided.retire_any


@pytest.mark.parametrize("waited", [timedelta(0), 20 * MINUTE])
def test_the_longer_the_last_one_waited_in_the_queue_the_earlier_it_is(waited: timedelta) -> None:
    late = row("w9", requested_at=T0 - waited)
    cluster = running_cluster(2)
    observed = (sight(SCHEDULER), seen(row("w0"), 15 * MINUTE), replace(sight(late), ends_at=NOW + 300 * MINUTE))
    decided = plan(
        snapshot_of(cluster, (SCHEDULER, row("w0", requested_at=T0 - 30 * MINUTE), late), observed=observed), NOW
    )

    assert len(decided.launches) == (1 if waited else 0)


def test_who_serves_under_a_scheduler_that_ends_as_soon_has_nobody_to_follow() -> None:
    assert not decide(4 * MINUTE, 4 * MINUTE, scheduler=4 * MINUTE).launches


def test_of_a_cluster_that_ends_as_soon_nobody_is_succeeded() -> None:
    ends = replace(running_cluster(2), expires_at=NOW + 5 * MINUTE)

    assert not decide(4 * MINUTE, 4 * MINUTE, cluster=ends).launches


def test_of_a_short_time_the_last_part_alone_is_spent_side_by_side() -> None:
    short = row("w0", started_at=NOW - 5 * MINUTE)
    observed = (sight(SCHEDULER), seen(short, 4 * MINUTE))

    assert not plan(snapshot_of(running_cluster(1), (SCHEDULER, short), observed=observed), NOW).launches


def test_whom_the_queue_is_about_to_end_hands_over_at_once_and_is_followed() -> None:
    decided = decide(9 * SECOND, 60 * MINUTE)

    assert decided.retire == ("w0",)
    assert len(decided.launches) == 1
    assert [event.kind for event in decided.events if "w0" in event.message] == ["workers.cut_short"]
    assert not decided.terminations, "it still holds what has to move"


@pytest.mark.parametrize(
    ("left", "cluster", "scheduler"),
    [
        (31 * SECOND, None, None),
        (9 * SECOND, replace(running_cluster(2), expires_at=NOW + 50 * SECOND), None),
        (9 * SECOND, None, 9 * SECOND),
    ],
    ids=["it has time", "the cluster ends too", "its scheduler ends too"],
)
def test_else_nobody_has_to_leave_early(left: timedelta, cluster: Cluster | None, scheduler: timedelta | None) -> None:
    assert not decide(left, 60 * MINUTE, cluster=cluster, scheduler=scheduler).retire


def test_who_is_told_to_leave_is_told_again_until_dask_lets_it_go_and_ordered_for_once() -> None:
    decided = decide(9 * SECOND, 60 * MINUTE)
    left = next(one for one in decided.instances if one.id == "w0")
    follower = row("w9", status=InstanceStatus.PENDING)
    observed = (sight(SCHEDULER), seen(left, 6 * SECOND), seen(row("w1"), 60 * MINUTE), sight(follower))

    again = plan(snapshot_of(running_cluster(2), (SCHEDULER, left, row("w1"), follower), observed=observed), NOW)

    assert again.retire == ("w0",)
    assert not again.launches
    assert not [event for event in again.events if event.kind == "workers.cut_short"]
