"""How much a cluster shall hold ahead: never less than it spent, nor more than there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_budgets import make_draw, make_fund, make_reservation
from planning_snapshots import page_of
from planning_values import T0, after, make_cluster, make_offer, usd

from tradewind.model.budget import Use
from tradewind.model.cluster import Cluster, ClusterStatus
from tradewind.planning.draws import Draw
from tradewind.planning.pace import cost_of
from tradewind.planning.reservations import Terms, covers, least_ahead, pay_ahead, reservation, target, use_of

TERMS = Terms(ahead=timedelta(minutes=10), ends_within=timedelta(seconds=4))
LAST_DIGIT = Decimal("1E-12")


@pytest.mark.parametrize(
    ("draw", "terms", "seconds"),
    [
        (make_draw(free=Decimal(100)), TERMS, 600),
        (make_draw(free=Decimal(5)), TERMS, 300),
        (make_draw(free=Decimal(5), others_per_hour=Decimal(240)), TERMS, 60),
        (make_draw(free=Decimal("0.01")), TERMS, 9),
        (make_draw(per_hour="0", free=Decimal(5)), TERMS, 0),
    ],
    ids=["plenty", "what is left", "shared", "never less than five rounds and the end", "free"],
)
def test_money_is_held_for_as_long_as_it_lasts_everybody(draw: Draw, terms: Terms, seconds: int) -> None:
    assert target(draw, T0, terms) == timedelta(seconds=seconds)
    assert least_ahead(terms.ends_within) == timedelta(seconds=9)


def test_a_scheduler_is_told_the_shortest_time_of_its_hard_funds() -> None:
    some, soft = make_draw(free=Decimal(5)), make_draw(free=Decimal(1), is_hard=False)
    assert pay_ahead((some, soft), (), T0, TERMS) == timedelta(minutes=5)
    assert pay_ahead((some,), [make_offer(price="240")], T0, TERMS) == timedelta(minutes=1)
    assert pay_ahead((soft,), (), T0, TERMS) is None


def test_workers_are_added_only_where_all_can_live_as_long_as_was_told() -> None:
    told = replace(TERMS, told=timedelta(seconds=116))
    offers = [make_offer(price="60")]
    # Two dollars a minute for two minutes: what was told, and its end.
    assert covers([make_draw(held=Decimal(1), free=Decimal(3))], offers, told)
    assert not covers([make_draw(held=Decimal(1), free=Decimal("2.99"))], offers, told)
    assert not covers([make_draw(held=Decimal("3.99"), free=Decimal(-9))], offers, told)
    assert covers([make_draw(held=Decimal(0), free=Decimal(0))], offers, TERMS), "it was told nothing"
    assert covers([make_draw(held=Decimal(0), is_hard=False)], offers, told)


AMOUNTS = st.decimals(0, 200, places=12)
SPANS = st.sampled_from([0.0, 0.001, 1.0, 9.0, 30.0, 600.0, 7200.0]).map(lambda s: timedelta(seconds=s))
STATES = st.sampled_from(
    [
        (ClusterStatus.STARTING, None),
        (ClusterStatus.RUNNING, None),
        (ClusterStatus.STOPPING, after(-5)),
        (ClusterStatus.STOPPED, after(-5)),
    ]
)


@st.composite
def cases(draw_: st.DrawFn) -> tuple[Draw, Cluster, Terms]:
    held = draw_(AMOUNTS)
    had = draw_(st.booleans())
    per_hour = draw_(st.decimals(0, 900, places=4))
    mine = make_reservation(str(held), str(min(held, draw_(AMOUNTS))), str(draw_(st.sampled_from([per_hour, 1]))))
    fund = make_fund(
        is_hard=draw_(st.booleans()),
        is_open=draw_(st.sampled_from([True, True, True, False])),
        ends_at=draw_(st.sampled_from([None, after(1), after(500)])),
        held=held if had else Decimal(0),
        free=draw_(st.decimals(-50, 200, places=12)),
        others_per_hour=draw_(st.decimals(0, 900, places=4)),
        reservation=mine if had else None,
    )
    status, stopping_at = draw_(STATES)
    terms = Terms(ahead=draw_(SPANS), ends_within=draw_(SPANS), told=draw_(st.none() | SPANS))
    # Finer than accounts are kept: what was not billed yet is a guess.
    spent = draw_(st.decimals(0, 200, places=15))
    cluster = make_cluster(status=status, stopping_at=stopping_at)
    return Draw(fund=fund, spent=spent, per_hour=per_hour), cluster, terms


@given(cases())
def test_nobody_asks_for_less_than_was_spent_nor_of_a_hard_budget_for_more_than_there_is(
    case: tuple[Draw, Cluster, Terms],
) -> None:
    draw, cluster, terms = case
    wanted = reservation(draw, cluster, Use.USED, T0, terms)
    fund = draw.fund
    if wanted is None:
        return
    assert fund.is_open
    assert wanted.reserved.amount >= draw.spent
    assert wanted.reserved.amount.as_tuple().exponent >= -12
    if fund.is_hard:
        assert wanted.reserved.amount <= max(draw.spent, fund.held + max(Decimal(0), fund.free)) + LAST_DIGIT
    if cluster.stopping_at is not None and cluster.status.is_live:
        assert wanted.reserved.amount <= max(draw.spent, fund.held) + LAST_DIGIT, "who stops asks for nothing more"
    if not cluster.status.is_live:
        assert wanted.reserved.amount == wanted.spent.amount <= draw.spent + LAST_DIGIT
        assert wanted.burn_per_hour.amount == 0


@given(cases())
def test_who_runs_holds_what_its_scheduler_was_told_as_far_as_there_is_money(
    case: tuple[Draw, Cluster, Terms],
) -> None:
    draw, cluster, terms = case
    fund = draw.fund
    if terms.told is None or not fund.is_open or not cluster.status.is_live or cluster.stopping_at is not None:
        return
    wanted = reservation(draw, cluster, Use.USED, T0, terms)
    holds = wanted.reserved.amount if wanted is not None else fund.held
    owed = draw.spent + cost_of(draw.per_hour, terms.told + terms.ends_within)
    most = fund.held + max(Decimal(0), fund.free) if fund.is_hard else owed
    slack = cost_of(draw.per_hour, timedelta(milliseconds=1)) + LAST_DIGIT
    assert holds >= min(owed, max(draw.spent, most)) - slack or (fund.reservation is None and holds == 0)


@given(cases())
def test_what_was_just_written_is_not_written_again(case: tuple[Draw, Cluster, Terms]) -> None:
    draw, cluster, terms = case
    first = reservation(draw, cluster, Use.USED, T0, terms)
    if first is None:
        return
    free = draw.fund.free - (first.reserved.amount - draw.fund.held)
    after_ = replace(
        draw,
        fund=replace(draw.fund, reservation=first, held=first.reserved.amount, free=free),
        spent=first.spent.amount,
    )
    again = reservation(after_, cluster, Use.USED, T0, terms)
    assert again is None or again.reserved.amount <= first.reserved.amount


def test_a_cluster_that_has_stopped_holds_what_it_spent_and_gives_back_the_rest() -> None:
    stopped = make_cluster(status=ClusterStatus.STOPPED, stopping_at=T0)
    held = make_reservation("9", "1", "60")
    draw = make_draw("3", "0", held=Decimal(9), free=Decimal(1), reservation=held)
    wanted = reservation(draw, stopped, Use.USED, T0, TERMS)
    assert wanted is not None
    assert (wanted.reserved, wanted.spent, wanted.burn_per_hour) == (usd("3"), usd("3"), usd("0"))


def test_it_is_renewed_when_half_is_used_and_given_back_above_one_and_a_half() -> None:
    running = make_cluster(status=ClusterStatus.RUNNING)
    for held, expected in (("10", None), ("5", None), ("4.9", "10"), ("15", None), ("15.1", "10")):
        mine = make_reservation(held, "0", "60")
        draw = make_draw(held=Decimal(held), free=Decimal(1000), reservation=mine)
        wanted = reservation(draw, running, Use.USED, T0, TERMS)
        assert (None if wanted is None else wanted.reserved) == (None if expected is None else usd(expected)), held


def test_the_own_limit_and_a_closed_grant_are_not_reserved() -> None:
    running = make_cluster(status=ClusterStatus.RUNNING)
    assert reservation(make_draw(free=Decimal(9), budget_id=None), running, Use.USED, T0, TERMS) is None
    assert reservation(make_draw(free=Decimal(9), is_open=False), running, Use.USED, T0, TERMS) is None


@pytest.mark.parametrize(
    ("changes", "use"),
    [
        ({"tasks_running": 1, "clients": 1}, Use.USED),
        ({"tasks_running": 1, "clients": 0}, Use.ALONE),
        ({"tasks_running": 0, "clients": 1, "idle_seconds": 60.0}, Use.IDLE),
        ({"tasks_running": 0, "clients": 1, "idle_seconds": 59.0}, Use.USED),
        ({"tasks_running": 0, "clients": 0, "idle_seconds": 59.0}, Use.ALONE),
        ({"tasks_running": 0, "clients": 1, "idle_seconds": 60.0, "held_results": 3}, Use.USED),
        ({"tasks_running": 0, "clients": 0, "idle_seconds": 60.0, "held_results": 3}, Use.IDLE),
    ],
)
def test_who_is_idle_computes_nothing_and_holds_nothing_that_anybody_wants(
    changes: dict[str, object], use: Use
) -> None:
    assert use_of(page_of((), **changes)) is use


def test_a_cluster_that_does_not_answer_counts_as_used() -> None:
    assert use_of(None) is Use.USED
