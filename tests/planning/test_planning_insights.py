from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_values import after, make_cluster, make_computation, make_group, make_usage

from tradewind.model.cluster import Cluster
from tradewind.model.computation import Computation, ComputationError, Insight, TaskGroup
from tradewind.model.instance import Role
from tradewind.model.money import Price
from tradewind.model.resources import GIB, Resources
from tradewind.model.usage import Usage
from tradewind.planning.insights import insights

NOW = after(100)
CLUSTER = make_cluster()
BUSY = {"thread-cpu": 350.0}
"""Of 400 thread-seconds: nothing to complain of."""


def ran(*groups: TaskGroup, **changes: object) -> Computation:
    """Four threads for 100 seconds, mostly used."""
    defaults: dict[str, object] = {"groups": groups, "activity_seconds": BUSY, "active_cpu_seconds": 400.0}
    return make_computation(**(defaults | changes))  # type: ignore[arg-type]


def found(*computations: Computation, cluster: Cluster = CLUSTER, usages: tuple[Usage, ...] = ()) -> dict[str, Insight]:
    usages = usages or (make_usage(0, 100),)
    return {insight.rule: insight for insight in insights(cluster, usages, computations, NOW)}


def failed(at: float, prefix: str, exception: str) -> ComputationError:
    return ComputationError(at=after(at), key=f"{prefix}-1", prefix=prefix, exception=exception, traceback="")


SOUND = make_group(tasks=3500, done=3500, compute_seconds=350.0)


def test_a_sound_computation_has_no_insight() -> None:
    assert found(ran(SOUND)) == {}


def test_a_computation_of_which_nothing_is_known_has_no_insight() -> None:
    assert found(make_computation(start=None, stop=None), make_computation("k2", 0, 100)) == {}


@pytest.mark.parametrize(
    ("computation", "saving"),
    [
        (ran(make_group(tasks=9000, done=9000, compute_seconds=90.0), activity_seconds={"thread-cpu": 90.0}), 18.0),
        (ran(make_group(tasks=900, done=900, compute_seconds=9.0)), None),
        (ran(make_group(tasks=3000, done=3000, compute_seconds=300.0)), None),
        (ran(make_group(tasks=9000, done=9000, compute_seconds=250.0)), None),
        (ran(make_group(tasks=9000, done=9000, compute_seconds=90.0), active_cpu_seconds=0.0), None),
    ],
    ids=["tiny", "few", "not tiny", "tiny, and yet efficient", "nobody knows what the cluster offered"],
)
def test_tiny_tasks(computation: Computation, saving: float | None) -> None:
    insight = found(computation).get("tiny-tasks")
    assert (insight and insight.saving_seconds) == saving


def test_tiny_tasks_say_how_small_they_are() -> None:
    tiny = ran(make_group(tasks=9000, done=9000, compute_seconds=90.0), activity_seconds={"thread-cpu": 90.0})
    insight = found(tiny)["tiny-tasks"]
    assert insight.evidence == (
        "9000 tasks took 10.0 ms each on average, and the threads spent 78 % of their time on other things than "
        "computing."
    )
    assert "larger chunks" in insight.advice
    assert insight.computation_id == "k1"


def idle(busy: float = 100.0, **changes: object) -> Computation:
    seconds = {"thread-cpu": busy, "idle or other spans": 400.0 - busy}
    group = make_group(done=100, compute_seconds=busy)
    return ran(group, **({"activity_seconds": seconds} | changes))


@pytest.mark.parametrize(
    ("computation", "saving"),
    [
        (idle(), 275.0),
        (idle(busy=210.0), None),
        (idle(activity_seconds={}), None),
        (idle(active_cpu_seconds=150.0), None),
    ],
    ids=["idle", "half used", "nobody knows what the threads did", "too short to matter"],
)
def test_idle_workers(computation: Computation, saving: float | None) -> None:
    insight = found(computation).get("idle-workers")
    assert (insight and insight.saving_seconds) == saving


def test_idle_workers_cost_money_and_fewer_would_do() -> None:
    dear = make_usage(0, 100, price=Price(per_hour=Decimal(36)))
    insight = found(idle(), usages=(dear,))["idle-workers"]
    assert insight.evidence == "100.0 s of 6.7 min thread time were used; the rest cost 0.75 USD."
    assert insight.advice.startswith("About 1 in place of 4 workers would have done.")


