from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_values import after, make_usage, usd

from tradewind.model.budget import BudgetState
from tradewind.model.money import Money, Price
from tradewind.planning.budget import budget_state, may_start, step

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
