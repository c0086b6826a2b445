"""``tradewind cluster``: what runs and what ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tradewind import wire
from tradewind.cli.create import create
from tradewind.cli.show import show
from tradewind.cli.terminal import (
    comma,
    complete_cluster,
    engine,
    find_cluster,
    json_option,
    now,
    open_console,
    print_json,
    status_text,
)
from tradewind.client.api import Engine
from tradewind.client.tables import QUIET, cost_text, duration_text, local_text, plain_table, receipt_table
from tradewind.errors import NotFound, TradewindError
from tradewind.model.budget import BudgetState
from tradewind.model.cluster import Cluster, ClusterStatus, StopReason
from tradewind.model.instance import InstanceStatus, Role
from tradewind.model.usage import Cost
from tradewind.model.views import ClusterView

STOP_WITHIN_S = 120.0
"""Seconds that ``cluster stop`` waits for everything to be gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLine:
    """One cluster of ``cluster list --json``."""

    id: str
    name: str
    status: ClusterStatus
    stop_reason: StopReason | None
    stop_detail: str
    provider: str
    owner: str
    tags: Mapping[str, str]
    workers_running: int
    workers_wanted: int
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    cost: Cost
    budget: BudgetState | None


@click.group()
def cluster() -> None:
    """Create, show and stop clusters. NAME is a cluster's name or id; of several with one name, the newest is meant."""


cluster.add_command(show)
cluster.add_command(create)


@cluster.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that have stopped.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The newest so many.")
@json_option
def list_(everything: bool, limit: int, as_json: bool) -> None:
    """List the clusters that are up, with what each has cost."""
    with engine() as api:
        views = api.run(api.list_clusters(live=None if everything else True, limit=limit))
        stopped = bool(not views and not everything and api.run(api.list_clusters(limit=1)))
    if as_json:
        print_json([wire.dump(line_of(view)) for view in views])
        return
    console = open_console()
    if views:
        console.print(clusters_table(views, history=everything))
    elif stopped:
        console.print("No cluster is up. `tradewind cluster list --all` shows those that were.")
    else:
        console.print("There are no clusters yet. To start one, in Python:\n")
        console.print("    from tradewind import Cluster\n    cluster = Cluster(n_workers=2)\n", style="cyan")
        console.print("or see it on real data: tradewind demo")


@cluster.command()
@click.argument("name", shell_complete=complete_cluster)
@click.option("--lines", type=click.IntRange(min=1), default=100, show_default=True, help="The last so many of each.")
@click.option("--scheduler", is_flag=True, help="Only the scheduler's.")
@click.option("--worker", "workers", multiple=True, metavar="ID", help="Only this worker's; may be given again.")
@json_option
def logs(name: str, lines: int, scheduler: bool, workers: tuple[str, ...], as_json: bool) -> None:
    """Print the last lines of what each process wrote, of the dead too where they are kept."""
    with engine() as api:
        found = find_cluster(api, name)
        texts = api.run(api.logs(found.id, lines=lines))
    unknown = set(workers) - {instance.id for instance, _ in texts}
    if unknown:
        there = comma(instance.id for instance, _ in texts if instance.role is Role.WORKER) or "none"
        raise NotFound(f"cluster {found.name!r} has no worker {comma(sorted(unknown))}; its workers are: {there}")
    if scheduler or workers:
        wanted = [Role.SCHEDULER] if scheduler else []
        texts = [(i, text) for i, text in texts if i.role in wanted or i.id in workers]
    if as_json:
        print_json([{"instance": wire.dump(instance), "lines": list(text)} for instance, text in texts])
        return
    console = open_console()
    for instance, text in texts:
        end = f", ended: {instance.end.value}" if instance.end is not None else ""
        console.print(f"── {instance.id}, {instance.status.value}{end}", style="bold")
        for line in text:
            # Whoever runs code on a cluster writes its log, and not to the terminal of whoever reads it.
            click.echo(wire.printable(line))
        if not text:
            console.print("(wrote nothing)", style=QUIET)
    if not texts:
        console.print("No process of it was ever launched." if not (scheduler or workers) else "Nothing.", style=QUIET)


