"""``tradewind freedom``: what ties a project to one place, company or person, line by line, and what mends it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from tradewind.advisor.freedom.finding import Place
from tradewind.advisor.freedom.loss import Loss, Report
from tradewind.advisor.freedom.pledge import FILE, Pledge, read_pledge
from tradewind.advisor.freedom.rules import FULL, Freedoms
from tradewind.advisor.freedom.told import told_report
from tradewind.advisor.freedom.weigh import weigh
from tradewind.advisor.shelf import open_assumptions, open_freedoms
from tradewind.cli.partner import at_option, day
from tradewind.cli.project import read_documents, read_project
from tradewind.cli.terminal import json_option, open_console, print_json
from tradewind.errors import ConfigError

QUIET = "bright_black"
SHOWN_PLACES = 3
MOST_UNREAD = 10
MOST_LOSSES = 12


@click.command("freedom")
@click.argument("path", type=click.Path(exists=True, path_type=Path), default=Path())
@click.option("--check", is_flag=True, help="Exit with 1 where something is lost that nobody accepted; for CI.")
@click.option(
    "--least",
    type=click.IntRange(0, FULL),
    metavar="POINTS",
    help=f"Exit with 1 where a bar has fewer of its {FULL} points; what was accepted doesn't count. For CI.",
)
@click.option("--all", "everything", is_flag=True, help="Name every line, and every file that wasn't read.")
@click.option("--move-to", metavar="WAY", help="Show instead what changes on the way to local, ssh, slurm, server, ….")
@click.option("--from", "move_from", metavar="WAY", help="Where it runs now; default what your settings say.")
@click.option(
    "--replicate",
    "replicated",
    multiple=True,
    metavar="WAY",
    help="Run the script PATH there, and again where the next --replicate says, and compare what it prints.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="By how much, of the larger, two numbers may differ; 0 is bit for bit.",
)
@click.option("--timeout", type=float, default=3600.0, show_default=True, help="Seconds that each run may take.")
@at_option
@json_option
@click.pass_context
def freedom(
    ctx: click.Context,
    path: Path,
    check: bool,
    least: int | None,
    everything: bool,
    move_to: str | None,
    move_from: str | None,
    replicated: tuple[str, ...],
    tolerance: float,
    timeout: float,
    at: datetime | None,
    as_json: bool,
) -> None:
    """Show how free the project in PATH is to leave: its packages, code, notebooks and storage; default this folder.

    Nothing of it is run, but for --replicate, and nothing leaves this machine. What was given up on purpose stands in
    freedom.toml, each with who, when and why.
    """
    today = day(at)
    if replicated:
        _replicate(ctx, path, replicated, tolerance, timeout, today, as_json=as_json)
        return
    freedoms = open_freedoms()
    project = read_project(path, freedoms)
    report = weigh(project, _pledge(path, freedoms, today), freedoms, today)
    if move_to is not None:
        # The engine's side, of which a look at a project needs nothing.
        move = importlib.import_module("tradewind.cli.move")
        planned = move.plan_move(read_documents(path), report, move_to, move_from)
        print_json(move.told_move(planned)) if as_json else move.print_move(open_console(), planned)
        return
    if as_json:
        print_json(told_report(report, today))
    else:
        _print(open_console(), path, report, today, everything=everything)
    if (check and (report.losses or report.faults)) or (least is not None and report.falls_short(least)):
        ctx.exit(1)


def _replicate(
    ctx: click.Context,
    script: Path,
    names: tuple[str, ...],
    tolerance: float,
    timeout_s: float,
    today: date,
    *,
    as_json: bool,
) -> None:
    ran = importlib.import_module("tradewind.cli.replicate")
    replication = ran.replicate(script, names, tolerance, timeout_s)
    if as_json:
        print_json(ran.told_replication(replication))
    else:
        ran.print_replication(open_console(), replication, today)
    if not replication.is_same:
        ctx.exit(1)


def _pledge(path: Path, freedoms: Freedoms, today: date) -> Pledge:
    """Return what the project says of itself, in the file that lies at its root."""
    file = (path if path.is_dir() else path.parent) / FILE
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Pledge()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} can't be read: {error}.") from None
    return read_pledge(text, freedoms, today)


def _print(console: Console, path: Path, report: Report, today: date, *, everything: bool) -> None:
    console.print(Text(f"How free {path.resolve().name or path} is ({report.files} files read)\n", style="bold"))
    width = max(len(score.bar.label) for score in report.scores)
    for score in report.scores:
        style = "green" if score.left > FULL * 0.7 else "yellow" if score.left > FULL * 0.4 else "red"
        console.print(
            Text.assemble(
                f"{score.bar.label:<{width}}  ",
                ("█" * score.left, style),
                ("▒" * score.accepted, "blue"),
                ("·" * score.lost, QUIET),
                f"  {score.left:>2} of {FULL}",
                f", {score.accepted} given up on purpose" if score.accepted else "",
                (f"  {score.bar.asks}", QUIET),
            ),
            soft_wrap=True,
        )
    shown = report.losses if everything else report.losses[:MOST_LOSSES]
    for loss in shown:
        _print_loss(console, loss, report, today, everything=everything)
    if len(report.losses) > len(shown):
        console.print(f"\nand {len(report.losses) - len(shown)} more, none dearer; --all shows them", style=QUIET)
    if report.accepted:
        console.print(Text("\nGiven up on purpose", style="bold"))
    for loss in report.accepted:
        accepted = loss.accepted
        assert accepted is not None
        console.print(f"  {loss.says}{_at(loss.places, everything)}", soft_wrap=True)
        console.print(
            f"    by {accepted.by} on {accepted.on}, to be looked at again by {accepted.until}: {accepted.reason}",
            style=QUIET,
            soft_wrap=True,
        )
    _print_list(console, "Of freedom.toml", report.faults, "yellow")
    _print_list(console, "Not known", report.questions, "")
    unread = [f"{one.path}: {one.why}" for one in report.unread]
    if len(unread) > MOST_UNREAD and not everything:
        unread = [*unread[:MOST_UNREAD], f"and {len(unread) - MOST_UNREAD} more; --all names them"]
    _print_list(console, "Not read, so nothing is said of it", unread, "yellow")
    if report.losses:
        console.print(
            f"\nNo bar need be full. What you give up on purpose, say so in {FILE}, with who, when and why:\n"
            f'[[accepted]]\nrule = "{report.losses[0].rule.id}"\n'
            + (f'what = "{report.losses[0].what}"\n' if _is_word(report.losses[0].what) else "")
            + f'by = "your name"\ndate = {today}\nreason = "..."',
            style=QUIET,
        )


def _print_loss(console: Console, loss: Loss, report: Report, today: date, *, everything: bool) -> None:
    labels = [score.bar.label for score in report.scores if score.bar.id in loss.rule.bars]
    points = f"-{loss.points}" if loss.points else "0"
    console.print(
        Text.assemble(
            f"\n{points:>3}  ",
            (loss.says, "bold"),
            (f" [{', '.join(fact.cited(today) for fact in loss.facts)}]" if loss.facts else "", QUIET),
        ),
        soft_wrap=True,
    )
    console.print(
        f"     {loss.rule.id}, of {' and '.join(labels)}{_at(loss.places, everything)}", style=QUIET, soft_wrap=True
    )
    if loss.rule.costs:
        number = open_assumptions().numbers[loss.rule.costs]
        source = number.source.code
        console.print(f"     {number.meaning}: about {number.amount.likely:g} {number.unit} [{source}]", soft_wrap=True)
    console.print(f"     {loss.fix}", soft_wrap=True)


def _print_list(console: Console, title: str, lines: Sequence[str], style: str) -> None:
    if lines:
        console.print(Text(f"\n{title}", style="bold"))
    for line in lines:
        console.print(f"  {line}", style=style, soft_wrap=True)


def _at(places: Sequence[Place], everything: bool) -> str:
    if not places:
        return ""
    shown = places if everything else places[:SHOWN_PLACES]
    more = f" and {len(places) - len(shown)} more" if len(places) > len(shown) else ""
    return f": {', '.join(map(str, shown))}{more}"


def _is_word(what: str) -> bool:
    """Whether it can stand in the example as it is, and narrows it."""
    return bool(what) and " " not in what and '"' not in what and "\\" not in what
