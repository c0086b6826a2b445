"""Which budgets hold for what, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_budgets import make_budget, make_grant
from planning_values import T0, after, make_cluster, make_usage, usd

from tradewind.model.budget import BudgetScope
from tradewind.model.cluster import ClusterSpec, Scaling
from tradewind.model.money import Money, Price
from tradewind.planning.limits import applies, counts, is_open, period_at, spent, title

LAST_DIGIT = Decimal("1E-12")
MOMENTS = st.builds(
    lambda seconds, zone: datetime.fromtimestamp(seconds, zone),
    st.floats(0, 5e9),
    st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-9, minutes=-30))]),
)


def day(year: int, month: int, day: int = 1, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "starts_at", "ends_at"),
    [
        (day(2026, 3), day(2026, 3), day(2026, 4)),
        (day(2026, 4) - timedelta(microseconds=1), day(2026, 3), day(2026, 4)),
        (day(2026, 12, 31, 23), day(2026, 12), day(2027, 1)),
        (day(2027, 1), day(2027, 1), day(2027, 2)),
        (day(2028, 2, 29), day(2028, 2), day(2028, 3)),
        (day(2100, 2, 28, 23), day(2100, 2), day(2100, 3)),
        # The first of May in Kiritimati is still April.
        (datetime(2026, 5, 1, 10, tzinfo=timezone(timedelta(hours=14))), day(2026, 4), day(2026, 5)),
        (datetime(2026, 4, 30, 20, tzinfo=timezone(timedelta(hours=-8))), day(2026, 5), day(2026, 6)),
    ],
)
def test_a_month_is_one_of_the_utc_calendar(now: datetime, starts_at: datetime, ends_at: datetime) -> None:
    assert period_at(make_budget(), now) == (starts_at, ends_at)


@given(MOMENTS)
def test_every_moment_is_in_one_month_and_the_next_begins_where_it_ends(now: datetime) -> None:
    starts_at, ends_at = period_at(make_budget(), now)
    assert starts_at <= now < ends_at
    assert timedelta(days=28) <= ends_at - starts_at <= timedelta(days=31)
    assert period_at(make_budget(), ends_at)[0] == ends_at
    assert period_at(make_budget(), ends_at - timedelta(microseconds=1)) == (starts_at, ends_at)


@pytest.mark.parametrize(
    ("now", "open_"),
    [
        (after(-1), False),
        (after(0), True),
        (after(3599), True),
        (after(3600), False),
    ],
)
def test_a_grant_is_open_from_its_first_moment_to_before_its_end(now: datetime, open_: bool) -> None:
    grant = make_grant(after(0), after(3600))
    assert is_open(grant, now) is open_
    assert period_at(grant, now) == (after(0), after(3600)), "it has one period, whenever one asks"


def named(name: str = "sea", owner: str = "ada", workspace: str = "home", **tags: str):
    spec = ClusterSpec(name=name, workspace=workspace, provider="fake", scaling=Scaling.fixed(1), tags=tags)
    return replace(make_cluster(), spec=spec, owner=owner)


HOLDS = [
    (BudgetScope.WORKSPACE, "", named(), True),
    (BudgetScope.WORKSPACE, "", named(workspace="other"), False),
    (BudgetScope.USER, "ada", named(), True),
    (BudgetScope.USER, "ada", named(owner="adam"), False),
    (BudgetScope.USER, "ada", named(workspace="other"), False),
    (BudgetScope.CLUSTER, "sea", named(), True),
    (BudgetScope.CLUSTER, "sea", named("sea-2"), False),
    (BudgetScope.TAG, "project=enso", named(project="enso"), True),
    (BudgetScope.TAG, "project=enso", named(project="cmip"), False),
    (BudgetScope.TAG, "project=enso", named(), False),
    (BudgetScope.TAG, "project=enso", named(projects="enso"), False),
    (BudgetScope.TAG, "run=a=b", named(run="a=b"), True),
]


@pytest.mark.parametrize(("scope", "key", "cluster", "holds"), HOLDS)
def test_a_budget_holds_for_what_it_names_and_counts_the_bill_of_the_same(
    scope: BudgetScope, key: str, cluster, holds: bool
) -> None:
    budget = make_budget(scope=scope, key=key)
    usage = make_usage(
        cluster_name=cluster.name, workspace=cluster.spec.workspace, owner=cluster.owner, tags=cluster.spec.tags
    )
    assert applies(budget, cluster) is holds
    assert counts(budget, usage) is holds


def test_a_removed_budget_holds_for_nothing() -> None:
    assert not applies(make_budget(removed_at=T0), make_cluster())


@pytest.mark.parametrize(
    ("start", "stop", "since", "until", "now", "seconds"),
    [
        (0, 3600, -100, 9999, 9999, 3600),
        (0, 3600, 600, 9999, 9999, 3000),
        (0, 3600, -100, 1200, 9999, 1200),
        (0, 3600, 600, 1200, 9999, 600),
        (0, 3600, 3600, 9999, 9999, 0),
        (0, 3600, -100, 0, 9999, 0),
        (0, None, -100, 9999, 1800, 1800),
        (0, None, -100, 1200, 1800, 1200),
        (1000, None, -100, 9999, 500, 0),
    ],
)
def test_only_what_lies_in_the_period_and_before_now_counts(
    start: float, stop: float | None, since: float, until: float, now: float, seconds: int
) -> None:
    found = spent([make_usage(start, stop)], "USD", after(now), after(since), after(until))
    assert found.amount == (Decimal("0.5") * seconds / 3600).quantize(LAST_DIGIT)


def test_what_costs_nothing_or_another_currency_or_nobody_knows_what_is_not_spent_of_it() -> None:
    prices = (Price(per_hour=Decimal(0)), Price(per_hour=Decimal(1), currency="EUR"), None)
    usages = [make_usage(price=price) for price in prices]
    assert spent(usages, "USD", after(9999), after(0), after(9999)) == usd("0")
    assert spent(usages, "EUR", after(9999), after(0), after(9999)) == Money(amount=Decimal(1), currency="EUR")


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**12), st.integers(1, 10**12), st.decimals("0.0001", "99", places=4, allow_nan=False)
        ),
        max_size=6,
    ),
    st.integers(1, 10**12),
)
def test_two_periods_that_meet_count_every_second_once(pieces: list[tuple[int, int, Decimal]], middle_us: int) -> None:
    usages = [
        make_usage(start / 1e6, (start + length) / 1e6, instance_id=f"i{n}", price=Price(per_hour=price))
        for n, (start, length, price) in enumerate(pieces)
    ]
    begin, middle, end = after(0), T0 + timedelta(microseconds=middle_us), after(9_000_000)
    parts = [spent(usages, "USD", end, *span).amount for span in ((begin, middle), (middle, end))]
    assert abs(sum(parts) - spent(usages, "USD", end, begin, end).amount) <= LAST_DIGIT


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (make_budget("50"), "the budget of 50.00 USD a month for workspace 'home'"),
        (make_budget("50", scope=BudgetScope.USER, key="ada"), "the budget of 50.00 USD a month for user 'ada'"),
        (make_grant(T0, after(1), scope=BudgetScope.TAG, key="a=b"), "the grant of 100.00 USD for tag 'a=b'"),
        (
            make_budget(Money(amount=Decimal(5000), currency="SU"), scope=BudgetScope.CLUSTER, key="sea"),
            "the budget of 5000.00 SU a month for clusters named 'sea'",
        ),
    ],
)
def test_a_budget_has_words_for_a_sentence(budget, words: str) -> None:
    assert title(budget) == words
