"""Who shares, who pays, who helps: users, workspaces, roles, and the tokens that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class MemberRole(StrEnum):
    """What somebody is in a workspace. What each may do stands in one table, :mod:`tradewind.planning.access`."""

    OWNER = "owner"
    """Answers for it: all that an admin may, makes and unmakes owners, ends the workspace."""
    ADMIN = "admin"
    """Looks after people, budgets and everybody's clusters."""
    MEMBER = "member"
    """Runs clusters, and sees their own in full."""
    VIEWER = "viewer"
    """Sees what runs and what it costs; runs nothing."""
    MENTOR = "mentor"
    """A member who also reads everything of those members who agreed, to help them."""


class Scope(StrEnum):
    """What a token may be used for, at most; what its user may not do, it may not either."""

    READ = "read"
    """Look at things."""
    CLUSTERS = "clusters"
    """Run, scale and stop clusters, and get their keys."""
    MANAGE = "manage"
    """People, budgets, tokens, workspaces."""


EVERY_SCOPE = frozenset(Scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person, or a program that acts for one."""

    id: str
    name: str
    """Unique on a server, as others see it: ``ada``; it stands as ``owner`` in records."""
    email: str | None = None
    """Where notifications go; None gets none."""
    is_operator: bool = False
    """Runs the server: makes workspaces and sees its health; sees nothing of a workspace it isn't a member of."""
    created_at: datetime
    disabled_at: datetime | None = None
    """From then on nothing that stands for this user is let in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a sign-in elsewhere stands for: never an e-mail address, which can change hands."""

    issuer: str
    """URL of who vouches: an OpenID provider's issuer, or a JupyterHub's API."""
    subject: str
    """The name that never changes there."""
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Who shares, who pays, whose limits."""

    name: str
    """Unique on a server; stands in URLs and records: ``ocean-lab``."""
    title: str = ""
    """For people; empty is the name."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody in a workspace."""

    workspace: str
    user_id: str
    user: str
    """Their name."""
    role: MemberRole
    agreed_to_mentoring: bool = False
    """Whether mentors of the workspace may read everything of theirs; only they themselves can say so."""
    joined_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A link that makes one person a member, once."""

    id: str
    workspace: str
    role: MemberRole
    invited_by: str
    """Name of a user."""
    email: str | None = None
    """For whom, as a note; whoever has the link may use it."""
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    used_by: str | None = None
    """Name of the user it made a member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Stands for a user. The text itself is shown once and never kept, only its hash."""

    id: str
    user_id: str
    label: str
    """What it is for: ``laptop``."""
    scopes: frozenset[Scope] = EVERY_SCOPE
    workspace: str | None = None
    """The only workspace it opens; None is every one of its user's."""
    created_at: datetime
    expires_at: datetime | None
    """None never expires."""
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    """Give or take some minutes."""
    session_of: str | None = None
    """Of a browser's sign-in, the id of the token that was pasted: it is good no longer than that. None for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Who is signed in, and what for, before it is said in which workspace."""

    user: User
    scopes: frozenset[Scope] = EVERY_SCOPE
    workspace: str | None = None
    """The only workspace it opens; None is every one of the user's."""
    token_id: str
    """Of what they signed in with."""
    expires_at: datetime | None = None
    """When that ends; None never does."""
    makes_until: datetime | None = None
    """When what is made with it ends at the latest: so with every token that ends. None where a person signed in."""
    roles: Mapping[str, MemberRole] | None = None
    """What they are in each of their workspaces, as of the sign-in's look; None is not known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, in which workspace, with what right. Every verb of the engine's service is answered for one."""

    user_id: str
    user: str
    workspace: str
    role: MemberRole
    scopes: frozenset[Scope] = EVERY_SCOPE
    mentees: frozenset[str] = field(default_factory=frozenset)
    """Names of the members who agreed to be read by mentors; of use to a mentor only."""
    makes_until: datetime | None = None
    """As in :class:`Signed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change that somebody made. Written in the transaction of the change, and never changed itself."""

    seq: int
    """Grows; 0 before it is written."""
    at: datetime
    workspace: str | None
    """None for what concerns the server as a whole."""
    user: str
    """Name of who did it; ``tradewind`` for what the engine did by itself, as stopping for a budget."""
    action: str
    """Past tense, dotted: ``member.added``, ``budget.changed``, ``cluster.created``."""
    subject: str
    """What it was done to: a name or an id."""
    detail: str = ""
    """For a person: from what to what. Never holds a secret."""
    request_id: str | None = None
