"""What a budget will have spent, against numbers that were worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_budgets import APRIL, MARCH
from planning_values import make_usage, usd

from tradewind.model.budget import Forecast
from tradewind.model.money import Price
from tradewind.model.usage import Usage
from tradewind.planning.forecast import forecast

THE_11TH = MARCH + timedelta(days=10)
"""Twenty-one days before the end: 504 hours."""


def used(
    start: timedelta, stop: timedelta | None, per_hour: str = "1", currency: str = "USD", instance: str = "i1"
) -> Usage:
    """Return what ran from and to so long before the 11th."""
    return make_usage(
        instance_id=instance,
        price=Price(per_hour=Decimal(per_hour), currency=currency),
        started_at=THE_11TH - start,
        stopped_at=None if stop is None else THE_11TH - stop,
    )


def told(
    limit: str, spent: str, burn: str, *usages: Usage, now: datetime = THE_11TH, ends_at: datetime = APRIL
) -> Forecast:
    return forecast(usd(limit), Decimal(spent), Decimal(burn), usages, now, MARCH, ends_at)


DAYS_7, DAYS_10, HOUR = timedelta(days=7), timedelta(days=10), timedelta(hours=1)


@pytest.mark.parametrize(
    ("usages", "spent", "at_end"),
    [
        # Nothing ran: what is spent stays.
        ((), "12", "12"),
        # A dollar an hour all along: 240 by now, and 504 to come.
        ((used(DAYS_10, None),), "240", "744"),
        # 84 dollars in the last 168 hours: half a dollar an hour for 504.
        ((used(DAYS_7, timedelta(hours=84)),), "84", "336"),
        # What ran before the last week says nothing of the pace, which is that of 168 hours.
        ((used(DAYS_10, DAYS_7 + HOUR),), "71", "71"),
        # The first ever began four hours ago and cost two dollars: half a dollar an hour.
        ((used(4 * HOUR, 2 * HOUR),), "2", "254"),
        # It began a minute ago: a pace isn't measured over less than an hour, so a sixtieth of a dollar in that.
        ((used(timedelta(minutes=1), None),), "0.016667", "8.416667"),
        # Another currency is another budget's.
        ((used(DAYS_7, None, currency="EUR"),), "3", "3"),
        # Two machines.
        ((used(DAYS_7, None), used(DAYS_7, None, "0.5", instance="i2")), "252", "1008"),
    ],
    ids=["nothing", "steady", "half", "long ago", "new", "very new", "another currency", "two"],
)
def test_the_pace_of_the_last_week_goes_on_to_the_end(usages: tuple[Usage, ...], spent: str, at_end: str) -> None:
    assert told("100000", spent, "0", *usages).at_period_end.amount == Decimal(at_end).quantize(Decimal("1E-6"))


@pytest.mark.parametrize(
    ("limit", "spent", "burn", "usages", "hours"),
    [
        # At a dollar an hour the last 60 are gone in 60 hours.
        ("300", "240", "0", (used(DAYS_10, None),), 60),
        # At the end of the month exactly.
        ("744", "240", "0", (used(DAYS_10, None),), 504),
        ("745", "240", "0", (used(DAYS_10, None),), None),
        # What runs now burns ten an hour: gone in six, before the pace would have it.
        ("300", "240", "10", (used(DAYS_10, None),), 6),
        # At two an hour it would take 30 hours: hardly any cluster lives that long.
        ("300", "240", "2", (), None),
        ("288", "240", "2", (), 24),
        # It's gone already.
        ("240", "240", "1", (used(DAYS_10, None),), 0),
        ("200", "240", "1", (used(DAYS_10, None),), 0),
        ("200", "240", "0", (), None),
        ("300", "240", "0", (), None),
    ],
)
def test_the_limit_is_reached_at_the_pace_or_within_a_day_at_the_burn(
    limit: str, spent: str, burn: str, usages: tuple[Usage, ...], hours: int | None
) -> None:
    expected = None if hours is None else THE_11TH + timedelta(hours=hours)
    assert told(limit, spent, burn, *usages).exhausted_at == expected


def test_what_runs_now_counts_up_to_the_end_of_the_period_only() -> None:
    now = APRIL - timedelta(hours=3)
    assert told("300", "240", "30", now=now).exhausted_at == now + timedelta(hours=2)
    assert told("300", "240", "15", now=now).exhausted_at is None


@pytest.mark.parametrize("now", [MARCH - timedelta(seconds=1), APRIL, datetime(2030, 1, 1, tzinfo=UTC)])
def test_outside_of_a_period_nothing_more_will_be_spent(now: datetime) -> None:
    assert told("300", "240", "10", used(DAYS_10, None), now=now) == Forecast(
        at_period_end=usd("240"), exhausted_at=None
    )


def test_in_a_leap_february_there_is_a_day_more_to_spend_in() -> None:
    first, half = datetime(2028, 2, 1, tzinfo=UTC), datetime(2028, 2, 15, tzinfo=UTC)
    usage = make_usage(price=Price(per_hour=Decimal(1)), started_at=first, stopped_at=None)
    end = datetime(2028, 3, 1, tzinfo=UTC)
    found = forecast(usd("9999"), Decimal(336), Decimal(1), [usage], half, first, end)
    assert found.at_period_end.amount == 29 * 24


@given(
    st.decimals(0, 1000, places=2),
    st.decimals(0, 1000, places=2),
    st.decimals(0, 100, places=2),
    st.lists(st.tuples(st.integers(0, 240), st.integers(0, 240)), max_size=5),
    st.integers(0, 31 * 24 - 1),
)
def test_a_forecast_is_never_below_what_is_spent_nor_in_the_past(
    limit: Decimal, spent: Decimal, burn: Decimal, spans: list[tuple[int, int]], hour: int
) -> None:
    now = MARCH + timedelta(hours=hour)
    usages = [
        make_usage(instance_id=f"i{n}", started_at=now - max(span) * HOUR, stopped_at=now - min(span) * HOUR)
        for n, span in enumerate(spans)
    ]
    found = forecast(usd(str(limit)), spent, burn, usages, now, MARCH, APRIL)
    assert found.at_period_end.amount >= spent
    assert found.exhausted_at is None or now <= found.exhausted_at <= APRIL
    if found.at_period_end.amount > limit + Decimal("1E-5") and found.at_period_end.amount > spent:
        assert found.exhausted_at is not None
