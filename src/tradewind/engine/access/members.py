"""Who is in a workspace: what a member may see and change of that."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta

from tradewind.engine.access.asker import Asker
from tradewind.engine.access.signing import hash_of
from tradewind.engine.clock import Clock
from tradewind.errors import BadRequest, Forbidden
from tradewind.model.people import AuditEntry, Invitation, Member, MemberRole, Scope, Workspace
from tradewind.model.secret import Secret
from tradewind.planning.access import Action, refusal
from tradewind.planning.names import email_address
from tradewind.store.access.people import People as Kept

INVITATION_LIFE = timedelta(days=7)
LONGEST_INVITATION = timedelta(days=90)
MOST_INVITATIONS = 200


class Members:
    """The verbs of one member about the others."""

    def __init__(self, kept: Kept, clock: Clock, asker: Asker, *, new_id: Callable[[str], str]) -> None:
        self._kept = kept
        self._clock = clock
        self._asker = asker
        self._new_id = new_id

    async def workspace(self) -> Workspace:
        """Return the workspace."""
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        return await self._kept.workspace(self._asker.workspace)

    async def members(self) -> Sequence[Member]:
        """Return who is in it, by name."""
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        return await self._kept.members(self._asker.workspace)

    async def change_role(self, user: str, role: MemberRole) -> Member:
        """Change what somebody is. Raises Forbidden, NotFound; BadRequest for the last owner."""
        self._asker.refuse_unless(Action.MANAGE_MEMBERS)
        return await self._kept.change_role(self._asker.workspace, user, role, self._check, self._asker.by())

    async def remove(self, user: str) -> Member:
        """End somebody's membership; oneself's is leaving. Raises Forbidden, NotFound; BadRequest for the last owner.

        Their tokens for this workspace alone are revoked and what they invited is withdrawn. Their live clusters in it
        are asked to stop: nobody here answers any more for what they cost or hold.
        """
        if user == self._asker.caller.user:
            # Whoever may change nothing else may still go, if not with a token that is only for looking.
            if Scope.MANAGE not in self._asker.caller.scopes:
                raise Forbidden(refusal(self._asker.caller, Action.MANAGE_MEMBERS))
            return await self._kept.remove(self._asker.workspace, user, lambda was, to_be: None, self._asker.by())
        self._asker.refuse_unless(Action.MANAGE_MEMBERS)
        return await self._kept.remove(self._asker.workspace, user, self._check, self._asker.by())

    async def invitations(self) -> Sequence[Invitation]:
        """Return the invitations that can still be used, newest first."""
        self._asker.refuse_unless(Action.MANAGE_MEMBERS)
        return await self._kept.invitations(self._asker.workspace, self._clock.now())

    async def invite(
        self, role: MemberRole = MemberRole.MEMBER, *, email: str | None = None, life: timedelta = INVITATION_LIFE
    ) -> tuple[Invitation, Secret]:
        """Invite one person, and return the secret of the link, which is never shown again.

        Parameters
        ----------
        role : MemberRole
            What they will be.
        email : str, optional
            For whom, as a note.
        life : timedelta
            How long it can be used; default a week, at most 90 days. Made with a token that expires, it can be used no
            longer than that one.

        Raises
        ------
        Forbidden
            They may not, or not to this role.
        BadRequest
            The address or the time can't be used.
        """
        self._asker.refuse_unless(Action.MANAGE_MEMBERS)
        self._check(None, role)
        if not timedelta(minutes=1) <= life <= LONGEST_INVITATION:
            raise BadRequest(f"an invitation lasts a minute to {LONGEST_INVITATION.days} days; this is {life}")
        now = self._clock.now()
        if len(await self._kept.invitations(self._asker.workspace, now)) >= MOST_INVITATIONS:
            raise BadRequest(f"{MOST_INVITATIONS} invitations are open, which is the most; withdraw some")
        expires_at, ends = now + life, self._asker.caller.makes_until
        if ends is not None:
            # Whoever finds a token could else come in long after it's over, as somebody new.
            expires_at = min(expires_at, ends)
        invitation = Invitation(
            id=self._new_id("invitation"),
            workspace=self._asker.workspace,
            role=role,
            invited_by=self._asker.caller.user,
            email=email_address(email),
            created_at=now,
            expires_at=expires_at,
        )
        secret = Secret(f"twi_{secrets.token_urlsafe(32)}")
        await self._kept.invite(invitation, hash_of(secret.reveal()), self._asker.by())
        return invitation, secret

    async def withdraw(self, invitation_id: str) -> None:
        """Take an invitation back. Raises Forbidden; NotFound where it can't be used any more anyway."""
        self._asker.refuse_unless(Action.MANAGE_MEMBERS)
        await self._kept.withdraw(self._asker.workspace, invitation_id, self._asker.by())

    async def audit(self, before: int | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        """Return what was changed in the workspace, newest first, before entry number ``before``. Raises Forbidden."""
        self._asker.refuse_unless(Action.READ_AUDIT)
        return await self._kept.audit(self._asker.workspace, before, limit)

    def _check(self, was: MemberRole | None, to_be: MemberRole | None) -> None:
        """Refuse what only an owner may do: make one, or unmake one."""
        if MemberRole.OWNER in {was, to_be} and was is not to_be:
            self._asker.refuse_unless(Action.MANAGE_OWNERS)
