"""Who is told of a budget's steps, and who winds down when its money runs out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from planning_budgets import APRIL, MARCH, account_of, make_budget, make_grant, make_holder
from planning_values import T0, after, usd

from tradewind.model.budget import Use
from tradewind.planning.accounts import (
    CALM,
    GRACE,
    HANDOVER,
    AccountPlan,
    AccountState,
    Holder,
    order_of_end,
    plan_account,
)


def winding(plan: AccountPlan) -> tuple[str, ...]:
    return tuple(cluster_id for cluster_id, _ in plan.wind_down)


# What is spent


@pytest.mark.parametrize(
    ("holder", "seconds", "spent"),
    [
        (make_holder(spent="5", reserved="9"), 0, "5"),
        (make_holder(spent="5", reserved="9"), 60, "6"),
        (make_holder(spent="5", reserved="9"), 6000, "9"),
        (make_holder(spent="5", reserved="9"), -60, "5"),
        (make_holder(spent="5", reserved="4"), 60, "5"),
        (make_holder(burn="0", spent="5", reserved="9"), 60, "5"),
    ],
    ids=["as metered", "goes on", "never what it doesn't hold", "a clock behind", "a lowered limit", "free"],
)
def test_a_cluster_has_spent_what_was_metered_and_its_burn_since(holder: Holder, seconds: float, spent: str) -> None:
    assert holder.spent(after(seconds)) == Decimal(spent)


def test_an_account_has_spent_what_the_stopped_did_and_what_the_others_have() -> None:
    state = account_of(
        make_budget("100"), make_holder("c1", spent="5", reserved="9"), make_holder("c2", spent="1", reserved="2"),
        settled="30",
    )  # fmt: skip
    assert state.spent(after(30)) == Decimal("30") + Decimal("5.5") + Decimal("1.5")
    assert state.state(T0).burn_per_hour == usd("120")


# Steps


@pytest.mark.parametrize(
    ("spent", "told", "then", "notice"),
    [
        ("0", 0, 0, None),
        ("49.99", 0, 0, None),
        ("50", 0, 50, "50 % of the budget of 100.00 USD a month for workspace 'home' is spent: 50.00 USD, and "
                       "50.00 USD is left."),
        ("79.99", 50, 50, None),
        ("80", 50, 80, "80 % of"),
        ("99.9", 80, 80, None),
        ("100", 80, 100, "100 % of"),
        ("130", 80, 100, "130.00 USD, and 0 USD is left"),
        ("100", 0, 100, "100 % of"),
        ("100", 100, 100, None),
        ("79", 80, 80, None),
        ("75.1", 80, 80, None),
        ("75", 80, 50, None),
        ("10", 80, 0, None),
    ],
)  # fmt: skip
def test_a_step_is_told_when_it_is_reached_and_forgotten_well_below(
    spent: str, told: int, then: int, notice: str | None
) -> None:
    plan = plan_account(account_of(make_budget("100"), settled=spent, told=told), T0)
    assert plan.told == then
    assert (plan.notice is None) if notice is None else (notice in (plan.notice or ""))


@pytest.mark.parametrize(
    ("is_hard", "spent", "follows"),
    [
        (True, "50", "When that lasts less than a minute for all that runs, clusters wind down."),
        (True, "80", "When that lasts less than a minute for all that runs, clusters wind down."),
        (True, "100", "Nothing starts until it is raised, or begins anew."),
        (False, "50", "It is soft, and stops nothing."),
        (False, "100", "It is soft, and stops nothing."),
    ],
)
def test_who_is_told_of_a_step_is_told_what_follows(is_hard: bool, spent: str, follows: str) -> None:
    budget = replace(make_budget("100"), is_hard=is_hard)
    assert (plan_account(account_of(budget, settled=spent), T0).notice or "").endswith(f" left. {follows}")


@given(st.lists(st.decimals(0, 12, places=2), min_size=1, max_size=30))
def test_while_spending_only_grows_each_step_is_told_at_most_once(parts: list[Decimal]) -> None:
    budget, spent, told, notices = make_budget("100"), Decimal(0), 0, []
    for part in parts:
        spent += part
        for _ in range(2):  # a look may be done twice
            plan = plan_account(account_of(budget, settled=str(spent), told=told), T0)
            if plan.notice is not None:
                notices.append(plan.told)
            told = plan.told
    assert notices == sorted(set(notices))
    assert (notices[-1:] or [0]) == [next((step for step in (100, 80, 50) if spent >= step), 0)]


def test_a_soft_budget_tells_and_stops_nobody() -> None:
    plan = plan_account(account_of(make_budget("100", is_hard=False), make_holder(spent="200")), T0)
    assert plan.told == 100
    assert plan.notice is not None
    assert plan.wind_down == ()


# Winding down: the order that docs/concepts/budgets.md promises


TOLD = make_holder("told", use=Use.USED, age_s=9000, ends_by=after(20), ends_for="b1")
IDLE = make_holder("idle", use=Use.IDLE, age_s=8000)
IDLE_NEW = make_holder("idle, new", use=Use.IDLE, age_s=5)
ALONE = make_holder("alone", use=Use.ALONE, age_s=7000)
ALONE_NEW = make_holder("alone, new", use=Use.ALONE, age_s=4)
USED = make_holder("used", use=Use.USED, age_s=6000)
USED_NEW = make_holder("used, new", use=Use.USED, age_s=3)
ORDER = (TOLD, IDLE_NEW, IDLE, ALONE_NEW, ALONE, USED_NEW, USED)


@given(st.permutations(ORDER))
def test_who_was_told_goes_first_then_the_idle_then_the_lonely_then_the_newest(holders: list[Holder]) -> None:
    assert sorted(holders, key=order_of_end) == list(ORDER)
    # Enough for nobody: all go, in this order.
    plan = plan_account(account_of(make_budget("7"), *holders, settled="7"), T0)
    assert winding(plan) == tuple(h.name for h in ORDER if h is not TOLD)
    assert {ends_by for _, ends_by in plan.wind_down} == {T0 + HANDOVER}


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        # Three burn a dollar a minute each. Who goes spends half a dollar more while it hands over.
        ("3", ()),
        ("2.99", ("idle, new",)),
        ("2.5", ("idle, new",)),
        ("2.49", ("idle, new", "alone")),
        ("2", ("idle, new", "alone")),
        ("1.99", ("idle, new", "alone", "used")),
        ("0", ("idle, new", "alone", "used")),
        ("-5", ("idle, new", "alone", "used")),
    ],
)
def test_as_few_wind_down_as_let_the_others_go_on_for_a_minute(left: str, expected: tuple[str, ...]) -> None:
    state = account_of(make_budget("100"), USED, ALONE, IDLE_NEW, settled=str(100 - Decimal(left)))
    assert winding(plan_account(state, T0)) == expected


HOLDERS = st.lists(
    st.builds(
        make_holder,
        burn=st.decimals("0", "120", places=2).map(str),
        use=st.sampled_from(Use),
        age_s=st.integers(0, 99999),
        ends_by=st.sampled_from([None, None, after(5), after(25)]),
        ends_for=st.sampled_from(["b1", "another"]),
        is_live=st.sampled_from([True, True, True, False]),
    ),
    max_size=7,
).map(lambda found: [replace(h, name=f"c{n}", reservation=replace(h.reservation, cluster_id=f"c{n}")) for n, h in enumerate(found)])  # fmt: skip  # noqa: E501


@given(HOLDERS, st.decimals("-2", "12", places=3))
def test_whoever_holds_what_the_first_in_order_go_and_never_one_too_many(holders: list[Holder], left: Decimal) -> None:
    state = account_of(make_budget("100"), *holders, settled=str(100 - left))
    plan = plan_account(state, T0)
    burning = sorted((h for h in holders if h.is_live and h.per_hour), key=order_of_end)
    going = [h for h in burning if h.ends_by is not None or h.name in winding(plan)]
    assert going == burning[: len(going)], "nobody goes before another whose turn it is"
    assert set(plan.go_on).isdisjoint(winding(plan))
    new = [h for h in burning if h.name in winding(plan)]
    assume(new)
    # Without the last of them, what is left wouldn't last those who stay for a minute.
    rest, stay = left, [h for h in burning if h not in going]
    for holder in going:
        if holder is not new[-1]:
            seconds = Decimal(((holder.ends_by or T0 + HANDOVER) - T0).total_seconds())
            rest -= holder.per_hour * seconds / 3600
    burn = sum((h.per_hour for h in (*stay, new[-1])), Decimal(0))
    assert rest < burn / 60 + Decimal("1E-9")


def test_who_winds_down_may_go_on_once_the_money_lasts_twice_as_long() -> None:
    told = make_holder(ends_by=after(20), ends_for="b1")
    assert GRACE < CALM == timedelta(minutes=2)
    between = account_of(make_budget("100"), told, settled="98.5")
    assert plan_account(between, T0).go_on == ()
    enough = account_of(make_budget("100"), told, settled="98")
    assert plan_account(enough, T0).go_on == ("c1",)
    assert plan_account(enough, T0).wind_down == ()


@pytest.mark.parametrize(
    "state",
    [
        account_of(make_budget("100"), make_holder(ends_by=after(20), ends_for="b2")),
        account_of(make_budget("100", is_hard=False), make_holder(ends_by=after(20), ends_for="b2")),
        account_of(make_budget("100", removed_at=T0), make_holder(ends_by=after(20), ends_for="b2")),
    ],
    ids=["with plenty", "soft", "removed"],
)
def test_no_budget_lets_go_on_who_winds_down_for_another(state: AccountState) -> None:
    assert plan_account(state, T0).go_on == ()


@pytest.mark.parametrize(
    "changes", [{"is_hard": False}, {"removed_at": T0}, {"limit": usd("1000")}], ids=["soft", "removed", "raised"]
)
def test_a_budget_that_stops_nobody_any_more_lets_go_on_who_winds_down_for_it(changes) -> None:
    state = account_of(
        replace(make_budget("100"), **changes), make_holder(spent="99.9", ends_by=after(20), ends_for="b1")
    )
    assert plan_account(state, T0).go_on == ("c1",)


def test_at_the_end_of_a_grant_its_clusters_wind_down_however_much_is_left() -> None:
    grant = make_grant(after(-3600), after(59))
    assert winding(plan_account(account_of(grant, USED), T0)) == ("used",)
    assert winding(plan_account(account_of(replace(grant, ends_at=after(61)), USED), T0)) == ()


# Settling and waking


def test_who_has_stopped_is_settled_at_once_and_all_when_the_period_is_over() -> None:
    gone = make_holder("gone", is_live=False)
    assert plan_account(account_of(make_budget("100"), gone, USED), T0).settle == ("gone",)
    over = plan_account(account_of(make_budget("100"), gone, USED), APRIL)
    assert over.settle == ("gone", "used")
    assert over.wind_down == ()
    assert plan_account(account_of(make_budget("100")), APRIL).wake_at is None


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        # 100 dollars at one a minute: the first step comes after 50 minutes, and nobody sleeps for that long.
        (account_of(make_budget("100"), USED), 60),
        (account_of(make_budget("100"), USED, settled="49.5"), 30),
        (account_of(make_budget("100"), USED, settled="98.5"), 30),
        (account_of(make_budget("100"), USED, settled="99.5"), 1),
        (account_of(make_budget("100"), USED, TOLD), 1),
        (account_of(make_budget("100"), USED, make_holder("gone", is_live=False)), 1),
    ],
    ids=["plenty", "a step", "the last minute", "all but gone", "who hands over", "who is to be settled"],
)
def test_an_account_is_looked_at_again_when_something_is_to_be_said(state: AccountState, seconds: int) -> None:
    assert plan_account(state, T0).wake_at == after(seconds)


@pytest.mark.parametrize(
    "state", [account_of(make_budget("100")), account_of(make_budget("100"), make_holder(burn="0"))]
)
def test_an_account_that_nobody_burns_sleeps_until_its_period_ends(state: AccountState) -> None:
    assert plan_account(state, T0).wake_at == APRIL


@given(HOLDERS, st.decimals("-2", "120", places=3), st.integers(0, 40 * 86400))
def test_an_account_that_is_burnt_is_always_looked_at_again_and_soon(
    holders: list[Holder], left: Decimal, seconds: int
) -> None:
    now = MARCH + timedelta(seconds=seconds)
    plan = plan_account(account_of(make_budget("100"), *holders, settled=str(100 - left)), now)
    assert plan == plan_account(account_of(make_budget("100"), *holders, settled=str(100 - left)), now)
    if now < APRIL:
        assert plan.wake_at is not None
        assert now < plan.wake_at <= APRIL
        if any(h.is_live and h.per_hour for h in holders):
            assert plan.wake_at <= now + timedelta(seconds=60)
    elif plan.settle:
        assert plan.wake_at == now + timedelta(seconds=1)
