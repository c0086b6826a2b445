from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_values import T0, after, make_cluster, make_computation, make_instance, make_offer, make_usage, usd

from tradewind.errors import BadRequest
from tradewind.model.computation import Computation
from tradewind.model.instance import Instance, Role
from tradewind.model.money import Money, Price
from tradewind.model.resources import GIB
from tradewind.model.usage import Cost, CostLine, Usage
from tradewind.planning.meter import (
    NOT_COMPUTING,
    burn_per_hour,
    close_usage,
    cost,
    cost_by,
    cost_per_hour,
    open_usage,
    receipt,
    settle,
)

CLUSTER = make_cluster()
BYS = (
    "cluster",
    "computation",
    "day",
    "month",
    "tag:project",
    "user",
    "provider",
    "region",
    "role",
    "vm_type",
    "user,tag:project,day,provider,region",
    "computation,user",
    "month,computation,role",
)
NOW = after(10_000)


def table(lines: tuple[CostLine, ...]) -> dict[str, str]:
    return {line.key: str(line.cost) for line in lines}


def summed(costs: list[Cost]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for one in costs:
        for money in one.money:
            total[money.currency] = total.get(money.currency, Decimal(0)) + money.amount
    return total


# --- opening and closing


def test_a_usage_opens_with_all_that_a_bill_needs() -> None:
    usage = open_usage(CLUSTER, make_instance(), sequence=3)
    assert usage == replace(
        make_usage(stop=None), sequence=3, price=Price(per_hour=Decimal("0.1")), tags=CLUSTER.spec.tags
    )


def test_what_is_not_billed_yet_opens_no_usage() -> None:
    with pytest.raises(ValueError, match="isn't billed yet"):
        open_usage(CLUSTER, make_instance(started_at=None))


def test_a_stop_before_the_start_closes_at_the_start() -> None:
    assert close_usage(make_usage(10, None), after(3)).stopped_at == after(10)


PENDING = make_instance(started_at=None)
BILLED = make_instance()
ENDED = make_instance(stopped_at=after(60))
OPEN = open_usage(CLUSTER, BILLED)
CLOSED = close_usage(OPEN, after(60))


@pytest.mark.parametrize(
    ("before", "now", "known", "expected"),
    [
        (None, PENDING, (), ()),
        (PENDING, make_instance(started_at=None, stopped_at=after(60)), (), ()),
        (PENDING, BILLED, (), (OPEN,)),
        (None, BILLED, (), (OPEN,)),
        (BILLED, BILLED, (OPEN,), ()),
        (BILLED, ENDED, (OPEN,), (CLOSED,)),
        (PENDING, ENDED, (), (CLOSED,)),
        (PENDING, make_instance(stopped_at=after(-5)), (), (close_usage(OPEN, T0),)),
        (BILLED, ENDED, (replace(OPEN, instance_id="other"), OPEN), (CLOSED,)),
        (BILLED, ENDED, (CLOSED,), ()),
        (ENDED, ENDED, (), ()),
        (ENDED, replace(ENDED, detail="told later"), (CLOSED,), ()),
        (BILLED, BILLED, (), (OPEN,)),
        (
            BILLED,
            BILLED,
            (CLOSED,),
            (replace(OPEN, sequence=1, started_at=after(60)),),
        ),
        (
            BILLED,
            ENDED,
            (CLOSED, replace(OPEN, sequence=1, started_at=after(30))),
            (replace(CLOSED, sequence=1, started_at=after(30)),),
        ),
    ],
    ids=[
        "waiting costs nothing",
        "what ended before it was billed costs nothing",
        "it begins to be billed",
        "it is billed when first seen",
        "nothing changed for the bill",
        "it ends",
        "it began and ended between two looks",
        "its end is before its start",
        "usages of others don't matter",
        "told twice, closed once",
        "the dead stay settled",
        "the dead stay settled, whatever is learnt of them",
        "a lost row is written again",
        "what goes on after its last usage gets the next, without a gap",
        "the last of several is closed",
    ],
)
def test_a_changed_instance_is_settled(
    before: Instance | None, now: Instance, known: tuple[Usage, ...], expected: tuple[Usage, ...]
) -> None:
    assert settle(before, now, known, CLUSTER) == expected


@given(
    start=st.integers(-100, 100),
    life=st.integers(-50, 200),
    looks=st.lists(st.integers(-100, 400), max_size=12),
    repeats=st.integers(1, 3),
)
def test_every_second_of_an_instance_is_billed_once_however_often_one_looks(
    start: int, life: int, looks: list[int], repeats: int
) -> None:
    stop = start + life
    rows: dict[tuple[str, int], Usage] = {}
    stored: Instance | None = None
    for look in [*sorted(looks), 1000]:
        seen = make_instance(
            started_at=after(start) if look >= start else None,
            stopped_at=after(stop) if look >= max(start, stop) else None,
        )
        for _ in range(repeats):  # the round may have been cut off after its write, and is planned again
            for usage in settle(stored, seen, tuple(rows.values()), CLUSTER):
                rows[usage.instance_id, usage.sequence] = usage
        stored = seen
    intervals = sorted((u.started_at, u.stopped_at) for u in rows.values() if u.stopped_at is not None)
    assert len(intervals) == len(rows)
    assert sum((b - a for a, b in intervals), timedelta()) == timedelta(seconds=max(0, life))
    assert all(one[1] <= other[0] for one, other in zip(intervals, intervals[1:], strict=False))


# --- what it costs


@pytest.mark.parametrize(
    ("usages", "expected"),
    [
        ([], Cost()),
        (
            [make_usage()],
            Cost(
                money=(usd("0.5"),),
                instance_seconds=3600,
                cpu_seconds=4 * 3600,
                memory_byte_seconds=16 * GIB * 3600,
            ),
        ),
        (
            [make_usage(price=None, stop=10), make_usage(price=Price(per_hour=Decimal(0)), stop=30)],
            Cost(
                instance_seconds=40,
                cpu_seconds=160,
                memory_byte_seconds=16 * GIB * 40,
                free_seconds=30,
                unpriced_seconds=10,
            ),
        ),
        (
            [make_usage(), make_usage(price=Price(per_hour=Decimal(3), currency="SU")), make_usage()],
            Cost(
                money=(Money(amount=Decimal(3), currency="SU"), usd("1")),
                instance_seconds=3 * 3600,
                cpu_seconds=12 * 3600,
                memory_byte_seconds=16 * GIB * 3 * 3600,
            ),
        ),
        ([make_usage(10_500, None)], Cost()),
    ],
    ids=["nothing", "an hour", "free and unpriced apart", "currencies apart", "its start is still to come"],
)
def test_usages_cost(usages: list[Usage], expected: Cost) -> None:
    assert cost(usages, NOW) == expected


@pytest.mark.parametrize(
    ("since", "until", "seconds"),
    [
        (None, None, 3600),
        (600, None, 3000),
        (None, 600, 600),
        (600, 601, 1),
        (-50, 9999, 3600),
        (4000, None, 0),
        (5, 5, 0),
        (9, 2, 0),
    ],
)
def test_only_the_asked_range_is_billed(since: int | None, until: int | None, seconds: int) -> None:
    bounds = [None if at is None else after(at) for at in (since, until)]
    found = cost([make_usage()], NOW, *bounds)
    assert found.instance_seconds == seconds
    assert summed([found]).get("USD", Decimal(0)) == round(Decimal("0.5") * seconds / 3600, 12)


def test_what_runs_is_billed_up_to_now() -> None:
    assert cost([make_usage(0, None)], after(7200)).money == (usd("1"),)


def test_a_millionth_of_a_second_counts() -> None:
    usages = [replace(make_usage(), stopped_at=T0 + timedelta(microseconds=1), price=Price(per_hour=Decimal(3600)))]
    assert cost(usages, NOW).money == (usd("0.000001"),)


def test_burn_is_what_runs_now_in_that_currency() -> None:
    usages = [
        make_usage(0, None),
        make_usage(0, 50),
        make_usage(0, 200),
        make_usage(300, None),
        make_usage(0, None, price=None),
        make_usage(0, None, price=Price(per_hour=Decimal(9), currency="EUR")),
    ]
    assert burn_per_hour(usages, after(100), "USD") == usd("1.5")
    assert burn_per_hour([], NOW, "USD") == usd("0")


def test_an_hour_of_offers_keeps_free_and_unpriced_apart() -> None:
    found = cost_per_hour([(3, make_offer(price="0.1")), (1, make_offer(price="0")), (2, make_offer(price=None))])
    assert (found.money, found.free_seconds, found.unpriced_seconds) == ((usd("0.3"),), 3600, 7200)


# --- for whom


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("cluster", {"ice": "2.00 USD", "sea": "0.50 USD"}),
        ("user", {"bob": "2.00 USD", "ada": "0.50 USD"}),
        ("provider", {"aws": "2.00 USD", "fake": "0.50 USD"}),
        ("region", {"(no region)": "2.00 USD", "north-1": "0.50 USD"}),
        ("vm_type", {"m5.large": "2.50 USD"}),
        ("month", {"2026-03": "2.50 USD"}),
        ("user,region", {"bob · (no region)": "2.00 USD", "ada · north-1": "0.50 USD"}),
        ("day, user,day", {"2026-03-01 · bob": "2.00 USD", "2026-03-01 · ada": "0.50 USD"}),
        ("role", {"scheduler": "2.00 USD", "worker": "0.50 USD"}),
        ("tag:project", {"(no project)": "2.00 USD", "cmip": "0.50 USD"}),
        ("tag:a:b", {"(no a:b)": "2.50 USD"}),
        ("day", {"2026-03-01": "2.50 USD"}),
        ("computation", {NOT_COMPUTING: "2.50 USD"}),
    ],
)
def test_cost_is_shown_by(by: str, expected: dict[str, str]) -> None:
    other = make_usage(
        cluster_id="c2",
        cluster_name="ice",
        owner="bob",
        provider="aws",
        region=None,
        role=Role.SCHEDULER,
        tags={},
        price=Price(per_hour=Decimal(2)),
    )
    found = table(cost_by([make_usage(), other], (), by, NOW))
    assert found == expected
    assert list(found) == list(expected), "the dearest comes first"


