"""Workspaces, who is in them, and whom they invited. Each function runs inside a transaction.

Whatever changes who is in a workspace locks the workspace's row first: two owners that leave at once must not both
find the other still there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tradewind.errors import BadRequest, Forbidden, NameTaken, NotFound
from tradewind.model.cluster import Intent
from tradewind.model.people import Invitation, Member, MemberRole, User, Workspace
from tradewind.store import clusters
from tradewind.store.access import users
from tradewind.store.access.audit import By, record
from tradewind.store.schema import clusters as cluster_table
from tradewind.store.schema import invitations, members, workspaces
from tradewind.store.schema import users as user_table

Check = Callable[[MemberRole | None, MemberRole | None], None]
"""Takes what somebody was and is to be (None: no member); raises where the one who asks may not do that."""

MANAGES = frozenset({MemberRole.OWNER, MemberRole.ADMIN})


def create_workspace(connection: Connection, workspace: Workspace, owner: User, by: By) -> Member:
    """Write a workspace down with its first owner. Raises NameTaken."""
    try:
        with connection.begin_nested():
            connection.execute(
                insert(workspaces).values(name=workspace.name, title=workspace.title, created_at=workspace.created_at)
            )
    except IntegrityError:
        raise NameTaken(f"there is a workspace {workspace.name!r} already; choose another name") from None
    record(connection, by.did("workspace.created", workspace.name, workspace.title, workspace=workspace.name))
    return add(connection, workspace.name, owner, MemberRole.OWNER, by)


def workspace(connection: Connection, name: str) -> Workspace:
    """Return a workspace. Raises NotFound."""
    row = connection.execute(select(workspaces).where(workspaces.c.name == name)).mappings().first()
    if row is None:
        raise no_workspace(name)
    return Workspace(name=row["name"], title=row["title"], created_at=row["created_at"])


def all_workspaces(connection: Connection, after: str = "", limit: int = 100) -> tuple[Workspace, ...]:
    """Return workspaces by name, those after the name ``after``."""
    statement = select(workspaces).where(workspaces.c.name > after).order_by(workspaces.c.name).limit(limit)
    rows = connection.execute(statement).mappings()
    return tuple(Workspace(name=row["name"], title=row["title"], created_at=row["created_at"]) for row in rows)


def no_workspace(name: str) -> NotFound:
    """Return the error for a workspace that isn't there, and for one that the caller isn't in: nobody learns which."""
    return NotFound(f"there is no workspace {name!r} that you are a member of; list yours, or ask for an invitation")


# Members


def membership(connection: Connection, user_id: str, name: str) -> Member | None:
    """Return what a user is in a workspace; None is no member."""
    row = connection.execute(with_names().where(members.c.user_id == user_id, members.c.workspace == name))
    found = row.mappings().first()
    return member_from(found) if found else None


def memberships(connection: Connection, user_id: str) -> tuple[Member, ...]:
    """Return what a user is, workspace by workspace."""
    found = connection.execute(with_names().where(members.c.user_id == user_id).order_by(members.c.workspace))
    return tuple(map(member_from, found.mappings()))


def members_of(connection: Connection, name: str) -> tuple[Member, ...]:
    """Return who is in a workspace, by name."""
    found = connection.execute(with_names().where(members.c.workspace == name).order_by(user_table.c.name))
    return tuple(map(member_from, found.mappings()))


def mentees(connection: Connection, name: str) -> frozenset[str]:
    """Return the names of those who agreed to be read by the workspace's mentors."""
    statement = (
        select(user_table.c.name)
        .join(members, members.c.user_id == user_table.c.id)
        .where(members.c.workspace == name, members.c.agreed_to_mentoring)
    )
    return frozenset(connection.execute(statement).scalars())


def add(connection: Connection, name: str, user: User, role: MemberRole, by: By, how: str = "") -> Member:
    """Make somebody a member. Raises NameTaken where they are one."""
    try:
        with connection.begin_nested():
            connection.execute(
                insert(members).values(
                    workspace=name, user_id=user.id, role=role.value, agreed_to_mentoring=False, joined_at=by.at
                )
            )
    except IntegrityError:
        raise NameTaken(f"{user.name} is a member of workspace {name!r} already; change their role instead") from None
    record(connection, by.did("member.added", user.name, f"as {role}{', ' if how else ''}{how}", workspace=name))
    return Member(workspace=name, user_id=user.id, user=user.name, role=role, joined_at=by.at)


def change_role(connection: Connection, name: str, user: str, role: MemberRole, check: Check, by: By) -> Member:
    """Change what a member is. The last owner stays one."""
    lock(connection, name)
    member = _member_named(connection, name, user)
    check(member.role, role)
    if member.role is role:
        return member
    if member.role is MemberRole.OWNER:
        _refuse_without_owner(connection, name, member)
    mine = (members.c.workspace == name) & (members.c.user_id == member.user_id)
    connection.execute(update(members).where(mine).values(role=role.value))
    record(connection, by.did("member.changed", user, f"from {member.role} to {role}", workspace=name))
    if member.role in MANAGES and role is not MemberRole.OWNER:
        withdraw_of(connection, name, user, by)
    return replace(member, role=role)


