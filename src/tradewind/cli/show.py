"""``tradewind cluster show``: all there is to know of one cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import click
from rich.table import Table
from rich.text import Text

from tradewind import wire
from tradewind.cli.terminal import (
    complete_cluster,
    engine,
    find_cluster,
    json_option,
    now,
    open_console,
    print_json,
    status_text,
)
from tradewind.client.tables import QUIET, bytes_text, cost_text, duration_text, local_text, plain_table, resources_text
from tradewind.model.budget import BudgetState
from tradewind.model.cluster import Cluster
from tradewind.model.events import Event, Level
from tradewind.model.instance import Instance, InstanceEnd, InstanceStatus
from tradewind.model.resources import Need, Range
from tradewind.model.views import ClusterView

STATUS_STYLES = {InstanceStatus.RUNNING: "green", InstanceStatus.STOPPED: QUIET}
LEVEL_STYLES = {Level.INFO: "", Level.WARNING: "yellow", Level.ERROR: "red"}
INSTANCES_SHOWN = 50
"""In the table; a long adaptive life leaves thousands. ``--json`` has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStory:
    """``cluster show --json``."""

    view: ClusterView
    journal: tuple[Event, ...]


@click.command()
@click.argument("name", shell_complete=complete_cluster)
@json_option
def show(name: str, as_json: bool) -> None:
    """Show what was asked for, how it is, its instances, what it cost and what happened."""
    with engine() as api:
        found = find_cluster(api, name)
        view: ClusterView = api.run(api.view(found.id))
        journal: tuple[Event, ...] = tuple(event for _, event in api.run(api.events(found.id)))
    if as_json:
        print_json(wire.dump(ClusterStory(view=view, journal=journal)))
        return
    console = open_console()
    one = view.cluster
    console.print(Text.assemble((one.name, "bold"), "  ", status_text(one), ("  " + one.id, QUIET)))
    if one.stop_detail:
        console.print(f"{one.stop_detail}", style="red" if one.stop_reason and one.stop_reason.is_failure else QUIET)
    console.print(facts_table(view))
    console.print()
    console.print(instances_table(view.instances))
    console.print("\nJournal", style="bold")
    console.print(journal_table(journal))


def facts_table(view: ClusterView) -> Table:
    """Return what was asked for and what it cost, a fact a line."""
    one, spec = view.cluster, view.cluster.spec
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style=QUIET, no_wrap=True)
    table.add_column(overflow="fold")
    facts: list[tuple[str, str | Text]] = [
        ("cost", cost_text(view.cost)),
        ("budget", budget_text(view.budget) if view.budget is not None else ""),
        ("where", " ".join(filter(None, (spec.provider, spec.region, spec.spot_policy.value)))),
        ("workers", workers_text(one)),
        ("each worker", need_text(spec.worker)),
        ("scheduler", need_text(spec.scheduler)),
        ("owner", f"{one.owner}, workspace {spec.workspace}"),
        ("tags", ", ".join(f"{key}={value}" for key, value in spec.tags.items())),
        ("variables", ", ".join(f"{key}={value}" for key, value in spec.environ.items())),
        ("software", software_text(one)),
        ("created", local_text(one.created_at)),
        ("up after", duration_text(one.started_at - one.created_at) if one.started_at else ""),
        ("stopped", local_text(one.stopped_at) if one.stopped_at else ""),
        ("ends", lifetimes_text(one) if one.status.is_live else ""),
        ("dashboard", (one.contact.dashboard or "") if one.contact and one.status.is_live else ""),
    ]
    for word, fact in facts:
        if fact:
            table.add_row(word, fact if isinstance(fact, Text) else Text(fact))
    return table