@pytest.mark.parametrize("by", ["", "tag:", "tag", "week", "Cluster", "user,", "user,week", "day;user"])
def test_an_unknown_grouping_names_the_known(by: str) -> None:
    with pytest.raises(BadRequest, match='"cluster", .*"tag:<key>"'):
        cost_by([], (), by, NOW)


def test_days_are_cut_at_midnight_utc() -> None:
    west = datetime(2026, 3, 1, 23, 59, 59, 250_000, tzinfo=UTC)
    usages = [replace(make_usage(), started_at=west, stopped_at=west + timedelta(days=1, seconds=1))]
    lines = cost_by(usages, (), "day", NOW)
    assert [(line.key, line.cost.instance_seconds) for line in lines] == [
        ("2026-03-01", 0.75),
        ("2026-03-02", 86400),
        ("2026-03-03", 0.25),
    ]


def test_days_come_in_their_order() -> None:
    usages = [make_usage(86400, 86400 * 2), make_usage(0, 60)]
    assert [line.key for line in cost_by(usages, (), "day", NOW)] == ["2026-03-01", "2026-03-02", "2026-03-03"]


def test_lines_of_several_keys_are_in_order_key_by_key() -> None:
    usages = [
        make_usage(0, 3600, owner="ada", region="b"),
        make_usage(86400, 90000, owner="ada", region="a", price=Price(per_hour=Decimal(9))),
        make_usage(0, 3600, owner="bob", region="a", price=Price(per_hour=Decimal(1))),
    ]
    lines = cost_by(usages, (), "user,day,region", NOW)
    assert [line.keys for line in lines] == [
        ("ada", "2026-03-01", "b"),
        ("ada", "2026-03-02", "a"),
        ("bob", "2026-03-01", "a"),
    ]


