"""What limits a cluster's spending, what it draws of that, and how long it lasts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from planning_budgets import APRIL, MARCH, make_budget, make_draw, make_fund, make_grant, make_reservation
from planning_values import T0, after, make_cluster, make_instance, make_offer, make_usage, usd

from tradewind.model.budget import Account, Budget, BudgetScope, Reservation
from tradewind.model.instance import InstanceStatus
from tradewind.model.money import Price
from tradewind.planning.draws import Draw, affordable, burn, draws, paid_for
from tradewind.planning.funds import can_hold, funds_of, own_fund, without_new_money
from tradewind.planning.pace import FOREVER, cost_of, lasts

LAST_DIGIT = Decimal("1E-12")


def account(committed: str = "0", burn_: str = "0", starts_at: datetime = MARCH, ends_at: datetime = APRIL) -> Account:
    return Account(
        budget_id="b1", starts_at=starts_at, ends_at=ends_at, committed=usd(committed), burn_per_hour=usd(burn_)
    )


# Funds


def test_each_budget_that_holds_is_a_fund_with_what_this_cluster_and_the_others_take_of_it() -> None:
    other = replace(make_budget("9", scope=BudgetScope.USER, key="eve"), id="b2")
    mine = make_reservation("7", "5", "2")
    (fund,) = funds_of(make_cluster(), [(make_budget("100"), account("30", "12")), (other, None)], [mine], T0)
    assert (fund.held, fund.free, fund.others_per_hour) == (Decimal(7), Decimal(70), Decimal(10))
    assert (fund.since, fund.until, fund.ends_at) == (MARCH, APRIL, None)
    assert fund.reservation is mine


@pytest.mark.parametrize(
    ("held", "found"),
    [
        # The account is that of the month before, and so is what was held of it.
        ([make_reservation("7", starts_at=MARCH)], None),
        ([make_reservation("7", starts_at=MARCH)], account("30", "12")),
        ([], None),
    ],
)
def test_when_the_month_has_turned_all_is_free_again_and_nothing_is_held(
    held: list[Reservation], found: Account | None
) -> None:
    (fund,) = funds_of(make_cluster(), [(make_budget("100"), found)], held, APRIL)
    assert (fund.held, fund.free, fund.others_per_hour) == (Decimal(0), Decimal(100), Decimal(0))
    assert fund.reservation is None
    assert fund.since == APRIL


def test_a_lowered_limit_leaves_less_than_nothing_free() -> None:
    (fund,) = funds_of(make_cluster(), [(make_budget("10"), account("30"))], [], T0)
    assert fund.free == -20
    assert Draw(fund=fund, spent=Decimal(0), per_hour=Decimal(1)).left == usd("0")


def test_a_clusters_own_limit_is_all_its_own() -> None:
    cluster = make_cluster()
    assert own_fund(cluster) == ()
    (fund,) = own_fund(replace(cluster, spec=replace(cluster.spec, budget=usd("5"))))
    assert (fund.held, fund.free, fund.budget_id, fund.since) == (Decimal(5), Decimal(0), None, None)


@pytest.mark.parametrize(
    ("price", "is_hard", "can"),
    [
        (Price(per_hour=Decimal(1)), True, True),
        (Price(per_hour=Decimal(0), currency="EUR"), True, True),
        (Price(per_hour=Decimal(1), currency="EUR"), True, False),
        (None, True, False),
        (Price(per_hour=Decimal(1), currency="EUR"), False, True),
        (None, False, True),
    ],
)
def test_a_hard_limit_takes_only_what_it_can_be_held_to(price: Price | None, is_hard: bool, can: bool) -> None:
    assert can_hold(make_fund(is_hard=is_hard), replace(make_offer(), price=price)) is can


def test_who_gets_no_answer_has_what_is_held_and_no_more() -> None:
    hard, owing, soft = (
        make_fund(free=Decimal(5)),
        make_fund(free=Decimal(-5)),
        make_fund(free=Decimal(5), is_hard=False),
    )
    assert [fund.free for fund in without_new_money((hard, owing, soft))] == [0, -5, 5]


# Draws


def test_what_may_have_been_billed_since_anybody_looked_is_counted() -> None:
    rows = [
        make_instance(id="i1"),
        make_instance(id="i2", status=InstanceStatus.PENDING, started_at=None, requested_at=after(3000)),
        make_instance(id="i3", status=InstanceStatus.STOPPED, stopped_at=after(10)),
    ]
    fund = make_fund(held=Decimal(1))
    (draw,) = draws([fund], rows, [make_usage(0, None)], after(3600), seen_at=after(3300))
    assert draw.per_hour == Decimal("0.2"), "what stopped burns nothing, what is ordered does"
    # Half a dollar by the bill, and five minutes of what hadn't begun when its provider was asked.
    assert draw.spent == Decimal("0.5") + Decimal("0.1") * 300 / 3600
    (never,) = draws([fund], rows, [make_usage(0, None)], after(3600))
    assert never.spent == Decimal("0.5") + Decimal("0.1") * 600 / 3600


def test_what_nobody_saw_spent_no_more_than_was_set_aside_for_it() -> None:
    ordered = make_instance(status=InstanceStatus.REQUESTED, started_at=None, requested_at=after(0))
    (draw,) = draws([make_fund(held=Decimal("0.02"))], [ordered], [], after(3600))
    assert draw.spent == Decimal("0.02")
    (draw,) = draws([make_fund(held=Decimal("0.02"))], [ordered], [make_usage(0, None)], after(3600))
    assert draw.spent == Decimal("0.5"), "the bill is true whatever was set aside"


def test_only_what_lies_in_its_period_is_drawn_of_a_fund() -> None:
    fund = make_fund(since=after(600), until=after(1200), held=Decimal(1))
    pending = make_instance(id="i2", status=InstanceStatus.REQUESTED, started_at=None, requested_at=after(0))
    (draw,) = draws([fund], [pending], [make_usage(0, None)], after(900))
    assert draw.spent == (Decimal("0.5") * 300 / 3600).quantize(LAST_DIGIT) + Decimal("0.1") * 300 / 3600


@pytest.mark.parametrize(
    ("draw", "alone", "for_all", "held"),
    [
        # Ten dollars of its own and fifty that nobody holds, at a dollar a minute.
        (make_draw(held=Decimal(10), free=Decimal(50)), 60, 60, 10),
        (make_draw(held=Decimal(10), free=Decimal(50), others_per_hour=Decimal(60)), 60, 30, 10),
        (make_draw("4", held=Decimal(10), free=Decimal(50)), 56, 56, 6),
        (make_draw("12", held=Decimal(10), free=Decimal(50)), 48, 48, 0),
        (make_draw("5", held=Decimal(10), free=Decimal(-2)), 5, 3, 5),
        (make_draw(held=Decimal(10), free=Decimal(50), ends_at=after(120)), 2, 2, 2),
        (make_draw(held=Decimal(10), free=Decimal(50), ends_at=after(-1)), 0, 0, 0),
        (make_draw(held=Decimal(10), free=Decimal(50), is_open=False), 0, 0, 0),
    ],
)
def test_money_lasts_as_long_as_it_pays_for(draw: Draw, alone: int, for_all: int, held: int) -> None:
    draw = replace(draw, fund=replace(draw.fund, reservation=make_reservation(str(draw.fund.held), "0", "60")))
    assert draw.lasts(T0) == timedelta(minutes=alone)
    assert draw.lasts_for_all(T0) == timedelta(minutes=for_all)
    assert (draw.paid_for(T0) or timedelta(0)) == timedelta(minutes=held)


@pytest.mark.parametrize("draw", [make_draw(is_hard=False), make_draw(per_hour="0")])
def test_a_soft_limit_and_what_costs_nothing_last_for_ever(draw: Draw) -> None:
    assert draw.lasts(T0) == draw.lasts_for_all(T0) == FOREVER
    assert draw.paid_for(T0) is None


def test_the_shortest_of_all_funds_pays_and_the_end_is_paid_for_too() -> None:
    long, short = make_draw(held=Decimal(10), budget_id=None), make_draw(held=Decimal(2), budget_id=None)
    assert paid_for((long, short), T0, timedelta(seconds=20)) == timedelta(seconds=100)
    assert paid_for((long, short), T0, timedelta(hours=1)) == timedelta(0)
    assert paid_for((make_draw(is_hard=False),), T0, timedelta(0)) is None


def test_no_more_are_launched_than_can_be_paid_for_beside_the_others() -> None:
    offers = [make_offer(price="60")] * 9
    # Ten dollars: two minutes, since it is shared, of a dollar a minute each; two burn already.
    draw = make_draw(per_hour="60", free=Decimal(10), others_per_hour=Decimal(60))
    assert affordable([draw], offers, T0) == 3
    assert affordable([draw, make_draw(per_hour="0", free=Decimal(3))], offers, T0) == 1
    assert affordable([make_draw(per_hour="0", held=Decimal(3), budget_id=None)], offers, T0) == 3
    assert affordable([draw], [offers[0], make_offer(price=None), offers[0]], T0) == 1
    assert affordable([], offers, T0) == 9


def test_a_new_cluster_begins_on_what_was_set_aside_for_it() -> None:
    draw = make_draw(per_hour="0", held=Decimal(2), free=Decimal(0), others_per_hour=Decimal(6000))
    offers = [make_offer(price="60")] * 3
    assert affordable([draw], offers, T0) == 0
    assert affordable([draw], offers, T0, is_new=True) == 2


# Pace


@pytest.mark.parametrize(
    ("amount", "per_hour", "span"),
    [
        ("1", "60", timedelta(minutes=1)),
        ("0", "60", timedelta(0)),
        ("-1", "60", timedelta(0)),
        ("0", "0", timedelta(0)),
        ("1", "0", FOREVER),
        ("1E9", "0.0001", FOREVER),
    ],
)
def test_money_lasts(amount: str, per_hour: str, span: timedelta) -> None:
    assert lasts(Decimal(amount), Decimal(per_hour)) == span
    assert T0 + lasts(Decimal(amount), Decimal(per_hour)) >= T0


def test_a_span_that_lies_behind_costs_nothing() -> None:
    assert cost_of(Decimal(60), timedelta(seconds=-1)) == 0


def test_a_grant_that_has_not_begun_pays_for_nothing() -> None:
    grant: Budget = make_grant(after(10), after(20))
    (fund,) = funds_of(make_cluster(), [(grant, None)], [], T0)
    assert not fund.is_open
    assert Draw(fund=fund, spent=Decimal(0), per_hour=Decimal(1)).lasts(T0) == timedelta(0)
    assert burn([make_instance(), make_instance(id="i2")], "EUR") == 0
