"""Who a request speaks for."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from tradewind.engine.assembly import Assembly
from tradewind.errors import SignInNeeded
from tradewind.model.people import Caller, Signed

__all__ = ["Signed", "caller", "caller_now", "cookie_name", "signed_in"]

LONGEST_HEADER = 200
"""Characters; one of ours has 53."""


async def signed_in(request: HTTPConnection) -> Signed:
    """Return who is signed in: by ``Authorization: Bearer tw_…``, or by a browser's cookie.

    Raises
    ------
    SignInNeeded
        Nobody is, or not any more: the words don't say which of a token's faults it was.
    """
    known = getattr(request.state, "signed", None)
    if isinstance(known, Signed):
        return known
    assembly: Assembly = request.app.state.assembly
    header = request.headers.get("authorization")
    if header is not None:
        # Where both came, the header is meant: a cookie comes by itself.
        scheme, _, text = header[:LONGEST_HEADER].partition(" ")
        signed = await assembly.people.let_in(text.strip() if scheme.lower() == "bearer" else "")
    else:
        cookie = request.cookies.get(cookie_name(request))
        if cookie is None:
            raise SignInNeeded(
                "sign in first: tradewind login URL, or send Authorization: Bearer with a token of yours"
            )
        signed = await assembly.people.let_in(cookie, is_browser=True)
    request.state.signed = signed
    return signed


async def caller(request: HTTPConnection, workspace: str) -> Caller:
    """Return who is signed in as they stand in ``workspace``.

    Raises
    ------
    SignInNeeded
        Nobody is signed in.
    NotFound
        There is no such workspace, or they aren't in it: in the same words.
    """
    signed = await signed_in(request)
    assembly: Assembly = request.app.state.assembly
    return await assembly.people.as_(signed).caller(workspace)


async def caller_now(request: HTTPConnection, workspace: str) -> Caller:
    """Return who asks as they stand by now: for answers that were long in coming. Raises as :func:`caller`."""
    request.state.signed = None
    return await caller(request, workspace)


def cookie_name(request: HTTPConnection) -> str:
    """Return the name of the cookie that keeps a browser signed in.

    With ``__Host-`` a browser takes it over TLS alone and from this very host, not from a neighbour under one domain.
    """
    return "__Host-tradewind" if is_secure(request) else "tradewind"


def is_secure(request: HTTPConnection) -> bool:
    """Whether people reach this server by https."""
    settings = request.app.state.settings
    url: str | None = settings.serve.public_url
    return url.startswith("https:") if url is not None else bool(settings.serve.tls)
