"""Pages by which people come in: the first user, signing in and out, invitations, and a program's sign-in."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from tradewind.engine.access.people import People
from tradewind.errors import BadRequest, Forbidden, NameTaken, NotFound, SignInNeeded
from tradewind.model.people import Signed
from tradewind.server import auth
from tradewind.server.context import request_id
from tradewind.server.journey import Journey
from tradewind.server.pages.frame import form, go, page, show, signed_or_none
from tradewind.server.sessions import (
    Ticket,
    end_session,
    end_ticket,
    keep_session,
    keep_ticket,
    local_path,
    ticket_of,
)

if TYPE_CHECKING:
    from tradewind.server.oidc import OpenIdProvider

CALLBACK = "/sign-in/oidc/callback"
LINK = "/sign-in/link"
LABEL = "browser"


@page
async def welcome(request: Request) -> Response:
    """Make the server's first user."""
    people = _people(request)
    if request.method == "GET":
        return show(request, "welcome.html", is_claimed=await people.first_admin_secret() is None)
    fields = await form(request)
    user, token = await people.claim(
        fields.get("secret", "").strip(), fields.get("name", "").strip(), fields.get("email")
    )
    signed = await people.let_in(token.reveal())
    response = show(request, "welcomed.html", signed=signed, user=user, token=token.reveal())
    keep_session(request, response, await people.session(user, LABEL, "by the first link"))
    return response


@page
async def sign_in(request: Request) -> Response:
    """Sign in: with a provider, or with a token."""
    if request.method == "GET":
        then = local_path(request.query_params.get("next"))
        return show(request, "sign-in.html", next=then, signed=await signed_or_none(request))
    fields = await form(request)
    people = _people(request)
    signed = await people.let_in(fields.get("token", "").strip())
    response = go(local_path(fields.get("next")))
    keep_session(request, response, await people.session_of(signed, LABEL))
    return response


@page
async def sign_in_by_link(request: Request) -> Response:
    """Sign in by a link that the operator made on the server's machine: for who lost all they had."""
    if request.method == "GET":
        return show(request, "sign-in-link.html", signed=await signed_or_none(request))
    fields = await form(request)
    session = await _people(request).by_link(fields.get("secret", "").strip(), LABEL)
    response = go("/settings")
    keep_session(request, response, session)
    return response


@page
async def sign_out(request: Request) -> Response:
    """Sign out: the cookie is good no more, wherever it is."""
    signed = await signed_or_none(request)
    response = go("/sign-in")
    if signed is not None:
        await _people(request).end(signed)
    end_session(request, response)
    return response


# The provider


@page
async def depart(request: Request) -> Response:
    """Send somebody to the provider: newcomers with their invitation, and who is signed in to link a second sign-in."""
    if request.method == "GET":
        url, ticket = await _departure(request, next=local_path(request.query_params.get("next")))
        response = Response(status_code=303, headers={"Location": url})
    else:
        fields = await form(request)
        signed = await auth.signed_in(request) if fields.get("link") else None
        url, ticket = await _departure(
            request,
            next=local_path(fields.get("next")),
            invitation=fields.get("secret", "").strip() or None,
            signed=signed,
        )
        # A page and no redirect: browsers hold a form's redirects against "form-action", and a provider leads on to
        # others whose addresses nobody knows before.
        response = show(request, "departing.html", url=url)
    await keep_ticket(request, response, ticket)
    return response


@page
async def arrive(request: Request) -> Response:
    """Take somebody back from the provider."""
    answered = request.query_params
    people = _people(request)
    try:
        ticket = await ticket_of(request)
        if not hmac.compare_digest(answered.get("state", "").encode(), ticket.state.encode()):
            raise BadRequest("this answer belongs to another sign-in than this browser's last one; sign in again")
        if "error" in answered:
            why = answered["error"][:60]
            raise SignInNeeded(f"{request.app.state.settings.oidc.name} didn't sign you in ({why!r}); try again")
        # RFC 9207: where the answer says who gives it, it must be the one we asked.
        provider = _provider(request)
        if answered.get("iss", provider.issuer) != provider.issuer:
            raise BadRequest("this answer comes from another provider than the one you were sent to; sign in again")
        journey = Journey(url="", state=ticket.state, nonce=ticket.nonce, verifier=ticket.verifier)
        arrival = await provider.arrived(journey, _redirect_uri(request), answered.get("code", ""))
        if ticket.user_id is not None:
            response = await _linked(request, ticket, arrival.issuer, arrival.subject)
        else:
            user = await people.arrive(arrival, invitation=ticket.invitation)
            response = go(ticket.next)
            keep_session(request, response, await people.session(user, LABEL, f"signed in at {arrival.issuer}"))
    except (BadRequest, SignInNeeded, Forbidden, NameTaken, NotFound) as error:
        response = show(request, "sign-in.html", status=400, next="/", words=str(error))
    end_ticket(request, response)
    return response


# Invitations


@page
async def invited(request: Request) -> Response:
    """Accept an invitation: as who is signed in, or as somebody new."""
    signed = await signed_or_none(request)
    people = _people(request)
    if request.method == "GET":
        return show(request, "invitation.html", signed=signed)
    fields = await form(request)
    secret = fields.get("secret", "").strip()
    if signed is not None:
        member = await people.as_(signed, request_id() or None).accept(secret)
        return go(f"/workspaces/{quote(member.workspace)}")
    user, token = await people.sign_up(secret, fields.get("name", "").strip(), fields.get("email"))
    signed = await people.let_in(token.reveal())
    response = show(request, "welcomed.html", signed=signed, user=user, token=token.reveal())
    keep_session(request, response, await people.session(user, LABEL, "by an invitation"))
    return response


# A program's sign-in


@page
async def confirm(request: Request) -> Response:
    """Let a program in that shows the same code."""
    people = _people(request)
    code, secret_hash = await people.login_request(request.path_params["request"])
    signed = await auth.signed_in(request)
    if request.method == "GET":
        return show(request, "login.html", signed=signed, code=code, is_done=False)
    await people.as_(signed, request_id() or None).confirm_login(secret_hash)
    return show(request, "login.html", signed=signed, code=code, is_done=True)


def _people(request: Request) -> People:
    people: People = request.app.state.assembly.people
    return people


def _provider(request: Request) -> OpenIdProvider:
    provider: OpenIdProvider | None = request.app.state.oidc
    if provider is None:
        raise BadRequest("this server has no OpenID provider; sign in with a token")
    return provider


def _redirect_uri(request: Request) -> str:
    return f"{request.app.state.public_url}{CALLBACK}"


async def _departure(
    request: Request, *, next: str, invitation: str | None = None, signed: Signed | None = None
) -> tuple[str, Ticket]:
    if invitation is not None:
        # Rather now than after the way there and back.
        await _people(request).invitation(invitation)
    journey = await _provider(request).depart(_redirect_uri(request))
    ticket = Ticket(
        state=journey.state,
        nonce=journey.nonce,
        verifier=journey.verifier,
        next=next,
        invitation=invitation,
        user_id=signed.user.id if signed is not None else None,
    )
    return journey.url, ticket


async def _linked(request: Request, ticket: Ticket, issuer: str, subject: str) -> Response:
    signed = await auth.signed_in(request)
    if signed.user.id != ticket.user_id:
        raise BadRequest("somebody else signed in here meanwhile; sign in again, and link then")
    await _people(request).as_(signed, request_id() or None).bind(issuer, subject)
    return go("/settings")
