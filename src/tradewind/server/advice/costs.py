"""What the ways to run it would cost this group, as bars: by sizes that it may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from markupsafe import Markup, escape

from tradewind.advisor.estimate import Estimate, WayCost, estimate
from tradewind.advisor.partner import Partner
from tradewind.advisor.programme import MOST_HOURS, DataAt, Programme, about
from tradewind.advisor.shelf import Shelf, open_assumptions

DRAWS = 2000
"""Months: what a thousand more would change isn't seen in a bar."""
USUAL: Mapping[str, Decimal] = {
    "read": Decimal(1),
    "hours": Decimal(20),
    "storage": Decimal(10),
    "out": Decimal("0.1"),
    "away": Decimal(0),
}
"""What is taken where nobody said: a group that reads a little every day."""
ASKS: Mapping[str, tuple[str, str]] = {
    "read": ("Read and worked off by each person", "TB a month"),
    "hours": ("With a notebook open, each person", "hours a month"),
    "storage": ("Results that are kept", "TB"),
    "out": ("Taken out of the cloud", "TB a month"),
}
LENGTH = 100
"""Units of a bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to run it, with its bar."""

    cost: WayCost
    partner: Partner | None
    bar: Markup
    parts: tuple[tuple[str, int], ...]
    """Where the money goes, in percent, the most first."""
    is_over: bool
    """Whether it is likely to cost more than the group could spend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """All of them, and what they were reckoned with."""

    people: int
    sizes: Mapping[str, Decimal]
    ways: tuple[Way, ...]
    estimate: Estimate


def costs(
    shelf: Shelf, answers: Mapping[str, Any], sizes: Mapping[str, Decimal], partners: Sequence[Partner]
) -> Costs | None:
    """Return what a month would cost, in the plain ways and with ``partners`` whose price is known.

    None where nobody said how many people there are: all else has a usual size, a group has none.
    """
    people = int(answers.get("people", 0))
    if not 0 < people <= 10_000_000:
        return None
    sizes = {**USUAL, **sizes}
    programme = Programme(
        name="",
        people=people,
        read_tb_per_person=about(float(sizes["read"])),
        notebook_hours_per_person=about(float(sizes["hours"]), MOST_HOURS),
        storage_tb=about(float(sizes["storage"])),
        egress_tb=about(float(sizes["out"])),
        beside_data=not sizes["away"],
        country="",
        affiliation="",
        data_at=_data_at(answers.get("data_at", ())),
    )
    found = estimate(programme, open_assumptions(), shelf.directory, draws=DRAWS)
    known = {partner.name: partner for partner in shelf.directory}
    fit = {partner.name for partner in partners}
    shown = [cost for cost in found.ways if cost.way.name in fit or cost.way.name not in known]
    budget: Decimal | None = answers.get("budget_per_month")
    # A move of all data costs so much more than the rest that no other bar would be seen beside its own.
    most = max((cost.most.amount for cost in shown if not cost.needs_move), default=Decimal(0)) or Decimal(1)
    return Costs(
        people=people,
        sizes=sizes,
        ways=tuple(
            Way(
                cost=cost,
                partner=known.get(cost.way.name),
                bar=_bar(cost, most, budget),
                parts=_parts(cost),
                is_over=budget is not None and cost.likely.amount > budget,
            )
            for cost in shown
        ),
        estimate=found,
    )


def _data_at(places: Sequence[str]) -> DataAt:
    """Return where most that is read is: in a cloud, unless all of it is said to be somewhere else."""
    if not places or set(places) - {DataAt.HPC, DataAt.OWN_DISK}:
        return DataAt.CLOUD
    return DataAt.HPC if DataAt.HPC in places else DataAt.OWN_DISK


def _bar(cost: WayCost, most: Decimal, budget: Decimal | None) -> Markup:
    """Return a bar as long as the likely cost, a line over nine of ten months, and a mark at what one could spend."""
    low, likely, high = (
        min(1.0, float(money.amount / most)) * LENGTH for money in (cost.least, cost.likely, cost.most)
    )
    words = escape(f"{cost.likely.amount:,.0f} US dollars a month, {cost.least.amount:,.0f} to {cost.most.amount:,.0f}")
    mark = ""
    if budget is not None and budget <= most:
        mark = f'<rect class="mark" x="{float(budget / most) * LENGTH - 0.2:.2f}" y="0" width="0.5" height="10"/>'
    return Markup(  # noqa: S704 - numbers, and words that went through escape()
        f'<svg class="bar" viewBox="0 0 {LENGTH} 10" preserveAspectRatio="none" role="img" aria-label="{words}">'
        f'<rect class="spent" x="0" y="0" width="{likely:.2f}" height="10"/>'
        f'<rect class="span" x="{low:.2f}" y="4" width="{max(0.3, high - low):.2f}" height="2"/>{mark}</svg>'
    )


def _parts(cost: WayCost) -> tuple[tuple[str, int], ...]:
    total = sum(money.amount for money in cost.parts.values())
    if not total:
        return ()
    shares = [(name, round(100 * money.amount / total)) for name, money in cost.parts.items()]
    return tuple(sorted((share for share in shares if share[1] >= 1), key=lambda share: -share[1]))


def meter(share: float, words: str) -> Markup:
    """Return a share of 1 as a small bar."""
    return Markup(  # noqa: S704 - a number, and words that went through escape()
        f'<svg class="meter" viewBox="0 0 {LENGTH} 10" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(words)}"><rect class="track" x="0" y="0" width="{LENGTH}" height="10" rx="2"/>'
        f'<rect class="spent" x="0" y="0" width="{share * LENGTH:.1f}" height="10" rx="2"/></svg>'
    )