def test_a_computation_that_goes_on_after_midnight_pays_for_each_day() -> None:
    usages = [make_usage(0, 86400)]
    lines = cost_by(usages, [make_computation("k1", 0, 86400)], "computation,day", NOW)
    assert [(line.keys, line.name, str(line.cost)) for line in lines] == [
        (("k1", "2026-03-01"), "trend · 2026-03-01", "6.00 USD"),
        (("k1", "2026-03-02"), "trend · 2026-03-02", "6.00 USD"),
    ]


def test_what_may_not_be_read_is_one_line_that_does_not_say_whether_it_computed() -> None:
    usages = [make_usage(), make_usage(0, 7200, cluster_id="c2", owner="bob")]
    computations = [make_computation("k1", 0, 1800), make_computation("k2", 0, 1800, cluster_id="c2", name="secret")]
    lines = cost_by(usages, computations, "computation", NOW, readable={"ada"})
    assert [(line.title, str(line.cost)) for line in lines] == [
        ("trend", "0.25 USD"),
        ("of others", "1.00 USD"),
        (NOT_COMPUTING, "0.25 USD"),
    ]


def test_nothing_used_is_no_line() -> None:
    for by in BYS:
        assert cost_by([make_usage(5, 5)], (), by, NOW) == ()


def in_seconds(lines: tuple[CostLine, ...]) -> dict[str, float]:
    return {line.key: line.cost.instance_seconds for line in lines}


