"""``tradewind estimate``: what a group's computing would cost in a month, each way to run it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tradewind.advisor.estimate import Estimate, WayCost
from tradewind.advisor.estimate import estimate as estimated
from tradewind.advisor.match import advise
from tradewind.advisor.programme import EXAMPLE, Programme, read_programme
from tradewind.advisor.recommendation import Recommendation
from tradewind.advisor.shelf import Shelf, open_assumptions, open_shelf, read_toml
from tradewind.cli.terminal import json_option, now, open_console, print_json
from tradewind.errors import BadRequest

BAR = 24
MOVE = "only if the data are moved there first: what that costs each month is in it, the weeks on the line aren't"


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--example", is_flag=True, help="Print a programme to start from, and the question it answers.")
@click.option("--draws", type=click.IntRange(100, 1_000_000), default=10_000, show_default=True, help="Months drawn.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the dice; the same draws the same months.")
@json_option
def estimate(file: Path | None, example: bool, draws: int, seed: int, as_json: bool) -> None:
    """Estimate what the programme in FILE would cost in a month, with an interval, for each way to run it.

    Shows where the money goes, the sum line by line, what the classic faults would add, and who could pay.
    """
    if example:
        click.echo(EXAMPLE, nl=False)
        return
    if file is None:
        raise BadRequest("there is no programme to estimate; `tradewind estimate --example` prints one to start from.")
    shelf = open_shelf()
    programme = read_programme(read_toml(file), str(file))
    today = now().date()
    payers = _payers(shelf, programme, today)
    result = estimated(programme, open_assumptions(), shelf.directory, draws=draws, seed=seed)
    if as_json:
        print_json(_told(result, payers))
    else:
        _print(open_console(), result, payers, shelf, today)


def _payers(shelf: Shelf, programme: Programme, today: date) -> tuple[Recommendation, ...]:
    """Return who could pay, as far as country and institution say."""
    given = {"country": programme.country, "affiliation": programme.affiliation, "purpose": "research"}
    answers = shelf.questionnaire.read(given)
    return advise(shelf.questionnaire, shelf.rules, answers, today=today).programmes


def _print(console: Console, result: Estimate, payers: tuple[Recommendation, ...], shelf: Shelf, today: date) -> None:
    console.print(Text(result.programme.name, style="bold"))
    table = Table(box=None, pad_edge=False)
    table.add_column("Way to run it", overflow="fold")
    for title in ("Likely", "9 of 10 months"):
        table.add_column(f"{title} (USD)", justify="right")
    table.add_column("")
    table.add_column("Where it goes", overflow="fold")
    # A move of all data costs so much more than the rest that no other bar would be seen beside its own.
    most = max((cost.likely.amount for cost in result.ways if not cost.needs_move), default=None) or 1
    for cost in result.ways:
        bar = "█" * max(1, min(BAR, round(BAR * float(cost.likely.amount / most)))) if cost.likely.amount else ""
        interval = f"{cost.least.amount:,.0f} - {cost.most.amount:,.0f}" if cost.most.amount else ""
        goes = [_shares(cost)] if cost.parts else []
        if cost.service_units is not None:
            goes.append(f"an allocation of {cost.service_units:,} SU; storage is the centre's")
        name = f"{cost.way.name} *" if cost.needs_move else cost.way.name
        table.add_row(name, f"{cost.likely.amount:,.0f}", interval, bar, "; ".join(goes))
    console.print(table)
    if any(cost.needs_move for cost in result.ways):
        console.print(f"  * {MOVE}", style="bright_black", soft_wrap=True)
    _print_prices(console, result, shelf, today)
    for name in result.unpriced:
        people = f"{result.programme.people:,} people"
        console.print(f"  {name}: what {people} would pay isn't known here; ask", style="bright_black")
    console.print(Text("\nThe sum, for ephemeral clusters on spot", style="bold"))
    for line in result.lines:
        console.print(f"  {line.says} = {line.result:,.2f} {line.unit}", soft_wrap=True)
    console.print(f"  {result.apart}", style="bright_black", soft_wrap=True)
    console.print(Text("\nWhat each of the classic faults would add in a month", style="bold"))
    for one in result.faults:
        console.print(f"  {one.adds.amount:>12,.0f} USD  {one.fault.says} [{one.fault.source.code}]", soft_wrap=True)
    console.print(Text("\nWho could pay", style="bold"))
    for payer in payers:
        doubt = f" (ask: {', '.join(reason.rule for reason in payer.to_ask)})" if payer.to_ask else ""
        console.print(f"  {payer.partner.name}{doubt}", soft_wrap=True)
    if not payers:
        console.print("  no programme in the directory is open to you")
    console.print(
        "\nOne in twenty months would cost less than the interval, one more. Prices are list prices of one region; what"
        " each number is taken from stands in --json.",
        style="bright_black",
        soft_wrap=True,
    )


def _print_prices(console: Console, result: Estimate, shelf: Shelf, today: date) -> None:
    """Say of every partner in the table what its price is: plans have steps that a sum doesn't show."""
    for cost in result.ways:
        for partner in shelf.directory:
            price = partner.facts.get("price")
            if partner.name == cost.way.name and price is not None:
                console.print(f"  {partner.name}: {price.shown} [{price.cited(today)}]", style="bright_black")


def _shares(cost: WayCost) -> str:
    total = sum(money.amount for money in cost.parts.values())
    parts = sorted(cost.parts.items(), key=lambda part: -part[1].amount)
    return ", ".join(f"{name} {money.amount / total:.0%}" for name, money in parts if money.amount / total >= 0.01)


def _told(result: Estimate, payers: tuple[Recommendation, ...]) -> dict[str, Any]:
    return {
        "programme": result.programme.name,
        "currency": "USD",
        "ways": [
            {
                "name": cost.way.name,
                "kind": cost.way.kind,
                "least": str(cost.least.amount),
                "likely": str(cost.likely.amount),
                "most": str(cost.most.amount),
                "parts": {name: str(money.amount) for name, money in cost.parts.items()},
                "service_units": cost.service_units,
                "needs_move": cost.needs_move,
            }
            for cost in result.ways
        ],
        "price_unknown_for_so_many": list(result.unpriced),
        "apart": result.apart,
        "lines": [{"says": line.says, "result": round(line.result, 4), "unit": line.unit} for line in result.lines],
        "faults": [
            {"id": one.fault.id, "says": one.fault.says, "adds": str(one.adds.amount), "source": one.fault.source.code}
            for one in result.faults
        ],
        "assumptions": [
            {
                "name": one.name,
                "meaning": one.meaning,
                "unit": one.unit,
                "range": [one.amount.least, one.amount.likely, one.amount.most],
                "source": one.source.code,
                "confidence": one.source.confidence.value,
                "note": one.note,
            }
            for one in open_assumptions().numbers.values()
        ],
        "could_pay": [{"id": payer.partner.id, "ask": [reason.rule for reason in payer.to_ask]} for payer in payers],
    }