@cluster.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_cluster)
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
def stop(names: tuple[str, ...], yes: bool) -> None:
    """Stop clusters, wait until everything of them is gone, and show what they cost."""
    console = open_console()
    # This process looks after clusters meanwhile: whoever started this one may be gone.
    with engine(looks_after=True) as api:
        found = {one.id: one for one in [find_cluster(api, name) for name in names]}
        live = [one for one in found.values() if one.status.is_live]
        for one in found.values():
            if not one.status.is_live:
                console.print(f"{one.name} had stopped already.")
        if live and not yes:
            click.confirm(f"Stop {comma(one.name for one in live)}?", abort=True)
        for one in live:
            api.run(api.stop(one.id, "stopped with `tradewind cluster stop`"))
        for one in live:
            try:
                _wait(api, one, console)
            except KeyboardInterrupt:
                console.print(f"{one.name} was told to stop. How far it is: tradewind cluster show {one.name}")
                raise
            console.print(receipt_table(api.run(api.receipt(one.id))))


def _wait(api: Engine, one: Cluster, console: Console) -> None:
    deadline = now().timestamp() + STOP_WITHIN_S
    view = api.run(api.view(one.id))
    with console.status(f"Stopping {one.name} …") as status:
        while view.cluster.status.is_live:
            left = sum(instance.status.is_live for instance in view.instances)
            if now().timestamp() > deadline:
                raise TradewindError(
                    f"cluster {one.name!r} was told to stop and has {left} instances left after {STOP_WITHIN_S:.0f} s. "
                    f"It goes on ending; look again with `tradewind cluster show {one.name}`."
                )
            status.update(f"Stopping {one.name}: {left} left …")
            view = api.run(api.wait_changed(one.id, view.revision, 1.0))


def line_of(view: ClusterView) -> ClusterLine:
    """Return a view's line in the list."""
    one = view.cluster
    workers = [i for i in view.instances if i.role is Role.WORKER]
    return ClusterLine(
        id=one.id,
        name=one.name,
        status=one.status,
        stop_reason=one.stop_reason,
        stop_detail=one.stop_detail,
        provider=one.spec.provider,
        owner=one.owner,
        tags=one.spec.tags,
        workers_running=sum(i.status is InstanceStatus.RUNNING for i in workers),
        workers_wanted=one.scale.wanted if one.status.rank < ClusterStatus.STOPPING.rank else 0,
        created_at=one.created_at,
        started_at=one.started_at,
        stopped_at=one.stopped_at,
        cost=view.cost,
        budget=view.budget,
    )


def clusters_table(views: Sequence[ClusterView], *, history: bool) -> Table:
    """Return clusters as a table; of a ``history``, when each was made matters more than its workers."""
    limited = any(view.budget is not None for view in views)
    table = plain_table()
    table.add_column("name", overflow="fold")
    table.add_column("status", no_wrap=True)
    if history:
        table.add_column("created", no_wrap=True)
    else:
        table.add_column("workers", justify="right", no_wrap=True)
    table.add_column("lived", justify="right", no_wrap=True)
    table.add_column("provider")
    table.add_column("cost", justify="right", no_wrap=True)
    if limited:
        table.add_column("of budget", justify="right", no_wrap=True)
    for view in views:
        line = line_of(view)
        lived = (line.stopped_at or now()) - line.created_at
        table.add_row(
            Text(line.name, style="bold" if line.status.is_live else ""),
            status_text(view.cluster),
            local_text(line.created_at, "%m-%d %H:%M") if history else f"{line.workers_running}/{line.workers_wanted}",
            duration_text(lived),
            line.provider,
            cost_text(line.cost),
            *([f"{line.budget.percent} %" if line.budget is not None else ""] if limited else []),
        )
    return table