@pytest.mark.parametrize(
    ("computations", "expected"),
    [
        ([], {NOT_COMPUTING: 60}),
        ([make_computation("a", 10, 20)], {"a": 10, NOT_COMPUTING: 50}),
        ([make_computation("a", -10, 100)], {"a": 60}),
        ([make_computation("a", 0, 60), make_computation("b", 0, 60)], {"a": 30, "b": 30}),
        ([make_computation("a", 0, 30), make_computation("b", 20, 60)], {"b": 35, "a": 25}),
        ([make_computation("a", 50, None)], {"a": 10, NOT_COMPUTING: 50}),
        ([make_computation("a", None, None)], {NOT_COMPUTING: 60}),
        ([make_computation("a", 30, 20), make_computation("b", 40, 40)], {NOT_COMPUTING: 60}),
        ([make_computation("a", 70, 80)], {NOT_COMPUTING: 60}),
        ([make_computation("a", 0, 60, cluster_id="c2")], {NOT_COMPUTING: 60}),
        ([make_computation("a", 0, 10), make_computation("a", 20, 30)], {"a": 20, NOT_COMPUTING: 40}),
    ],
    ids=[
        "nobody computed",
        "one",
        "one that is longer than the bill",
        "two at once share",
        "shared where they overlap only",
        "one that still runs",
        "one that hasn't begun",
        "one that ends before it begins",
        "one after the bill",
        "one on another cluster",
        "one that came back",
    ],
)
def test_computations_share_what_burns_while_they_run(
    computations: list[Computation], expected: dict[str, float]
) -> None:
    found = in_seconds(cost_by([make_usage(0, 60)], computations, "computation", NOW))
    assert found == pytest.approx(expected)
    assert list(found) == list(expected)


def test_a_computation_pays_for_the_size_its_cluster_had_while_it_ran() -> None:
    usages = [make_usage(0, 60), make_usage(0, 30, instance_id="i2")]
    computations = [make_computation("early", 0, 30), make_computation("late", 30, 60)]
    assert in_seconds(cost_by(usages, computations, "computation", NOW)) == {"early": 60, "late": 30}


# --- sums

prices = st.none() | st.builds(
    Price,
    per_hour=st.decimals(0, 40, places=7, allow_nan=False),
    currency=st.sampled_from(["USD", "EUR", "SU"]),
)
seconds = st.integers(0, 400_000_000_000).map(lambda micros: micros / 1_000_000)


@st.composite
def usages_of_some_clusters(draw: st.DrawFn) -> list[Usage]:
    count = draw(st.integers(0, 8))
    usages = []
    for number in range(count):
        start = draw(seconds)
        cluster = draw(st.sampled_from("xyz"))
        usages.append(
            make_usage(
                start,
                draw(st.none() | seconds.map(lambda length, start=start: start + length)),
                instance_id=f"i{number}",
                cluster_id=cluster,
                cluster_name=cluster,
                price=draw(prices),
                owner=draw(st.sampled_from(["ada", "bob"])),
                region=draw(st.sampled_from([None, "north"])),
                role=draw(st.sampled_from(Role)),
                tags=draw(st.sampled_from([{}, {"project": "a"}, {"project": "b"}])),
            )
        )
    return usages


