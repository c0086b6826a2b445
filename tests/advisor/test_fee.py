"""Fees that go by steps: each group pays what the price list says, and beyond the list nobody knows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.advisor.asking import TODAY, asked, partner
from tradewind.advisor.fact import fee_of
from tradewind.advisor.fee import Fee, flat, read_fee
from tradewind.advisor.match import Advice
from tradewind.advisor.shelf import open_shelf
from tradewind.advisor.told import told_fact

GROUP = {"affiliation": "academic", "country": "US", "purpose": "research"}


@pytest.mark.parametrize(
    ("name", "people", "fee"),
    [
        # A list by heads, added up by hand: 1,250 a month, and 10, 5, 2.50, 1.25 and nothing for each.
        ("2i2c", 1, 1260),
        ("2i2c", 10, 1350),
        ("2i2c", 30, 1450),
        ("2i2c", 60, 1600),
        ("2i2c", 120, 1850),
        ("2i2c", 280, 2250),
        ("2i2c", 300, 2300),
        ("2i2c", 1000, 4050),
        ("2i2c", 3000, 6550),
        ("2i2c", 10_000, 15_300),
        ("2i2c", 20_000, 15_300),
        # A list by seats.
        ("coiled", 1, 0),
        ("coiled", 2, 100),
        ("coiled", 3, 500),
        ("coiled", 6, 500),
        ("coiled", 7, None),
        ("coiled", 300, None),
        ("daskhub", 300, 0),
        ("saturn-cloud", 1, None),
    ],
)
def test_so_many_people_pay_what_the_price_list_says(name: str, people: int, fee: int | None) -> None:
    assert fee_of(partner(name).facts, people) == fee


def standing(advice: Advice, name: str) -> str:
    if name in {one.partner.id for one in advice.ranked}:
        return "fit"
    if name in {one.partner.id for one in advice.ask_first}:
        return "ask"
    return next(reason.rule for one in advice.excluded if one.partner.id == name for reason in one.because)


@pytest.mark.parametrize(
    ("people", "budget", "stands"),
    [(300, 2800, "fit"), (3000, 15_000, "fit"), (300, 2200, "over-budget"), (30, 1400, "over-budget")],
)
def test_a_service_is_left_out_by_what_so_many_pay_and_not_by_an_average(people: int, budget: int, stands: str) -> None:
    wanted = {"hub": "must", "admin": "nobody", "pay": ["money"], "work": ["notebooks"], **GROUP}

    assert standing(asked(**wanted, people=people, budget_per_month=budget), "2i2c") == stands


def test_a_fee_beyond_the_last_step_is_asked_for_and_earns_nothing_for_being_low() -> None:
    wanted = {"hub": "no", "work": ["dask"], "admin": "python", "pay": ["money"], "cloud_account": "yes", **GROUP}

    alone = asked(**wanted, people=1, budget_per_month=60)
    many = asked(**wanted, people=40, budget_per_month=60)
    rich = asked(**wanted, people=40, budget_per_month=6000)

    assert (standing(alone, "coiled"), standing(many, "coiled")) == ("fit", "ask")
    found = next(one for one in rich.ranked if one.partner.id == "coiled")
    assert found.fee_per_month is None
    assert "low-fee" not in {reason.rule for reason in found.reasons}
    assert "over-budget" in {reason.rule for reason in found.to_ask}


@pytest.mark.parametrize("given", [{"pay": ["nothing"]}, {"budget_per_month": 100}])
def test_a_price_nobody_knows_is_asked_for_also_where_nobody_said_how_many_they_are(given: dict[str, Any]) -> None:
    advice = asked(**given, own_machines=["server", "hpc"], work=["notebooks"], main_language="r", admin="linux")

    assert "posit-workbench" in {one.partner.id for one in advice.ask_first}


def test_a_fee_is_told_step_by_step_to_people_and_to_programs() -> None:
    fact = partner("coiled").facts["fee_per_month"]

    assert fact.shown == "up to 1 person 0; up to 2 people 100; up to 6 people 500; more people unknown USD/month"
    assert [step["up_to"] for step in told_fact(fact, TODAY)["value"]] == [1, 2, 6]
    assert told_fact(partner("daskhub").facts["fee_per_month"], TODAY)["value"] == 0


@given(people=st.integers(1, 20_000), more=st.integers(0, 20_000))
def test_no_group_in_the_directory_pays_less_for_being_bigger(people: int, more: int) -> None:
    for one in open_shelf().directory:
        less, fee = fee_of(one.facts, people), fee_of(one.facts, people + more)
        assert fee is None or (less is not None and less <= fee), one.id


def test_use_beyond_what_a_step_covers_needs_the_next() -> None:
    fee = partner("coiled").facts["fee_per_month"].value
    assert isinstance(fee, Fee)

    assert fee.of(1, use=20) == 0
    assert fee.of(1, use=30) == 100


def test_a_number_is_a_fee_for_everybody() -> None:
    assert read_fee(Decimal("12.5")) == flat(Decimal("12.5"))
    assert str(flat(Decimal("12.5"))) == "12.5"
