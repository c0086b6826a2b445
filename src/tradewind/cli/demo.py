"""``tradewind demo``: real science on a cluster of one's own, with the bill."""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from tradewind.cli.terminal import engine, open_console
from tradewind.client.tables import QUIET, Bar, duration_text, insights_panel, receipt_table
from tradewind.errors import BadRequest, TradewindError
from tradewind.model.computation import Computation

WIDTH = 80
LOOK_EVERY_S = 0.4
LAST_LOOK_S = 2.5
STEPS = {
    "demo / open": "read 240 years of two scenarios",
    "demo / anomaly": "anomalies from 1961-1990, cell by cell",
    "demo / trend": "trends of every cell, 2000-2099",
}
"""The spans of the demo's science, and what a person calls them."""


@click.command()
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="How many.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    default=Path("tradewind-demo.png"),
    show_default=True,
    help="Where to write the picture.",
)
def demo(workers: int, out: Path) -> None:
    """Compute the warming of North America in two futures, from real climate-model output.

    Starts a cluster where your settings say (your own machine, if they say nothing), runs the analysis on it, checks
    every cell against plain NumPy, draws a map, ends the cluster and shows what it cost.
    """
    if not out.resolve().parent.is_dir():
        raise BadRequest(f"{out.resolve().parent} isn't a directory; make it, or give another --out.")
    console = open_console()
    console.width = min(console.width, WIDTH)
    with console.status("Importing xarray and Dask …"):
        # Imported here: `tradewind demo --help` needs neither, and takes no seconds.
        science = importlib.import_module("tradewind.demo")
        cluster_type = importlib.import_module("tradewind").Cluster
    with engine(looks_after=True) as api:
        try:
            cluster, result = _ran(science, cluster_type, console, api, workers, out)
        except KeyboardInterrupt:
            console.print("Interrupted; the cluster was ended.")
            raise
        receipt = api.run(api.receipt(cluster.cluster_id))
        insights = api.run(api.insights(cluster.cluster_id))
        left = [i for i in api.run(api.view(cluster.cluster_id)).instances if i.status.is_live]
    if left:
        console.print(
            Text.assemble(("! ", "yellow"), f"{len(left)} processes are still ending: tradewind cluster list")
        )
    else:
        console.print(Text.assemble(("✓ ", "green"), "Nothing of it is left running"))
    console.print(Group("", result_lines(result), "", receipt_table(receipt)))
    console.print(Group("", insights_panel(insights)))
    console.print(Group("", Text.assemble("The picture is in ", (os.fspath(out), "bold cyan"))))
    console.print(f"More of this run: tradewind cluster show {cluster.name}", style=QUIET)


def _ran(science: Any, cluster_type: Any, console: Console, api: Any, workers: int, out: Path) -> tuple[Any, Any]:
    """Run it on a cluster of its own and return the ended cluster and what came out."""
    began = time.monotonic()
    with console.status(f"Starting a scheduler and {workers} worker{'' if workers == 1 else 's'} …"):
        cluster = cluster_type(n_workers=workers, show_widget=False, tags={"made-by": "tradewind demo"})
    with cluster:
        up = duration_text(time.monotonic() - began)
        console.print(Text.assemble(("✓ ", "green"), f"Cluster {cluster.name} is up after {up}"))
        with cluster.get_client(), _watched(console, api, cluster.cluster_id):
            result = science.run_demo(out)
        with console.status("Ending the cluster …"):
            cluster.close()
    return cluster, result


def result_lines(result: Any) -> Table:
    """Return what came out, and how well it agrees with NumPy."""
    first, last = result.period
    table = Table.grid(padding=(0, 2, 0, 0))
    table.title = Text(f"Warming of North America, {first}-{last}")
    table.title_justify, table.title_style = "left", "bold"
    largest = max(result.mean_trend.values())
    for name, value in result.mean_trend.items():
        table.add_row(Text(name, style="bold"), f"{value:+.2f} K per decade", Bar(value / largest, style="red"))
    checked = f"same as NumPy alone: {result.difference:.1e} K apart at most, {result.tolerance:.0e} allowed"
    return _below(table, Text.assemble(("✓ ", "green"), checked))


def _below(table: Table, line: Text) -> Table:
    whole = Table.grid()
    whole.add_row(table)
    whole.add_row(line)
    return whole


class Steps:
    """The steps of the demo as they are now, for a live display."""

    def __init__(self, computations: Sequence[Computation] = ()) -> None:
        self.computations = computations
        self._spinner = Spinner("dots")
        self.ended = False

    @property
    def are_done(self) -> bool:
        """Whether every step is known to have ended."""
        return {one.name for one in self.computations if one.done} >= set(STEPS)

    def __rich__(self) -> RenderableType:
        """Return a line for each step."""
        known = {one.name: one for one in self.computations}
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(width=1)
        table.add_column(width=40)
        table.add_column(width=16)
        table.add_column(justify="right")
        active = False
        for name, title in STEPS.items():
            one = known.get(name)
            done, tasks = (sum(group.done for group in one.groups), one.tasks) if one is not None else (0, 0)
            ended = self.ended or (one is not None and one.done and bool(tasks))
            mark: RenderableType = Text("✓", style="green") if ended else Text(" ") if active else self._spinner
            active = active or not ended
            count = f"{done:,}/{tasks:,} tasks" if tasks else ""
            table.add_row(mark, Text(title), Bar(done / tasks if tasks else 0.0), Text(count, style=QUIET))
        return table


@contextmanager
def _watched(console: Console, api: Any, cluster_id: str) -> Iterator[None]:
    """Show how far the steps are while the block runs; where nobody watches a terminal, only how they ended."""
    steps = Steps()
    over = threading.Event()

    def look() -> None:
        steps.computations = api.run(api.computations(cluster_id))

    def watch() -> None:
        while not over.wait(LOOK_EVERY_S):
            try:
                look()
            except TradewindError:
                return  # the bars stand still; what went wrong is said by whoever runs the block

    def finish() -> None:
        # The history is read once a second: wait for the last of it, so that the bars end full.
        deadline = time.monotonic() + LAST_LOOK_S
        while not steps.are_done and time.monotonic() < deadline:
            time.sleep(0.1)
            look()
        steps.ended = True

    if not console.is_terminal:
        yield
        finish()
        console.print(steps)
        return
    watcher = threading.Thread(target=watch, name="tradewind demo", daemon=True)
    with Live(steps, console=console, refresh_per_second=8):
        watcher.start()
        try:
            yield
            finish()
        finally:
            over.set()
            watcher.join(timeout=5)
