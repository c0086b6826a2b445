"""People over HTTP: oneself, one's tokens, workspaces, members, invitations, and the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tradewind.engine.access.person import TOKEN_LIFE, Person
from tradewind.errors import BadRequest, NameTaken, NotFound
from tradewind.model.exchange import Page
from tradewind.model.joining import (
    Accepting,
    Agreement,
    Appointment,
    MadeInvitation,
    MadeToken,
    Me,
    NewInvitation,
    NewRole,
    NewToken,
    NewWorkspace,
    UserChange,
)
from tradewind.model.people import AuditEntry, Invitation, Member, Token, User, Workspace
from tradewind.server.clusters import MOST_ITEMS, Some, within
from tradewind.server.context import request_id
from tradewind.server.operation import Asked, Door, Nothing, Table

table = Table("people")
IN = "/workspaces/{workspace}"


# Oneself


@table.on("GET", "/me", answer=Me, door=Door.SIGNED)
async def me(asked: Asked[Nothing, Nothing]) -> Me:
    """Return who is signed in, and where they belong."""
    return await _person(asked).portrait()


@table.on("GET", "/me/tokens", answer=Page[Token], door=Door.SIGNED)
async def tokens(asked: Asked[Nothing, Nothing]) -> Page[Token]:
    """List one's own tokens that are still good, newest first; never their texts."""
    return Page(items=tuple(await _person(asked).tokens()))


# No Idempotency-Key where a secret is answered: the answer would have to be kept, and secrets are kept nowhere. Asked
# for twice, there are two; one expires unused.
@table.on(
    "POST",
    "/me/tokens",
    body=NewToken,
    answer=MadeToken,
    door=Door.SIGNED,
    status=201,
    problems=(BadRequest, NotFound),
)
async def create_token(asked: Asked[NewToken, Nothing]) -> MadeToken:
    """Make a token; its text is answered this once."""
    wanted = asked.body
    life = None if wanted.never_expires else _life(wanted.expires_at, asked.assembly.clock.now(), TOKEN_LIFE)
    scopes = asked.signed.scopes if wanted.scopes is None else frozenset(wanted.scopes)
    person = _person(asked)
    token, secret = await person.create_token(wanted.label, scopes=scopes, workspace=wanted.workspace, life=life)
    return MadeToken(token=token, secret=secret.reveal())


@table.on("DELETE", "/me/tokens/{token}", door=Door.SIGNED, problems=(NotFound,))
async def revoke_token(asked: Asked[Nothing, Nothing]) -> None:
    """Make a token of one's own good for nothing, at once; twice is once. ``current`` is the one that is asked with."""
    token = asked.path("token")
    await _person(asked).revoke_token(asked.signed.token_id if token == "current" else token)


@table.on("PATCH", "/me/memberships/{workspace}", body=Agreement, door=Door.SIGNED, problems=(NotFound,))
async def agree(asked: Asked[Agreement, Nothing]) -> None:
    """Let a workspace's mentors read everything of one's own there, or no longer."""
    await _person(asked).agree_to_mentoring(asked.path("workspace"), asked.body.agreed_to_mentoring)


# Workspaces


@table.on("GET", "/workspaces", answer=Page[Workspace], door=Door.SIGNED)
async def workspaces(asked: Asked[Nothing, Nothing]) -> Page[Workspace]:
    """List the workspaces one belongs to."""
    return Page(items=tuple(await _person(asked).workspaces()))


@table.on(
    "POST",
    "/workspaces",
    body=NewWorkspace,
    answer=Workspace,
    door=Door.SIGNED,
    status=201,
    is_create=True,
    problems=(BadRequest, NameTaken),
)
async def create_workspace(asked: Asked[NewWorkspace, Nothing]) -> Workspace:
    """Make a workspace, for operators; who makes it owns it."""
    return await _person(asked).create_workspace(asked.body.name, asked.body.title, once=asked.once)


@table.on("GET", IN, answer=Workspace)
async def workspace(asked: Asked[Nothing, Nothing]) -> Workspace:
    """Return a workspace one belongs to."""
    return await asked.verbs.members.workspace()


@table.on("GET", IN + "/members", answer=Page[Member])
async def members(asked: Asked[Nothing, Nothing]) -> Page[Member]:
    """List who is in a workspace, by name."""
    return Page(items=tuple(await asked.verbs.members.members()))


@table.on("PATCH", IN + "/members/{user}", body=NewRole, problems=(BadRequest,))
async def change_role(asked: Asked[NewRole, Nothing]) -> None:
    """Change what a member is. A workspace always keeps an owner."""
    await asked.verbs.members.change_role(asked.path("user"), asked.body.role)


@table.on("DELETE", IN + "/members/{user}", problems=(BadRequest,))
async def remove(asked: Asked[Nothing, Nothing]) -> None:
    """Take a member out, or leave; their live clusters there are asked to stop. A workspace always keeps an owner."""
    await asked.verbs.members.remove(asked.path("user"))


