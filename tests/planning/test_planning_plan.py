"""What holds of every plan, whatever the snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planning_snapshots import FIRST, NOW, SECOND, at, crew, page_of, row, running_cluster, sight, snapshot_of, worker
from planning_values import usd

from tradewind.model.cluster import Cluster, ClusterStatus, Intent, Lifetimes, ScaleMemory, StopReason
from tradewind.model.instance import Contact, Instance, InstanceEnd, InstanceStatus, Role
from tradewind.model.money import Money
from tradewind.planning import meter
from tradewind.planning.plan import UNWRITTEN, plan
from tradewind.planning.reconcile import REFUSED
from tradewind.planning.snapshot import Plan, Snapshot
from tradewind.testing.strategies import instances, lifetimes, moments, money, scalings

S = InstanceStatus


@st.composite
def snapshots(draw: st.DrawFn) -> tuple[Snapshot, datetime]:
    drawn = draw(st.lists(instances("c1"), max_size=6, unique_by=lambda i: i.id))
    now = max([NOW, *(i.requested_at for i in drawn)]) + draw(st.timedeltas(timedelta(0), timedelta(days=1)))
    rows = tuple(sorted(drawn, key=lambda i: (i.requested_at, i.id)))
    scaling = draw(scalings(most=8))
    status = draw(st.sampled_from([s for s in ClusterStatus if s.is_live]))
    started = status is ClusterStatus.RUNNING or draw(st.booleans())
    stopping = status is ClusterStatus.STOPPING
    cluster = running_cluster(scaling, lifetimes=draw(lifetimes()), budget=draw(st.none() | money()))
    cluster = replace(
        cluster,
        status=status,
        intent=Intent(
            scaling=scaling,
            stop=draw(st.booleans()) and draw(st.booleans()),
            dismiss=tuple(draw(st.lists(st.sampled_from([i.id for i in rows]), max_size=2))) if rows else (),
        ),
        started_at=NOW if started else None,
        contact=cluster.contact if started else None,
        scale=ScaleMemory(wanted=draw(st.integers(0, 8))),
        observed_at=draw(st.none() | moments()),
        idle_warned_at=draw(st.none() | moments()),
        retry_at=draw(st.none() | st.just(now) | st.just(now + timedelta(seconds=9))),
        failed_launches=draw(st.integers(0, 3)),
        stop_reason=StopReason.ASKED if stopping else None,
        stopping_at=NOW if stopping else None,
    )
    seen = [
        sight(i, draw(st.sampled_from([s for s in S if s is not S.REQUESTED])), contact=_contact(i))
        for i in rows
        if draw(st.integers(0, 9)) > 1
    ]
    seen = [replace(o, stopped_at=now) if o.status is S.STOPPED else o for o in seen]
    on_page = [i.id for i in rows if i.role is Role.WORKER and draw(st.booleans())]
    page = page_of(
        (),
        workers=tuple(worker(name, draw(st.sampled_from(["running", "closing_gracefully"]))) for name in on_page),
        adaptive_target=draw(st.integers(0, 9)),
        idle_seconds=float(draw(st.integers(0, 5000))),
        held_results=draw(st.integers(0, 1)),
    )
    choices = {Role.SCHEDULER: (FIRST, SECOND), Role.WORKER: (FIRST, SECOND)}
    snapshot = Snapshot(
        cluster=cluster,
        instances=rows,
        usages=tuple(meter.open_usage(cluster, i) for i in rows if i.status.is_live and i.started_at is not None),
        observed=draw(st.sampled_from([None, tuple(seen), tuple(seen * 2)])),
        looked_at=now,
        page=draw(st.sampled_from([None, page])) if started else None,
        choices=draw(st.sampled_from([choices, choices, {}, None])),
        list_lag=draw(st.sampled_from([timedelta(0), timedelta(seconds=30)])),
    )
    return snapshot, now


def _contact(instance: Instance) -> Contact | None:
    return Contact(scheduler="tls://x:1", agent="https://x:2") if instance.role is Role.SCHEDULER else None


def carried_out(snapshot: Snapshot, decided: Plan) -> Snapshot:
    """Return the snapshot after the plan's rows were written, when its orders were lost with the process."""
    changed = {i.id: i for i in decided.instances}
    orders = tuple(
        Instance(
            id=f"new-{number}",
            cluster_id="c1",
            role=launch.role,
            order_id=f"order-{number}",
            offer=launch.choice.offer,
            status=S.REQUESTED,
            requested_at=snapshot.looked_at,
            expires_at=None,
        )
        for number, launch in enumerate(decided.launches)
    )
    usages = {(u.instance_id, u.sequence): u for u in (*snapshot.usages, *decided.usages)}
    return replace(
        snapshot,
        cluster=decided.cluster,
        instances=(*(changed.get(i.id, i) for i in snapshot.instances), *orders),
        usages=tuple(u for u in usages.values() if u.stopped_at is None),
    )


