"""``tradewind doctor``: checks of this machine, the store and each provider."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from tradewind import wire
from tradewind.cli.terminal import engine, json_option, open_console, print_json
from tradewind.client.tables import QUIET
from tradewind.model.views import Check


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check this machine, the store and each provider, and say what to do. Fails if any check does."""
    with engine() as api:
        checks: Sequence[Check] = api.run(api.doctor())
    if as_json:
        print_json([wire.dump(check) for check in checks])
    else:
        console = open_console()
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for check in checks:
            mark = Text("✓", style="green") if check.ok else Text("✗", style="bold red")
            fact = Text(check.fact)
            if check.advice:
                fact.append(f"\n→ {check.advice}", style=QUIET if check.ok else "yellow")
            table.add_row(mark, Text(check.name, style="bold"), fact)
        console.print(table)
        failed = sum(not check.ok for check in checks)
        console.print(f"{failed} of {len(checks)} checks failed." if failed else f"All {len(checks)} checks are well.")
    if not all(check.ok for check in checks):
        ctx.exit(1)
