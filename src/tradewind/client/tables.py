"""Receipts, dry runs and insights as tables for a terminal; the panel of a cluster and the commands share them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tradewind.model.computation import Insight
from tradewind.model.instance import Role
from tradewind.model.money import Money
from tradewind.model.resources import GIB, Resources
from tradewind.model.usage import Cost, CostLine, Receipt

BLOCKS = " ▏▎▍▌▋▊▉█"
BAR_WIDTH = 16
QUIET = "bright_black"

# Names, tags and errors are other people's words: they go in as Text, which reads no markup.


class Bar:
    """A horizontal bar for a share from 0 to 1; of ``#`` where the terminal knows no blocks."""

    def __init__(self, share: float, width: int = BAR_WIDTH, style: str = "cyan") -> None:
        self.share = min(1.0, max(0.0, share))
        self.width = width
        self.style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the bar, padded to its width."""
        width = min(self.width, options.max_width)
        if options.ascii_only:
            text = "#" * round(self.share * width)
        else:
            whole, eighths = divmod(round(self.share * width * 8), 8)
            text = BLOCKS[-1] * whole + (BLOCKS[eighths] if eighths else "")
            if not text and self.share:
                text = BLOCKS[1]  # little isn't nothing
        yield Segment(text.ljust(width), console.get_style(self.style))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return what it needs and what it would like."""
        return Measurement(min(4, options.max_width), min(self.width, options.max_width))


def duration_text(duration: timedelta | float) -> str:
    """Return a duration for a person, two units at most: ``1 h 5 min``."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if seconds < 0.9995:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, smaller, size, part in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def core_text(cpu_seconds: float, like: float | None = None) -> str:
    """Return core time, ``12.3 core-h``, in the unit that suits it, or that suits ``like``: a column has one unit."""
    unit, size = next(
        ((unit, size) for unit, size in (("core-h", 3600), ("core-min", 60)) if (like or cpu_seconds) >= size),
        ("core-s", 1),
    )
    return f"{cpu_seconds / size:,.1f} {unit}"


def bytes_text(nbytes: float) -> str:
    """Return bytes in the binary unit that suits them: ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(nbytes) < 1024 or unit == "TiB":
            break
        nbytes /= 1024
    return f"{nbytes:.0f} B" if unit == "B" else f"{nbytes:,.1f} {unit}"


def resources_text(resources: Resources) -> str:
    """Return what an instance has: ``4 cores, 16 GiB``."""
    gpus = f", {resources.gpus} GPU" + ("s" if resources.gpus > 1 else "") if resources.gpus else ""
    cores = "core" if resources.cpus == 1 else "cores"
    return f"{resources.cpus:g} {cores}, {resources.memory / GIB:.3g} GiB{gpus}"


def local_text(at: datetime | None, style: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a time in this machine's zone, or a dash for one that hasn't come."""
    return at.astimezone().strftime(style) if at is not None else "-"


def cost_text(cost: Cost) -> Text:
    """Return a cost; what nobody priced stands out, for it isn't free."""
    if cost.unpriced_seconds:
        return Text(str(cost), style="yellow")
    return Text(str(cost), style="" if cost.money else "green" if cost.free_seconds else QUIET)


def shares(costs: Sequence[Cost]) -> list[float]:
    """Return each one's part of the sum: of the money where all is in one currency, else of the core time."""
    currencies = {money.currency for cost in costs for money in cost.money}
    unpriced = any(cost.unpriced_seconds for cost in costs)
    if len(currencies) == 1 and not unpriced:
        weights = [float(sum(money.amount for money in cost.money)) for cost in costs]
    else:
        weights = [cost.cpu_seconds for cost in costs]
    whole = sum(weights)
    return [weight / whole if whole else 0.0 for weight in weights]


def cost_rows(table: Table, rows: Sequence[tuple[RenderableType, Cost]], total: Cost, style: str = "cyan") -> None:
    """Add to ``table`` a row for each cost that makes up ``total``: what, core time, cost, share, bar."""
    for (what, cost), part in zip(rows, shares([cost for _, cost in rows]), strict=True):
        used = core_text(cost.cpu_seconds, like=total.cpu_seconds)
        table.add_row(what, used, cost_text(cost), f"{part:.0%}", Bar(part, style=style))


def plain_table(title: Text | None = None) -> Table:
    """Return an empty table with a line under its head and nothing else: 80 columns are few."""
    return Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )


