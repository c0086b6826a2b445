"""When a cluster ends, why, and what is said before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_snapshots import NOW, SCHEDULER, at, crew, page_of, row, running_cluster, snapshot_of
from planning_values import make_usage, usd

from tradewind.model.cluster import Cluster, ClusterStatus, Intent, Lifetimes, Scaling, StopReason
from tradewind.model.instance import Instance, InstanceEnd, InstanceStatus, Role
from tradewind.model.status import StatusPage
from tradewind.model.usage import Usage
from tradewind.planning import stop
from tradewind.planning.draws import draws
from tradewind.planning.funds import own_fund
from tradewind.planning.plan import plan
from tradewind.planning.stop import Case, verdict, warning

S = InstanceStatus
IDLE = timedelta(minutes=20)
NOT_YET = running_cluster(status=ClusterStatus.STARTING, started_at=None, created_at=NOW)


def case(
    cluster: Cluster | None = None,
    instances: tuple[Instance, ...] | None = None,
    page: StatusPage | None = None,
    usages: tuple[Usage, ...] = (),
    **doings: object,
) -> Case:
    instances = crew() if instances is None else instances
    if doings:
        page = page_of(instances, **doings)
    cluster = cluster or running_cluster()
    drawn = draws(own_fund(cluster), instances, usages, NOW)
    return Case(cluster=cluster, instances=instances, page=page, usages=usages, draws=drawn)


def ended(id_: str, end: InstanceEnd, role: Role = Role.SCHEDULER, **changes: object) -> Instance:
    return row(id_, role, S.STOPPED, stopped_at=at(-1), end=end, **changes)


def asked(reason: StopReason, detail: str = "") -> Cluster:
    return running_cluster(intent=Intent(scaling=Scaling.fixed(2), stop=True, stop_reason=reason, stop_detail=detail))


def winding_down() -> Cluster:
    return running_cluster(
        intent=Intent(scaling=Scaling.fixed(2), ends_by=at(60), ends_why="the grant is spent", ends_for="b")
    )


CASES: dict[str, tuple[Case, StopReason | None, str]] = {
    "well": (case(tasks_running=1), None, ""),
    "without a page for a moment": (case(), None, ""),
    "asked": (
        case(replace(running_cluster(), intent=asked(StopReason.ASKED).intent)),
        StopReason.ASKED,
        "it was closed",
    ),
    "asked in words": (
        case(replace(running_cluster(), intent=asked(StopReason.ASKED, "the notebook ended").intent)),
        StopReason.ASKED,
        "the notebook ended",
    ),
    "just old enough": (case(running_cluster(expires_at=NOW)), StopReason.EXPIRED, "without a cluster_timeout"),
    "as old as asked": (
        case(running_cluster(expires_at=NOW, lifetimes=Lifetimes(total=timedelta(hours=1)))),
        StopReason.EXPIRED,
        "its cluster_timeout of 1:00:00",
    ),
    "not old enough": (case(running_cluster(expires_at=at(0.001))), None, ""),
    "over budget": (
        case(running_cluster(budget=usd("0.50")), usages=(make_usage(0, None),)),
        StopReason.BUDGET,
        "its budget of 0.50 USD",
    ),
    "over budget before the next look": (
        case(running_cluster(budget=usd("0.50008")), usages=(make_usage(0, None),)),
        StopReason.BUDGET,
        "its budget",
    ),
    "within budget": (case(running_cluster(budget=usd("0.51")), usages=(make_usage(0, None),)), None, ""),
    "scheduler refused": (
        case(NOT_YET, (ended("s", InstanceEnd.REJECTED, detail="no such account"),)),
        StopReason.REJECTED,
        "refused to launch a scheduler: no such account",
    ),
    "first worker refused": (
        case(None, (SCHEDULER, ended("w", InstanceEnd.REJECTED, Role.WORKER, detail="quota", running_at=None))),
        StopReason.REJECTED,
        "refused to launch a worker: quota",
    ),
    "a worker refused while others run": (
        case(None, (*crew(), ended("w9", InstanceEnd.REJECTED, Role.WORKER))),
        None,
        "",
    ),
    "scheduler died before it answered": (
        case(NOT_YET, (ended("s", InstanceEnd.DIED, exit_code=3),)),
        StopReason.ERROR,
        "before it answered: exit code 3",
    ),
    "scheduler died": (
        case(None, (ended("s", InstanceEnd.DIED, detail="out of memory"), *crew()[1:])),
        StopReason.LOST,
        "its scheduler is gone: out of memory",
    ),
    "its time to hand over ran out, and nobody looked": (
        case(winding_down(), (ended("s", InstanceEnd.DIED, exit_code=0),)),
        StopReason.BUDGET,
        "the grant is spent",
    ),
    "scheduler died while it handed over": (
        case(winding_down(), (ended("s", InstanceEnd.DIED, exit_code=-9, detail="out of memory"),)),
        StopReason.LOST,
        "out of memory",
    ),
    "scheduler vanished": (
        case(None, (ended("s", InstanceEnd.VANISHED, detail="not listed"),)),
        StopReason.LOST,
        "its scheduler is gone",
    ),
    "scheduler had no room": (case(NOT_YET, (ended("s", InstanceEnd.NO_CAPACITY),)), None, ""),
    "scheduler too slow": (
        case(
            replace(NOT_YET, created_at=NOW - timedelta(minutes=20)),
            (row("s", Role.SCHEDULER, S.PENDING, detail="Priority"),),
        ),
        StopReason.START_TIMEOUT,
        "didn't answer within 0:20:00: Priority",
    ),
    "scheduler waits in a queue for days": (
        replace(
            case(
                replace(NOT_YET, created_at=NOW - timedelta(days=2)),
                (row("s", Role.SCHEDULER, S.PENDING, detail="Priority"),),
            ),
            queues=True,
        ),
        None,
        "",
    ),
    "scheduler out of its queue never answers": (
        replace(
            case(
                replace(NOT_YET, created_at=NOW - timedelta(days=2)),
                (row("s", Role.SCHEDULER, S.STARTING, started_at=NOW - timedelta(minutes=20)),),
            ),
            queues=True,
        ),
        StopReason.START_TIMEOUT,
        "didn't answer within 0:20:00",
    ),
    "scheduler just out of its queue": (
        replace(
            case(
                replace(NOT_YET, created_at=NOW - timedelta(days=2)),
                (row("s", Role.SCHEDULER, S.STARTING, started_at=NOW - timedelta(minutes=19)),),
            ),
            queues=True,
        ),
        None,
        "",
    ),
    "scheduler slow": (
        case(replace(NOT_YET, created_at=NOW - timedelta(minutes=19)), (row("s", Role.SCHEDULER, S.PENDING),)),
        None,
        "",
    ),
    "workers keep failing": (
        case(
            running_cluster(failed_launches=6),
            (SCHEDULER, ended("w", InstanceEnd.DIED, Role.WORKER, detail="no module named x")),
        ),
        StopReason.ERROR,
        "6 instances in a row ended before they were up; the last: no module named x",
    ),
    "workers failed a little": (case(running_cluster(failed_launches=5)), None, ""),
    "deaf for five minutes": (
        case(running_cluster(page_failed_at=at(-300))),
        StopReason.LOST,
        "hasn't answered for 0:05:00",
    ),
    "deaf for less": (case(running_cluster(page_failed_at=at(-299))), None, ""),
    "idle": (case(idle_seconds=1200.0, tasks_running=0), StopReason.IDLE, "idle_timeout of 0:20:00"),
    "nearly idle": (case(idle_seconds=1199.0, tasks_running=0), None, ""),
    "idle with results and no warning": (case(idle_seconds=9999.0, held_results=1), None, ""),
    "idle with results, just warned": (
        case(running_cluster(idle_warned_at=at(-599)), idle_seconds=9999.0, held_results=1),
        None,
        "",
    ),
    "idle with results, warned": (
        case(running_cluster(idle_warned_at=at(-600)), idle_seconds=9999.0, held_results=1),
        StopReason.IDLE,
        "",
    ),
    "idle with results of a client that left": (
        case(idle_seconds=1200.0, held_results=1, clients=0),
        StopReason.IDLE,
        "",
    ),
    "idle without a limit": (
        case(running_cluster(lifetimes=Lifetimes(idle=None, no_client=None)), idle_seconds=1e9, no_client_seconds=1e9),
        None,
        "",
    ),
    "nobody there": (case(no_client_seconds=120.0, clients=0), StopReason.NO_CLIENT, "no_client_timeout of 0:02:00"),
    "somebody left a moment ago": (case(no_client_seconds=119.0, clients=0), None, ""),
}


@pytest.mark.parametrize("name", CASES)
def test_a_cluster_ends_for_the_reason_that_holds_and_for_no_other(name: str) -> None:
    looked_at, reason, words = CASES[name]
    found = verdict(looked_at, NOW)
    assert (found.reason if found else None) is reason
    assert words in (found.detail if found else "")


def test_every_reason_has_a_case() -> None:
    assert {reason for _, reason, _ in CASES.values()} >= set(StopReason) - {StopReason.NO_CAPACITY}


def test_every_rule_is_asked() -> None:
    named = {
        f for name, f in vars(stop).items() if callable(f) and getattr(f, "__annotations__", {}).get("case") == "Case"
    }
    assert named - {verdict, warning} == {*stop.RULES, *stop.WARNINGS}


def test_a_persons_word_goes_before_every_other_reason() -> None:
    dead = replace(asked(StopReason.ASKED), expires_at=at(-1), failed_launches=99, page_failed_at=at(-999))
    found = verdict(case(dead, (ended("s", InstanceEnd.DIED),)), NOW)
    assert found is not None
    assert found.reason is StopReason.ASKED


@pytest.mark.parametrize(
    ("doings", "said"),
    [
        ({"idle_seconds": 599.0, "held_results": 1}, None),
        ({"idle_seconds": 600.0, "held_results": 1}, "will stop in 0:10:00"),
        ({"idle_seconds": 900.0, "held_results": 3}, "3 results"),
        ({"idle_seconds": 5000.0, "held_results": 1}, "will stop in 0:10:00"),
        ({"idle_seconds": 600.0, "held_results": 0}, None),
        ({"idle_seconds": 600.0, "held_results": 1, "clients": 0}, None),
    ],
)
def test_who_holds_results_hears_of_the_end_half_an_idle_timeout_before(doings: dict, said: str | None) -> None:  # type: ignore[type-arg]
    found = warning(case(**doings), NOW)
    assert (found is None) is (said is None)
    if found is not None and said is not None:
        assert said in found.message
        assert found.idle_warned_at == NOW


@pytest.mark.parametrize(
    ("limit", "warned", "step"), [("1.01", 0, None), ("1.00", 0, 50), ("0.62", 0, 80), ("0.62", 80, None)]
)
def test_each_step_of_a_budget_is_said_once(limit: str, warned: int, step: int | None) -> None:
    found = warning(case(running_cluster(budget=usd(limit), budget_warned=warned), usages=(make_usage(0, None),)), NOW)
    assert (found.budget_warned if found else None) == step


def test_a_warning_for_an_idleness_that_is_over_does_not_count_for_the_next() -> None:
    """Work came and went while no engine looked, so nobody saw that the cluster was busy in between."""
    warned = running_cluster(idle_warned_at=at(-3000))
    page = page_of(crew(), idle_seconds=1300.0, tasks_running=0, held_results=1)

    decided = plan(snapshot_of(warned, crew(), page=page), NOW)

    assert decided.cluster.status is ClusterStatus.RUNNING
    assert [event.kind for event in decided.events] == ["cluster.idle_warned"]
    assert decided.cluster.idle_warned_at == NOW
    assert len(decided.say) == 1


looks = st.lists(
    st.tuples(st.timedeltas(timedelta(seconds=1), timedelta(hours=2)), st.booleans(), st.integers(0, 2), st.booleans()),
    min_size=1,
    max_size=30,
)


@given(looks)
def test_no_cluster_whose_client_holds_results_stops_idle_without_a_warning_half_a_timeout_before(
    steps: list[tuple[timedelta, bool, int, bool]],
) -> None:
    """However long nobody looked, and whatever happened meanwhile."""
    cluster, now, idle_since = running_cluster(), NOW, NOW
    said: list[datetime] = []
    for gap, worked, held, answers in steps:
        if worked:
            idle_since = now + gap / 2
        now += gap
        page = page_of(crew(), tasks_running=0, held_results=held, idle_seconds=(now - idle_since).total_seconds())
        decided = plan(snapshot_of(cluster, crew(), looked_at=now, page=page if answers else None), now)
        if decided.say and decided.cluster.status is ClusterStatus.RUNNING:
            said.append(now)
        if decided.cluster.stop_reason is StopReason.IDLE:
            assert now - idle_since >= IDLE
            if held:
                assert any(idle_since <= moment <= now - IDLE / 2 for moment in said)
        if decided.cluster.status is not ClusterStatus.RUNNING:
            return
        cluster = decided.cluster
