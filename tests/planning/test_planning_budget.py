from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_values import after, make_usage, usd

from tradewind.model.budget import BudgetState
from tradewind.model.money import Money, Price
from tradewind.planning.budget import budget_state, is_exhausted, may_start, step

FIVE_MINUTES = timedelta(minutes=5)
EUR = Money(amount=Decimal(1), currency="EUR")


def state(limit: str, spent: str, burn: str = "0") -> BudgetState:
    return BudgetState(limit=usd(limit), spent=usd(spent), burn_per_hour=usd(burn))


def test_a_budget_counts_what_was_spent_and_what_an_hour_costs() -> None:
    usages = [make_usage(0, 3600), make_usage(0, None), make_usage(0, None, price=Price(per_hour=Decimal(0)))]
    assert budget_state(usd("10"), usages, after(7200)) == state("10", "1.5", "0.5")


def test_a_budget_without_usages_is_untouched() -> None:
    assert budget_state(usd("10"), (), after(0)) == state("10", "0")


@pytest.mark.parametrize(
    ("limit", "spent", "planned", "expected"),
    [
        (usd("1"), usd("0"), usd("12"), None),
        (usd("1"), usd("0.5"), usd("6"), None),
        (usd("0"), usd("0"), usd("0"), None),
        (usd("1"), usd("5"), usd("0"), None),
        (
            usd("1"),
            usd("0"),
            usd("24"),
            "a budget of 1.00 USD doesn't pay for 5 minutes of this: it costs 24.00 USD per hour, so that needs "
            "2.00 USD; ask for fewer or smaller workers, or raise the budget",
        ),
        (
            usd("10"),
            usd("9"),
            usd("24"),
            "a budget of 10.00 USD, of which 1.00 USD is left, doesn't pay for 5 minutes of this: it costs 24.00 USD "
            "per hour, so that needs 2.00 USD; ask for fewer or smaller workers, or raise the budget",
        ),
        (
            usd("1"),
            usd("1"),
            usd("0.1"),
            "nothing is left of the budget of 1.00 USD: raise it, or run on something free",
        ),
        (
            usd("1"),
            usd("0"),
            None,
            "a budget of 1.00 USD can't be held on instances without a price: set the provider's price, or leave out "
            "the budget",
        ),
        (
            usd("1"),
            usd("0"),
            EUR,
            "the budget is in USD and the price in EUR, and exchange rates are not Tradewind's business: give the "
            "budget in EUR",
        ),
        (
            usd("1"),
            EUR,
            usd("1"),
            "the budget is in USD and the price in EUR, and exchange rates are not Tradewind's business: give the "
            "budget in EUR",
        ),
    ],
)
def test_what_can_not_be_paid_does_not_start(
    limit: Money, spent: Money, planned: Money | None, expected: str | None
) -> None:
    assert may_start(limit, spent, planned, FIVE_MINUTES) == expected


amounts = st.decimals(0, 1000, places=4).map(lambda amount: Money(amount=amount, currency="USD"))


@given(limit=amounts, spent=amounts, planned=amounts, minutes=st.integers(0, 600))
def test_nothing_starts_that_would_pass_the_limit_within_its_minimum(
    limit: Money, spent: Money, planned: Money, minutes: int
) -> None:
    minimum = timedelta(minutes=minutes)
    refusal = may_start(limit, spent, planned, minimum)
    needed = planned.amount * minutes / 60
    if refusal is None and planned.amount:
        assert spent.amount + needed <= limit.amount
    if refusal is not None:
        assert spent.amount + needed > limit.amount or spent.amount >= limit.amount


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (state("1", "0", "0"), False),
        (state("0", "0", "0"), False),
        (state("1", "0.5", "36"), False),
        (state("1", "0.98", "36"), False),
        (state("1", "0.99", "36"), True),
        (state("1", "1", "0"), True),
        (state("1", "1.2", "36"), True),
        (state("0", "0", "0.1"), True),
    ],
)
def test_a_budget_is_exhausted_when_the_next_second_would_reach_it(now: BudgetState, expected: bool) -> None:
    assert is_exhausted(now, timedelta(seconds=1)) is expected


@given(limit=amounts, burn=amounts, horizon_s=st.integers(1, 60), phase=st.floats(0, 1))
def test_looking_every_round_a_limit_is_never_passed_by_more_than_a_round(
    limit: Money, burn: Money, horizon_s: int, phase: float
) -> None:
    horizon = timedelta(seconds=horizon_s)
    per_round = burn.amount * horizon_s / 3600
    spent = per_round * Decimal(phase)
    for _ in range(50):
        if is_exhausted(
            BudgetState(limit=limit, spent=Money(amount=spent, currency="USD"), burn_per_hour=burn), horizon
        ):
            break
        spent += per_round
        assert spent < limit.amount or per_round == 0
    assert spent <= limit.amount + per_round


@pytest.mark.parametrize(
    ("limit", "spent", "expected"),
    [
        ("10", "0", 0),
        ("10", "4.999999", 0),
        ("10", "5", 50),
        ("10", "7.99", 50),
        ("10", "8", 80),
        ("10", "9.9999999", 80),
        ("10", "10", 100),
        ("10", "12", 100),
        ("0", "0", 0),
        ("0", "0.01", 100),
    ],
)
def test_steps_are_passed_exactly_at_their_percentage(limit: str, spent: str, expected: int) -> None:
    assert step(state(limit, spent)) == expected
