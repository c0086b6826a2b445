"""The ways to sign in to a server: a browser that confirms, a JupyterHub that vouches."""

from __future__ import annotations

import time
from collections.abc import Callable

from tradewind import wire
from tradewind.client.remote.connection import Connection, Interrupted, Question
from tradewind.errors import ServerError, SignInNeeded
from tradewind.model.joining import HubToken, LoginToken, PendingLogin, Poll
from tradewind.model.secret import Secret

POLL_S = 2.0
CONFIRM_WITHIN_S = 600.0


def with_hub(connection: Connection, token: Secret) -> Secret:
    """Return the server's own token for the user of a JupyterHub.

    Raises
    ------
    SignInNeeded, Forbidden, NotFound
        The server doesn't know this hub, or not this user.
    """
    body = wire.dump_json(HubToken(token=token.reveal())).encode()
    found = connection.ask_here(Question(method="POST", path="logins/jupyterhub", body=body), LoginToken)
    return Secret(found.token)


def begin(connection: Connection) -> PendingLogin:
    """Ask for a sign-in that a browser will confirm."""
    pending = connection.ask_here(Question(method="POST", path="logins"), PendingLogin)
    if not pending.url.startswith(("https://", "http://")):
        raise ServerError(f"{connection.url} names {wire.printable(pending.url)[:100]!r} as its page, which is none.")
    return pending


def until_confirmed(
    connection: Connection, pending: PendingLogin, *, sleep: Callable[[float], None] = time.sleep
) -> Secret:
    """Wait until somebody has confirmed, and return the token.

    Raises
    ------
    SignInNeeded
        Nobody did in time, or they refused.
    """
    body = wire.dump_json(Poll(secret=pending.secret)).encode()
    waited_s = 0.0
    while waited_s < CONFIRM_WITHIN_S:
        try:
            answer = connection.answer(Question(method="POST", path="logins/poll", body=body))
        except Interrupted:
            answer = None  # the laptop slept, or the server starts anew: whoever confirms is at work meanwhile
        if answer is not None and answer.status != 202:
            return Secret(answer.load(LoginToken).token)
        rest_s = max(POLL_S, (answer.retry_after_s or 0.0) if answer is not None else 0.0)
        sleep(rest_s)
        waited_s += rest_s
    raise SignInNeeded(f"nobody confirmed the sign-in within {CONFIRM_WITHIN_S / 60:.0f} min: tradewind login again.")
