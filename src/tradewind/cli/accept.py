"""``tradewind accept``: become a member by an invitation, or a server's first user."""

from __future__ import annotations

import getpass
import re
import sys

import click

from tradewind import wire
from tradewind.cli.login import fingerprint_option, keep, trusted
from tradewind.cli.signed_in import people
from tradewind.client.door import find_place
from tradewind.client.remote.connection import Connection
from tradewind.client.remote.credentials import load_credentials, server_url
from tradewind.client.remote.people import RemotePeople
from tradewind.errors import BadRequest, SignInNeeded
from tradewind.model.joining import Newcomer
from tradewind.model.secret import Secret

WELCOME = "/welcome"
"""In the link that makes a server's first user."""


@click.command()
@click.argument("link", metavar="LINK")
@click.option("--name", metavar="NAME", help="What you want to be called, if you are no user of that server yet.")
@click.option("--email", metavar="ADDRESS", help="Where a new user's notifications go. Default: nowhere.")
@fingerprint_option
def accept(link: str, name: str | None, email: str | None, fingerprint: str | None) -> None:
    """Take an invitation: LINK as you got it, or the secret at its end if you are signed in to its server.

    Whoever is no user of the server yet becomes one. The link that `tradewind serve` prints makes its first user.
    """
    secret = secret_of(link)
    url = server_url(link.partition("#")[0]) if "://" in link else find_place().server
    if url is None:
        raise SignInNeeded("a secret alone doesn't say of which server: write the whole link, https://…")
    known = load_credentials().of(url)
    if known.token is not None and WELCOME not in link and name is None and find_place().server == url:
        _join(secret)
        return
    authority = trusted(url, known, fingerprint)
    new = Newcomer(secret=secret, name=name or _ask_name(), email=email)
    nobody = Connection(url, authority=authority)
    try:
        asked = RemotePeople(nobody)
        welcomed = asked.claim(new) if WELCOME in link else asked.sign_up(new)
    except SignInNeeded as error:
        raise SignInNeeded(f"{error}\nIf you aren't a user yet, open the link in a browser: {link}") from None
    finally:
        nobody.close()
    keep(url, Secret(welcomed.token), authority)


def secret_of(link: str) -> str:
    """Return the secret of a link: what stands after the # or the last slash."""
    text = link.strip()
    secret = text.rpartition("#")[2] if "#" in text else text.rstrip("/").rpartition("/")[2]
    if not re.fullmatch(r"[\w-]{16,200}", secret, re.ASCII):
        raise BadRequest(f"{link!r:.200} isn't the link of an invitation: that ends with # and some 40 letters.")
    return secret


def _join(secret: str) -> None:
    with people() as (asked, _):
        found = asked.accept(secret)
    workspace = wire.printable(found.workspace)
    click.echo(f"You are {found.role.value} of {workspace} now.")
    click.echo(f"To let your clusters go there: tradewind workspace use {workspace}")


def _ask_name() -> str:
    if not sys.stdin.isatty():
        raise BadRequest("you aren't signed in to this server: tradewind login first, or become a user with --name.")
    name: str = click.prompt("What do you want to be called", default=getpass.getuser(), err=True)
    return name
