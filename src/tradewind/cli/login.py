"""``tradewind login`` and ``logout``: which server this user works with, and who they are there."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from tradewind import wire
from tradewind.cli.terminal import comma, has_browser
from tradewind.client.remote.answers import VERSION
from tradewind.client.remote.connection import Connection, Question
from tradewind.client.remote.credentials import (
    Login,
    load_credentials,
    save_credentials,
    server_url,
)
from tradewind.client.remote.people import RemotePeople
from tradewind.client.remote.sign_in import begin, until_confirmed, with_hub
from tradewind.client.remote.signed_in import VARIABLE, hub_token
from tradewind.client.remote.trust import Stranger, meet
from tradewind.config import load_settings
from tradewind.errors import BadRequest, ServerError, SignInNeeded, TradewindError
from tradewind.model.joining import Me
from tradewind.model.secret import Secret

F = TypeVar("F", bound=Callable[..., Any])


def fingerprint_option(command: F) -> F:
    """Give a command that meets a server its ``--fingerprint``."""
    return click.option(
        "--fingerprint",
        metavar="SHA256",
        help="Trust this certificate, as `tradewind serve` printed it; for a server with an authority of its own.",
    )(command)


@click.command()
@click.argument("server", required=False, metavar="[URL]")
@click.option("--token", "by_token", is_flag=True, help="Read a token from standard input, and use no browser.")
@fingerprint_option
@click.option(
    "--workspace", metavar="NAME", help="Where clusters go when nobody says. Default: yours, if you have one."
)
@click.option("--no-browser", is_flag=True, help="Print the address of the page, and open no browser.")
def login(server: str | None, by_token: bool, fingerprint: str | None, workspace: str | None, no_browser: bool) -> None:
    """Sign in to the server at URL; from then on clusters and commands are asked of it.

    Without URL, sign in again to the last one. "server = 'solo'" in the settings, or TRADEWIND_SERVER=solo, goes on
    with the engine of your own process.
    """
    credentials = load_credentials()
    url = server_url(server or load_settings().server or credentials.current or _no_server())
    known = credentials.of(url)
    authority = trusted(url, known, fingerprint)
    nobody = Connection(url, authority=authority)
    try:
        token = _token(nobody, by_token=by_token, no_browser=no_browser)
    finally:
        nobody.close()
    keep(url, token, authority, workspace)


@click.command()
@click.argument("server", required=False, metavar="[URL]")
def logout(server: str | None) -> None:
    """Forget the token of the server at URL, by default the one in use, and make it good for nothing."""
    credentials = load_credentials()
    url = server_url(server) if server is not None else credentials.current
    entry = credentials.of(url) if url is not None else Login()
    if url is None or entry.token is None:
        click.echo("Nobody was signed in" + (f" to {url}." if url is not None else "."))
        return
    revoked = _revoke(url, entry)
    forgotten = credentials.with_login(url, replace(entry, token=None))
    current = None if credentials.current == url else credentials.current
    save_credentials(replace(forgotten, current=current))
    click.echo(f"Signed out of {url}.")
    if revoked is not None:
        click.echo(f"Its token is forgotten here, but couldn't be revoked there: {revoked}", err=True)
    if current is None:
        click.echo("Clusters run with the engine of your own process again.")


def keep(url: str, token: Secret, authority: str | None, workspace: str | None = None) -> None:
    """Make ``url`` the server in use, with this token, and say who that is there and where clusters go."""
    connection = Connection(url, lambda: token, authority=authority)
    try:
        me = RemotePeople(connection).me()
    finally:
        connection.close()
    credentials = load_credentials()
    chosen = _workspace(me, workspace or credentials.of(url).workspace, asked=workspace is not None)
    entry = Login(token=token, user=me.user.name, workspace=chosen, authority=authority)
    save_credentials(credentials.with_login(url, entry, current=True))
    name = wire.printable(me.user.name)
    click.echo(f"Signed in to {url} as {name}.")
    _say_workspace(me, chosen)
    if os.environ.get(VARIABLE):
        click.echo(f"{VARIABLE} is set, and goes before this sign-in: unset it to be {name}.", err=True)


def _no_server() -> str:
    raise BadRequest("which server? Write its address: tradewind login https://tradewind.example.org")


def trusted(url: str, known: Login, fingerprint: str | None) -> str | None:
    """Return what vouches for the server; asks the user where nothing on this machine does."""
    if not url.startswith("https://"):
        return None
    authority = known.authority
    if fingerprint is None:
        try:
            _greet(url, authority)
        except ServerError as error:
            if "tradewind login" not in str(error):  # not a matter of trust: nobody answers, or no TLS
                raise
        else:
            return authority
    stranger = meet(url)
    _accept(url, stranger, fingerprint, changed=authority is not None)
    # What was shown is believed only now that the server proves to hold the key of what it was signed for.
    _greet(url, stranger.authority)
    return stranger.authority


def _greet(url: str, authority: str | None) -> None:
    """Make sure that one of ours answers at ``url``, with a certificate that is vouched for."""
    connection = Connection(url, authority=authority)
    try:
        answer = connection.answer(Question(method="GET", path="me"))
    finally:
        connection.close()
    if answer.status == 401 and answer.is_ours:
        return
    answer.load(dict)
    if VERSION not in answer.headers:
        raise ServerError(f"what answers at {url} is no Tradewind server: is the address right?")


def _accept(url: str, stranger: Stranger, fingerprint: str | None, *, changed: bool) -> None:
    if fingerprint is not None:
        if not stranger.is_known_as(fingerprint):
            raise ServerError(
                f"{url} shows a certificate of another fingerprint: {stranger.fingerprint}. "
                "Nothing was sent to it. Ask whoever runs the server which is right."
            )
        return
    click.echo(
        f"{url} shows {'another certificate than before' if changed else 'a certificate'}, "
        "and nothing on this machine vouches for it.\n"
        f"Its sha256 fingerprint is\n\n    {stranger.fingerprint}\n\n"
        "The server printed the same when it started; its operator can tell you.",
        err=True,
    )
    if not sys.stdin.isatty():
        raise ServerError(f"there is nobody to ask. If it is right: tradewind login {url} --fingerprint SHA256")
    click.confirm("Is it the same?", abort=True, err=True)


def _token(connection: Connection, *, by_token: bool, no_browser: bool) -> Secret:
    if by_token:
        is_terminal = sys.stdin.isatty()
        text = click.prompt("Token", hide_input=True, err=True) if is_terminal else sys.stdin.readline()
        if not text.strip():
            raise BadRequest("no token came from standard input: tradewind login --token URL < token.txt")
        return Secret(text.strip())
    hub = hub_token(os.environ)
    if hub is not None:
        try:
            return with_hub(connection, hub)
        except TradewindError as error:
            click.echo(f"This JupyterHub's sign-in can't be used ({error}), so a browser is asked.", err=True)
    pending = begin(connection)
    click.echo(
        f"To sign in, open\n\n    {wire.printable(pending.url)}\n\nand see that it shows the code "
        f"{wire.printable(pending.code)}.",
        err=True,
    )
    if not no_browser and has_browser():
        webbrowser.open(pending.url)
    click.echo("Waiting …", err=True)
    return until_confirmed(connection, pending)


def _workspace(me: Me, wanted: str | None, *, asked: bool) -> str | None:
    """Return where clusters go when nobody says."""
    there = [member.workspace for member in me.memberships]
    if wanted in there:
        return wanted
    if asked:
        raise BadRequest(f"you are in no workspace {wanted!r}; yours are: {comma(there) or 'none'}.")
    return there[0] if there else None


def _say_workspace(me: Me, chosen: str | None) -> None:
    roles = {member.workspace: member.role.value for member in me.memberships}
    if chosen is None:
        click.echo("You are in no workspace yet: open the link of an invitation, or `tradewind accept` it.")
        return
    others = len(roles) - 1
    more = f" (and {others} more: `tradewind workspace list`)" if others else ""
    click.echo(f"Clusters go to workspace {wire.printable(chosen)}, where you are {roles[chosen]}{more}.")


def _revoke(url: str, entry: Login) -> str | None:
    """Make the token good for nothing; return why it couldn't be."""
    connection = Connection(url, lambda: entry.token, authority=entry.authority)
    try:
        connection.ask_here(Question(method="DELETE", path="me/tokens/current"), type(None))
    except SignInNeeded:
        return None  # it wasn't any more
    except TradewindError as error:
        return str(error)
    finally:
        connection.close()
    return None
