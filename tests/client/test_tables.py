"""Receipts, dry runs and insights in a terminal, from values alone."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from rich.console import Console, RenderableType

from tradewind.client.tables import (
    Bar,
    bytes_text,
    core_text,
    duration_text,
    insights_panel,
    receipt_table,
    shares,
    sum_of,
)
from tradewind.model.computation import Insight
from tradewind.model.money import Money
from tradewind.model.resources import GIB
from tradewind.model.usage import Cost, CostLine, Receipt

START = datetime(2026, 11, 1, 12, tzinfo=UTC)


def cost(amount: str = "", currency: str = "USD", *, cores: float = 0.0, unpriced: float = 0.0) -> Cost:
    money = (Money(amount=Decimal(amount), currency=currency),) if amount else ()
    return Cost(money=money, cpu_seconds=cores, unpriced_seconds=unpriced)


def drawn(renderable: RenderableType, width: int = 80, encoding: str = "utf-8") -> str:
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding=encoding, errors="strict", write_through=True)
    Console(file=file, width=width).print(renderable)
    return buffer.getvalue().decode(encoding)


def receipt(computation: str = "anomaly", **changes: Cost) -> Receipt:
    total = changes.get("total", cost("3", cores=7200))
    return Receipt(
        cluster_id="tw-1",
        cluster_name="sea-ice",
        started_at=START,
        stopped_at=START + timedelta(hours=1, minutes=5),
        total=total,
        by_role=(CostLine(key="scheduler", cost=cost("1", cores=3600)), CostLine(key="worker", cost=cost("2"))),
        by_computation=(CostLine(key="0123456789abcdef", cost=cost("1.5", cores=1800), name=computation),),
        not_computing=cost("1.5", cores=5400),
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (-1, "0 ms"),
        (0.2504, "250 ms"),
        (0.9999, "1.0 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3900, "1 h 5 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
    assert duration_text(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("nbytes", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (GIB, "1.0 GiB"), (2**54, "16,384.0 TiB")]
)
def test_bytes_take_the_unit_that_suits_them(nbytes: int, text: str) -> None:
    assert bytes_text(nbytes) == text


def test_core_time_takes_the_unit_of_its_column() -> None:
    assert core_text(90) == "1.5 core-min"
    assert core_text(90, like=7200) == "0.0 core-h"
    assert core_text(0) == "0.0 core-s"


def test_shares_are_of_money_where_there_is_one_currency() -> None:
    assert shares([cost("1", cores=9), cost("3", cores=1)]) == [0.25, 0.75]


@pytest.mark.parametrize(
    "costs",
    [
        [cost("1", cores=3), cost("9", "EUR", cores=1)],
        [cost("1", cores=3), cost(cores=1, unpriced=5)],
        [cost(cores=3), cost(cores=1)],
    ],
    ids=["two currencies", "unpriced", "free"],
)
def test_shares_are_of_core_time_where_money_can_not_be_compared(costs: list[Cost]) -> None:
    assert shares(costs) == [0.75, 0.25]


def test_shares_of_nothing_are_none() -> None:
    assert shares([cost(), cost()]) == [0.0, 0.0]


def test_a_sum_keeps_currencies_apart() -> None:
    total = sum_of(
        [CostLine(key=key, cost=one) for key, one in zip("abc", map(cost, "12", ("USD", "EUR")), strict=False)]
    )

    assert [str(money) for money in total.money] == ["2.00 EUR", "1.00 USD"]


@pytest.mark.parametrize(("share", "text"), [(0, "    "), (0.5, "██  "), (1, "████"), (7, "████"), (1e-9, "▏   ")])
def test_a_bar_is_as_long_as_its_share(share: float, text: str) -> None:
    assert drawn(Bar(share, width=4)).rstrip("\n") == text


def test_a_bar_is_of_hashes_where_there_are_no_blocks() -> None:
    assert drawn(Bar(0.5, width=4), encoding="ascii").rstrip("\n") == "##  "


def test_a_receipt_names_computations_and_shows_what_was_waiting() -> None:
    text = drawn(receipt_table(receipt()))

    for word in ("Receipt of sea-ice, 1 h 5 min", "anomaly", "start-up and waiting", "50%", "workers", "3.00 USD"):
        assert word in text


def test_a_receipt_keeps_apart_what_nobody_priced() -> None:
    text = drawn(receipt_table(receipt(total=cost("3", cores=7200, unpriced=60))))

    assert "of it unpriced" in text
    assert "1 min of instances" in text


def test_a_receipt_fits_a_terminal() -> None:
    long = "a / rather / long / name / of / a / span / in / somebody's / notebook"

    assert max(len(line) for line in drawn(receipt_table(receipt(long))).splitlines()) <= 80


def test_a_name_in_brackets_is_no_markup() -> None:
    assert "[red]x" in drawn(receipt_table(receipt("[red]x")))


def test_an_insight_shows_its_figures_its_advice_and_its_saving() -> None:
    insight = Insight(
        rule="tiny-tasks",
        title="Tasks are tiny",
        evidence="900 tasks of 1 ms",
        advice="Make chunks larger.",
        saving_seconds=90.0,
        computation_id="c1",
        computation="anomaly",
    )

    text = drawn(insights_panel([insight]))

    for word in ("Tasks are tiny", "anomaly", "900 tasks of 1 ms", "Make chunks larger.", "1.5 core-min"):
        assert word in text


def test_no_insight_is_said() -> None:
    assert "Nothing stands out" in drawn(insights_panel([]))