def cost_table(title: Text | None, first: str) -> Table:
    """Return an empty table for :func:`cost_rows`, whose first column is headed ``first``."""
    table = plain_table(title)
    table.add_column(first, overflow="fold", min_width=12)
    table.add_column("used", justify="right", no_wrap=True)
    table.add_column("cost", justify="right")
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    return table


def receipt_table(receipt: Receipt) -> Table:
    """Return the receipt of one cluster as a table."""
    ran = ""
    if receipt.started_at is not None and receipt.stopped_at is not None:
        ran = f", {duration_text(receipt.stopped_at - receipt.started_at)}"
    elif receipt.stopped_at is None:
        ran = ", up to now"
    table = cost_table(Text(f"Receipt of {receipt.cluster_name}{ran}"), "what")
    computations = [(Text(line.title), line.cost) for line in receipt.by_computation]
    waiting = (Text("start-up and waiting", style=QUIET), receipt.not_computing)
    cost_rows(table, [*computations, waiting], receipt.total)
    table.add_section()
    plural = {Role.SCHEDULER.value: "scheduler", Role.WORKER.value: "workers"}
    roles = [(Text(plural.get(line.key, line.key)), line.cost) for line in receipt.by_role]
    cost_rows(table, roles, receipt.total, style="blue")
    table.add_section()
    total_row(table, receipt.total)
    return table


def total_row(table: Table, total: Cost) -> None:
    """Add the last row: the sum, and apart from it what of it was free and what nobody put a price on."""
    cost = cost_text(total)
    cost.stylize("bold")
    table.add_row(Text("total", style="bold"), Text(core_text(total.cpu_seconds), style="bold"), cost)
    for word, seconds in (("free", total.free_seconds), ("unpriced", total.unpriced_seconds)):
        if seconds and total.money:
            table.add_row(Text(f"  of it {word}", style=QUIET), Text(f"{duration_text(seconds)} of instances", QUIET))


def sum_of(lines: Iterable[CostLine]) -> Cost:
    """Return the cost of all lines together, one amount per currency."""
    costs = [line.cost for line in lines]
    money: dict[str, Money] = {}
    for amount in (amount for cost in costs for amount in cost.money):
        money[amount.currency] = money[amount.currency] + amount if amount.currency in money else amount
    return Cost(
        money=tuple(money[currency] for currency in sorted(money)),
        instance_seconds=sum(cost.instance_seconds for cost in costs),
        cpu_seconds=sum(cost.cpu_seconds for cost in costs),
        memory_byte_seconds=sum(cost.memory_byte_seconds for cost in costs),
        free_seconds=sum(cost.free_seconds for cost in costs),
        unpriced_seconds=sum(cost.unpriced_seconds for cost in costs),
    )


def insights_panel(insights: Sequence[Insight]) -> RenderableType:
    """Return what could be better, the largest saving first: each fault with its figures and what to do."""
    parts: list[RenderableType] = [Text("What could be better", style="bold")]
    for insight in insights:
        title = Text.assemble(("● ", "yellow"), (insight.title, "bold"))
        if insight.computation:
            title.append(f"  {insight.computation}", style=QUIET)
        if insight.saving_seconds is not None:
            title.append(f"  saves about {core_text(insight.saving_seconds)}", style="green")
        body = Text.assemble((insight.evidence, QUIET), "\n", "→ ", insight.advice)
        parts.append(Group(title, Padding(body, (0, 0, 0, 2))))
    if not insights:
        parts.append(Text("Nothing stands out in what was measured.", style=QUIET))
    return Group(*parts)
