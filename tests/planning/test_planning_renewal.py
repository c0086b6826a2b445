"""Workers with older software are replaced: a few at a time, and never so that fewer can work."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_snapshots import (
    FIRST,
    NOW,
    SCHEDULER,
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
from planning_values import usd

from tradewind.model.cluster import Cluster, ClusterStatus, Intent, Scaling
from tradewind.model.instance import Instance, InstanceEnd, InstanceStatus, Role
from tradewind.planning.plan import plan
from tradewind.planning.renewal import FULL, LEAVES_WITHIN, SHARE, TRIALS, has_given_up, is_behind
from tradewind.planning.scale import LONGEST_DELAY, TRIES_BEYOND_THE_CREW
from tradewind.planning.snapshot import Plan

S = InstanceStatus


def renewed(wanted: int = 2, **changes: object) -> Cluster:
    """Return a cluster that wants new software on all of its workers."""
    intent = Intent(scaling=Scaling.fixed(wanted), equipment="new", **changes)  # type: ignore[arg-type]
    return running_cluster(wanted, intent=intent)


def new(number: int, status: InstanceStatus = S.RUNNING, **changes: object) -> Instance:
    return row(f"n{number}", status=status, equipment="new", **changes)


def decide(cluster: Cluster, *instances: Instance, now: datetime = NOW, **changes: object) -> Plan:
    return plan(snapshot_of(cluster, (SCHEDULER, *instances), looked_at=now, **changes), now)


OLD = tuple(i for i in crew(10) if i.role is Role.WORKER)


@pytest.mark.parametrize(("wanted", "ahead"), [(1, 1), (2, 1), (9, 1), (10, 1), (25, 2), (100, 10)])
def test_some_new_ones_are_ordered_before_any_old_one_goes(wanted: int, ahead: int) -> None:
    decided = plan(snapshot_of(renewed(wanted), crew(wanted)), NOW)
    assert [launch.role for launch in decided.launches] == [Role.WORKER] * ahead
    assert (decided.instances, decided.retire, decided.retire_any, decided.terminations) == ((), (), 0, ())


def test_while_the_new_one_comes_up_nothing_else_happens() -> None:
    for status in (S.REQUESTED, S.PENDING, S.STARTING):
        decided = decide(renewed(2), *OLD[:2], new(0, status))
        assert (decided.launches, decided.retire, decided.retire_any, decided.terminations) == ((), (), 0, ())


def test_an_old_one_hands_over_and_leaves_once_a_new_one_is_up() -> None:
    decided = decide(renewed(2), *OLD[:2], new(0))
    assert (ids(decided.instances), decided.retire, decided.launches) == ({"w0"}, ("w0",), ())
    assert decided.terminations == (), "it holds results still"
    assert "Letting 1 worker with older software go; 1 more follow." in [event.message for event in decided.events]


def test_the_next_one_is_ordered_when_the_last_one_is_gone() -> None:
    leaving = replace(OLD[0], wanted=False, unwanted_at=NOW, status=S.STOPPING)
    assert decide(renewed(2), leaving, OLD[1], new(0)).launches == ()
    assert len(decide(renewed(2), OLD[1], new(0)).launches) == 1


def test_all_that_are_new_are_left_alone() -> None:
    decided = decide(renewed(2), new(0), new(1))
    assert decided == Plan(cluster=decided.cluster, wake_at=at(1))


def test_the_scheduler_stays_whatever_it_was_started_with() -> None:
    assert not is_behind(SCHEDULER, renewed())
    assert decide(renewed(1), new(0)).instances == ()


def test_nobody_is_replaced_where_no_software_is_wanted() -> None:
    """As in what was written down before there was a word for it."""
    decided = decide(running_cluster(2), *OLD[:2])
    assert (decided.launches, decided.instances) == ((), ())


def test_old_ones_that_are_not_up_yet_are_given_up_and_not_waited_for() -> None:
    starting = tuple(replace(i, status=S.STARTING, running_at=None, started_at=at(-5)) for i in OLD[:2])
    decided = decide(renewed(2), *starting)
    assert (ids(decided.instances), set(decided.terminations)) == ({"w0", "w1"}, {"h-w0", "h-w1"})


def test_an_order_for_old_software_is_not_given_again() -> None:
    lost = row("w9", status=S.REQUESTED)
    decided = decide(renewed(2), OLD[0], lost)
    assert decided.relaunches == ()
    assert [(i.id, i.wanted) for i in decided.instances] == [("w9", False)]


def test_nobody_leaves_while_dask_does_not_answer() -> None:
    decided = decide(renewed(2), *OLD[:2], new(0), page=None)
    assert (decided.retire, decided.instances, decided.terminations) == ((), (), ())


def test_where_fewer_are_wanted_the_old_ones_go_first() -> None:
    decided = decide(renewed(3), *OLD[:4], new(0), new(1))
    assert ids(decided.instances) == {"w0", "w1", "w2"}
    assert decided.retire_any == 0


@pytest.mark.parametrize(("seconds", "is_ended"), [(31, False), (LEAVES_WITHIN.total_seconds(), True)])
def test_who_has_much_to_hand_over_has_time_for_it(seconds: float, is_ended: bool) -> None:
    leaving = replace(OLD[0], wanted=False, unwanted_at=NOW, status=S.STOPPING)
    page = page_of((new(0), new(1)), workers=(worker("n0"), worker("n1"), worker("w0", "closing_gracefully")))
    decided = decide(renewed(2), leaving, new(0), new(1), page=page, now=at(seconds))
    assert decided.terminations == (("h-w0",) if is_ended else ())


REFUSED = row(
    "x",
    status=S.STOPPED,
    end=InstanceEnd.NO_CAPACITY,
    equipment="new",
    stopped_at=at(-1),
    running_at=None,
    started_at=None,
    handle=None,
)


def test_where_there_is_no_room_beside_them_one_of_several_goes_first() -> None:
    decided = decide(renewed(2), *OLD[:2], REFUSED)
    assert (decided.retire, decided.launches) == (("w0",), ())


def test_the_one_worker_of_a_cluster_stays_where_there_is_no_room_beside_it() -> None:
    decided = decide(renewed(1), OLD[0], REFUSED)
    assert (decided.retire, decided.launches, decided.instances) == ((), (), ())


def test_a_place_that_an_old_one_left_is_free_again_when_it_is_gone() -> None:
    leaving = replace(OLD[0], wanted=False, unwanted_at=NOW, status=S.STOPPING)
    gone = replace(leaving, status=S.STOPPED, end=InstanceEnd.ASKED, stopped_at=at(-0.5))
    choices = {Role.SCHEDULER: (FIRST,), Role.WORKER: (FIRST,)}
    assert decide(renewed(2), leaving, OLD[1], REFUSED, choices=choices).launches == ()
    assert len(decide(renewed(2), gone, OLD[1], REFUSED, choices=choices).launches) == 1


def test_after_a_while_it_is_tried_beside_them_again() -> None:
    long_ago = replace(REFUSED, stopped_at=NOW - FULL)
    assert len(decide(renewed(2), *OLD[:2], long_ago).launches) == 1


def test_no_new_one_is_ordered_that_can_not_be_paid_for_and_no_old_one_goes() -> None:
    cluster = renewed(2)
    poor = replace(cluster, spec=replace(cluster.spec, budget=usd("0.004")))
    decided = plan(snapshot_of(poor, crew(2)), NOW)
    assert (decided.launches, decided.retire, decided.instances) == ((), (), ())
    assert "budget.short" in [event.kind for event in decided.events]


def test_a_cluster_whose_money_runs_out_replaces_nobody() -> None:
    decided = plan(snapshot_of(renewed(2, ends_by=at(60)), crew(1), page=page_of(crew(1), held_results=1)), NOW)
    assert (decided.launches, decided.retire) == ((), ())


def test_software_that_does_not_start_ends_no_cluster_that_works() -> None:
    cluster = renewed(2)
    for number in range(2 + TRIES_BEYOND_THE_CREW):
        failing = new(number, S.STARTING)
        seen = (*(sight(i) for i in crew(2)), sight(failing, S.STOPPED, stopped_at=NOW, exit_code=1))
        decided = plan(snapshot_of(cluster, (*crew(2), failing), observed=seen), NOW)
        cluster = replace(decided.cluster, retry_at=None)
        assert decided.cluster.retry_at == NOW + LONGEST_DELAY
        assert (decided.retire, decided.launches) == ((), ())
    assert (cluster.status, cluster.failed_launches) == (ClusterStatus.RUNNING, 0)


def tried(cluster: Cluster, times: int, *, wave: int = 1, workers: int = 2) -> tuple[Cluster, list[str]]:
    """Return a cluster after new workers failed beside the old ones so often, and what its journal says of that."""
    said: list[str] = []
    for number in range(times):
        now = at(61 * number)
        for each in range(wave):
            failing = new(10 * number + each, S.STARTING)
            seen = (*(sight(i) for i in crew(workers)), sight(failing, S.STOPPED, stopped_at=now, exit_code=1))
            decided = plan(snapshot_of(cluster, (*crew(workers), failing), observed=seen, looked_at=now), now)
            said += [event.kind for event in decided.events if event.kind == "software.given_up"]
            cluster = decided.cluster
    return cluster, said


@pytest.mark.parametrize(
    ("times", "wave", "launched"), [(TRIALS - 1, 1, 1), (TRIALS - 1, 5, 1), (TRIALS, 1, 0), (TRIALS + 2, 2, 0)]
)
def test_software_that_does_not_start_is_tried_so_often_and_no_more(times: int, wave: int, launched: int) -> None:
    cluster, said = tried(renewed(2), times, wave=wave)
    later = at(9999)
    decided = plan(snapshot_of(cluster, crew(2), looked_at=later), later)
    assert (len(decided.launches), decided.retire, decided.instances) == (launched, (), ())
    assert said == ([] if launched else ["software.given_up"])


def test_software_that_is_given_up_costs_no_worker_more_and_fewer_can_be_had() -> None:
    cluster, _ = tried(renewed(3), TRIALS, workers=3)
    later = at(9999)
    one_died = plan(snapshot_of(cluster, crew(2), looked_at=later), later)
    full = plan(snapshot_of(cluster, (*crew(3), replace(REFUSED, stopped_at=at(9998))), looked_at=later), later)
    too_many = plan(snapshot_of(cluster, crew(4), looked_at=later), later)
    assert (one_died.launches, one_died.retire, full.launches, full.retire) == ((), (), (), ())
    assert (too_many.launches, too_many.retire_any) == ((), 1)


def test_workers_that_never_come_up_are_tries_as_well() -> None:
    cluster, limit = renewed(2), renewed(2).spec.lifetimes.start
    for number in range(TRIALS):
        now = at(5000 * number)
        late = new(number, S.STARTING, started_at=now - limit)
        cluster = plan(snapshot_of(cluster, (*crew(2), late), looked_at=now), now).cluster
    assert has_given_up(cluster)


@pytest.mark.parametrize(
    "change",
    [
        {"equipment": "newer"},
        {"scaling": Scaling.fixed(3)},
    ],
    ids=["other software", "another number of workers"],
)
def test_what_a_person_changes_is_tried_anew(change: dict[str, object]) -> None:
    cluster, _ = tried(renewed(2), TRIALS)
    changed = replace(cluster, intent=replace(cluster.intent, **change))  # type: ignore[arg-type]
    later = at(9999)
    assert plan(snapshot_of(cluster, crew(2), looked_at=later), later).launches == ()
    assert plan(snapshot_of(changed, crew(2), looked_at=later), later).launches != ()
    again, said = tried(replace(changed, retry_at=None), TRIALS - 1)
    assert (said, has_given_up(again)) == ([], False)


def test_tries_count_from_the_last_worker_that_came_up() -> None:
    cluster, _ = tried(renewed(2), TRIALS - 1)
    now = at(500)
    up = plan(
        snapshot_of(
            cluster,
            (*crew(2), replace(new(7), status=S.STARTING, running_at=None)),
            page=page_of((*crew(2), new(7))),
            looked_at=now,
        ),
        now,
    ).cluster
    assert up.trials.failed == 0


def test_where_no_older_worker_is_left_the_cluster_itself_fails_as_ever() -> None:
    cluster, _ = tried(renewed(2), TRIALS)
    later = at(9999)
    assert len(plan(snapshot_of(cluster, (SCHEDULER,), looked_at=later), later).launches) == 2


# -- what holds for whatever there is ----------------------------------------------------------------------------------


@st.composite
def crews(draw: st.DrawFn) -> tuple[Instance, ...]:
    """Workers of old and new software in any state, each as it would be in it."""
    found = []
    for number in range(draw(st.integers(0, 25))):
        status = draw(st.sampled_from([S.REQUESTED, S.PENDING, S.STARTING, S.RUNNING, S.RUNNING, S.RUNNING]))
        wanted = draw(st.sampled_from([True, True, True, False]))
        one = row(f"w{number}", status=status, equipment=draw(st.sampled_from(["", "old", "new"])))
        found.append(one if wanted else replace(one, wanted=False, unwanted_at=at(-1)))
    return tuple(found)


def can_work(instances: tuple[Instance, ...]) -> int:
    return sum(i.wanted and i.status is S.RUNNING for i in instances)


def after(before: tuple[Instance, ...], decided: Plan) -> tuple[Instance, ...]:
    changed = {i.id: i for i in decided.instances}
    return tuple(changed.get(i.id, i) for i in before)


@given(workers=crews(), wanted=st.integers(0, 25), is_full=st.booleans(), answers=st.booleans())
def test_no_round_leaves_fewer_that_can_work_than_are_wanted(
    workers: tuple[Instance, ...], wanted: int, is_full: bool, answers: bool
) -> None:
    """One fewer where there is no room beside them, and none at all of a single one."""
    refused = (REFUSED,) if is_full else ()
    more = {} if answers else {"page": None}
    decided = decide(renewed(wanted), *workers, *refused, **more)
    least = min(can_work(workers), wanted)
    lent = 1 if is_full and wanted > 1 else 0
    assert can_work(after(workers, decided)) - decided.retire_any >= least - lent


@given(workers=crews(), wanted=st.integers(0, 25), is_full=st.booleans())
def test_no_round_makes_more_than_a_tenth_above_what_is_wanted(
    workers: tuple[Instance, ...], wanted: int, is_full: bool
) -> None:
    """Counting those with older software that still hand over."""
    refused = (REFUSED,) if is_full else ()
    decided = decide(renewed(wanted), *workers, *refused)
    there = sum(i.status.is_live and (i.wanted or i.equipment != "new") for i in after(workers, decided))
    spare = 0 if is_full else max(1, wanted // SHARE)
    if decided.launches and any(i.equipment != "new" for i in workers):
        assert there + len(decided.launches) <= wanted + spare


@given(workers=crews(), wanted=st.integers(0, 25))
def test_no_round_lets_a_new_one_go_while_an_old_one_could(workers: tuple[Instance, ...], wanted: int) -> None:
    decided = decide(renewed(wanted), *workers)
    kept = [i for i in after(workers, decided) if i.wanted and i.status is S.RUNNING]
    if decided.retire_any:
        assert all(i.equipment == "new" for i in kept)


@settings(deadline=None)
@given(
    wanted=st.integers(1, 25),
    beside=st.integers(0, 5),
    slow=st.integers(1, 4),
    data=st.data(),
)
def test_round_by_round_all_come_to_have_the_new_software(
    wanted: int, beside: int, slow: int, data: st.DataObject
) -> None:
    """Whatever room there is beside them, however slowly they come and go; also where somebody dies meanwhile."""
    cluster, workers, now, ages = renewed(wanted), tuple(row(f"w{n}") for n in range(wanted)), NOW, {}
    room, number, least = wanted + beside, 0, wanted - (beside < max(1, wanted // SHARE))
    dies = data.draw(st.sets(st.integers(0, 20), max_size=2)) if beside else set()
    for tick in range(800):
        decided = decide(cluster, *workers, now=now)
        workers = after(workers, decided)
        for _ in decided.launches:
            number += 1
            alive = sum(i.status.is_live for i in workers)
            workers += (
                new(number, S.STARTING, requested_at=now, started_at=now) if alive < room else refusal(number, now),
            )
        cluster, now = replace(decided.cluster, scale=decided.cluster.scale), now + timedelta(seconds=1)
        workers = tuple(moved(i, ages, slow, now) for i in workers)
        if tick in dies:
            workers = (replace(workers[0], status=S.STOPPED, end=InstanceEnd.DIED, stopped_at=now), *workers[1:])
        if not dies and (beside or wanted > 1):
            assert can_work(workers) >= least
        live = [i for i in workers if i.status.is_live]
        if all(i.equipment == "new" and i.status is S.RUNNING for i in live) and len(live) == wanted:
            return
    assert wanted == 1, "the one alone stays as it is where nothing fits beside it"
    assert not beside


def refusal(number: int, now: datetime) -> Instance:
    return replace(REFUSED, id=f"n{number}", stopped_at=now)


def moved(instance: Instance, ages: dict[str, int], slow: int, now: datetime) -> Instance:
    """Return it a second later: what starts comes up after a while, and who leaves is gone after one."""
    if not instance.status.is_live or (instance.wanted and instance.status is S.RUNNING):
        return instance
    ages[instance.id] = ages.get(instance.id, 0) + 1
    if instance.wanted:
        return replace(instance, status=S.RUNNING, running_at=now) if ages[instance.id] >= slow else instance
    if ages[instance.id] < 2 * slow:
        return instance
    return replace(instance, status=S.STOPPED, end=InstanceEnd.ASKED, stopped_at=now)
