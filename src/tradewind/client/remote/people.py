"""What a server is asked about people: workspaces, members, invitations, tokens, who changed what."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TypeVar

from tradewind import wire
from tradewind.client.remote.connection import Connection, Question, path
from tradewind.model.exchange import Page
from tradewind.model.joining import (
    Accepting,
    Agreement,
    MadeInvitation,
    MadeToken,
    Me,
    Newcomer,
    NewInvitation,
    NewRole,
    NewToken,
    NewWorkspace,
    Welcomed,
)
from tradewind.model.people import AuditEntry, Invitation, Member, MemberRole, Token, Workspace

T = TypeVar("T")


class RemotePeople:
    """The verbs, each one request; they wait in the calling thread, since only commands ask them.

    Parameters
    ----------
    connection : Connection
        Of whoever is signed in.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def me(self) -> Me:
        """Return who is signed in."""
        return self._get(Me, "me")

    def workspaces(self) -> Sequence[Workspace]:
        """Return the workspaces that this user is in."""
        return self._get(Page[Workspace], "workspaces").items

    def create_workspace(self, name: str, title: str = "") -> Workspace:
        """Make a workspace; who makes it owns it."""
        return self._create(Workspace, "workspaces", NewWorkspace(name=name, title=title), key=uuid.uuid4().hex)

    def members(self, workspace: str) -> Sequence[Member]:
        """Return who is in a workspace."""
        return self._get(Page[Member], path("workspaces", workspace, "members")).items

    def set_role(self, workspace: str, user: str, role: MemberRole) -> None:
        """Change what a member is."""
        self._do("PATCH", path("workspaces", workspace, "members", user), NewRole(role=role))

    def remove_member(self, workspace: str, user: str) -> None:
        """Take a member out."""
        self._do("DELETE", path("workspaces", workspace, "members", user))

    def agree_to_mentoring(self, workspace: str, agreed: bool) -> None:
        """Let mentors of a workspace read everything of one's own there, or stop letting them."""
        self._do("PATCH", path("me", "memberships", workspace), Agreement(agreed_to_mentoring=agreed))

    def invitations(self, workspace: str) -> Sequence[Invitation]:
        """Return the invitations of a workspace."""
        return self._get(Page[Invitation], path("workspaces", workspace, "invitations")).items

    def invite(self, workspace: str, role: MemberRole, email: str | None = None) -> MadeInvitation:
        """Make a link that makes one person a member."""
        body = NewInvitation(role=role, email=email)
        return self._create(MadeInvitation, path("workspaces", workspace, "invitations"), body)

    def revoke_invitation(self, workspace: str, invitation_id: str) -> None:
        """Make an invitation's link lead nowhere."""
        self._do("DELETE", path("workspaces", workspace, "invitations", invitation_id))

    def accept(self, secret: str) -> Member:
        """Become a member by an invitation's secret."""
        return self._create(Member, path("invitations", "accept"), Accepting(secret=secret))

    def sign_up(self, new: Newcomer) -> Welcomed:
        """Become a user and a member, by an invitation's secret."""
        return self._create(Welcomed, path("invitations", "sign-up"), new)

    def claim(self, new: Newcomer) -> Welcomed:
        """Become the server's first user, by the secret that it printed when it started."""
        return self._create(Welcomed, "claim", new)

    def tokens(self) -> Sequence[Token]:
        """Return one's own tokens; never their texts."""
        return self._get(Page[Token], path("me", "tokens")).items

    def create_token(self, wanted: NewToken) -> MadeToken:
        """Make a token."""
        return self._create(MadeToken, path("me", "tokens"), wanted)

    def revoke_token(self, token_id: str) -> None:
        """Make a token good for nothing."""
        self._do("DELETE", path("me", "tokens", token_id))

    def audit(self, workspace: str, *, limit: int) -> Sequence[AuditEntry]:
        """Return who changed what, newest first."""
        found: list[AuditEntry] = []
        cursor = None
        while len(found) < limit:
            where = path("workspaces", workspace, "audit", cursor=cursor, limit=min(100, limit - len(found)))
            page = self._get(Page[AuditEntry], where)
            found.extend(page.items)
            cursor = page.next
            if cursor is None or not page.items:
                break
        return found[:limit]

    def _get(self, kind: type[T], where: str) -> T:
        return self._connection.ask_here(Question(method="GET", path=where), kind)

    def _create(self, kind: type[T], where: str, body: object, *, key: str | None = None) -> T:
        """Ask for something new; again only with a ``key``, which what holds a secret has none of: none is kept."""
        data = wire.dump_json(body).encode()
        return self._connection.ask_here(Question(method="POST", path=where, body=data, key=key), kind)

    def _do(self, method: str, where: str, body: object = None) -> None:
        data = wire.dump_json(body).encode() if body is not None else None
        self._connection.ask_here(Question(method=method, path=where, body=data), type(None))
