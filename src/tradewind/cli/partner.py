"""``tradewind partner``: what is known of each infrastructure, from whom, and how old it is."""

from __future__ import annotations

import importlib
from datetime import date, datetime
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from tradewind.advisor.fact import Fact
from tradewind.advisor.partner import Partner
from tradewind.advisor.shelf import directory_files, open_reader, open_shelf
from tradewind.advisor.told import told_partner
from tradewind.cli.terminal import json_option, now, open_console, print_json

STYLES = {"active": "green", "preview": "yellow", "limited": "yellow"}
OURS = Path(__file__).parents[1] / "advisor" / "directory"

at_option = click.option(
    "--at", type=click.DateTime(["%Y-%m-%d"]), help="Show facts as old as on this day; default today."
)


@click.group()
def partner() -> None:
    """Platforms, software and programmes: what is known of them, with its source and age."""


@partner.command("list")
@click.option("--page", is_flag=True, help="Show them with all facts as a page in your browser, on this machine alone.")
@at_option
@json_option
def list_(page: bool, at: datetime | None, as_json: bool) -> None:
    """List all partners of the directory."""
    if page:
        # A page is for who wants one: templates and a server take time that no other command should pay.
        importlib.import_module("tradewind.cli.page").show_pages("/partners")
        return
    today = day(at)
    partners = open_shelf().directory.partners
    if as_json:
        print_json([told_partner(one, today) for one in partners])
        return
    table = Table(box=None, pad_edge=False)
    for title in ("Partner", "Kind", "Status", "What it is", "Facts", "Stale"):
        table.add_column(title, overflow="fold", justify="right" if title in {"Facts", "Stale"} else "left")
    for one in partners:
        table.add_row(
            one.id, one.kind.value, _status(one), one.what, str(len(one.facts)), str(len(one.stale(today)) or "")
        )
    console = open_console()
    console.print(table)
    console.print(f"{len(partners)} partners. `tradewind partner show {partners[0].id}` shows every fact of one.")


@partner.command()
@click.argument("name")
@at_option
@json_option
def show(name: str, at: datetime | None, as_json: bool) -> None:
    """Show every fact of one partner, with its source, its age, and who has an interest in it."""
    today = day(at)
    directory = open_shelf().directory
    one = directory.find(name)
    if as_json:
        print_json(told_partner(one, today))
        return
    console = open_console()
    console.print(Text.assemble((one.name, "bold"), f" ({one.kind.value}, run by {one.operator})\n{one.what}\n"))
    table = Table(box=None, pad_edge=False)
    for title in ("Fact", "Value", "Source", "Said by", "Interest"):
        table.add_column(title, overflow="fold")
    for fact in one.facts.values():
        table.add_row(directory.fields[fact.field].meaning, _value(fact), fact.cited(today), *_said(fact))
    for remark in one.remarks:
        label = "speaks against it" if remark.against else "good to know"
        table.add_row(label, remark.text, remark.fact.cited(today), *_said(remark.fact))
    console.print(table)
    unknown = [field.meaning for key, field in directory.fields.items() if key not in one.facts]
    console.print(f"\nUnknown: {', '.join(unknown)}.", style="bright_black")
    console.print("\nSources")
    for source in one.sources:
        console.print(f"  {source.code}: {source.title}{f', {source.url}' if source.url else ''}", soft_wrap=True)


@partner.command()
@click.argument("names", nargs=-1, required=True)
@at_option
@json_option
def compare(names: tuple[str, ...], at: datetime | None, as_json: bool) -> None:
    """Show several partners side by side; NAMES are their ids or names."""
    today = day(at)
    directory = open_shelf().directory
    chosen = list({one.id: one for one in (directory.find(name) for name in names)}.values())
    if as_json:
        print_json([told_partner(one, today) for one in chosen])
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("Fact", overflow="fold")
    for one in chosen:
        table.add_column(one.name, overflow="fold")
    for key, field in directory.fields.items():
        facts = [one.facts.get(key) for one in chosen]
        if any(facts):
            table.add_row(field.meaning, *(_cell(fact, today) for fact in facts))
    open_console().print(table)


@partner.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=OURS)
@json_option
@click.pass_context
def lint(ctx: click.Context, folder: Path, as_json: bool) -> None:
    """Check files of a directory: that every fact has a source, a unit, a value that can be. Default: our own."""
    reader = open_reader()
    files = directory_files(folder)
    faults = [fault for file in files for fault in reader.examined(file.read_bytes(), file.name)[1]]
    if as_json:
        print_json({"files": len(files), "faults": faults})
    else:
        click.echo("\n".join(faults) if faults else f"{len(files)} files: all is well")
    if faults:
        ctx.exit(1)


def day(at: datetime | None) -> date:
    """Return the day that was asked about, or today."""
    return (at or now()).date()


def _status(one: Partner) -> Text:
    fact = one.facts["status"]
    since = f" {fact.since}" if fact.since else ""
    return Text(f"{fact.value}{since}", style=STYLES.get(str(fact.value), "red"))


def _value(fact: Fact) -> str:
    return f"{fact.shown} ({fact.note})" if fact.note else fact.shown


def _said(fact: Fact) -> tuple[str, str]:
    return fact.kind.value, "; ".join(fact.interest)


def _cell(fact: Fact | None, today: date) -> Text:
    if fact is None:
        return Text("?", style="bright_black")
    return Text.assemble(fact.shown, (f" [{fact.cited(today)}]", "bright_black"))
