"""The steps from what is to what is wanted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from planning_snapshots import (
    FIRST,
    NEW,
    NOW,
    SCHEDULER,
    SECOND,
    at,
    crew,
    ids,
    page_of,
    row,
    running_cluster,
    sight,
    snapshot_of,
    worker,
)
from planning_values import T0

from tradewind.model.cluster import Cluster, ClusterStatus, Intent, Lifetimes, ScaleMemory, Scaling, StopReason
from tradewind.model.instance import Instance, InstanceEnd, InstanceStatus, Role
from tradewind.planning.plan import plan
from tradewind.planning.snapshot import Plan, Snapshot

S = InstanceStatus
LIMIT = Lifetimes().start


def roles(decided: Plan) -> list[Role]:
    return [launch.role for launch in decided.launches]


def refused(
    id_: str, end: InstanceEnd, role: Role = Role.WORKER, seconds_ago: float = 1, vm: object = FIRST
) -> Instance:
    ended = row(id_, role, S.STOPPED, stopped_at=at(-seconds_ago), end=end, handle=None, started_at=None)
    return replace(ended, offer=vm.offer)  # type: ignore[attr-defined]


def test_a_new_cluster_orders_its_scheduler_and_its_workers_at_once() -> None:
    decided = plan(snapshot_of(NEW, (), page=None), NOW)
    assert roles(decided) == [Role.SCHEDULER, Role.WORKER, Role.WORKER]
    assert "Ordering 1 scheduler (small, 0.10 USD/h) and 2 workers" in decided.events[0].message


def test_a_cluster_that_has_what_it_wants_is_left_alone() -> None:
    snapshot = snapshot_of(running_cluster(2), crew(2))
    assert plan(snapshot, NOW) == Plan(cluster=snapshot.cluster, wake_at=at(1))


@pytest.mark.parametrize("wanted", [3, 5, 1000])
def test_workers_that_are_missing_are_ordered_in_one_go(wanted: int) -> None:
    decided = plan(snapshot_of(running_cluster(wanted), crew(2)), NOW)
    assert roles(decided) == [Role.WORKER] * (wanted - 2)


@pytest.mark.parametrize("status", [S.REQUESTED, S.PENDING, S.STARTING])
def test_workers_that_are_on_their_way_count(status: S) -> None:
    decided = plan(snapshot_of(running_cluster(3), (*crew(2), row("w2", status=status))), NOW)
    assert decided.launches == ()


def test_what_is_not_up_yet_goes_first_and_the_youngest_before_the_others() -> None:
    starting = tuple(row(f"n{number}", status=S.STARTING) for number in range(3))
    decided = plan(snapshot_of(running_cluster(3), (*crew(2), *starting)), NOW)
    assert ids(decided.instances) == {"n2", "n1"}
    assert decided.terminations == ("h-n1", "h-n2")
    assert decided.retire_any == 0


def test_dask_chooses_which_of_those_that_run_can_be_spared() -> None:
    decided = plan(snapshot_of(running_cluster(1, scale=ScaleMemory(wanted=3)), crew(3)), NOW)
    assert (decided.retire_any, decided.instances, decided.terminations) == (2, (), ())
    assert decided.events[-1].kind == "workers.released"


def test_letting_workers_go_is_said_once() -> None:
    first = plan(snapshot_of(running_cluster(1, scale=ScaleMemory(wanted=3)), crew(3)), NOW)
    second = plan(snapshot_of(first.cluster, crew(3), looked_at=at(1)), at(1))
    assert second.retire_any == 2
    assert second.events == ()


def test_nobody_who_runs_is_let_go_while_dask_can_not_say_what_it_holds() -> None:
    decided = plan(snapshot_of(running_cluster(1), crew(3), page=None), NOW)
    assert (decided.retire_any, decided.retire, decided.terminations, decided.instances) == (0, (), (), ())


def test_the_dismissed_are_let_go_by_name_and_not_replaced_where_fewer_are_wanted() -> None:
    decided = plan(snapshot_of(running_cluster(1, dismiss=("w0",)), crew(2)), NOW)
    assert decided.retire == ("w0",)
    assert ids(decided.instances) == {"w0"}
    assert (decided.launches, decided.retire_any, decided.terminations) == ((), 0, ())


def test_the_dismissed_are_replaced_where_as_many_are_wanted_as_before() -> None:
    decided = plan(snapshot_of(running_cluster(2, dismiss=("w0",)), crew(2)), NOW)
    assert (decided.retire, roles(decided)) == (("w0",), [Role.WORKER])


def test_a_scheduler_can_not_be_dismissed() -> None:
    decided = plan(snapshot_of(running_cluster(2, dismiss=("s",)), crew(2)), NOW)
    assert (decided.instances, decided.retire, decided.terminations) == ((), (), ())


UNWANTED = row("w1", wanted=False, unwanted_at=at(-5), status=S.STOPPING, running_at=T0)


def test_who_was_asked_to_leave_and_has_not_begun_is_asked_again() -> None:
    instances = (*crew(1), UNWANTED)
    page = page_of(crew(2))
    assert plan(snapshot_of(running_cluster(1), instances, page=page), NOW).retire == ("w1",)


def test_who_is_on_the_way_out_is_left_in_peace_for_a_while() -> None:
    instances = (*crew(1), UNWANTED)
    page = page_of((), workers=(worker("w0"), worker("w1", "closing_gracefully")))
    decided = plan(snapshot_of(running_cluster(1), instances, page=page), NOW)
    assert (decided.retire, decided.terminations) == ((), ())


@pytest.mark.parametrize(
    ("page", "now", "ended"),
    [
        (page_of(crew(2)), at(0), False),
        (page_of(crew(2)), at(24.9), False),
        (page_of(crew(2)), at(25), True),
        (page_of(crew(1)), at(0), True),
        (None, at(0), False),
        (None, at(25), True),
    ],
)
def test_who_leaves_is_ended_when_it_holds_nothing_any_more_or_takes_too_long(
    page: object, now: object, ended: bool
) -> None:
    snapshot = replace(snapshot_of(running_cluster(1), (*crew(1), UNWANTED)), page=page, looked_at=now)  # type: ignore[arg-type]
    assert plan(snapshot, now).terminations == (("h-w1",) if ended else ())  # type: ignore[arg-type]


def test_a_worker_that_dask_lets_go_already_is_not_asked_for_twice() -> None:
    """The answer to the first request was lost; asking for as many again would let go of others as well."""
    page = page_of((), workers=(worker("w0"), worker("w1"), worker("w2", "closing_gracefully")))
    decided = plan(snapshot_of(running_cluster(2), crew(3), page=page), NOW)
    assert decided.retire_any == 0
    assert [(i.id, i.wanted) for i in decided.instances] == [("w2", False)]


def test_the_dead_are_replaced_after_a_moment_and_later_after_longer() -> None:
    cluster = running_cluster(2)
    for failed, delay in ((0, 1), (1, 2), (2, 4)):
        starting = row("w1", status=S.STARTING)
        cluster = replace(cluster, failed_launches=failed, retry_at=None)
        dead = sight(starting, S.STOPPED, stopped_at=NOW, exit_code=1)
        instances = (*crew(1), starting)
        observed = (*(sight(i) for i in crew(1)), dead)
        decided = plan(snapshot_of(cluster, instances, observed=observed), NOW)
        assert decided.cluster.failed_launches == failed + 1
        assert decided.cluster.retry_at == at(delay)
        assert decided.launches == ()
        later = snapshot_of(decided.cluster, (*crew(1), *decided.instances), looked_at=at(delay))
        assert roles(plan(later, at(delay))) == [Role.WORKER]


def test_one_that_died_while_it_ran_is_replaced_at_once() -> None:
    observed = (sight(SCHEDULER), sight(row("w0")), sight(row("w1"), S.STOPPED, stopped_at=NOW))
    decided = plan(snapshot_of(running_cluster(2), crew(2), observed=observed), NOW)
    assert roles(decided) == [Role.WORKER]
    assert [event.kind for event in decided.events] == ["instance.died", "instances.ordered"]


def test_one_that_runs_makes_the_failures_before_it_forgotten() -> None:
    cluster = running_cluster(2, failed_launches=4, retry_at=at(50))
    instances = (*crew(1), row("w1", status=S.STARTING))
    decided = plan(snapshot_of(cluster, instances, page=page_of(crew(2))), NOW)
    assert (decided.cluster.failed_launches, decided.cluster.retry_at) == (0, None)


def test_a_worker_that_is_billed_and_never_comes_up_is_given_up() -> None:
    young = row("w1", status=S.STARTING, started_at=NOW - LIMIT + timedelta(seconds=1))
    old = row("w2", status=S.STARTING, started_at=NOW - LIMIT)
    decided = plan(snapshot_of(running_cluster(3), (*crew(1), young, old)), NOW)
    assert (ids(decided.instances), decided.terminations) == ({"w2"}, ("h-w2",))
    assert decided.cluster.failed_launches == 1


@pytest.mark.parametrize("end", [InstanceEnd.NO_CAPACITY, InstanceEnd.REJECTED])
def test_after_a_refusal_the_next_offer_is_taken_and_the_first_again_after_a_time(end: InstanceEnd) -> None:
    now = plan(snapshot_of(running_cluster(3), (*crew(2), refused("x", end))), NOW)
    later = plan(snapshot_of(running_cluster(3), (*crew(2), refused("x", end, seconds_ago=300))), NOW)
    assert [launch.choice for launch in now.launches] == [SECOND]
    assert [launch.choice for launch in later.launches] == [FIRST]


def test_where_no_offer_for_workers_is_left_the_cluster_goes_on_with_those_it_has() -> None:
    none_left = (refused("x", InstanceEnd.NO_CAPACITY), refused("y", InstanceEnd.NO_CAPACITY, vm=SECOND))
    decided = plan(snapshot_of(running_cluster(3), (*crew(2), *none_left)), NOW)
    assert (decided.launches, decided.cluster.status) == ((), ClusterStatus.RUNNING)
    assert decided.events[-1].kind == "capacity.none"
    again = plan(snapshot_of(decided.cluster, (*crew(2), *none_left), looked_at=at(1)), at(1))
    assert again.events == ()


def test_where_no_offer_for_the_scheduler_is_left_the_cluster_stops() -> None:
    none_left = tuple(
        refused(name, InstanceEnd.NO_CAPACITY, Role.SCHEDULER, vm=vm) for name, vm in (("x", FIRST), ("y", SECOND))
    )
    decided = plan(snapshot_of(NEW, none_left, page=None), NOW)
    assert decided.cluster.stop_reason is StopReason.NO_CAPACITY
    assert decided.cluster.status is ClusterStatus.STOPPED


def test_a_provider_that_can_not_say_what_it_offers_stops_nothing_and_launches_nothing() -> None:
    decided = plan(snapshot_of(NEW, (), page=None, choices=None), NOW)
    assert (decided.launches, decided.cluster.stop_reason, decided.wake_at) == ((), None, at(1))


def test_an_order_that_may_never_have_been_given_is_given_again_and_counts_as_young_again() -> None:
    lost = row("w1", status=S.REQUESTED, requested_at=T0)
    decided = plan(snapshot_of(running_cluster(2), (*crew(1), lost)), NOW)
    assert [i.id for i in decided.relaunches] == ["w1"]
    assert [(i.id, i.order_id, i.requested_at) for i in decided.instances] == [("w1", lost.order_id, NOW)]


def test_nothing_is_ordered_before_the_time_to_try_again() -> None:
    lost = row("w1", status=S.REQUESTED)
    cluster = running_cluster(3, retry_at=at(0.001))
    decided = plan(snapshot_of(cluster, (*crew(1), lost)), NOW)
    assert (decided.launches, decided.relaunches, decided.instances) == ((), (), ())


STRAY = sight(row("nobody"))


def test_what_carries_our_mark_and_is_in_no_row_ends() -> None:
    snapshot = snapshot_of(running_cluster(2), crew(2))
    decided = plan(replace(snapshot, observed=(*(snapshot.observed or ()), STRAY, STRAY)), NOW)
    assert decided.terminations == ("h-nobody",)


def test_the_second_of_two_things_that_came_from_one_order_ends() -> None:
    snapshot = snapshot_of(running_cluster(2), crew(2))
    twin = sight(row("w0"), handle="h-twin")
    decided = plan(replace(snapshot, observed=(*(snapshot.observed or ()), twin)), NOW)
    assert (decided.terminations, decided.instances) == (("h-twin",), ())


def test_one_that_lives_hides_one_that_died_of_the_same_order() -> None:
    snapshot = snapshot_of(running_cluster(2), crew(2))
    twin = sight(row("w0"), S.STOPPED, handle="h-twin", stopped_at=NOW)
    decided = plan(replace(snapshot, observed=(*(snapshot.observed or ()), twin)), NOW)
    assert (decided.terminations, decided.instances) == ((), ())


def going_down(**changes: object) -> Cluster:
    cluster = running_cluster(2, status=ClusterStatus.STOPPING, stop_reason=StopReason.ASKED, stop_detail="x")
    return replace(cluster, stopping_at=at(-1), intent=Intent(scaling=Scaling.fixed(2), stop=True), **changes)


def test_a_cluster_that_stops_ends_everything_it_has() -> None:
    decided = plan(snapshot_of(running_cluster(2, intent=going_down().intent), crew(2)), NOW)
    assert decided.cluster.status is ClusterStatus.STOPPING
    assert decided.terminations == ("h-s", "h-w0", "h-w1")
    assert all(not i.wanted for i in decided.instances)


@pytest.mark.parametrize(
    ("instances", "changes"),
    [
        (crew(1), {}),
        ((), {"observed": None}),
        ((), {"observed": (STRAY,)}),
        ((row("w", status=S.REQUESTED, requested_at=at(-1)),), {}),
    ],
    ids=["something lives", "nobody could look", "a stray lives", "an order may be on its way"],
)
def test_a_cluster_has_not_stopped_as_long_as(instances: tuple[Instance, ...], changes: dict) -> None:  # type: ignore[type-arg]
    decided = plan(snapshot_of(going_down(), instances, page=None, **changes), NOW)
    assert decided.cluster.status is ClusterStatus.STOPPING
    assert decided.wake_at is not None
    assert "cluster.stopped" not in [event.kind for event in decided.events]


def test_a_cluster_stops_at_the_end_of_its_last_instance() -> None:
    ended = row("w", status=S.STOPPED, stopped_at=at(-2), end=InstanceEnd.ASKED)
    decided = plan(snapshot_of(going_down(), (ended,), page=None), NOW)
    assert (decided.cluster.status, decided.cluster.stopped_at) == (ClusterStatus.STOPPED, at(-2))
    assert (decided.wake_at, decided.cluster.contact) == (None, None)


ADAPTIVE = Scaling(minimum=1, initial=2, maximum=6, wait_count=3, interval=timedelta(seconds=5))


def follow(cluster: Cluster, instances: tuple[Instance, ...], target: int, now: object) -> Plan:
    page = page_of(instances, adaptive_target=target)
    snapshot: Snapshot = snapshot_of(cluster, instances, page=page, looked_at=now)
    return plan(snapshot, now)  # type: ignore[arg-type]


def test_adaptive_grows_at_once_up_to_the_maximum() -> None:
    assert len(follow(running_cluster(ADAPTIVE), crew(2), 4, NOW).launches) == 2
    assert len(follow(running_cluster(ADAPTIVE), crew(2), 99, NOW).launches) == 4


def test_adaptive_lets_go_only_what_was_too_much_for_the_whole_wait() -> None:
    cluster = running_cluster(ADAPTIVE, scale=ScaleMemory(wanted=4))
    first = follow(cluster, crew(4), 0, NOW)
    meanwhile = follow(first.cluster, crew(4), 3, at(7))
    done = follow(meanwhile.cluster, crew(4), 0, at(15))
    assert [first.retire_any, meanwhile.retire_any, done.retire_any] == [0, 0, 1]


def test_adaptive_stays_as_it_is_while_dask_does_not_answer() -> None:
    cluster = running_cluster(ADAPTIVE, scale=ScaleMemory(wanted=4))
    decided = plan(snapshot_of(cluster, crew(4), page=None), NOW)
    assert (decided.retire_any, decided.launches, decided.cluster.scale.wanted) == (0, (), 4)


@pytest.mark.parametrize("ends", [(), (InstanceEnd.REJECTED,), (InstanceEnd.NO_CAPACITY, InstanceEnd.REJECTED)])
@pytest.mark.parametrize("of_scheduler", [InstanceEnd.REJECTED, InstanceEnd.NO_CAPACITY])
def test_a_cluster_of_which_nothing_was_ever_launched_stops_also_where_nobody_can_look(
    ends: tuple[InstanceEnd, ...], of_scheduler: InstanceEnd
) -> None:
    cluster = running_cluster(2, status=ClusterStatus.STOPPING, stop_reason=StopReason.REJECTED, stop_detail="x")
    rows = tuple(refused(f"w{number}", end) for number, end in enumerate(ends))
    rows = (refused("s", of_scheduler, Role.SCHEDULER), *rows)
    decided = plan(replace(snapshot_of(cluster, rows, page=None), observed=None), NOW)
    assert decided.cluster.status is ClusterStatus.STOPPED


@pytest.mark.parametrize("end", [InstanceEnd.DIED, InstanceEnd.VANISHED, InstanceEnd.ASKED, InstanceEnd.NEVER_LAUNCHED])
def test_a_cluster_of_which_something_may_exist_stops_only_when_somebody_has_looked(end: InstanceEnd) -> None:
    cluster = running_cluster(2, status=ClusterStatus.STOPPING, stop_reason=StopReason.ASKED, stop_detail="x")
    rows = (refused("s", InstanceEnd.REJECTED, Role.SCHEDULER), refused("w2", end))
    unseen = replace(snapshot_of(cluster, rows, page=None), observed=None)
    assert plan(unseen, NOW).cluster.status is ClusterStatus.STOPPING
    assert plan(replace(unseen, observed=()), NOW).cluster.status is ClusterStatus.STOPPED
