"""What is drawn in a terminal. Imports rich, so it is imported only when something is drawn."""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tradewind.client.display.portrait import TOTAL, Portrait, receipt_line, receipt_rows, size, span
from tradewind.model.events import Level
from tradewind.model.instance import InstanceStatus
from tradewind.model.usage import Receipt

STYLES = {
    InstanceStatus.REQUESTED: "bright_black",
    InstanceStatus.PENDING: "cyan",
    InstanceStatus.STARTING: "yellow",
    InstanceStatus.RUNNING: "green",
    InstanceStatus.STOPPING: "magenta",
    InstanceStatus.STOPPED: "bright_black",
}
BAR_WIDTH = 40


class Drawing:
    """The live display of a start; gone without a trace when it is left."""

    def __init__(self, stream: TextIO) -> None:
        self._began = datetime.now(UTC)
        self._live = Live(
            console=Console(file=stream),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Drawing:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def draw(self, name: str, seen: Portrait | None, doing: str = "") -> None:
        """Draw the next frame; ``seen`` is None before there is a record, and ``doing`` says what goes on then."""
        waited = span(datetime.now(UTC) - self._began)
        waits = Text(f"Cluster {name}: {doing.rstrip('.') or 'asking'}  {waited}", no_wrap=True, overflow="ellipsis")
        self._live.update(frame(seen) if seen is not None else waits, refresh=True)


def frame(seen: Portrait) -> RenderableType:
    """Return one frame, at most seven lines high and made for 80 columns."""
    title = Text.assemble(("Cluster ", "bold"), (seen.name, "bold"), f"  {seen.where}  {seen.status}")
    lines: list[Text] = [title]
    if seen.headline:
        lines.append(Text(seen.headline))
    bar = Text()
    for status, cells in cells_of(seen.workers, BAR_WIDTH):
        bar.append("━" * cells, STYLES[status])
    lines.append(bar or Text("━" * BAR_WIDTH, "bright_black"))
    states = Text()
    if seen.scheduler is not None:
        states.append("■ ", STYLES[seen.scheduler]).append(f"scheduler {seen.scheduler}   ")
    states.append("workers: ")
    for status, n in seen.workers:
        states.append("■ ", STYLES[status]).append(f"{n} {status}  ")
    lines.append(states)
    figures = f"{seen.age} · cost {seen.cost} · {seen.price}"
    if seen.budget is not None:
        figures += f" · {seen.budget.left} of budget left"
    if seen.memory:
        figures += f" · {seen.threads} threads, {size(seen.memory)}"
    lines.append(Text(figures))
    lines += [Text(warning, "yellow") for warning in seen.warnings]
    for event in seen.journal[-1:]:
        style = "bright_black" if event.level is Level.INFO else "yellow"
        lines.append(Text(f"{event.at.astimezone():%H:%M:%S} {event.message}", style))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def cells_of(workers: tuple[tuple[InstanceStatus, int], ...], width: int) -> list[tuple[InstanceStatus, int]]:
    """Return how many of ``width`` cells each live status gets: in proportion, and at least one each."""
    live = [(status, n) for status, n in workers if status.is_live]
    total = sum(n for _, n in live)
    if not total:
        return []
    cells = [max(1, n * width // total) for _, n in live]
    cells[cells.index(max(cells))] += width - sum(cells)
    return [(status, count) for (status, _), count in zip(live, cells, strict=True)]


def receipt_table(receipt: Receipt, stream: TextIO) -> str:
    """Return the receipt as a small table, coloured if ``stream`` is."""
    console = Console(file=stream)
    table = Table(box=None, show_header=False, padding=(0, 3, 0, 2))
    table.add_column()
    table.add_column(justify="right")
    for what, cost in receipt_rows(receipt):
        table.add_row(Text(what), Text(cost), style="bold" if what == TOTAL else "")
    with console.capture() as capture:
        console.print(Text(receipt_line(receipt)), soft_wrap=True)
        console.print(table)
    return capture.get().rstrip("\n")