def remove(connection: Connection, name: str, user: str, check: Check, by: By) -> Member:
    """End a membership: with it go the tokens for this workspace alone, their invitations, and their live clusters."""
    lock(connection, name)
    member = _member_named(connection, name, user)
    check(member.role, None)
    if member.role is MemberRole.OWNER:
        _refuse_without_owner(connection, name, member)
    connection.execute(delete(members).where(members.c.workspace == name, members.c.user_id == member.user_id))
    how = "left" if by.user == user else ""
    record(connection, by.did("member.removed", user, how, workspace=name))
    users.revoke_all(connection, member.user_id, name, by.at)
    withdraw_of(connection, name, user, by)
    stop_clusters(connection, user, name, f"{user} is no longer a member of workspace {name!r}", by)
    return member


def agree_to_mentoring(connection: Connection, name: str, user_id: str, has_agreed: bool, by: By) -> Member:
    """Let mentors read everything of this member's, or no longer."""
    member = membership(connection, user_id, name)
    if member is None:
        raise no_workspace(name)
    if member.agreed_to_mentoring != has_agreed:
        mine = (members.c.workspace == name) & (members.c.user_id == user_id)
        connection.execute(update(members).where(mine).values(agreed_to_mentoring=has_agreed))
        words = "agreed to mentoring" if has_agreed else "withdrew their agreement to mentoring"
        record(connection, by.did("member.changed", member.user, words, workspace=name))
    return replace(member, agreed_to_mentoring=has_agreed)


def appoint(connection: Connection, name: str, user: User, by: By) -> Member:
    """Make somebody owner of a workspace whose owners are all shut out, for an operator. Raises BadRequest else."""
    lock(connection, name)
    if active_owners(connection, name):
        raise BadRequest(f"workspace {name!r} has an owner who can do that; ask them")
    member = membership(connection, user.id, name)
    if member is None:
        return add(connection, name, user, MemberRole.OWNER, by, "appointed")
    mine = (members.c.workspace == name) & (members.c.user_id == user.id)
    connection.execute(update(members).where(mine).values(role=MemberRole.OWNER.value))
    record(connection, by.did("member.changed", user.name, f"from {member.role} to owner, appointed", workspace=name))
    return replace(member, role=MemberRole.OWNER)


def active_owners(connection: Connection, name: str) -> frozenset[str]:
    """Return ids of the owners who aren't shut out."""
    statement = (
        select(members.c.user_id)
        .join(user_table, user_table.c.id == members.c.user_id)
        .where(
            members.c.workspace == name,
            members.c.role == MemberRole.OWNER.value,
            user_table.c.disabled_at.is_(None),
        )
    )
    return frozenset(connection.execute(statement).scalars())


def stop_clusters(connection: Connection, user: str, name: str | None, detail: str, by: By) -> None:
    """Ask for the end of somebody's live clusters, in one workspace or (None) in all."""

    def end(intent: Intent) -> Intent:
        return intent if intent.stop else replace(intent, stop=True, stop_detail=detail)

    statement = select(cluster_table.c.id).where(
        cluster_table.c.owner == user, cluster_table.c.status != clusters.STOPPED
    )
    if name is not None:
        statement = statement.where(cluster_table.c.workspace == name)
    for cluster_id in connection.execute(statement.order_by(cluster_table.c.id)).scalars().all():
        clusters.change_intent(connection, cluster_id, end, by.at)


def lock(connection: Connection, name: str) -> None:
    """Hold the workspace's row until the transaction ends. Raises NotFound."""
    held = select(workspaces.c.name).where(workspaces.c.name == name).with_for_update()
    if connection.execute(held).first() is None:
        raise no_workspace(name)


# Invitations


def invite(connection: Connection, invitation: Invitation, secret_hash: str, by: By) -> None:
    """Write an invitation down. Raises Forbidden for who may invite nobody any more."""
    # Else whoever is sent away while they invite would keep a link to come back by: what they invited was withdrawn.
    lock(connection, invitation.workspace)
    who = with_names().where(members.c.workspace == invitation.workspace, user_table.c.name == invitation.invited_by)
    row = connection.execute(who.where(user_table.c.disabled_at.is_(None)).with_for_update(read=True)).mappings()
    inviter = row.first()
    if inviter is None or MemberRole(inviter["role"]) not in MANAGES:
        raise Forbidden(f"{invitation.invited_by} may not invite to workspace {invitation.workspace!r} any more")
    connection.execute(
        insert(invitations).values(
            id=invitation.id,
            secret_hash=secret_hash,
            workspace=invitation.workspace,
            role=invitation.role.value,
            invited_by=invitation.invited_by,
            email=invitation.email,
            created_at=invitation.created_at,
            expires_at=invitation.expires_at,
        )
    )
    about = f"as {invitation.role}" + (f", for {invitation.email}" if invitation.email else "")
    record(connection, by.did("invitation.created", invitation.id, about, workspace=invitation.workspace))