def journal_table(journal: Sequence[Event]) -> Table:
    """Return what happened, a line each, with the day where there are several."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style=QUIET, no_wrap=True)
    table.add_column(overflow="fold")
    days = {local_text(event.at, "%m-%d") for event in journal}
    for event in journal:
        at = local_text(event.at, "%H:%M:%S" if len(days) == 1 else "%m-%d %H:%M:%S")
        table.add_row(at, Text(event.message, style=LEVEL_STYLES[event.level]))
    return table


def budget_text(budget: BudgetState) -> Text:
    """Return how a limit stands."""
    style = "red" if budget.percent >= 80 else "yellow" if budget.percent >= 50 else ""
    text = Text(f"{budget.left} left of {budget.limit} ({budget.percent} % spent)", style=style)
    if budget.burn_per_hour.amount:
        hours = float(budget.left.amount / budget.burn_per_hour.amount)
        text.append(f", enough for {duration_text(timedelta(hours=min(hours, 1e6)))} at this size")
    return text


def workers_text(one: Cluster) -> str:
    """Return how many workers are wanted."""
    scaling = one.intent.scaling
    if scaling.is_adaptive:
        return f"{scaling.minimum} to {scaling.maximum}, now {one.scale.wanted} wanted"
    return str(scaling.initial)


def need_text(need: Need) -> str:
    """Return what was asked for one role."""
    if need.vm_types:
        return " or ".join(need.vm_types)
    parts = [
        _range_text(need.cpus, lambda value: f"{value:g} cores"),
        _range_text(need.memory, bytes_text),
        f"{need.gpus} GPUs" if need.gpus else "",
    ]
    return ", ".join(filter(None, parts)) or "whatever fits"


def software_text(one: Cluster) -> str:
    """Return what it runs."""
    if one.environment is None:
        return one.spec.software or ""
    found = one.environment
    where = found.name or one.spec.software or "the caller's"
    return f"{where}: Python {found.python}, {len(found.packages)} packages, {found.content_hash[:12]}"


def lifetimes_text(one: Cluster) -> str:
    """Return what ends it by itself."""
    limits = one.spec.lifetimes
    parts = [
        f"idle for {duration_text(limits.idle)}" if limits.idle is not None else "",
        f"nobody connected for {duration_text(limits.no_client)}" if limits.no_client is not None else "",
        f"at {local_text(one.expires_at)}" if one.expires_at is not None else "",
    ]
    return "when " + ", or ".join(filter(None, parts)) if any(parts) else "when it is stopped"


def instances_table(instances: Sequence[Instance]) -> Table:
    """Return instances as a table: the live ones first, then the last that ended."""
    table = plain_table()
    table.add_column("instance", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("has", no_wrap=True)
    table.add_column("price", justify="right", no_wrap=True)
    table.add_column("lived", justify="right", no_wrap=True)
    table.add_column("note", style=QUIET, overflow="fold")
    ordered = sorted(instances, key=lambda i: (not i.status.is_live, i.role.value, i.requested_at))
    for one in ordered[:INSTANCES_SHOWN]:
        price = Text("unpriced", "yellow") if one.offer.price is None else Text(str(one.offer.price))
        lived = duration_text((one.stopped_at or now()) - one.started_at) if one.started_at is not None else "-"
        status = one.status.value + (f": {one.end.value}" if one.end is not None else "")
        note = one.detail or (f"exit code {one.exit_code}" if one.exit_code else "")
        if one.end is InstanceEnd.ASKED:
            note = ""  # the status says it
        table.add_row(
            one.id,
            Text(status, style=STATUS_STYLES.get(one.status, "yellow")),
            resources_text(one.offer.resources),
            price,
            lived,
            Text(note),
        )
    if len(ordered) > INSTANCES_SHOWN:
        table.caption = Text(f"and {len(ordered) - INSTANCES_SHOWN} more that have ended")
    return table


def _range_text(range_: Range, say: object) -> str:
    assert callable(say)
    low, high = range_.minimum, range_.maximum
    if low is None and high is None:
        return ""
    if low == high:
        return str(say(low))
    if high is None:
        return f"at least {say(low)}"
    return f"at most {say(high)}" if low is None else f"{say(low)} to {say(high)}"