computations_of_them = st.lists(
    st.builds(
        make_computation,
        st.uuids().map(str),
        st.none() | seconds,
        st.none() | seconds,
        cluster_id=st.sampled_from("xyz"),
    ),
    max_size=8,
)


@given(
    usages=usages_of_some_clusters(),
    computations=computations_of_them,
    by=st.sampled_from(BYS),
    since=st.none() | seconds.map(after),
    until=st.none() | seconds.map(after),
    readable=st.none() | st.just({"ada"}),
)
def test_the_lines_add_up_to_the_total_to_the_last_digit(
    usages: list[Usage],
    computations: list[Computation],
    by: str,
    since: datetime | None,
    until: datetime | None,
    readable: set[str] | None,
) -> None:
    now = after(300_000)
    total = cost(usages, now, since, until)
    lines = cost_by(usages, computations, by, now, since, until, readable)
    assert len({line.keys for line in lines}) == len(lines)
    assert summed([line.cost for line in lines]) == summed([total])
    assert sum(line.cost.instance_seconds for line in lines) == pytest.approx(total.instance_seconds)
    assert sum(line.cost.unpriced_seconds for line in lines) == pytest.approx(total.unpriced_seconds)
    assert all(money.amount > 0 for line in lines for money in line.cost.money)


@given(usages=usages_of_some_clusters(), at=seconds.map(after))
def test_two_ranges_that_meet_cost_what_both_together_do(usages: list[Usage], at: datetime) -> None:
    now = after(300_000)
    halves = summed([cost(usages, now, until=at), cost(usages, now, since=at)])
    for currency, amount in summed([cost(usages, now)]).items():
        assert abs(halves[currency] - amount) <= Decimal("1E-12")


@given(usages=usages_of_some_clusters())
def test_a_cost_is_within_half_a_last_digit_of_the_sum_of_prices(usages: list[Usage]) -> None:
    now = after(300_000)
    exact: dict[str, Decimal] = {}
    for usage in usages:
        if usage.price is not None:
            part = usage.price.cost_of(usage.duration(now))
            exact[part.currency] = exact.get(part.currency, Decimal(0)) + part.amount
    found = summed([cost(usages, now)])
    for currency, amount in exact.items():
        assert abs(found.get(currency, Decimal(0)) - amount) <= Decimal("0.500001E-12")


@given(usages=usages_of_some_clusters(), computations=computations_of_them)
def test_a_receipt_adds_up_both_ways(usages: list[Usage], computations: list[Computation]) -> None:
    bill = receipt(make_cluster(id="x"), usages, computations, after(300_000))
    assert summed([line.cost for line in bill.by_role]) == summed([bill.total])
    parts = [line.cost for line in bill.by_computation]
    assert summed([*parts, bill.not_computing]) == summed([bill.total])


def test_a_receipt_leaves_other_clusters_aside() -> None:
    bill = receipt(CLUSTER, [make_usage(), make_usage(cluster_id="c2")], [make_computation("a", 0, 900)], NOW)
    assert (str(bill.total), table(bill.by_role), table(bill.by_computation), str(bill.not_computing)) == (
        "0.50 USD",
        {"worker": "0.50 USD"},
        {"a": "0.12 USD"},
        "0.38 USD",
    )


def test_a_price_that_the_accounts_tell_is_that_of_the_whole_usage_and_twice_the_same() -> None:
    cluster, before = make_cluster(), make_instance(stopped_at=after(3600))
    open_one = replace(make_usage(0, 3600), instance_id=before.id)
    charged = Price(per_hour=Decimal(7), currency="SU")
    told = replace(before, offer=replace(before.offer, price=charged))

    (usage,) = settle(before, told, (open_one,), cluster)

    assert (usage.sequence, usage.started_at, usage.stopped_at) == (0, open_one.started_at, open_one.stopped_at)
    assert usage.price == charged
    assert settle(told, told, (usage,), cluster) == ()


def test_a_usage_keeps_its_own_price_where_nobody_told_another() -> None:
    cluster, running = make_cluster(), make_instance()
    moved = replace(make_usage(0, None), instance_id=running.id, price=Price(per_hour=Decimal(9), currency="USD"))

    (usage,) = settle(running, replace(running, stopped_at=after(3600)), (moved,), cluster)

    assert usage.price == moved.price