def test_lost_time_is_not_claimed_where_another_computation_may_have_used_it() -> None:
    beside = ran(SOUND, id_="k2", start=50, stop=90)
    assert "idle-workers" not in found(idle(), beside)
    assert "tiny-tasks" not in found(
        ran(make_group(tasks=9000, done=9000, compute_seconds=90.0), activity_seconds={"thread-cpu": 90.0}), beside
    )
    behind = ran(SOUND, id_="k2", start=100, stop=120)
    assert "idle-workers" in found(idle(), behind)


@pytest.mark.parametrize(
    ("transfer", "compute", "is_said"),
    [(31.0, 100.0, True), (30.0, 100.0, False), (9.9, 1.0, False), (200.0, 350.0, True)],
)
def test_much_transfer(transfer: float, compute: float, is_said: bool) -> None:
    computation = ran(make_group(compute_seconds=compute, transfer_seconds=transfer))
    insight = found(computation).get("much-transfer")
    assert (insight is not None) is is_said
    assert insight is None or insight.saving_seconds is None


@pytest.mark.parametrize(("disk", "saving"), [(20.0, 20.0), (17.0, None), (9.0, None)])
def test_spilling(disk: float, saving: float | None) -> None:
    insight = found(ran(make_group(compute_seconds=350.0, disk_seconds=disk))).get("spilling")
    assert (insight and insight.saving_seconds) == saving


def test_failed_tasks_quote_the_first_error() -> None:
    errors = (failed(9, "late", "KeyError('b')"), failed(3, "read", "OSError('gone')" + "x" * 999))
    computation = ran(replace(SOUND, erred=2), errors=errors, activity_seconds=BUSY | {"failed": 4.0})
    insight = found(computation)["failed-tasks"]
    assert insight.title == "2 tasks of computation 'trend' failed"
    assert insight.evidence.startswith("2 of 3500 tasks failed. The first, read: OSError('gone')")
    assert len(insight.evidence) < 300
    assert insight.saving_seconds == 4.0


def test_failed_tasks_are_said_where_no_error_was_kept() -> None:
    assert found(ran(replace(SOUND, erred=1)))["failed-tasks"].saving_seconds is None


@pytest.mark.parametrize(
    ("group", "changes", "saving"),
    [
        (
            make_group(prefix="sum", tasks=1, done=1, compute_seconds=60.0),
            {"activity_seconds": {"thread-cpu": 210.0}},
            180.0,
        ),
        (make_group(tasks=1, done=1, compute_seconds=60.0), {}, 50.0),
        (make_group(tasks=1, done=1, compute_seconds=50.0), {}, None),
        (make_group(tasks=3, done=3, compute_seconds=270.0), {}, None),
        (make_group(tasks=1, done=1, compute_seconds=60.0), {"active_cpu_seconds": 100.0}, None),
        (make_group(tasks=1, done=1, compute_seconds=6.0), {"stop": 9.0}, None),
        (make_group(tasks=1, done=0, compute_seconds=0.0), {}, None),
    ],
    ids=[
        "one long task",
        "others worked beside it",
        "half the time",
        "most threads",
        "one thread only",
        "short",
        "not done",
    ],
)
def test_one_long_task(group: TaskGroup, changes: dict[str, object], saving: float | None) -> None:
    insight = found(ran(group, **changes)).get("one-long-task")
    assert (insight and insight.saving_seconds) == saving


@pytest.mark.parametrize(
    ("working", "waiting", "is_said"), [(100.0, 250.0, True), (140.0, 210.0, False), (1.0, 29.0, False)]
)
def test_waiting_threads(working: float, waiting: float, is_said: bool) -> None:
    computation = ran(SOUND, activity_seconds={"thread-cpu": working, "thread-noncpu": waiting})
    assert ("waiting-threads" in found(computation)) is is_said


@pytest.mark.parametrize(
    ("computation", "started_at", "saving"),
    [
        (ran(SOUND, stop=20), 0, 320.0),
        (ran(SOUND, stop=60), 0, None),
        (ran(SOUND, start=90, stop=100), 80, None),
        (ran(SOUND, stop=20), None, None),
    ],
    ids=["waited", "computed", "its start was slow", "it never started"],
)
def test_waiting_cluster(computation: Computation, started_at: float | None, saving: float | None) -> None:
    cluster = make_cluster(started_at=None if started_at is None else after(started_at))
    insight = found(computation, cluster=cluster).get("waiting-cluster")
    assert (insight and insight.saving_seconds) == saving


