"""Who may do what: one table, read by every verb."""

from __future__ import annotations

from enum import StrEnum

from tradewind.model.people import Caller, MemberRole, Scope


class Action(StrEnum):
    """What somebody asks to do, in words that finish "may not …"."""

    SEE_WORKSPACE = "see what runs in this workspace and what it costs"
    READ_DETAIL = "read another member's logs, computations and journal"
    CREATE_CLUSTER = "run clusters"
    CHANGE_CLUSTER = "change or stop another member's cluster"
    USE_CLUSTER = "use another member's cluster"
    CREATE_ENVIRONMENT = "give software a name"
    DELETE_ENVIRONMENT = "delete named environments"
    MANAGE_BUDGETS = "change budgets"
    MANAGE_MEMBERS = "change who belongs to this workspace"
    MANAGE_OWNERS = "make or unmake owners"
    READ_AUDIT = "read the audit log"
    EXPORT = "export everything of this workspace"


OWNER, ADMIN, MEMBER, VIEWER, MENTOR = (
    MemberRole.OWNER,
    MemberRole.ADMIN,
    MemberRole.MEMBER,
    MemberRole.VIEWER,
    MemberRole.MENTOR,
)

ROLES: dict[Action, frozenset[MemberRole]] = {
    Action.SEE_WORKSPACE: frozenset(MemberRole),
    # A mentor too, of those who agreed: see may().
    Action.READ_DETAIL: frozenset({OWNER, ADMIN}),
    Action.CREATE_CLUSTER: frozenset({OWNER, ADMIN, MEMBER, MENTOR}),
    Action.CHANGE_CLUSTER: frozenset({OWNER, ADMIN}),
    # Nobody: a cluster's keys let one run code as its owner, with the owner's credentials.
    Action.USE_CLUSTER: frozenset(),
    Action.CREATE_ENVIRONMENT: frozenset({OWNER, ADMIN, MEMBER, MENTOR}),
    # Others' clusters count on them.
    Action.DELETE_ENVIRONMENT: frozenset({OWNER, ADMIN}),
    Action.MANAGE_BUDGETS: frozenset({OWNER, ADMIN}),
    Action.MANAGE_MEMBERS: frozenset({OWNER, ADMIN}),
    Action.MANAGE_OWNERS: frozenset({OWNER}),
    Action.READ_AUDIT: frozenset({OWNER, ADMIN}),
    Action.EXPORT: frozenset({OWNER, ADMIN}),
}
"""Who may do it to the workspace, or to what belongs to somebody else in it."""

SCOPES: dict[Action, Scope] = {
    Action.SEE_WORKSPACE: Scope.READ,
    Action.READ_DETAIL: Scope.READ,
    Action.CREATE_CLUSTER: Scope.CLUSTERS,
    Action.CHANGE_CLUSTER: Scope.CLUSTERS,
    Action.USE_CLUSTER: Scope.CLUSTERS,
    Action.CREATE_ENVIRONMENT: Scope.CLUSTERS,
    Action.DELETE_ENVIRONMENT: Scope.MANAGE,
    Action.MANAGE_BUDGETS: Scope.MANAGE,
    Action.MANAGE_MEMBERS: Scope.MANAGE,
    Action.MANAGE_OWNERS: Scope.MANAGE,
    Action.READ_AUDIT: Scope.READ,
    Action.EXPORT: Scope.READ,
}
"""What a token must be good for."""

OWN: frozenset[Action] = frozenset({Action.READ_DETAIL, Action.CHANGE_CLUSTER, Action.USE_CLUSTER})
"""What everybody may do to what is their own. A viewer has nothing of their own, or had, and may still end it."""


def may(caller: Caller, action: Action, *, owner: str | None = None) -> bool:
    """Whether ``caller`` may do this in their workspace.

    Parameters
    ----------
    caller : Caller
        Who asks.
    action : Action
        What for.
    owner : str, optional
        Name of the user whose thing it is done to, where there is one.
    """
    if SCOPES[action] not in caller.scopes:
        return False
    if owner is not None and owner == caller.user and action in OWN:
        return True
    if action is Action.READ_DETAIL and caller.role is MENTOR and owner in caller.mentees:
        return True
    return caller.role in ROLES[action]


def refusal(caller: Caller, action: Action) -> str:
    """Return why ``caller`` may not, and who may: a sentence."""
    if SCOPES[action] not in caller.scopes:
        return (
            f"this token may not {action}: it was made without the scope {SCOPES[action].value!r}; "
            "make another, or sign in yourself"
        )
    who = sorted(role.value for role in ROLES[action])
    asked = f"{caller.user} is {_article(caller.role)} of workspace {caller.workspace!r} and may not {action}"
    return f"{asked}; ask {' or '.join(_article(MemberRole(role)) for role in who)}" if who else f"{asked}; nobody may"


def _article(role: MemberRole) -> str:
    return f"{'an' if role.value[0] in 'aeiou' else 'a'} {role.value}"
