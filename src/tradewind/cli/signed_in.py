"""What the commands about people share: the server in use, and one option for the workspace that is meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from tradewind.client.door import find_place
from tradewind.client.remote.people import RemotePeople
from tradewind.client.remote.signed_in import connection_to
from tradewind.errors import SignInNeeded

F = TypeVar("F", bound=Callable[..., Any])


def workspace_option(command: F) -> F:
    """Give a command its ``--workspace``."""
    return click.option("--workspace", metavar="NAME", help="Which workspace. Default: the one in use.")(command)


@contextmanager
def people(workspace: str | None = None) -> Iterator[tuple[RemotePeople, str]]:
    """Open the line to the server in use for one command.

    Parameters
    ----------
    workspace : str, optional
        Which is meant; default the one in use.

    Yields
    ------
    tuple of RemotePeople and str
        Its verbs, and the workspace.

    Raises
    ------
    SignInNeeded
        There is no server in use.
    """
    place = find_place()
    if place.server is None:
        raise SignInNeeded(
            "people and their rights are kept by a server, and you use none: tradewind login https://tradewind.example"
        )
    connection = connection_to(place.server)
    try:
        yield RemotePeople(connection), workspace or place.settings.workspace
    finally:
        connection.close()
