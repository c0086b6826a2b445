"""Charts: to scale, escaped, and silent where there is nothing to draw."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from tradewind.model.instance import Instance, InstanceEnd, InstanceStatus, Role
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Resources
from tradewind.server.pages import charts
from tradewind.testing.clock import START

HOSTILE = "<script>alert(1)</script>\" onload='x"


def bar(amount: str, label: str = "day") -> charts.Bar:
    return charts.Bar(label=label, amount=Decimal(amount), text=f"{amount} USD")


def heights(chart: str) -> list[float]:
    return [float(height) for height in re.findall(r'class="spent"[^>]* height="([\d.]+)"', chart)]


def instance(name: str, **changes: object) -> Instance:
    offer = Offer(provider="fake", vm_type="small", resources=Resources(cpus=1, memory=GIB), price=None)
    values = {"status": InstanceStatus.RUNNING, **changes}
    return Instance(
        id=name,
        cluster_id="c",
        role=Role.WORKER,
        order_id="o",
        offer=offer,
        requested_at=START,
        expires_at=None,
        **values,
    )  # type: ignore[arg-type]


def test_a_bar_of_half_the_amount_is_half_as_high() -> None:
    low, high = heights(charts.columns([bar("1"), bar("2")], title="Spent", unit="USD"))

    assert abs(low * 2 - high) <= 0.1


def test_where_nothing_was_spent_nothing_is_drawn() -> None:
    assert charts.columns([bar("0"), bar("0")], title="Spent", unit="USD") == ""
    assert charts.lives([], START) == ""
    assert charts.gauge(Decimal(0), Decimal(0), Decimal(0), title="") == ""


def test_what_people_named_can_not_become_part_of_the_page() -> None:
    drawn = [
        charts.columns([bar("1", HOSTILE)], title=HOSTILE, unit=HOSTILE),
        charts.gauge(Decimal(1), Decimal(1), Decimal(4), title=HOSTILE),
        charts.lives(
            [instance(HOSTILE, status=InstanceStatus.STOPPED, end=InstanceEnd.DIED, detail=HOSTILE,
                      stopped_at=START + timedelta(seconds=5))],
            START,
        ),
    ]  # fmt: skip

    for chart in drawn:
        assert not [element for element in ElementTree.fromstring(chart).iter() if element.tag.endswith("script")]
        assert not [element for element in ElementTree.fromstring(chart).iter() if "onload" in element.attrib]


def test_an_instance_that_waited_a_fifth_of_its_life_is_drawn_so() -> None:
    started, running = START + timedelta(seconds=20), START + timedelta(seconds=60)
    chart = charts.lives([instance("w", started_at=started, running_at=running)], START + timedelta(seconds=100))

    widths = {
        name: float(width) for name, width in re.findall(r'class="(\w+)" x="[\d.]+" y="0" width="([\d.]+)"', chart)
    }
    whole = sum(widths.values())
    assert [round(widths[name] / whole, 2) for name in ("waited", "started", "ran")] == [0.2, 0.4, 0.4]


def test_an_instance_that_died_is_marked_and_one_that_was_stopped_is_not() -> None:
    end = START + timedelta(seconds=9)
    died = charts.lives([instance("w", stopped_at=end, end=InstanceEnd.DIED)], end)
    asked = charts.lives([instance("w", stopped_at=end, end=InstanceEnd.ASKED)], end)

    assert 'class="failed"' in died
    assert 'class="failed"' not in asked


@given(st.lists(st.decimals(0, 10**9, places=4), max_size=40), st.decimals(0, 10**9, places=4))
def test_every_chart_is_well_formed(amounts: list[Decimal], limit: Decimal) -> None:
    chart = charts.columns([bar(str(amount)) for amount in amounts], title="Spent", unit="SU")
    gauge = charts.gauge(sum(amounts, Decimal(0)), Decimal(1), limit, title="Budget")

    for drawn in filter(None, (chart, gauge)):
        ElementTree.fromstring(drawn)