def test_a_waiting_cluster_says_what_it_cost() -> None:
    dear = make_usage(0, 100, price=Price(per_hour=Decimal(36)))
    insight = found(ran(SOUND, stop=20), usages=(dear,))["waiting-cluster"]
    assert insight.title == "Cluster 'sea' waited for 80 % of its time"
    assert insight.evidence == "Nothing was computed in 80.0 s of 100.0 s instance time: 0.80 USD of 1.00 USD."


@pytest.mark.parametrize(
    ("nbytes", "changes", "memory", "is_said"),
    [
        (2 * GIB, {}, 16, True),
        (8 * GIB, {}, 16, False),
        (0, {}, 16, False),
        (2 * GIB, {"workers": 0}, 16, False),
        (GIB, {}, 3, False),
        (2 * GIB, {"groups": (replace(SOUND, disk_seconds=0.1),)}, 16, False),
        (2 * GIB, {"active_cpu_seconds": 500.0}, 16, False),
    ],
    ids=["roomy", "used", "size unknown", "workers unknown", "small workers", "it spilled", "too short to tell"],
)
def test_roomy_workers(nbytes: int, changes: dict[str, object], memory: int, is_said: bool) -> None:
    computation = ran(SOUND, nbytes=nbytes, **({"active_cpu_seconds": 700.0} | changes))
    size = Resources(cpus=4, memory=memory * GIB)
    scheduler = make_usage(0, 100, role=Role.SCHEDULER, resources=Resources(cpus=1, memory=GIB))
    usages = (make_usage(0, 100, resources=size), scheduler)
    assert ("roomy-workers" in found(computation, usages=usages)) is is_said


def test_the_largest_saving_comes_first_and_the_unknown_last() -> None:
    computation = replace(
        idle(stop=30),
        groups=(make_group(compute_seconds=100.0, disk_seconds=50.0, transfer_seconds=90.0),),
    )
    order = [insight.rule for insight in insights(CLUSTER, (make_usage(0, 100),), (computation,), NOW)]
    assert order == ["waiting-cluster", "idle-workers", "spilling", "much-transfer"]


def test_the_same_fault_of_computations_of_one_name_is_one_insight_about_the_worst() -> None:
    spills = [
        ran(make_group(compute_seconds=350.0, disk_seconds=disk), id_=f"k{disk:.0f}", start=at, stop=at + 10)
        for at, disk in ((0, 20.0), (10, 90.0), (20, 30.0))
    ]
    other = replace(spills[0], id="k4", name="anomaly", started_at=after(30), stopped_at=after(40))
    said = [i for i in insights(CLUSTER, (make_usage(0, 40),), [*spills, other], NOW) if i.rule == "spilling"]
    assert [(insight.computation_id, insight.saving_seconds) for insight in said] == [("k90", 140.0), ("k4", 20.0)]
    assert said[0].evidence.endswith("2 other computations of this name did the same.")


def test_other_clusters_do_not_matter() -> None:
    assert found(replace(idle(), cluster_id="c2"), ran(SOUND)) == {}


figure = st.floats(0, 1e9)
groups = st.builds(
    make_group,
    prefix=st.text(max_size=5),
    tasks=st.integers(0, 10**6),
    done=st.integers(0, 10**6),
    erred=st.integers(0, 10),
    compute_seconds=figure,
    transfer_seconds=figure,
    disk_seconds=figure,
)
computations = st.builds(
    make_computation,
    st.uuids().map(str),
    st.none() | st.floats(-200, 200),
    st.none() | st.floats(-200, 200),
    name=st.text(max_size=5),
    groups=st.lists(groups, max_size=3).map(tuple),
    activity_seconds=st.dictionaries(st.sampled_from(["thread-cpu", "thread-noncpu", "idle", "failed"]), figure),
    active_cpu_seconds=figure,
    nbytes=st.integers(0, 2**50),
    workers=st.integers(0, 100),
)


@given(some=st.lists(computations, max_size=5))
def test_whatever_a_cluster_reports_insights_are_sentences_with_savings_that_can_be(some: list[Computation]) -> None:
    for insight in insights(CLUSTER, (make_usage(0, 100),), some, NOW):
        assert all(text.endswith(".") for text in (insight.evidence, insight.advice)) or insight.rule == "failed-tasks"
        assert insight.saving_seconds is None or insight.saving_seconds >= 0
        assert insight.title
