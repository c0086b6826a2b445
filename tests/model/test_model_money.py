from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.model.money import Money, Price
from tradewind.model.usage import Cost


def money(amount: str, currency: str = "USD") -> Money:
    return Money(amount=Decimal(amount), currency=currency)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0", "0 USD"),
        ("0.000000000000", "0 USD"),
        ("1.23", "1.23 USD"),
        ("1", "1.00 USD"),
        ("1E+2", "100.00 USD"),
        ("1234.5678", "1234.57 USD"),
        ("0.999", "1.00 USD"),
        ("0.5", "0.50 USD"),
        ("0.123", "0.12 USD"),
        ("0.0996", "0.10 USD"),
        ("0.0042", "0.0042 USD"),
        ("0.0042371", "0.0042 USD"),
        ("0.004", "0.004 USD"),
        ("0.0099999", "0.01 USD"),
        ("0.0001", "0.0001 USD"),
        ("0.00009", "<0.0001 USD"),
        ("1E-12", "<0.0001 USD"),
        ("-1.5", "-1.50 USD"),
        ("-0.00009", "-<0.0001 USD"),
        ("123456789012345678901234567890.125", "123456789012345678901234567890.12 USD"),
    ],
)
def test_money_is_shown_as_people_write_it(amount: str, expected: str) -> None:
    assert str(money(amount)) == expected


@pytest.mark.parametrize(
    ("per_hour", "expected"),
    [
        ("0", "free"),
        ("0.00", "free"),
        ("0.192", "0.192 USD/h"),
        ("3.06", "3.06 USD/h"),
        ("1", "1.00 USD/h"),
        ("32.7726", "32.77 USD/h"),
        ("0.0116", "0.0116 USD/h"),
        ("0.04166666666667", "0.04167 USD/h"),
        ("0.000000001", "0.000000001 USD/h"),
        ("1E+3", "1000.00 USD/h"),
    ],
)
def test_a_price_is_shown_with_the_digits_that_matter(per_hour: str, expected: str) -> None:
    assert str(Price(per_hour=Decimal(per_hour))) == expected


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (Cost(), "nothing used"),
        (Cost(money=(money("1.23"),), instance_seconds=9), "1.23 USD"),
        (Cost(money=(money("4", "SU"), money("1.5")), instance_seconds=9), "4.00 SU + 1.50 USD"),
        (Cost(instance_seconds=9, free_seconds=9), "free"),
        (Cost(money=(money("1.5"),), instance_seconds=9, free_seconds=4), "1.50 USD"),
        (Cost(instance_seconds=5400, unpriced_seconds=5400), "1.5 instance-hours without a price"),
        (
            Cost(money=(money("1.5"),), instance_seconds=900, unpriced_seconds=90),
            "1.50 USD + 1.5 instance-minutes without a price",
        ),
        (
            Cost(instance_seconds=900, free_seconds=60, unpriced_seconds=840),
            "free + 14.0 instance-minutes without a price",
        ),
        (Cost(instance_seconds=1e-6), "less than can be shown"),
    ],
)
def test_a_cost_never_shows_the_unpriced_as_nothing(cost: Cost, expected: str) -> None:
    assert str(cost) == expected


@given(st.decimals(Decimal("0.0001"), 10**9, places=12))
def test_what_is_shown_is_within_six_per_cent_of_the_amount(amount: Decimal) -> None:
    shown = Decimal(str(Money(amount=amount, currency="USD")).split()[0])
    assert abs(shown - amount) <= amount * Decimal("0.06")


def test_two_currencies_are_not_added() -> None:
    with pytest.raises(ValueError, match="can't add EUR to USD"):
        money("1") + money("1", "EUR")


def test_a_negative_duration_costs_nothing() -> None:
    assert Price(per_hour=Decimal(2)).cost_of(timedelta(seconds=-1)).amount == 0
