"""Who may come in, and what they are where: the store's door for people."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from tradewind.model.people import AuditEntry, Identity, Invitation, Member, MemberRole, Token, User, Workspace
from tradewind.store import idempotency
from tradewind.store.access import audit, members, users
from tradewind.store.access.audit import By
from tradewind.store.access.members import Check
from tradewind.store.access.users import Found
from tradewind.store.idempotency import Once
from tradewind.store.sql.transactions import Transactions


class People:
    """Users, identities, workspaces, members, invitations, tokens, and the audit log of every change of them.

    Each method is one transaction, the audit entry in it. Those that change something take ``by``: whose hand it is.
    Secrets never come here, only their sha256, hex. Every method may raise StoreError.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    # Letting in

    async def token(self, secret_hash: str, now: datetime) -> Found | None:
        """Return whom a token stands for, and what they are in each of their workspaces.

        None for one that is unknown, revoked or expired, and where its user is shut out. Writes down every few minutes
        that it was used.
        """
        found = await self._transactions.ask(users.token, secret_hash, now)
        if found is None or not users.is_stale(found.token, now):
            return found
        await self._transactions.write(users.touch, found.token.id, now)
        return replace(found, token=replace(found.token, last_used_at=now))

    async def membership(self, user_id: str, workspace: str) -> Member | None:
        """Return what a user is in a workspace; None is no member, or no such workspace."""
        return await self._transactions.ask(members.membership, user_id, workspace)

    async def mentees(self, workspace: str) -> frozenset[str]:
        """Return the names of those who agreed to be read by the workspace's mentors."""
        return await self._transactions.read(members.mentees, workspace)

    # Users

    async def any_user(self) -> bool:
        """Whether this server has a user at all."""
        return await self._transactions.read(users.any_user)

    async def claim(self, user: User, workspace: Workspace, token: Token, secret_hash: str, by: By) -> User:
        """Write the first user down, with a workspace and a token of theirs. Raises Forbidden once there is a user."""
        return await self._transactions.write(_claim, user, workspace, token, secret_hash, by)

    async def user(self, user_id: str) -> User:
        """Return a user by id. Raises NotFound."""
        return await self._transactions.read(users.get, user_id)

    async def user_named(self, name: str) -> User:
        """Return a user by name. Raises NotFound."""
        return await self._transactions.read(users.named, name)

    async def users(self, after: str = "", limit: int = 100) -> tuple[User, ...]:
        """Return users by name, those after the name ``after``."""
        return await self._transactions.read(users.list_all, after, limit)

    async def operators(self) -> tuple[str, ...]:
        """Return the names of those who run the server, without those who are shut out."""
        return await self._transactions.read(users.operators)

    async def create_user(
        self,
        user: User,
        by: By,
        *,
        identity: Identity | None = None,
        invitation_hash: str | None = None,
        joins: str | None = None,
        exact_name: bool = False,
    ) -> User:
        """Write a new user down; where the name is taken, with a number behind it, or (``exact_name``) NameTaken.

        Parameters
        ----------
        user : User
            New.
        by : By
            Whose hand; a newcomer's own entries carry the name they get.
        identity : Identity, optional
            A sign-in that stands for them from now on. Raises NameTaken where it is another's.
        invitation_hash : str, optional
            Of the link that brought them: it is used up. Raises NotFound where it isn't good.
        joins : str, optional
            A workspace they become a member of at once. Raises NotFound where there is none.
        exact_name : bool
            Whether the name was chosen by the person.
        """
        return await self._transactions.write(_create_user, user, by, identity, invitation_hash, joins, exact_name)

    async def set_disabled(self, name: str, is_disabled: bool, by: By) -> User:
        """Shut a user out, or let them in again. Raises NotFound; BadRequest for the last operator.

        With one who is shut out go their tokens, what they invited, and their live clusters, asked to stop.
        """
        return await self._transactions.write(_set_disabled, name, is_disabled, by)

    async def set_operator(self, name: str, is_operator: bool, by: By) -> User:
        """Make somebody an operator, or no longer. Raises NotFound; BadRequest for the last one."""
        return await self._transactions.write(users.set_operator, name, is_operator, by)

    async def by_identity(self, issuer: str, subject: str) -> User | None:
        """Return the user whom a sign-in elsewhere stands for."""
        return await self._transactions.read(users.by_identity, issuer, subject)

    async def bind(self, identity: Identity, by: By) -> None:
        """Let a sign-in elsewhere stand for a user, too. Raises NameTaken where it stands for another."""
        await self._transactions.write(users.bind, identity, by)

    async def identities(self, user_id: str) -> tuple[Identity, ...]:
        """Return the sign-ins that stand for a user."""
        return await self._transactions.read(users.identities_of, user_id)

    # Tokens

    async def create_token(self, token: Token, secret_hash: str, by: By, how: str = "") -> None:
        """Write a token down. Raises NameTaken where its secret is there already."""
        await self._transactions.write(users.create_token, token, secret_hash, by, how)

    async def exchange_token(self, token_id: str, token: Token, secret_hash: str, by: By, how: str) -> None:
        """Write a token down that another one, good for one use, is given for. Raises Forbidden where it was used."""
        await self._transactions.write(_exchange_token, token_id, token, secret_hash, by, how)

    async def tokens(self, user_id: str, now: datetime) -> tuple[Token, ...]:
        """Return the tokens that still let somebody in as this user, newest first."""
        return await self._transactions.ask(users.tokens_of, user_id, now)

    async def revoke_token(self, user_id: str, token_id: str, by: By) -> None:
        """Revoke one of a user's tokens; twice is once. Raises NotFound."""
        await self._transactions.write(users.revoke, user_id, token_id, by)

    async def forget_tokens(self, before: datetime) -> int:
        """Delete the tokens that had expired or were revoked by ``before``; return how many."""
        return await self._transactions.write(users.forget_tokens, before)

    # Workspaces and members

    async def create_workspace(self, workspace: Workspace, owner: User, by: By, once: Once | None = None) -> Member:
        """Write a workspace down with its first owner, and the answer to who asked ``once``.

        Raises NameTaken; Unavailable where the same request was answered at this moment.
        """
        return await self._transactions.write(_create_workspace, workspace, owner, by, once)

    async def workspace(self, name: str) -> Workspace:
        """Return a workspace. Raises NotFound."""
        return await self._transactions.read(members.workspace, name)

    async def workspaces(self, after: str = "", limit: int = 100) -> tuple[Workspace, ...]:
        """Return workspaces by name, those after the name ``after``."""
        return await self._transactions.read(members.all_workspaces, after, limit)

    async def memberships(self, user_id: str) -> tuple[Member, ...]:
        """Return what a user is, workspace by workspace."""
        return await self._transactions.ask(members.memberships, user_id)

    async def members(self, workspace: str) -> tuple[Member, ...]:
        """Return who is in a workspace, by name."""
        return await self._transactions.read(members.members_of, workspace)

    async def join(self, workspace: str, user: User, role: MemberRole, by: By, how: str = "") -> Member:
        """Make somebody a member; who is one stays what they are. Raises NotFound where there is no workspace."""
        return await self._transactions.write(_join, workspace, user, role, by, how)

    async def change_role(self, workspace: str, user: str, role: MemberRole, check: Check, by: By) -> Member:
        """Change what a member is. Raises NotFound; BadRequest for the last owner; what ``check`` raises.

        ``check`` is told what they are and shall be, inside the transaction: it must be quick and pure.
        """
        return await self._transactions.write(members.change_role, workspace, user, role, check, by)

    async def remove(self, workspace: str, user: str, check: Check, by: By) -> Member:
        """End a membership; raises as :meth:`change_role`.

        With it go the tokens for this workspace alone, what they invited to it, and their live clusters in it, asked
        to stop.
        """
        return await self._transactions.write(members.remove, workspace, user, check, by)

    async def agree_to_mentoring(self, workspace: str, user_id: str, has_agreed: bool, by: By) -> Member:
        """Let mentors read everything of this member's, or no longer. Raises NotFound for who is no member."""
        return await self._transactions.write(members.agree_to_mentoring, workspace, user_id, has_agreed, by)

    async def appoint(self, workspace: str, user: User, by: By) -> Member:
        """Make somebody owner of a workspace whose owners are all shut out. Raises BadRequest, NotFound."""
        return await self._transactions.write(members.appoint, workspace, user, by)

    # Invitations

    async def invite(self, invitation: Invitation, secret_hash: str, by: By) -> None:
        """Write an invitation down. Raises Forbidden for who may invite nobody any more."""
        await self._transactions.write(members.invite, invitation, secret_hash, by)

    async def invitations(self, workspace: str, now: datetime) -> tuple[Invitation, ...]:
        """Return the invitations of a workspace that are still good, newest first."""
        return await self._transactions.read(members.invitations_of, workspace, now)

    async def invitation(self, secret_hash: str, now: datetime) -> Invitation:
        """Return the invitation of a link. Raises NotFound if it isn't good any more."""
        return await self._transactions.read(members.invitation, secret_hash, now)

    async def accept(self, secret_hash: str, user: User, by: By) -> Member:
        """Make a user a member, and use the invitation up. Raises NotFound, and NameTaken for who is a member."""
        return await self._transactions.write(members.accept, secret_hash, user, by)

    async def withdraw(self, workspace: str, invitation_id: str, by: By) -> None:
        """Take an invitation back. Raises NotFound."""
        await self._transactions.write(members.withdraw, workspace, invitation_id, by)

    # Audit

    async def audit(self, workspace: str | None, before: int | None = None, limit: int = 100) -> tuple[AuditEntry, ...]:
        """Return what was changed in a workspace (None: in the server as a whole), newest first, before a number."""
        return await self._transactions.read(audit.entries, workspace, before, limit)

    async def record(self, entry: AuditEntry) -> None:
        """Write down a change that isn't in the store."""
        await self._transactions.write(audit.record, entry)


