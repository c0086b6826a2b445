"""``tradewind budget``: limits on what is spent, and how they stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import click
from rich.table import Table
from rich.text import Text

from tradewind import wire
from tradewind.cli.terminal import engine, json_option, open_console, print_json
from tradewind.cli.usage import parse_moment
from tradewind.client.tables import QUIET, local_text, plain_table
from tradewind.model.budget import BudgetScope, BudgetView, Period
from tradewind.model.exchange import NewBudget
from tradewind.model.money import Money

PATTERN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]{2,8})\s*")


def parse_limit(ctx: click.Context, parameter: click.Parameter, value: str) -> Money:
    """Return an amount with its currency."""
    found = PATTERN.fullmatch(value)
    if found is None:
        raise click.BadParameter(f'{value!r} is no amount with a currency: write it as "50 USD".', ctx, parameter)
    return Money(amount=Decimal(found[1]), currency=found[2].upper())


@click.group()
def budget() -> None:
    """Limit what is spent, and show how the limits stand."""


@budget.command("set")
@click.argument("limit", callback=parse_limit)
@click.option("--user", metavar="NAME", help="Of one user. Default: of the whole workspace.")
@click.option("--tag", metavar="KEY=VALUE", help="Of what carries a tag.")
@click.option("--cluster", metavar="NAME", help="Of all clusters of a name.")
@click.option("--from", "starts_at", callback=parse_moment, metavar="DAY", help="First day of a grant.")
@click.option("--to", "ends_at", callback=parse_moment, metavar="DAY", help="First day after a grant.")
@click.option("--soft", is_flag=True, help="Tell at 50, 80 and 100 %, and stop nothing.")
@click.option("--workspace", metavar="NAME", help="Which workspace. Default: the one in use.")
@json_option
def set_budget(
    limit: Money,
    user: str | None,
    tag: str | None,
    cluster: str | None,
    starts_at: datetime | None,
    ends_at: datetime | None,
    soft: bool,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Limit spending to LIMIT, as "50 USD", each calendar month (UTC), or once from a day to another.

    A limit that is there for the same is changed. Running clusters feel it within seconds.
    """
    wishes = [
        (BudgetScope.USER, user),
        (BudgetScope.TAG, tag),
        (BudgetScope.CLUSTER, cluster),
    ]
    given = [(scope, key) for scope, key in wishes if key is not None]
    if len(given) > 1:
        raise click.UsageError("a budget limits one thing: give --user, --tag or --cluster, and set the others apart")
    scope, key = given[0] if given else (BudgetScope.WORKSPACE, "")
    wanted = NewBudget(
        limit=limit,
        scope=scope,
        key=key or "",
        period=Period.GRANT if starts_at is not None or ends_at is not None else Period.MONTH,
        starts_at=starts_at,
        ends_at=ends_at,
        is_hard=not soft,
    )
    with engine(workspace=workspace, settle=False) as api:
        view = api.run(api.set_budget(wanted))
    if as_json:
        print_json(wire.dump(view))
        return
    open_console().print(budgets_table([view]))


@budget.command()
@click.option("--workspace", metavar="NAME", help="Which workspace. Default: the one in use.")
@json_option
def show(workspace: str | None, as_json: bool) -> None:
    """Show every limit, what is spent and promised of it, and what is to be expected."""
    with engine(workspace=workspace) as api:
        views = api.run(api.budgets())
    if as_json:
        print_json([wire.dump(view) for view in views])
        return
    console = open_console()
    if not views:
        console.print('Nothing limits what is spent. Set a limit with: tradewind budget set "50 USD"')
        return
    console.print(budgets_table(views))


@budget.command()
@click.argument("budget_id", metavar="ID")
@click.option("--workspace", metavar="NAME", help="Which workspace. Default: the one in use.")
def remove(budget_id: str, workspace: str | None) -> None:
    """Let a limit hold no longer."""
    with engine(workspace=workspace, settle=False) as api:
        api.run(api.remove_budget(budget_id))
    click.echo(f"Budget {budget_id} limits nothing any more.")


def budgets_table(views: Sequence[BudgetView]) -> Table:
    """Return budgets, a line each."""
    table = plain_table()
    for title in ("budget", "of", "limit", "spent", "promised", "per hour", "at the end", "id"):
        table.add_column(title)
    for view in views:
        one, state = view.budget, view.state
        period = "a month" if one.period is Period.MONTH else f"until {local_text(view.ends_at, '%Y-%m-%d')}"
        kind = period if one.is_hard else f"{period}, soft"
        whom = "workspace" if one.scope is BudgetScope.WORKSPACE else f"{one.scope.value} {one.key}"
        expected = Text(str(view.forecast.at_period_end))
        if view.forecast.exhausted_at is not None:
            expected.append(f", used up {local_text(view.forecast.exhausted_at)}", style="yellow")
        table.add_row(
            Text(kind),
            Text(whom),
            Text(str(state.limit)),
            Text(f"{state.spent} ({state.percent} %)"),
            Text(str(view.reserved)),
            Text(str(state.burn_per_hour)),
            expected,
            Text(one.id, style=QUIET),
        )
    return table