@table.on("GET", IN + "/audit", query=Some, answer=Page[AuditEntry])
async def audit(asked: Asked[Nothing, Some]) -> Page[AuditEntry]:
    """List who changed what in a workspace, newest first."""
    limit = within(asked.query.limit, "limit", MOST_ITEMS)
    return _entries(await asked.verbs.members.audit(_number(asked.query.cursor), limit + 1), limit)


# Invitations


@table.on("GET", IN + "/invitations", answer=Page[Invitation])
async def invitations(asked: Asked[Nothing, Nothing]) -> Page[Invitation]:
    """List the invitations that can still be used, newest first; never their links."""
    return Page(items=tuple(await asked.verbs.members.invitations()))


@table.on("POST", IN + "/invitations", body=NewInvitation, answer=MadeInvitation, status=201, problems=(BadRequest,))
async def invite(asked: Asked[NewInvitation, Nothing]) -> MadeInvitation:
    """Make a link that makes one person a member; it is answered this once."""
    wanted = asked.body
    life = _life(wanted.expires_at, asked.assembly.clock.now(), timedelta(days=7))
    made, secret = await asked.verbs.members.invite(wanted.role, email=wanted.email, life=life)
    return MadeInvitation(invitation=made, url=invitation_url(asked.request.app.state.public_url, secret.reveal()))


@table.on("DELETE", IN + "/invitations/{invitation}")
async def withdraw(asked: Asked[Nothing, Nothing]) -> None:
    """Make an invitation's link lead nowhere."""
    await asked.verbs.members.withdraw(asked.path("invitation"))


@table.on(
    "POST",
    "/invitations/accept",
    body=Accepting,
    answer=Member,
    door=Door.SIGNED,
    problems=(BadRequest, NotFound, NameTaken),
)
async def accept(asked: Asked[Accepting, Nothing]) -> Member:
    """Become a member by an invitation's secret."""
    return await _person(asked).accept(asked.body.secret)


# Operators


@table.on("GET", "/users", query=Some, answer=Page[User], door=Door.SIGNED)
async def users(asked: Asked[Nothing, Some]) -> Page[User]:
    """List the server's users by name, for operators."""
    limit = within(asked.query.limit, "limit", MOST_ITEMS)
    found = await _person(asked).users(asked.query.cursor or "", limit + 1)
    return Page(items=tuple(found[:limit]), next=found[limit - 1].name if len(found) > limit else None)


@table.on("PATCH", "/users/{user}", body=UserChange, answer=User, door=Door.SIGNED, problems=(BadRequest, NotFound))
async def change_user(asked: Asked[UserChange, Nothing]) -> User:
    """Shut a user out or let them in again, make them an operator or no longer; for operators.

    With one who is shut out go their tokens and what they invited; their live clusters are asked to stop.
    """
    person, name, change = _person(asked), asked.path("user"), asked.body
    if change.is_disabled is None and change.is_operator is None:
        raise BadRequest("say what to change: is_disabled, is_operator")
    user = None
    if change.is_operator is not None:
        user = await person.set_operator(name, change.is_operator)
    if change.is_disabled is not None:
        user = await person.set_disabled(name, change.is_disabled)
    assert user is not None
    return user


@table.on(
    "POST",
    "/workspaces/{workspace}/owners",
    body=Appointment,
    answer=Member,
    door=Door.SIGNED,
    problems=(BadRequest, NotFound),
)
async def appoint(asked: Asked[Appointment, Nothing]) -> Member:
    """Make somebody owner of a workspace whose owners are all shut out; for operators."""
    return await _person(asked).appoint(asked.path("workspace"), asked.body.user)


@table.on("GET", "/audit", query=Some, answer=Page[AuditEntry], door=Door.SIGNED)
async def server_audit(asked: Asked[Nothing, Some]) -> Page[AuditEntry]:
    """List who changed what about the server as a whole, newest first; for operators."""
    limit = within(asked.query.limit, "limit", MOST_ITEMS)
    return _entries(await _person(asked).audit(_number(asked.query.cursor), limit + 1), limit)


def invitation_url(public_url: str, secret: str) -> str:
    """Return an invitation's link. The secret stands behind the #, which browsers send to nobody."""
    return f"{public_url}/invitations/accept#{secret}"


def _person(asked: Asked[Any, Any]) -> Person:
    return asked.assembly.people.as_(asked.signed, request_id() or None)


def _number(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 18:
        raise BadRequest("this cursor is none that this server gave; begin without one")
    return int(cursor)


def _entries(found: Sequence[AuditEntry], limit: int) -> Page[AuditEntry]:
    return Page(items=tuple(found[:limit]), next=str(found[limit - 1].seq) if len(found) > limit else None)


def _life(expires_at: datetime | None, now: datetime, usual: timedelta) -> timedelta:
    if expires_at is None:
        return usual
    if expires_at.tzinfo is None:
        raise BadRequest("expires_at has no time zone; write it as 2026-12-31T00:00:00Z")
    return expires_at - now
