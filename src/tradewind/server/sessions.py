"""What a browser keeps for us: that somebody is signed in, and that somebody is on the way to a provider."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from tradewind import wire
from tradewind.engine.access.people import SESSION_LIFE, People
from tradewind.errors import BadRequest, Forbidden
from tradewind.model.secret import Secret
from tradewind.server.auth import cookie_name, is_secure
from tradewind.server.guard import origin

JOURNEY_LIFE = timedelta(minutes=10)
PURPOSE = "journey"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What is remembered of somebody who was sent to a provider; in their own browser, signed, for ten minutes."""

    state: str
    nonce: str
    verifier: str
    next: str
    invitation: str | None = None
    """Secret of the link that brought them."""
    user_id: str | None = None
    """Who was signed in and wants the sign-in to stand for them, too."""


def keep_session(request: Request, response: Response, session: Secret) -> None:
    """Let the browser stay signed in until it is closed, or for twelve hours."""
    _keep(request, response, cookie_name(request), session.reveal(), SESSION_LIFE)


def end_session(request: Request, response: Response) -> None:
    """Let the browser forget that somebody was signed in."""
    _forget(request, response, cookie_name(request))


async def keep_ticket(request: Request, response: Response, ticket: Ticket) -> None:
    """Let the browser remember where somebody was sent."""
    people: People = request.app.state.assembly.people
    signed = (await people.signer()).sign(
        PURPOSE, wire.dump_json(ticket).encode(), request.app.state.assembly.clock.now()
    )
    _keep(request, response, _ticket_name(request), signed, JOURNEY_LIFE)


async def ticket_of(request: Request) -> Ticket:
    """Return what the browser remembered. Raises BadRequest where it didn't, or for too long."""
    people: People = request.app.state.assembly.people
    now = request.app.state.assembly.clock.now()
    text = request.cookies.get(_ticket_name(request), "")
    try:
        return wire.load_json(Ticket, (await people.signer()).read(PURPOSE, text, now, JOURNEY_LIFE))
    except BadRequest:
        raise BadRequest("this sign-in wasn't begun in this browser, or took too long; sign in again") from None


def end_ticket(request: Request, response: Response) -> None:
    """Let the browser forget where somebody was sent: a way is gone once."""
    _forget(request, response, _ticket_name(request))


def local_path(text: str | None) -> str:
    """Return ``text`` if it leads to a page of ours, else the first page: nobody is sent elsewhere after a sign-in."""
    if text and text.startswith("/") and text.isprintable() and text.isascii() and "\\" not in text:
        parts = urlsplit(text)
        if not parts.scheme and not parts.netloc and not text.startswith("//"):
            return text
    return "/"


def refuse_strangers(request: Request) -> None:
    """Raise Forbidden where another site's page sent this form, be anybody signed in or not.

    Signing somebody in without their knowing, as oneself, is an attack too: what they do then is seen.
    """
    site = request.headers.get("sec-fetch-site")
    meant = site == "same-origin" or (
        site is None and request.headers.get("origin") == origin(request.app.state.public_url)
    )
    if not meant:
        raise Forbidden("this form came from another site's page; open this server's own page and do it there")


def _ticket_name(request: Request) -> str:
    return cookie_name(request) + "-journey"


def _keep(request: Request, response: Response, name: str, value: str, life: timedelta) -> None:
    response.set_cookie(
        name,
        value,
        max_age=int(life.total_seconds()),
        path="/",
        secure=is_secure(request),
        httponly=True,
        # Lax, not Strict: who comes back from the provider must still be known.
        samesite="lax",
    )


def _forget(request: Request, response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=is_secure(request), httponly=True, samesite="lax")
