"""What a month would cost: sums that can be checked by hand, intervals that hold, and files that say what they mean."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.advisor.assumptions import Assumption
from tradewind.advisor.estimate import Estimate, WayCost, core_hours, draw, estimate
from tradewind.advisor.programme import EXAMPLE, Amount, DataAt, Programme, about, read_programme
from tradewind.advisor.reading import parsed
from tradewind.advisor.shelf import open_assumptions, open_shelf
from tradewind.errors import BadRequest

THREAD = read_programme(parsed(EXAMPLE, "example"), "example")
FEW = replace(THREAD, people=5)
SPOT = "ephemeral clusters on spot, run by yourselves"
DEMAND = "ephemeral clusters on demand, run by yourselves"
MACHINES = "a machine for each person, day and night"
CENTRE = "a computing centre, in service units"


def asked(programme: Programme = THREAD, *, draws: int = 400, seed: int = 1) -> Estimate:
    return estimate(programme, open_assumptions(), open_shelf().directory, draws=draws, seed=seed)


def way(result: Estimate, name: str) -> WayCost:
    return next(one for one in result.ways if one.way.name == name)


def test_a_terabyte_is_four_and_a_half_core_hours_and_nine_cents() -> None:
    assert core_hours(1, 60) == pytest.approx(4.63, abs=0.005)
    assert core_hours(1, 60) * 0.02 == pytest.approx(0.093, abs=0.0005)


@pytest.mark.parametrize(
    ("number", "result"),
    [
        (0, 300 * 10),
        (1, 3000 * 1e6 / 60 / 3600),
        (2, 277.78),
        (3, 3000 * 1e6 / 40 / 3600),
        (4, 416.67),
        (5, 62.50),
        (6, 100 * 23),
        (7, 90),
        (8, 12),
        (9, 416.67 + 62.50 + 2300 + 90 + 12),
        (10, 2881.17 / 300),
    ],
)
def test_each_line_of_the_worked_example_is_what_a_hand_gets(number: int, result: float) -> None:
    assert asked(draws=100).lines[number].result == pytest.approx(result, abs=0.01)


@pytest.mark.parametrize("people", [1, 30, 300, 600])
@pytest.mark.parametrize("storage", [100, 1000])
@pytest.mark.parametrize("beside", [True, False])
def test_the_sum_and_the_middle_of_the_months_lie_within_a_few_percent(people: int, storage: int, beside: bool) -> None:
    programme = replace(THREAD, people=people, storage_tb=about(storage), beside_data=beside)
    result = asked(programme, draws=4000)

    assert result.lines[-2].result == pytest.approx(float(way(result, SPOT).likely.amount), rel=0.06)


def test_the_sum_and_the_middle_of_the_months_lie_within_a_tenth_where_nothing_but_computing_costs() -> None:
    result = asked(replace(THREAD, storage_tb=about(0), egress_tb=about(0)), draws=4000)

    assert result.lines[-2].result == pytest.approx(float(way(result, SPOT).likely.amount), rel=0.1)


def test_the_sum_says_how_far_it_is_from_the_table() -> None:
    result = asked(draws=4000)

    assert f"{way(result, SPOT).likely.amount:,.0f} USD, 4% more than the sum" in result.apart


@pytest.mark.parametrize("one", open_assumptions().numbers.values(), ids=lambda one: one.name)
def test_half_of_the_months_lie_below_the_likely_number(one: Assumption) -> None:
    dice = Random(3)
    drawn = sorted(draw(one.amount, dice) for _ in range(4001))

    assert drawn[2000] == pytest.approx(one.amount.likely, rel=0.02)
    assert one.amount.least <= drawn[0] <= drawn[-1] <= one.amount.most


def test_what_a_fault_brings_is_in_no_range() -> None:
    known = open_assumptions()
    small = next(fault for fault in known.faults if fault.id == "small-reads")

    assert known.numbers["requests"].amount.most <= small.adds_per_tb / 10
    assert way(asked(draws=4000), SPOT).parts["requests"].amount < 30
    assert len({fault.id for fault in known.faults}) == len(known.faults) == 8


def test_the_parts_add_up_to_the_average_and_lie_within_the_interval() -> None:
    for cost in asked().ways:
        total = sum(money.amount for money in cost.parts.values())
        assert cost.least.amount <= cost.likely.amount <= cost.most.amount
        if cost.parts:
            assert cost.least.amount <= total <= cost.most.amount


def test_the_same_seed_draws_the_same_months_and_another_one_others() -> None:
    assert asked(seed=7) == asked(seed=7)
    assert asked(seed=7) != asked(seed=8)


def test_a_machine_for_each_person_costs_most() -> None:
    result = asked()

    assert [cost for cost in result.ways if not cost.needs_move][-1].way.name == MACHINES
    assert way(result, SPOT).likely.amount < way(result, DEMAND).likely.amount


def test_machines_for_people_are_as_many_as_the_work_needs() -> None:
    result = asked(replace(THREAD, read_tb_per_person=about(1000)))

    # By the likely speed 1,000 TB are 6,944 core-hours a person, and four cores have 2,920 in a month.
    assert way(result, MACHINES).likely.amount > Decimal("2.5") * way(asked(), MACHINES).likely.amount
    assert way(result, MACHINES).likely.amount > way(result, SPOT).likely.amount


def test_a_computing_centre_costs_no_money_where_the_data_are_on_its_disks() -> None:
    result = asked(replace(THREAD, data_at=DataAt.HPC))

    assert result.ways[0].way.name == CENTRE
    assert (result.ways[0].likely.amount, result.ways[0].needs_move) == (0, False)
    assert result.ways[0].service_units
    assert all(cost.needs_move for cost in result.ways[1:])


@pytest.mark.parametrize("beside", [True, False])
def test_a_computing_centre_away_from_data_in_a_cloud_is_told_last_with_the_price_of_taking_them_out(
    beside: bool,
) -> None:
    last = asked(replace(THREAD, beside_data=beside), draws=2000).ways[-1]

    assert (last.way.name, last.needs_move) == (CENTRE, True)
    assert float(last.likely.amount) == pytest.approx(3000 * 90, rel=0.05)
    assert set(last.parts) == {"taking the data out"}
    assert last.service_units


def test_data_on_a_centres_disks_are_copied_before_a_cloud_can_read_them() -> None:
    result = asked(replace(THREAD, data_at=DataAt.HPC, beside_data=False), draws=2000)

    assert float(way(result, SPOT).parts["copy of the data"].amount) == pytest.approx(3000 * 23, rel=0.05)
    assert "other region" not in way(result, SPOT).parts
    assert "other-region" not in {one.fault.id for one in result.faults}
    assert "copy of the data: 3,000 TB x 23 USD" in {line.says for line in result.lines}


def test_a_way_that_the_data_arent_at_stands_last_also_where_moving_them_is_cheap() -> None:
    result = asked(replace(THREAD, people=3))

    assert result.ways[-1].way.name == CENTRE
    assert result.ways[-1].likely.amount < way(result, "2i2c").likely.amount


def test_nothing_is_beside_data_on_ones_own_disk() -> None:
    assert all(cost.needs_move for cost in asked(replace(THREAD, data_at=DataAt.OWN_DISK)).ways)


def test_every_partner_with_a_known_price_that_is_still_there_has_a_line() -> None:
    names = {cost.way.name for cost in asked(FEW).ways}

    assert {"Coiled", "2i2c", "Modal"} <= names
    assert not {"Nebari (classic)", "Planetary Computer Hub"} & names


def test_a_price_that_includes_the_machines_isnt_paid_twice() -> None:
    assert "machines" not in way(asked(FEW), "Modal").parts
    assert "machines" in way(asked(FEW), "Coiled").parts


def test_a_price_that_nobody_knows_for_so_many_is_left_to_be_asked() -> None:
    result = asked()

    assert "Coiled" not in {cost.way.name for cost in result.ways}
    assert result.unpriced == ("Coiled",)
    assert asked(FEW).unpriced == ()


@pytest.mark.parametrize(
    ("people", "terabytes", "kind", "service"),
    [
        (1, 1, "on-demand", 0),  # within the 25 dollars of use that are free
        (1, 100, "on-demand", 100 + 0.05 * 694 * 1.2),
        (2, 1, "on-demand", 100 + 0.05 * 14 * 1.2),
        (5, 1, "spot", 500 + 0.05 * 35 * 1.2),
    ],
)
def test_a_plan_brings_its_fee_and_its_machines(people: int, terabytes: float, kind: str, service: float) -> None:
    amount = Amount(least=terabytes, likely=terabytes, most=terabytes)
    cost = way(asked(replace(THREAD, people=people, read_tb_per_person=amount)), "Coiled")

    assert cost.way.kind == kind
    told = cost.parts["service"].amount if "service" in cost.parts else Decimal(0)
    assert float(told) == pytest.approx(service, rel=0.35)


def test_a_fee_by_heads_is_added_up_step_by_step() -> None:
    assert way(asked(), "2i2c").parts["service"].amount == 2300


def test_computing_away_from_the_data_costs_what_the_fault_says() -> None:
    beside = asked(draws=1000)
    away = asked(replace(THREAD, beside_data=False), draws=1000)
    told = next(one.adds.amount for one in beside.faults if "another region" in one.fault.says)

    assert told == Decimal(60000)
    more = sum(m.amount for m in way(away, SPOT).parts.values()) - sum(
        m.amount for m in way(beside, SPOT).parts.values()
    )
    assert more == pytest.approx(told, rel=Decimal("0.15"))
    assert not any("another region" in one.fault.says for one in away.faults)


@settings(max_examples=25, deadline=None)
@given(people=st.integers(1, 5000), each=st.floats(0.01, 50), storage=st.floats(0, 1000))
def test_more_of_anything_never_costs_less(people: int, each: float, storage: float) -> None:
    def months(people: int, each: float, storage: float) -> dict[str, Decimal]:
        programme = replace(
            THREAD,
            people=people,
            read_tb_per_person=Amount(least=each / 2, likely=each, most=each * 2),
            storage_tb=Amount(least=storage, likely=storage, most=storage),
        )
        return {cost.way.name: cost.likely.amount for cost in asked(programme, draws=40).ways}

    less = months(people, each, storage)
    for more in (
        months(people * 2, each, storage),
        months(people, each * 2, storage),
        months(people, each, storage + 9),
    ):
        assert all(more[name] >= less[name] for name in less.keys() & more.keys())


def test_ten_thousand_months_take_less_than_a_second_of_work() -> None:
    before = time.process_time()
    asked(draws=10_000)

    assert time.process_time() - before < 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('read_per_person = "10 GB/h"', "is in 'GB/h', and is to be in GB/month or TB/month"),
        ('read_per_person = "10"', "write a number and its unit"),
        ("read_per_person = 10", "write a number and its unit"),
        ('read_per_person = "20 to 5 TB/month"', "the first number is the smaller"),
        ('read_per_person = "1.2.3 TB/month"', "no number"),
        ('read_per_person = "1,5 TB/month"', "'1,5 TB/month': a comma stands between thousands alone; write 1.5"),
        ('read_per_person = "1 to 2,5 TB/month"', "write 2.5"),
        ('read_per_person = "0,250 TB/month"', "write 0.250"),
        ('read_per_person = "1.234,5 TB/month"', "with a point"),
        ('storage = "1,00,000 GB"', "a comma stands between thousands alone"),
        ('storage = ",5 TB"', "write .5"),
        ('storage = "5 TB/month"', "is to be in GB or TB or PB"),
        ('people = "many"', "give a whole number"),
        ("people = 0", "give a whole number"),
        ("people = true", "give a whole number"),
        ('beside_data = "yes"', "true or false"),
        ('data_at = "tape"', "data_at is 'tape'; it is one of cloud, hpc, own-disk"),
        ("data_at = 5", "it is one of cloud, hpc, own-disk"),
        ('read_per_person = "999999999999999999999999999999 PB/month"', "1,000 PB/month at most"),
        ('read_per_person = "1 to 1000001 TB/month"', "1,000,000 TB/month at most"),
        ('storage = "2000000 TB"', "1,000,000 TB at most"),
        ('notebooks_per_person = "900 h/month"', "744 h/month at most"),
        ('notebooks_per_person = "20 to 900 h/month"', "744 h/month at most"),
        ("budget = 5", "nobody knows what 'budget' means"),
    ],
)
def test_a_line_that_cant_be_is_named_with_what_it_is_to_be(line: str, words: str) -> None:
    key = line.partition(" ")[0]
    kept = [one for one in EXAMPLE.splitlines() if not one.startswith(f"{key} ")]

    with pytest.raises(BadRequest, match=words):
        read_programme(parsed("\n".join([*kept, line]), "file"), "file")


def test_the_most_there_can_be_is_estimated_and_no_month_has_more_hours_than_it_has() -> None:
    most = '"1000 PB/month"'
    file = f'people = 10000000\nread_per_person = {most}\nstorage = "1000 PB"\nnotebooks_per_person = "700 h/month"'

    programme = read_programme(parsed(file, "file"), "file")

    assert programme.notebook_hours_per_person.most == 744
    assert all(cost.likely.amount >= 0 for cost in asked(programme, draws=100).ways)


@pytest.mark.parametrize("key", ["people", "read_per_person"])
def test_what_an_estimate_cant_do_without_is_asked_for(key: str) -> None:
    kept = [one for one in EXAMPLE.splitlines() if not one.startswith(f"{key} ")]

    with pytest.raises(BadRequest, match=f"it has no '{key}'"):
        read_programme(parsed("\n".join(kept), "file"), "file")


@pytest.mark.parametrize(
    ("said", "likely"),
    [
        ("500 GB/month", 0.5),
        ("2 PB/month", 2000),
        ("1,000 TB/month", 1000),
        ("1,234,567.5 GB/month", 1234.5675),
        (".5 TB/month", 0.5),
        ("5 to 15 TB/month", 10),
    ],
)
def test_units_are_what_they_say(said: str, likely: float) -> None:
    tables: dict[str, Any] = {"people": 1, "read_per_person": said}

    assert read_programme(tables, "file").read_tb_per_person.likely == pytest.approx(likely)
