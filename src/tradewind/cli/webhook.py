"""``tradewind webhook``: programs that are told when a budget runs out."""

from __future__ import annotations

import click
from rich.text import Text

from tradewind import wire
from tradewind.cli.signed_in import workspace_option
from tradewind.cli.terminal import engine, json_option, open_console, print_json
from tradewind.client.tables import QUIET, local_text, plain_table


@click.group()
def webhook() -> None:
    """Have programs told of a workspace's budgets at 50, 80 and 100 per cent."""


@webhook.command("list")
@workspace_option
@json_option
def list_(workspace: str | None, as_json: bool) -> None:
    """List where notifications are posted to."""
    with engine(workspace=workspace, settle=False) as api:
        hooks = api.run(api.webhooks())
    if as_json:
        print_json([wire.dump(one) for one in hooks])
        return
    console = open_console()
    if not hooks:
        console.print("No program is told. Have one told with: tradewind webhook add https://…")
        return
    table = plain_table()
    for title in ("address", "by", "since", "id"):
        table.add_column(title, overflow="fold")
    for one in hooks:
        table.add_row(Text(one.url), Text(one.created_by), Text(local_text(one.created_at)), Text(one.id, style=QUIET))
    console.print(table)


@webhook.command()
@click.argument("url")
@workspace_option
@json_option
def add(url: str, workspace: str | None, as_json: bool) -> None:
    """Have notifications posted to URL, and print the key that signs them. It isn't shown again."""
    with engine(workspace=workspace, settle=False) as api:
        made = api.run(api.add_webhook(url))
    if as_json:
        print_json(wire.dump(made))
        return
    click.echo(made.signing_key)
    click.echo(f"Webhook {made.webhook.id} is told of budgets, each time signed with this key.", err=True)


@webhook.command()
@click.argument("webhook_id", metavar="ID")
@workspace_option
def remove(webhook_id: str, workspace: str | None) -> None:
    """Post no more to a webhook."""
    with engine(workspace=workspace, settle=False) as api:
        api.run(api.remove_webhook(webhook_id))
    click.echo(f"Webhook {webhook_id} is told nothing any more.")
