from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_values import after, make_usage
from test_planning_meter import prices, seconds, summed, usages_of_some_clusters

from tradewind.model.money import Price
from tradewind.model.usage import Usage
from tradewind.planning.focus import COLUMNS, focus_rows, values_of
from tradewind.planning.meter import cost

NOW = after(300_000)


def table(usages: list[Usage], *names: str, **range_: datetime) -> list[tuple[object, ...]]:
    return [tuple(values_of(row)[name] for name in names) for row in focus_rows(usages, NOW, **range_)]


@given(usages=usages_of_some_clusters(), since=st.none() | seconds.map(after), until=st.none() | seconds.map(after))
def test_the_costs_of_the_rows_add_up_to_the_meters_total_to_the_last_digit(
    usages: list[Usage], since: datetime | None, until: datetime | None
) -> None:
    rows = [values_of(row) for row in focus_rows(usages, NOW, since=since, until=until)]
    total = summed([cost(usages, NOW, since, until)])
    assert _sums(rows, "PricingCurrency", "PricingCurrencyEffectiveCost") == total
    money = {currency: amount for currency, amount in total.items() if currency != "SU"}
    for column in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
        assert _sums(rows, "BillingCurrency", column) == money


@given(usages=usages_of_some_clusters(), price=prices)
def test_no_row_spans_two_days_and_a_cost_is_its_quantity_times_its_price(usages: list[Usage], price: Price) -> None:
    for row in focus_rows(usages, NOW):
        values = values_of(row)
        assert values.keys() == COLUMNS.keys()
        begins, ends = values["ChargePeriodStart"], values["ChargePeriodEnd"]
        assert isinstance(begins, datetime)
        assert isinstance(ends, datetime)
        assert ends - begins == timedelta(days=1)
        assert begins <= datetime.fromisoformat(str(values["x_UsageStart"]))
        assert datetime.fromisoformat(str(values["x_UsageEnd"])) <= ends
        quantity, unit_price, total = values["PricingQuantity"], values["ListUnitPrice"], values["ListCost"]
        assert isinstance(quantity, Decimal)
        assert isinstance(unit_price, Decimal)
        assert isinstance(total, Decimal)
        assert abs(quantity * unit_price - total) < Decimal("1e-10")


def test_a_month_ends_at_its_first_moment_after() -> None:
    start = datetime(2026, 1, 31, 23, 0, tzinfo=UTC)
    usage = replace(make_usage(), started_at=start, stopped_at=start + timedelta(hours=2))
    month = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "BilledCost")
    assert table([usage], *month) == [
        (_day(1, 1), _day(2, 1), _day(1, 31), Decimal("0.5")),
        (_day(2, 1), _day(3, 1), _day(2, 1), Decimal("0.5")),
    ]


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (Price(per_hour=Decimal(2)), ("USD", 2, "USD", 2, "priced")),
        (Price(per_hour=Decimal(2), currency="EUR"), ("EUR", 2, "EUR", 2, "priced")),
        (Price(per_hour=Decimal(2), currency="SU"), ("USD", 0, "SU", 2, "priced")),
        (Price(per_hour=Decimal(0)), ("USD", 0, "USD", 0, "free")),
        (Price(per_hour=Decimal(0), currency="SU"), ("USD", 0, "USD", 0, "free")),
        (None, ("USD", 0, "USD", 0, "unpriced")),
    ],
)
def test_service_units_are_no_money_and_free_is_told_from_unpriced(
    price: Price | None, expected: tuple[object, ...]
) -> None:
    names = ("BillingCurrency", "BilledCost", "PricingCurrency", "PricingCurrencyEffectiveCost", "x_PriceStatus")
    assert table([make_usage(price=price)], *names) == [expected]


def test_what_runs_is_billed_up_to_now_and_says_that_it_runs() -> None:
    names = ("x_UsageEnd", "x_IsRunning")
    assert table([make_usage(299_000, None)], *names) == [(NOW.isoformat(), "true")]


def _sums(rows: list[dict[str, object]], currency: str, column: str) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for row in rows:
        amount = row[column]
        assert isinstance(amount, Decimal)
        sums[str(row[currency])] = sums.get(str(row[currency]), Decimal(0)) + amount
    return {name: amount for name, amount in sums.items() if amount}


def _day(month: int, day: int) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)
