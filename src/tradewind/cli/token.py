"""``tradewind token``: what stands for you in programs, and ``audit``: who changed what."""

from __future__ import annotations

from datetime import timedelta

import click
from rich.text import Text

from tradewind import wire
from tradewind.cli.signed_in import people, workspace_option
from tradewind.cli.terminal import comma, json_option, now, open_console, print_json
from tradewind.client.tables import QUIET, local_text, plain_table
from tradewind.config import parse_duration
from tradewind.model.joining import NewToken
from tradewind.model.people import EVERY_SCOPE, Scope, Token


@click.group()
def token() -> None:
    """Make and revoke tokens, for programs that ask in your name."""


@token.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List your tokens; their texts are known to nobody any more."""
    with people() as (asked, _):
        tokens = asked.tokens()
    if as_json:
        print_json([wire.dump(one) for one in tokens])
        return
    table = plain_table()
    for title in ("id", "label", "may", "where", "until", "last used"):
        table.add_column(title)
    for one in tokens:
        may = "all that you may" if one.scopes == EVERY_SCOPE else comma(sorted(one.scopes))
        until = "revoked" if one.revoked_at else local_text(one.expires_at) if one.expires_at else "for ever"
        used = local_text(one.last_used_at) if one.last_used_at else "never"
        texts = (one.id, one.label, may, one.workspace or "everywhere", until, used)
        table.add_row(*(Text(text, style="" if _is_good(one) else QUIET) for text in texts))
    open_console().print(table)


@token.command()
@click.argument("label")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may be used for, at most; may be given again. Default: all that you may.",
)
@click.option("--workspace", metavar="NAME", help="The only workspace it opens. Default: all of yours.")
@click.option("--expires", metavar="HOW LONG", help='How long it is good: "30d", or "never". Default 90d.')
@json_option
def create(label: str, scopes: tuple[str, ...], workspace: str | None, expires: str | None, as_json: bool) -> None:
    """Print a new token, named LABEL. It isn't shown again."""
    wanted = NewToken(
        label=label,
        scopes=tuple(Scope(scope) for scope in scopes) or None,
        workspace=workspace,
        expires_at=now() + _duration(expires) if expires is not None and expires != "never" else None,
        never_expires=expires == "never",
    )
    with people() as (asked, _):
        made = asked.create_token(wanted)
    if as_json:
        print_json(wire.dump(made))
        return
    click.echo(made.secret)
    until = f"until {local_text(made.token.expires_at)}" if made.token.expires_at else "until it is revoked"
    click.echo(f"It is good {until}; give it to a program as TRADEWIND_TOKEN.", err=True)


@token.command()
@click.argument("token_id", metavar="ID")
def revoke(token_id: str) -> None:
    """Make a token good for nothing."""
    with people() as (asked, _):
        asked.revoke_token(token_id)
    click.echo(f"Token {token_id} is revoked.")


@click.group()
def audit() -> None:
    """Show who changed what in a workspace."""


@audit.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The newest so many.")
@workspace_option
@json_option
def list_audit(limit: int, workspace: str | None, as_json: bool) -> None:
    """List changes, newest first."""
    with people(workspace) as (asked, meant):
        entries = asked.audit(meant, limit=limit)
    if as_json:
        print_json([wire.dump(entry) for entry in entries])
        return
    table = plain_table()
    for title in ("at", "who", "what", "to", "detail"):
        table.add_column(title, overflow="fold")
    for entry in entries:
        texts = (local_text(entry.at), entry.user, entry.action, entry.subject, entry.detail)
        table.add_row(*(Text(text) for text in texts))
    open_console().print(table)


def _is_good(one: Token) -> bool:
    return one.revoked_at is None and (one.expires_at is None or one.expires_at > now())


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="--expires") from None