def _claim(connection: Connection, user: User, workspace: Workspace, token: Token, secret_hash: str, by: By) -> User:
    users.claim(connection, user, by)
    members.create_workspace(connection, workspace, user, by)
    users.create_token(connection, token, secret_hash, by, "by the first link")
    return user


def _exchange_token(connection: Connection, token_id: str, made: Token, secret_hash: str, by: By, how: str) -> None:
    users.use_up(connection, token_id, by)
    users.create_token(connection, made, secret_hash, by, how)


def _create_workspace(connection: Connection, workspace: Workspace, owner: User, by: By, once: Once | None) -> Member:
    idempotency.keep(connection, once, workspace)
    return members.create_workspace(connection, workspace, owner, by)


def _create_user(
    connection: Connection,
    user: User,
    by: By,
    identity: Identity | None,
    invitation_hash: str | None,
    joins: str | None,
    exact_name: bool,
) -> User:
    if not exact_name:
        user = replace(user, name=users.free_name(connection, user.name))
    by = replace(by, user=user.name)
    users.create(connection, user, by)
    if identity is not None:
        users.bind(connection, identity, by)
    if invitation_hash is not None:
        members.accept(connection, invitation_hash, user, by)
    if joins is not None:
        _join(connection, joins, user, MemberRole.MEMBER, by, "as a user of the hub")
    return user


def _set_disabled(connection: Connection, name: str, is_disabled: bool, by: By) -> User:
    user = users.set_disabled(connection, name, is_disabled, by)
    if is_disabled:
        members.withdraw_of(connection, None, name, by)
        members.stop_clusters(connection, name, None, f"{name} was shut out of this server", by)
    return user


def _join(connection: Connection, workspace: str, user: User, role: MemberRole, by: By, how: str) -> Member:
    members.lock(connection, workspace)
    member = members.membership(connection, user.id, workspace)
    return member if member is not None else members.add(connection, workspace, user, role, by, how)