PROPERTY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PROPERTY
@given(snapshots())
def test_the_same_snapshot_gives_the_same_plan(case: tuple[Snapshot, datetime]) -> None:
    assert plan(*case) == plan(*case)


@PROPERTY
@given(snapshots())
def test_no_plan_goes_back_or_launches_more_than_is_wanted(case: tuple[Snapshot, datetime]) -> None:
    snapshot, now = case
    decided = plan(snapshot, now)
    before = {i.id: i for i in snapshot.instances}
    after = before | {i.id: i for i in decided.instances}
    assert decided.cluster.status.rank >= snapshot.cluster.status.rank
    assert set(after) == set(before)
    assert all(i.status.rank >= before[i.id].status.rank for i in decided.instances)
    ended = [(before[i.id], i) for i in decided.instances if before[i.id].status is S.STOPPED]
    # What had ended stays so: only its times are corrected, where its provider shows it after all.
    times = {"started_at": None, "stopped_at": None, "handle": None}
    assert all(replace(a, **times) == replace(b, **times) for a, b in ended)
    assert all(before[i.id].wanted or not i.wanted for i in decided.instances)
    crew = [i for i in after.values() if i.role is Role.WORKER and i.status.is_live and i.wanted]
    launched = [launch.role for launch in decided.launches]
    if launched.count(Role.WORKER):
        there = launched.count(Role.WORKER) + len(crew)
        assert there <= decided.cluster.scale.wanted
        # Only money makes it fewer.
        assert there == decided.cluster.scale.wanted or snapshot.cluster.spec.budget is not None
        assert decided.cluster.scale.wanted <= snapshot.cluster.intent.scaling.maximum
    schedulers = [i for i in after.values() if i.role is Role.SCHEDULER and i.status.is_live]
    if Role.SCHEDULER in launched:
        assert schedulers == []
        assert launched.count(Role.SCHEDULER) == 1
    if decided.cluster.status.rank >= ClusterStatus.STOPPING.rank:
        assert (launched, decided.relaunches, decided.retire, decided.retire_any) == ([], (), (), 0)
    assert {i.id for i in decided.relaunches} <= {i.id for i in decided.instances}


@PROPERTY
@given(snapshots())
def test_every_plan_ends_what_nobody_knows_and_looks_again_until_nothing_is_left(
    case: tuple[Snapshot, datetime],
) -> None:
    snapshot, now = case
    decided = plan(snapshot, now)
    after = {i.id: i for i in snapshot.instances} | {i.id: i for i in decided.instances}
    living = [o for o in snapshot.observed or () if o.status is not S.STOPPED]
    strays = {o.handle for o in living if not after[o.marks.instance].status.is_live}
    assert strays <= set(decided.terminations)
    assert len(set(decided.terminations)) == len(decided.terminations)
    assert (decided.wake_at is None) is (decided.cluster.status is ClusterStatus.STOPPED)
    if decided.cluster.status is ClusterStatus.STOPPED:
        assert not any(i.status.is_live for i in after.values())
        assert snapshot.observed is not None or all(i.end in REFUSED for i in after.values())
        assert not living
    else:
        assert decided.wake_at is not None
        assert now < decided.wake_at <= now + timedelta(seconds=5)


@PROPERTY
@given(snapshots())
def test_every_plan_bills_each_second_once(case: tuple[Snapshot, datetime]) -> None:
    snapshot, now = case
    decided = plan(snapshot, now)
    after = {i.id: i for i in snapshot.instances} | {i.id: i for i in decided.instances}
    usages = {(u.instance_id, u.sequence): u for u in (*snapshot.usages, *decided.usages)}
    assert len({u.instance_id for u in usages.values()}) == len(usages)
    for usage in usages.values():
        instance = after[usage.instance_id]
        assert usage.started_at == instance.started_at
        assert usage.stopped_at == instance.stopped_at
    billed = {i.id for i in after.values() if i.started_at is not None and i.status.is_live}
    assert billed == {u.instance_id for u in usages.values() if u.stopped_at is None}


@PROPERTY
@given(snapshots())
def test_a_plan_whose_rows_were_written_and_whose_deeds_were_lost_is_made_up_for_and_launches_nothing_new(
    case: tuple[Snapshot, datetime],
) -> None:
    snapshot, now = case
    first = plan(snapshot, now)
    if first.cluster.status is ClusterStatus.STOPPED:
        return
    second = plan(carried_out(snapshot, first), now)
    assert second.launches == ()
    if second.cluster.status.rank < ClusterStatus.STOPPING.rank:
        assert len(second.relaunches) == len(first.relaunches) + len(first.launches)
    # An order that was given up in the first is written off in the second, as it was old enough.
    ends = {i.id for i in second.instances if not i.status.is_live and i.end is not InstanceEnd.NEVER_LAUNCHED}
    assert not ends, "the same look finds nothing more that ended"
    assert set(first.terminations) <= set(second.terminations)


