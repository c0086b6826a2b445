"""Pages about oneself and one's workspaces: settings, members, invitations."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from tradewind.engine.access.members import Members
from tradewind.engine.access.person import Person
from tradewind.engine.assembly import Assembly
from tradewind.errors import BadRequest
from tradewind.model.people import MemberRole, Scope, Signed
from tradewind.planning.access import Action, may
from tradewind.server import auth
from tradewind.server.context import request_id
from tradewind.server.pages.frame import form, go, page, show
from tradewind.server.people import invitation_url

ENTRIES_SHOWN = 50


@page
async def home(request: Request) -> Response:
    """Show one's workspaces."""
    signed = await auth.signed_in(request)
    return show(request, "home.html", signed=signed, me=await _person(request, signed).portrait())


@page
async def settings(request: Request) -> Response:
    """Show one's tokens, sign-ins and memberships."""
    return await _settings(request, await auth.signed_in(request))


@page
async def create_token(request: Request) -> Response:
    """Make a token, and show it this once."""
    signed = await auth.signed_in(request)
    fields = await form(request)
    try:
        scopes = {Scope(each) for each in fields.get("scopes", "").split(",") if each}
        days = int(fields.get("days", "90"))
    except ValueError:
        raise BadRequest("choose what the token is for, and for how many days") from None
    if not 1 <= days <= 366:
        raise BadRequest("a token made here lasts 1 to 366 days")
    token, secret = await _person(request, signed).create_token(
        fields.get("label", ""), scopes=scopes, workspace=fields.get("workspace") or None, life=timedelta(days=days)
    )
    return await _settings(request, signed, made=token.label, secret=secret.reveal())


@page
async def revoke_token(request: Request) -> Response:
    """Make a token good for nothing."""
    signed = await auth.signed_in(request)
    await _person(request, signed).revoke_token(request.path_params["token"])
    return go("/settings")


@page
async def agree(request: Request) -> Response:
    """Let a workspace's mentors read everything of one's own there, or no longer."""
    signed = await auth.signed_in(request)
    fields = await form(request)
    has_agreed = fields.get("agreed") == "yes"
    await _person(request, signed).agree_to_mentoring(fields.get("workspace", ""), has_agreed)
    return go("/settings")


@page
async def create_workspace(request: Request) -> Response:
    """Make a workspace, for operators."""
    signed = await auth.signed_in(request)
    fields = await form(request)
    made = await _person(request, signed).create_workspace(fields.get("name", "").strip(), fields.get("title", ""))
    return go(f"/workspaces/{quote(made.name)}")


@page
async def workspace(request: Request) -> Response:
    """Show who is in a workspace, and who is invited."""
    return await _workspace(request)


@page
async def invite(request: Request) -> Response:
    """Make an invitation, and show its link this once."""
    fields = await form(request)
    members = await _members(request)
    try:
        role = MemberRole(fields.get("role", ""))
    except ValueError:
        raise BadRequest("choose what they shall be") from None
    _, secret = await members.invite(role, email=fields.get("email"))
    return await _workspace(request, link=invitation_url(request.app.state.public_url, secret.reveal()))


@page
async def withdraw(request: Request) -> Response:
    """Make an invitation's link lead nowhere."""
    await (await _members(request)).withdraw(request.path_params["invitation"])
    return _back(request)


@page
async def change_member(request: Request) -> Response:
    """Change what a member is, or end their membership."""
    fields = await form(request)
    members, user = await _members(request), request.path_params["user"]
    if fields.get("do") == "remove":
        await members.remove(user)
        return go("/") if user == (await auth.signed_in(request)).user.name else _back(request)
    try:
        role = MemberRole(fields.get("role", ""))
    except ValueError:
        raise BadRequest("choose what they shall be") from None
    await members.change_role(user, role)
    return _back(request)


def _person(request: Request, signed: Signed) -> Person:
    person: Person = request.app.state.assembly.people.as_(signed, request_id() or None)
    return person


async def _members(request: Request) -> Members:
    caller = await auth.caller(request, request.path_params["workspace"])
    assembly: Assembly = request.app.state.assembly
    return assembly.as_(caller, request_id() or None).members


def _back(request: Request) -> Response:
    return go(f"/workspaces/{quote(request.path_params['workspace'])}/people")


async def _settings(
    request: Request, signed: Signed, *, made: str | None = None, secret: str | None = None
) -> Response:
    person = _person(request, signed)
    return show(
        request,
        "settings.html",
        signed=signed,
        me=await person.portrait(),
        tokens=await person.tokens() if Scope.READ in signed.scopes else (),
        scopes=[scope for scope in Scope if scope in signed.scopes],
        made=made,
        secret=secret,
    )


async def _workspace(request: Request, *, link: str | None = None) -> Response:
    signed = await auth.signed_in(request)
    caller = await auth.caller(request, request.path_params["workspace"])
    members = await _members(request)
    manages = may(caller, Action.MANAGE_MEMBERS)
    roles = [role for role in MemberRole if role is not MemberRole.OWNER or may(caller, Action.MANAGE_OWNERS)]
    return show(
        request,
        "workspace.html",
        signed=signed,
        caller=caller,
        workspace=await members.workspace(),
        members=await members.members(),
        invitations=await members.invitations() if manages else (),
        entries=await members.audit(limit=ENTRIES_SHOWN) if may(caller, Action.READ_AUDIT) else (),
        manages=manages,
        roles=roles,
        link=link,
    )