def invitations_of(connection: Connection, name: str, now: datetime) -> tuple[Invitation, ...]:
    """Return the invitations of a workspace that are still good, newest first."""
    statement = (
        select(invitations)
        .where(invitations.c.workspace == name, invitations.c.used_at.is_(None), invitations.c.expires_at > now)
        .order_by(invitations.c.created_at.desc(), invitations.c.id)
    )
    return tuple(map(invitation_from, connection.execute(statement).mappings()))


def invitation(connection: Connection, secret_hash: str, now: datetime, *, is_held: bool = False) -> Invitation:
    """Return the invitation of a link; ``is_held`` until the transaction ends. Raises NotFound if it isn't good."""
    statement = select(invitations).where(
        invitations.c.secret_hash == secret_hash,
        invitations.c.used_at.is_(None),
        invitations.c.expires_at > now,
    )
    row = connection.execute(statement.with_for_update() if is_held else statement).mappings().first()
    if row is None:
        # One sentence for all: whoever tries secrets learns nothing of those that were good once.
        raise NotFound("this invitation isn't good: it was used, withdrawn, or is too old; ask for another")
    return invitation_from(row)


def accept(connection: Connection, secret_hash: str, user: User, by: By) -> Member:
    """Make a user the member that an invitation says, once. Whoever is a member already doesn't use it up.

    Who used it is answered the same again, as long as they are a member: the first answer may have been lost.
    """
    again = _joined_by(connection, secret_hash, user)
    if again is not None:
        return again
    try:
        found = invitation(connection, secret_hash, by.at, is_held=True)
    except NotFound:
        # The same request, sent twice at once: the other one held the row until it was done.
        again = _joined_by(connection, secret_hash, user)
        if again is None:
            raise
        return again
    member = add(connection, found.workspace, user, found.role, by, f"invited by {found.invited_by}")
    used = update(invitations).where(invitations.c.id == found.id).values(used_at=by.at, used_by=user.name)
    connection.execute(used)
    return member


def _joined_by(connection: Connection, secret_hash: str, user: User) -> Member | None:
    mine = select(invitations.c.workspace).where(
        invitations.c.secret_hash == secret_hash, invitations.c.used_by == user.name
    )
    workspace = connection.execute(mine).scalar()
    return None if workspace is None else membership(connection, user.id, workspace)


def withdraw(connection: Connection, name: str, invitation_id: str, by: By) -> None:
    """Take an invitation back. Raises NotFound where none of that id can still be used."""
    unused = delete(invitations).where(
        invitations.c.workspace == name, invitations.c.id == invitation_id, invitations.c.used_at.is_(None)
    )
    if not connection.execute(unused).rowcount:
        raise NotFound(f"there is no invitation {invitation_id!r} that can still be used; list those that are there")
    record(connection, by.did("invitation.withdrawn", invitation_id, workspace=name))


def withdraw_of(connection: Connection, name: str | None, user: str, by: By) -> None:
    """Take back what somebody invited to one workspace or (None) to any.

    Who may no longer invite must not come back through a link they kept.
    """
    mine = select(invitations.c.id, invitations.c.workspace).where(
        invitations.c.invited_by == user, invitations.c.used_at.is_(None)
    )
    if name is not None:
        mine = mine.where(invitations.c.workspace == name)
    for row in connection.execute(mine).mappings().all():
        withdraw(connection, row["workspace"], row["id"], by)


# Rows


def member_from(row: RowMapping) -> Member:
    """Return the member of a row."""
    return Member(
        workspace=row["workspace"],
        user_id=row["user_id"],
        user=row["user"],
        role=MemberRole(row["role"]),
        agreed_to_mentoring=row["agreed_to_mentoring"],
        joined_at=row["joined_at"],
    )


def invitation_from(row: RowMapping) -> Invitation:
    """Return the invitation of a row."""
    return Invitation(
        id=row["id"],
        workspace=row["workspace"],
        role=MemberRole(row["role"]),
        invited_by=row["invited_by"],
        email=row["email"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        used_at=row["used_at"],
        used_by=row["used_by"],
    )


def with_names() -> Select[Any]:
    """Select members with their names."""
    return select(members, user_table.c.name.label("user")).join(user_table, user_table.c.id == members.c.user_id)


def _member_named(connection: Connection, name: str, user: str) -> Member:
    row = (
        connection.execute(with_names().where(members.c.workspace == name, user_table.c.name == user))
        .mappings()
        .first()
    )
    if row is None:
        raise NotFound(f"there is no member {user!r} in workspace {name!r}; list its members")
    return member_from(row)


def _refuse_without_owner(connection: Connection, name: str, member: Member) -> None:
    # An owner who is shut out can't answer for anything, so they don't count.
    if not active_owners(connection, name) - {member.user_id}:
        raise BadRequest(f"{member.user} is the last owner of workspace {name!r}; make somebody else an owner first")