def test_a_warning_that_was_said_is_not_said_again() -> None:
    page = page_of(crew(), idle_seconds=700.0, held_results=1, tasks_running=0)
    first = plan(snapshot_of(running_cluster(), crew(), page=page), NOW)
    second = plan(snapshot_of(first.cluster, crew(), page=replace(page, idle_seconds=701.0), looked_at=at(1)), at(1))
    assert (len(first.say), second.say, second.events) == (1, (), ())


def test_what_the_list_showed_is_remembered_as_of_when_it_was_asked_for() -> None:
    """The list may be seconds old when it is planned with; whoever vanished since was not seen later."""
    cluster: Cluster = running_cluster(observed_at=None)
    decided = plan(snapshot_of(cluster, crew(), looked_at=at(-4)), NOW)
    assert decided.cluster.observed_at == at(-4)


AWAY = timedelta(hours=2)
"""For so long nobody looked: longer than the list remembers."""
UNASKED = UNWRITTEN + Lifetimes().orphan
"""After this a scheduler that nobody asks has ended, and its workers with it."""


@pytest.mark.parametrize(
    ("changes", "budget", "expected"),
    {
        "nobody asks after it": ({}, None, UNASKED),
        "its provider is slow": (
            {"starts_within": timedelta(minutes=3), "ends_within": timedelta(minutes=1)},
            None,
            UNASKED + timedelta(minutes=4),
        ),
        "its money lasted for longer": ({}, usd("100"), UNASKED),
        # Two at 0.10 an hour each.
        "its money was gone first": ({}, usd("0.01"), timedelta(minutes=3)),
        "it was looked at a moment ago": ({"remembers": AWAY}, None, timedelta(0)),
    }.values(),
)
def test_what_is_gone_after_nobody_looked_for_long_is_billed_for_as_long_as_it_may_have_lived(
    changes: dict[str, object], budget: Money | None, expected: timedelta
) -> None:
    heard = NOW - AWAY
    rows = tuple(replace(i, requested_at=heard, started_at=heard, running_at=heard) for i in crew(1))
    cluster = running_cluster(budget=budget, created_at=heard, observed_at=heard)

    decided = plan(snapshot_of(cluster, rows, observed=(), page=None, **changes), NOW)

    assert {i.stopped_at for i in decided.instances} == {heard + expected}


def test_what_was_asked_for_after_the_last_look_is_billed_from_then() -> None:
    heard, later = NOW - AWAY, NOW - AWAY + timedelta(minutes=20)
    rows = tuple(replace(i, requested_at=at_, started_at=at_) for i, at_ in zip(crew(1), (heard, later), strict=True))

    decided = plan(snapshot_of(running_cluster(observed_at=heard), rows, observed=(), page=None), NOW)

    assert max(i.stopped_at or NOW for i in decided.instances) == later + UNASKED


@pytest.mark.parametrize(
    ("ordered_ago", "failed_ago", "is_up", "ended_ago"),
    [
        # Whoever gave an order a moment ago was there, so its scheduler was asked, and what is old may have lived.
        (timedelta(minutes=5), None, False, timedelta(0)),
        (timedelta(minutes=90), None, False, timedelta(minutes=90) - UNASKED),
        (None, timedelta(minutes=90), False, timedelta(minutes=90) - UNASKED),
        (None, None, True, timedelta(0)),
    ],
)
def test_what_a_list_that_was_away_forgot_is_billed_for_as_long_as_its_scheduler_was_asked(
    ordered_ago: timedelta | None, failed_ago: timedelta | None, is_up: bool, ended_ago: timedelta
) -> None:
    heard = NOW - AWAY
    scheduler, gone = (replace(i, requested_at=heard, started_at=heard, running_at=heard) for i in crew(1))
    rows = [scheduler, gone]
    if ordered_ago is not None:
        rows.append(row("young", status=InstanceStatus.REQUESTED, requested_at=NOW - ordered_ago, handle=None))
    cluster = running_cluster(observed_at=heard, page_failed_at=None if failed_ago is None else NOW - failed_ago)

    decided = plan(
        snapshot_of(cluster, tuple(rows), observed=(sight(scheduler),), page=page_of(()) if is_up else None), NOW
    )

    assert next(i for i in decided.instances if i.id == gone.id).stopped_at == NOW - ended_ago
