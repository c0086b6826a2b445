"""``tradewind env diff --for``: what would differ on machines of another platform."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from tradewind import wire
from tradewind.boot.environment.translation.platforms import shown
from tradewind.cli.terminal import open_console, print_json
from tradewind.client.software.ready import find_for
from tradewind.client.tables import QUIET, plain_table
from tradewind.model.environment import Confidence, Environment, PackageChoice, Target, Translation

STYLES = {Confidence.SURE: QUIET, Confidence.LIKELY: "", Confidence.GUESS: "yellow"}


def show_there(environment: Environment, target: Target, ignore: Sequence[str], *, as_json: bool) -> None:
    """Print what isn't on ``target`` as it is here: a table, or the whole environment there as JSON.

    Raises
    ------
    BadRequest
        It can't be had there.
    """
    console = open_console()
    notes: list[str] = []
    with console.status(f"Looking for packages for {shown(target.platform)} …"):
        wanted = find_for(environment, target, PackageChoice(ignore=tuple(ignore)), say=notes.append)
    found = Translation(environment=wanted.environment, differences=wanted.differences)
    if as_json:
        print_json(wire.dump(found))
        return
    there = found.environment
    console.print(
        Text.assemble(
            (f"Python {environment.python} on {shown(environment.platform)}", "bold"),
            " → ",
            (f"Python {there.python} on {shown(there.platform)}, {len(there.packages):,} packages", "bold"),
        )
    )
    if not found.differences:
        console.print("Nothing differs: the same versions are there.")
        return
    table = plain_table()
    table.add_column("package", no_wrap=True)
    table.add_column("here", no_wrap=True)
    table.add_column("there", no_wrap=True)
    table.add_column("how sure", no_wrap=True)
    table.add_column("why", overflow="fold")
    for one in found.differences:
        cells = (one.package, one.here or "-", one.there or "-", one.confidence.value, one.reason)
        table.add_row(*(Text(cell, style=STYLES[one.confidence]) for cell in cells))
    console.print(table)
