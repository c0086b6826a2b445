"""What a client and a server say to each other about people, where no noun says it alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tradewind.model.people import EVERY_SCOPE, Identity, Invitation, Member, MemberRole, Scope, Token, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Who is signed in, as they see themselves."""

    user: User
    memberships: tuple[Member, ...] = ()
    identities: tuple[Identity, ...] = ()
    """Sign-ins elsewhere that stand for them."""
    scopes: frozenset[Scope] = EVERY_SCOPE
    """What they are signed in for."""
    workspace: str | None = None
    """The only one that what they signed in with opens; None is each of theirs."""
    expires_at: datetime | None = None
    """When they have to sign in again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """Ask for a token."""

    label: str
    scopes: tuple[Scope, ...] | None = None
    """None is all that one is signed in for."""
    workspace: str | None = None
    """The only one it opens; None is each of one's own."""
    expires_at: datetime | None = None
    """None is in 90 days."""
    never_expires: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeToken:
    """A token with its text, which is shown this once."""

    token: Token
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWorkspace:
    """Ask for a workspace."""

    name: str
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRole:
    """Ask that a member be something else."""

    role: MemberRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Say whether mentors may read everything of one's own."""

    agreed_to_mentoring: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvitation:
    """Ask for a link that makes one person a member."""

    role: MemberRole = MemberRole.MEMBER
    email: str | None = None
    """For whom, as a note."""
    expires_at: datetime | None = None
    """None is in a week; never after the token that it is asked with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeInvitation:
    """An invitation with its link, which is shown this once."""

    invitation: Invitation
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepting:
    """Accept an invitation."""

    secret: str
    """What stands in its link behind the #."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """Become a user of a server, by a link that says so."""

    secret: str
    """What stands in the link behind the #."""
    name: str
    """What one will be called."""
    email: str | None = None
    """Where notifications go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcomed:
    """A new user, with a token of theirs, which is shown this once."""

    user: User
    memberships: tuple[Member, ...]
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingLogin:
    """A program's sign-in that waits for somebody to confirm it in a browser."""

    code: str
    """Shown by the program and by the page: somebody compares."""
    secret: str
    """With which the program asks for its token."""
    url: str
    """To open in a browser."""
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """Ask whether somebody confirmed."""

    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginToken:
    """A sign-in that was confirmed."""

    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HubToken:
    """Ask to be let in as the user of a JupyterHub."""

    token: str
    """The notebook's ``JUPYTERHUB_API_TOKEN``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """What an operator changes about a user; None leaves it."""

    is_disabled: bool | None = None
    is_operator: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """Who is given an office: owner of a workspace that has none left, or the voice of a partner."""

    user: str
