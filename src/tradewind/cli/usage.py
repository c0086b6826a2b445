"""``tradewind usage``: what was used and what it cost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from tradewind import wire
from tradewind.cli.export import write
from tradewind.cli.terminal import engine, json_option, now, open_console, print_json
from tradewind.client.tables import QUIET, cost_rows, cost_table, local_text, sum_of, total_row
from tradewind.config import parse_duration
from tradewind.errors import BadRequest
from tradewind.model.usage import Cost, CostLine
from tradewind.planning.grouping import COMPUTATION, KEYS, TAG, TIMES, dimensions
from tradewind.planning.tally import SEPARATOR

TABLES = ("focus-csv", "focus-parquet", "csv")
GROUPS = (*KEYS, *TIMES, COMPUTATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """``usage show --json``."""

    by: str
    since: datetime | None
    until: datetime | None
    lines: tuple[CostLine, ...]
    total: Cost


def parse_group(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return what a cost table is grouped by, or say what it can be."""
    try:
        return ",".join(dimensions(value))
    except BadRequest:
        raise click.BadParameter(
            f"{value!r} is no group; there are: {', '.join(GROUPS)}, tag:KEY, and several with commas between.",
            ctx,
            parameter,
        ) from None


def parse_moment(ctx: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """Return the moment that a day, a time or a duration back from now stands for, in UTC."""
    if value is None:
        return None
    try:
        if re.match(r"\d{4}-", value):
            at = datetime.fromisoformat(value)
            return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)
        if re.search("[a-z]", value):  # a bare number could be seconds, days or a year
            return now() - parse_duration(value)
        raise ValueError
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is neither a day (2026-11-01), nor a time (2026-11-01T12:00), nor how long ago (7d, 36h).",
            ctx,
            parameter,
        ) from None


@click.group()
def usage() -> None:
    """Show what was used and what it cost."""


@usage.command()
@click.option(
    "--by",
    callback=parse_group,
    default="cluster",
    show_default=True,
    metavar="GROUP",
    help=f"What makes a line: {', '.join(GROUPS)} or tag:KEY; or several, as user,tag:project,day.",
)
@click.option(
    "--since", callback=parse_moment, metavar="WHEN", help="From here on: a day, a time (UTC), or as 7d, 36h ago."
)
@click.option("--until", callback=parse_moment, metavar="WHEN", help="Up to here, not included. Default: now.")
@json_option
def show(by: str, since: datetime | None, until: datetime | None, as_json: bool) -> None:
    """Show cost lines that add up to the total. Days are UTC days."""
    _refuse_empty(since, until)
    with engine() as api:
        lines: Sequence[CostLine] = api.run(api.usage(by=by, since=since, until=until))
    if as_json:
        print_json(
            wire.dump(
                UsageReport(
                    by=by,
                    since=since,
                    until=until,
                    lines=tuple(lines),
                    total=sum_of(lines),
                )
            )
        )
        return
    console = open_console()
    span = " ".join(
        [f"since {local_text(since)}" if since else "", f"until {local_text(until)}" if until else ""]
    ).strip()
    if not lines:
        console.print(f"Nothing was used {span or 'yet'}.")
        return
    console.print(usage_table(by, lines))
    if span:
        console.print(span, style=QUIET)


@usage.command("export")
@click.option(
    "--format",
    "what",
    type=click.Choice(TABLES),
    default=TABLES[0],
    show_default=True,
    help="FOCUS is what finance offices' programs read; csv has a line for each interval as it was metered.",
)
@click.option("--since", callback=parse_moment, metavar="WHEN", help="From here on.")
@click.option("--until", callback=parse_moment, metavar="WHEN", help="Up to here, not included. Default: now.")
@click.option(
    "-o", "--output", "to", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write."
)
def export_(what: str, since: datetime | None, until: datetime | None, to: Path) -> None:
    """Write usage as a table for other programs."""
    _refuse_empty(since, until)
    write(to, what, since, until)
    click.echo(f"Written to {to}.")


def _refuse_empty(since: datetime | None, until: datetime | None) -> None:
    if since is not None and until is not None and since >= until:
        raise click.BadParameter(f"it must be before --until, {until.isoformat()}.", param_hint="--since")


def usage_table(by: str, lines: Sequence[CostLine]) -> Table:
    """Return cost lines with a bar each, and their sum."""
    asked = dimensions(by)
    table = cost_table(None, SEPARATOR.join(one.removeprefix(TAG) for one in asked))
    rows = []
    for line in lines:
        label = Text(line.title)
        if line.name:  # an id stands in it somewhere: its beginning is what other commands take
            label.append(f"  {line.keys[asked.index(COMPUTATION)][:8]}", style=QUIET)
        rows.append((label, line.cost))
    total = sum_of(lines)
    cost_rows(table, rows, total)
    table.add_section()
    total_row(table, total)
    return table
