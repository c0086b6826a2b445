"""Asking a JupyterHub whose token this is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

import httpx2

from tradewind import wire
from tradewind.config import JupyterHubSettings
from tradewind.engine.access.people import Arrival
from tradewind.errors import BadRequest, Forbidden, SignInNeeded, Unavailable

PATIENCE_S = 10.0
LONGEST_ANSWER = 256 * 1024
TOKEN = re.compile(r"[!-~]{8,500}\Z")
ACCESS = "access:servers"
"""The scope of those tokens that open a notebook, as a notebook's own does and what people make for themselves.

A token that some other service got, to know who somebody is, lacks it: that service must not come in as them.
https://jupyterhub.readthedocs.io/en/stable/rbac/scopes.html
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubUser:
    """What a hub says about whoever has a token."""

    kind: str
    """"user" or "service"."""
    name: str
    scopes: tuple[str, ...] = ()


async def vouched(settings: JupyterHubSettings, token: str) -> Arrival:
    """Return the user of the hub whose token this is.

    Raises
    ------
    BadRequest
        This server knows no hub.
    SignInNeeded
        The hub doesn't know the token.
    Forbidden
        It is a service's token, or one that opens no notebook.
    Unavailable
        The hub doesn't answer, or not as one.
    """
    if settings.api_url is None:
        raise BadRequest("this server knows no JupyterHub; sign in with: tradewind login URL")
    if not TOKEN.match(token):
        raise SignInNeeded("this is no token of a JupyterHub; give the notebook's JUPYTERHUB_API_TOKEN")
    url = settings.api_url.rstrip("/") + "/user"
    status, text = await _asked(url, token)
    if status in {401, 403}:
        raise SignInNeeded("the JupyterHub doesn't know this token any more; start the notebook server anew")
    if status != 200:
        raise Unavailable(f"the JupyterHub answered with status {status}; ask its operator", timedelta(seconds=10))
    try:
        user = wire.load_json(HubUser, text)
    except BadRequest:
        raise Unavailable("what answers at the JupyterHub's address is none; ask this server's operator") from None
    if user.kind != "user" or not user.name:
        raise Forbidden("this token is a service's of the JupyterHub, and only its users are let in")
    if not any(scope.split("!")[0] == ACCESS for scope in user.scopes):
        raise Forbidden(f"this token of the JupyterHub opens no notebook (it lacks {ACCESS}); use the notebook's own")
    return Arrival(issuer=settings.api_url.rstrip("/"), subject=user.name, name=user.name)


async def _asked(url: str, token: str) -> tuple[int, bytes]:
    try:
        async with (
            httpx2.AsyncClient(timeout=PATIENCE_S, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url, headers={"Authorization": f"token {token}"}) as answer,
        ):
            text = b""
            async for part in answer.aiter_bytes():
                text += part
                if len(text) > LONGEST_ANSWER:
                    raise Unavailable("what answers at the JupyterHub's address is none; ask this server's operator")
            return answer.status_code, text
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        # Its words may hold the address, never the token, which stands in a header.
        raise Unavailable(f"the JupyterHub doesn't answer: {type(error).__name__}", timedelta(seconds=10)) from None
