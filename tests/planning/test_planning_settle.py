"""What becomes of one instance, by what its row says and what its provider says."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_snapshots import NOW, T0, at, row, sight

from tradewind.model.instance import Instance, InstanceEnd, InstanceStatus, ObservedInstance, Role
from tradewind.model.money import Price
from tradewind.planning.settle import LISTED_LATE, ON_ITS_WAY, Sighting, corrected, settle
from tradewind.testing.strategies import instances, moments

S = InstanceStatus
LAG = timedelta(seconds=10)


def sighting(**changes: object) -> Sighting:
    return replace(Sighting(now=NOW, last=at(-1), list_lag=LAG), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "seen", "is_up", "after"),
    [
        (S.REQUESTED, S.PENDING, False, S.PENDING),
        (S.REQUESTED, S.STARTING, False, S.STARTING),
        (S.PENDING, S.PENDING, True, S.RUNNING),
        (S.STARTING, S.STARTING, True, S.RUNNING),
        (S.RUNNING, S.STARTING, False, S.RUNNING),
        (S.RUNNING, S.PENDING, False, S.RUNNING),
        (S.RUNNING, S.STOPPING, True, S.RUNNING),
        (S.RUNNING, S.STOPPING, False, S.STOPPING),
        (S.STOPPING, S.RUNNING, True, S.STOPPING),
        (S.STARTING, S.STOPPED, False, S.STOPPED),
    ],
)
def test_a_status_follows_the_provider_and_dask_and_never_goes_back(before: S, seen: S, is_up: bool, after: S) -> None:
    instance = row("w", status=before)
    assert settle(instance, sight(instance, seen), is_up=is_up, sighting=sighting()).status is after


def test_what_is_as_it_was_is_the_same_object() -> None:
    for status in (S.PENDING, S.STARTING, S.RUNNING):
        instance = row("w", status=status)
        assert settle(instance, sight(instance), is_up=status is S.RUNNING, sighting=sighting()) is instance


@pytest.mark.parametrize(("before", "after"), [(S.PENDING, ""), (S.STARTING, "said before")])
def test_what_waits_no_more_does_not_say_why_it_waited(before: S, after: str) -> None:
    instance = row("w", status=before, detail="said before")
    assert settle(instance, sight(instance, S.RUNNING), is_up=True, sighting=sighting()).detail == after


def test_the_bill_begins_when_the_infrastructure_says_so() -> None:
    instance = row("w", status=S.PENDING)
    after = settle(instance, sight(instance, S.STARTING, started_at=at(-7)), is_up=False, sighting=sighting())
    assert after.started_at == at(-7)


def test_the_bill_begins_when_it_is_first_seen_where_the_infrastructure_says_nothing() -> None:
    instance = row("w", status=S.PENDING)
    after = settle(instance, sight(instance, S.STARTING, started_at=None), is_up=False, sighting=sighting())
    assert after.started_at == NOW


def test_what_waits_in_a_queue_is_not_billed_because_nobody_wants_it_any_more() -> None:
    instance = row("w", status=S.PENDING, wanted=False, unwanted_at=NOW)
    after = settle(instance, sight(instance, S.PENDING), is_up=False, sighting=sighting())
    assert (after.status, after.started_at) == (S.STOPPING, None)


@pytest.mark.parametrize(("wanted", "end"), [(True, InstanceEnd.DIED), (False, InstanceEnd.ASKED)])
def test_what_ended_keeps_the_infrastructures_words_and_times(wanted: bool, end: InstanceEnd) -> None:
    instance = row("w", wanted=wanted)
    seen = sight(instance, S.STOPPED, stopped_at=at(-3), exit_code=-9, detail="killed: out of memory")
    after = settle(instance, seen, is_up=False, sighting=sighting())
    assert (after.status, after.end) == (S.STOPPED, end)
    assert (after.stopped_at, after.exit_code, after.detail) == (at(-3), -9, "killed: out of memory")


def test_what_vanished_is_billed_to_the_last_sighting() -> None:
    after = settle(row("w"), None, is_up=True, sighting=sighting(last=at(-4)))
    assert (after.status, after.end, after.stopped_at) == (S.STOPPED, InstanceEnd.VANISHED, at(-4))


@pytest.mark.parametrize(
    ("changes", "stopped_at"),
    [
        ({"started_at": at(-1)}, at(-1)),
        ({"started_at": None, "requested_at": at(-11)}, at(-11)),
    ],
)
def test_what_vanished_before_it_was_ever_listed_does_not_end_before_it_began(
    changes: dict, stopped_at: object
) -> None:  # type: ignore[type-arg]
    instance = row("w", status=S.STARTING, **changes)
    after = settle(instance, None, is_up=False, sighting=sighting(last=at(-60)))
    assert after.stopped_at == stopped_at


AWAY = {"last": at(-3601), "remembers": timedelta(minutes=59), "over_by": at(-3451)}


@pytest.mark.parametrize(
    ("changes", "times"),
    {
        "it ran": ({"requested_at": at(-4000), "started_at": at(-4000)}, (at(-4000), at(-3451))),
        "launched, and never seen": ({"status": S.REQUESTED, "requested_at": at(-3700)}, (at(-3700), at(-3451))),
        "launched after the last look": (
            {"status": S.REQUESTED, "requested_at": at(-3600.5), "handle": "h"},
            (at(-3600.5), at(-3451)),
        ),
        "its order may have been carried out": (
            {"status": S.REQUESTED, "requested_at": at(-3601), "handle": None},
            (at(-3601), at(-3451)),
        ),
        "its provider's clock is ahead": ({"requested_at": at(-4000), "started_at": at(-3000)}, (at(-3000), at(-3000))),
    }.values(),
)
def test_what_a_list_forgot_while_nobody_looked_is_billed_for_the_longest_it_may_have_lived(
    changes: dict,
    times: object,  # type: ignore[type-arg]
) -> None:
    instance = replace(row("w", started_at=None), **changes)
    after = settle(instance, None, is_up=False, sighting=sighting(**AWAY))
    assert (after.started_at, after.stopped_at) == times
    assert after.end is InstanceEnd.VANISHED
    assert "billed for the 0:02:30 that it may have lived" in after.detail


def test_what_a_list_would_still_have_ended_when_it_was_seen_last() -> None:
    look = sighting(**AWAY | {"last": NOW - timedelta(minutes=59)})
    after = settle(row("w", requested_at=at(-4000), started_at=at(-4000)), None, is_up=False, sighting=look)
    assert after.stopped_at == look.last


@pytest.mark.parametrize(
    ("age", "ended"),
    [
        (timedelta(0), False),
        (LAG, False),
        (LAG + LISTED_LATE, False),
        (LAG + LISTED_LATE + timedelta(microseconds=1), True),
    ],
)
def test_what_was_just_launched_may_be_missing_from_a_list_that_lags(age: timedelta, ended: bool) -> None:
    instance = row("w", status=S.REQUESTED, handle="h", requested_at=NOW - age)
    after = settle(instance, None, is_up=False, sighting=sighting())
    assert (after.status is S.STOPPED) is ended


def test_an_order_nobody_answered_stands_as_long_as_it_is_wanted() -> None:
    instance = row("w", status=S.REQUESTED, requested_at=T0)
    assert settle(instance, None, is_up=False, sighting=sighting()) is instance


@pytest.mark.parametrize(("beyond", "ended"), [(timedelta(0), False), (timedelta(microseconds=1), True)])
def test_an_unwanted_order_is_written_off_when_nobody_can_be_giving_it_any_more(beyond: timedelta, ended: bool) -> None:
    instance = row("w", status=S.REQUESTED, requested_at=NOW - LAG - ON_ITS_WAY - beyond, wanted=False, unwanted_at=NOW)
    after = settle(instance, None, is_up=False, sighting=sighting())
    assert (after.end is InstanceEnd.NEVER_LAUNCHED) is ended
    assert after.started_at is None


GIVEN_UP = row("w", status=S.STOPPED, handle=None, started_at=None, stopped_at=at(-30), end=InstanceEnd.NEVER_LAUNCHED)
VANISHED = row("w", status=S.STOPPED, handle="h-w", started_at=at(-60), stopped_at=at(-30), end=InstanceEnd.VANISHED)


@pytest.mark.parametrize(
    ("before", "seen", "times"),
    [
        (GIVEN_UP, sight(GIVEN_UP, S.PENDING), (None, at(-30))),
        (GIVEN_UP, sight(GIVEN_UP, S.RUNNING, started_at=at(-20)), (at(-20), NOW)),
        (GIVEN_UP, sight(GIVEN_UP, S.STARTING, started_at=None), (NOW, NOW)),
        (GIVEN_UP, sight(GIVEN_UP, S.STOPPED, started_at=at(-20), stopped_at=at(-5)), (at(-20), at(-5))),
        (VANISHED, sight(VANISHED, S.RUNNING), (at(-60), NOW)),
        (VANISHED, sight(VANISHED, S.STOPPED, stopped_at=at(-40)), (at(-60), at(-40))),
        (VANISHED, sight(VANISHED, S.STOPPED, stopped_at=at(-70)), (at(-60), at(-60))),
        (VANISHED, sight(VANISHED, S.STOPPED, stopped_at=None), (at(-60), at(-30))),
    ],
)
def test_what_ended_by_its_row_has_the_times_its_provider_says(
    before: Instance, seen: ObservedInstance, times: tuple[datetime | None, datetime]
) -> None:
    after = corrected(before, seen, NOW)
    assert (after.started_at, after.stopped_at) == times
    assert after.status is S.STOPPED
    assert corrected(after, seen, NOW) is after


@st.composite
def cases(draw: st.DrawFn) -> tuple[Instance, object, bool, Sighting]:
    instance = draw(instances(status=draw(st.sampled_from([s for s in S if s.is_live]))))
    status = draw(st.sampled_from([s for s in S if s is not S.REQUESTED]))
    seen = draw(st.none() | st.just(sight(instance, status)))
    if seen is not None:
        seen = replace(
            seen,
            started_at=draw(st.none() | moments()),
            stopped_at=draw(st.none() | moments()) if status is S.STOPPED else None,
        )
    now = draw(moments(instance.requested_at))
    last = draw(st.none() | moments(within=now - instance.requested_at).map(lambda m: min(m, now)))
    return (
        instance,
        seen,
        draw(st.booleans()),
        Sighting(now=now, last=last, list_lag=draw(st.sampled_from([LAG, timedelta(0)]))),
    )


@given(cases())
def test_an_instance_never_goes_back_and_its_times_stay_in_order(case: tuple[Instance, object, bool, Sighting]) -> None:
    before, seen, is_up, look = case
    after = settle(before, seen, is_up=is_up, sighting=look)  # type: ignore[arg-type]
    assert after.status.rank >= before.status.rank
    assert (after.stopped_at is not None) is (after.status is S.STOPPED) is (after.end is not None)
    if before.started_at is not None:
        assert after.started_at == before.started_at
    if after.stopped_at is not None and after.started_at is not None:
        assert after.stopped_at >= after.started_at
    if after.status.is_live and seen is not None:
        again = settle(after, seen, is_up=is_up, sighting=look)  # type: ignore[arg-type]
        assert again is after or (again.started_at, again.status) == (after.started_at, after.status)
    assert (after.role, after.order_id, after.wanted) == (before.role, before.order_id, before.wanted)
    assert before.role in Role


@pytest.mark.parametrize(("wanted", "end"), [(True, InstanceEnd.REJECTED), (False, InstanceEnd.ASKED)])
def test_what_a_queue_could_never_have_started_was_refused(wanted: bool, end: InstanceEnd) -> None:
    instance = row("w", status=S.PENDING, wanted=wanted)
    seen = replace(sight(instance, S.STOPPED, detail="its walltime is longer than is allowed"), refused=True)
    after = settle(instance, seen, is_up=False, sighting=sighting())
    assert (after.status, after.end, after.started_at) == (S.STOPPED, end, None)
    assert after.detail == "its walltime is longer than is allowed"


def test_what_the_accounts_charged_is_the_price_of_what_ended() -> None:
    instance = row("w", status=S.RUNNING)
    charged = Price(per_hour=Decimal(7), currency="SU")

    after = settle(instance, sight(instance, S.STOPPED, charged=charged), is_up=False, sighting=sighting())

    assert after.offer == replace(instance.offer, price=charged)


def test_accounts_that_come_later_correct_times_price_and_words_once() -> None:
    instance = row("w", status=S.RUNNING)
    before = settle(instance, sight(instance, S.STOPPED, stopped_at=NOW), is_up=False, sighting=sighting())
    charged = Price(per_hour=Decimal(7), currency="SU")
    seen = sight(instance, S.STOPPED, stopped_at=at(-3), charged=charged, detail="its node failed")

    after = corrected(before, seen, NOW)

    assert (after.stopped_at, after.offer.price, after.detail) == (at(-3), charged, "its node failed")
    assert corrected(after, seen, NOW) is after
