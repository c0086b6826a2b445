"""A line to a server, with the token of whoever signed in there: in a terminal, by a variable, or in a JupyterHub."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import replace

from tradewind.client.remote.connection import Connection
from tradewind.client.remote.credentials import load_credentials, save_credentials
from tradewind.client.remote.verbs import Remote
from tradewind.errors import TradewindError
from tradewind.model.secret import Secret

VARIABLE = "TRADEWIND_TOKEN"
HUB_VARIABLES = ("JUPYTERHUB_API_TOKEN", "JUPYTERHUB_USER")
"""Both stand in every notebook server that a hub starts, and hardly anywhere else."""


def open_remote(server: str, workspace: str) -> Remote:
    """Return the verbs of ``server``, for one workspace; asks nothing yet."""
    return Remote(connection_to(server), workspace)


def hub_token(environ: Mapping[str, str]) -> Secret | None:
    """Return the token that a JupyterHub gave to this notebook; None outside of one."""
    if not all(environ.get(name) for name in HUB_VARIABLES):
        return None
    return Secret(environ[HUB_VARIABLES[0]])


def connection_to(server: str, environ: Mapping[str, str] | None = None) -> Connection:
    """Return a line to ``server`` for its signed-in user; asks nothing yet."""
    variables = os.environ if environ is None else environ
    authority = load_credentials().of(server).authority

    def token() -> Secret | None:
        given = variables.get(VARIABLE)
        if given:
            return Secret(given.strip())
        return load_credentials().of(server).token or renew(None)

    def renew(used: Secret | None) -> Secret | None:
        if variables.get(VARIABLE):
            return None  # whoever set it means this one
        login = load_credentials().of(server)
        if login.token is not None and login.token != used:
            return login.token  # somebody signed in meanwhile, in another terminal
        hub = hub_token(variables)
        if hub is None:
            return None
        # Not imported above: the words of signing in are of use to those in a hub alone, and take some milliseconds.
        with_hub = importlib.import_module("tradewind.client.remote.sign_in").with_hub
        try:
            token: Secret = with_hub(Connection(server, authority=login.authority), hub)
        except TradewindError:
            return None
        save_credentials(load_credentials().with_login(server, replace(login, token=token)))
        return token

    return Connection(server, token, renew=renew, authority=authority)
