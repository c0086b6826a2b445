"""Who asks: a bearer token becomes a user, and in a workspace a caller."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request

from tradewind.engine.assembly import Assembly
from tradewind.errors import NotFound, SignInNeeded
from tradewind.model.people import Caller, MemberRole, Scope, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Who is signed in, and what for."""

    user: User
    scopes: frozenset[Scope]
    workspace: str | None
    """The only workspace it opens; None is every one of the user's."""
    expires_at: datetime | None


async def signed_in(request: Request) -> Signed:
    """Return who is signed in. Raises SignInNeeded."""
    kept: Signed | None = getattr(request.state, "signed", None)
    if kept is not None:
        return kept
    assembly: Assembly = request.app.state.assembly
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    found = None
    if scheme.lower() == "bearer" and text:
        found = await assembly.store.people.token(hashlib.sha256(text.encode()).hexdigest(), assembly.clock.now())
    if found is None:
        raise SignInNeeded("this needs a token that is good; sign in with: tradewind login URL")
    user, token = found
    request.state.signed = Signed(
        user=user, scopes=token.scopes, workspace=token.workspace, expires_at=token.expires_at
    )
    return await signed_in(request)


async def caller(request: Request, workspace: str) -> Caller:
    """Return who asks in a workspace. Raises NotFound in the same words for one that isn't there and one not theirs."""
    signed = await signed_in(request)
    people = request.app.state.assembly.store.people
    member = await people.membership(signed.user.id, workspace)
    if member is None or signed.workspace not in {None, workspace}:
        raise NotFound(f"there is no workspace {workspace!r} that you belong to")
    mentees = await people.mentees(workspace) if member.role is MemberRole.MENTOR else frozenset()
    return Caller(
        user_id=signed.user.id,
        user=signed.user.name,
        workspace=workspace,
        role=member.role,
        scopes=signed.scopes,
        mentees=mentees,
    )
