"""``tradewind computation``: what was computed, where the time went, what failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click
from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from tradewind import wire
from tradewind.cli.terminal import engine, find_cluster, json_option, now, open_console, print_json
from tradewind.client.tables import (
    QUIET,
    Bar,
    bytes_text,
    core_text,
    cost_text,
    duration_text,
    insights_panel,
    local_text,
    plain_table,
)
from tradewind.model.cluster import Cluster
from tradewind.model.computation import Computation, Insight
from tradewind.model.usage import Cost

ID_SHOWN = 8
"""Characters of an id in the list; any beginning that is unique will do for ``show``."""
ERRORS_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputationStory:
    """``computation show --json``."""

    computation: Computation
    cluster_name: str
    cost: Cost
    """Its share of what its cluster cost."""
    insights: tuple[Insight, ...]


@click.group()
def computation() -> None:
    """Show what was computed, where the time went and what failed."""


@computation.command("list")
@click.option("--cluster", "cluster_name", metavar="NAME", help="Only of this cluster.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="The newest so many.")
@json_option
def list_(cluster_name: str | None, limit: int, as_json: bool) -> None:
    """List computations, newest first."""
    with engine() as api:
        cluster_id = find_cluster(api, cluster_name).id if cluster_name is not None else None
        found: Sequence[Computation] = api.run(api.computations(cluster_id, limit=limit))
        clusters = {one: api.run(api.view(one)).cluster for one in {one.cluster_id for one in found}}
    if as_json:
        print_json([wire.dump(one) for one in found])
        return
    console = open_console()
    if not found:
        where = f" on cluster {cluster_name}" if cluster_name else ""
        console.print(f"No computation was recorded{where} yet.")
        return
    table = plain_table()
    table.add_column("id", no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("cluster", overflow="fold", style=QUIET)
    table.add_column("began", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("tasks", justify="right", no_wrap=True)
    table.add_column("failed", justify="right", no_wrap=True)
    for one in found:
        table.add_row(
            one.id[:ID_SHOWN],
            Text(one.name),
            Text(clusters[one.cluster_id].name),
            local_text(one.started_at, "%m-%d %H:%M:%S"),
            took_text(one, clusters[one.cluster_id]),
            f"{one.tasks:,}",
            Text(f"{one.erred:,}", style="red") if one.erred else "",
        )
    console.print(table)


@computation.command()
@click.argument("computation_id", metavar="ID")
@json_option
def show(computation_id: str, as_json: bool) -> None:
    """Show one computation; an unambiguous beginning of its ID will do."""
    with engine() as api:
        one: Computation = api.run(api.computation(computation_id))
        cluster: Cluster = api.run(api.view(one.cluster_id)).cluster
        lines = api.run(api.receipt(one.cluster_id)).by_computation
        every: Sequence[Insight] = api.run(api.insights(one.cluster_id))
    story = ComputationStory(
        computation=one,
        cluster_name=cluster.name,
        cost=next((line.cost for line in lines if line.key == one.id), Cost()),
        insights=tuple(insight for insight in every if insight.computation_id == one.id),
    )
    if as_json:
        print_json(wire.dump(story))
    else:
        print_story(open_console(), story, cluster)


def print_story(console: Console, story: ComputationStory, cluster: Cluster) -> None:
    """Print all that is known of a computation."""
    one = story.computation
    state = state_of(one, cluster)
    style = {"failed": "red", "done": "green", "running": "yellow"}.get(state, QUIET)
    console.print(Text.assemble((one.name, "bold"), "  ", (state, style), (f"  {one.id}", QUIET)))
    began = f"{took_text(one, cluster)} from {local_text(one.started_at)}, " if one.started_at is not None else ""
    facts = Text.assemble(
        f"{began}on cluster {cluster.name} with {one.workers} worker{'' if one.workers == 1 else 's'}; "
        f"{one.tasks:,} task{'' if one.tasks == 1 else 's'}, {bytes_text(one.nbytes)} of results; share of the cost: ",
        cost_text(story.cost),
        f" ({core_text(story.cost.cpu_seconds)})",
    )
    console.print(facts)
    console.print()
    if one.groups:
        console.print(groups_table(one), "")
    if one.activity_seconds:
        console.print(activities_table(one), "")
    for error in one.errors[:ERRORS_SHOWN]:
        console.print(Text.assemble(("✗ ", "red"), (error.exception, "bold red"), (f"  in {error.key}", QUIET)))
        console.print(Padding(Text(error.traceback.rstrip(), style=QUIET), (0, 0, 1, 2)))
    if len(one.errors) > ERRORS_SHOWN:
        console.print(f"and {len(one.errors) - ERRORS_SHOWN} more errors; --json has them", style=QUIET)
    for code in one.code:
        console.print(Text("Code", style="bold"))
        console.print(Padding(Syntax(code, "python", theme="ansi_dark", background_color="default"), (0, 0, 1, 2)))
    if story.insights:
        console.print(insights_panel(story.insights))


def state_of(one: Computation, cluster: Cluster) -> str:
    """Return in a word or two how it stands; what its cluster left undone stays so."""
    if one.erred:
        return "failed"
    if one.started_at is None:
        return "not begun" if cluster.status.is_live else "never begun"
    if one.done:
        return "done"
    return "running" if cluster.status.is_live else "left undone"


def took_text(one: Computation, cluster: Cluster) -> str:
    """Return how long it took, or takes up to now."""
    if one.started_at is None:
        return "-"
    end = one.stopped_at or cluster.stopped_at
    return duration_text((end or now()) - one.started_at) + ("" if end is not None else " …")


def groups_table(one: Computation) -> Table:
    """Return the kinds of tasks, the one that computed longest first."""
    table = plain_table()
    table.add_column("tasks of the kind", overflow="fold")
    table.add_column("done", justify="right", no_wrap=True)
    table.add_column("computing", justify="right", no_wrap=True)
    table.add_column("moving", justify="right", no_wrap=True)
    table.add_column("results", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    longest = max((group.compute_seconds for group in one.groups), default=0.0)
    for group in sorted(one.groups, key=lambda group: -group.compute_seconds):
        done = Text(f"{group.done:,}/{group.tasks:,}")
        if group.erred:
            done.append(f" {group.erred} failed", style="red")
        table.add_row(
            Text(group.prefix),
            done,
            duration_text(group.compute_seconds),
            duration_text(group.transfer_seconds + group.disk_seconds),
            bytes_text(group.nbytes),
            Bar(group.compute_seconds / longest if longest else 0.0, width=10),
        )
    return table


def activities_table(one: Computation) -> Table:
    """Return what the workers' threads did with the time they had."""
    table = plain_table()
    table.add_column("threads were")
    table.add_column("for", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    whole = sum(one.activity_seconds.values())
    for activity, seconds in sorted(one.activity_seconds.items(), key=lambda item: -item[1]):
        share = seconds / whole if whole else 0.0
        style = QUIET if activity == "idle" else "cyan"
        table.add_row(Text(activity), duration_text(seconds), f"{share:.0%}", Bar(share, style=style))
    return table
