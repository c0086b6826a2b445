"""What somebody who is signed in may do beside any one workspace."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from datetime import timedelta

from tradewind.engine.access.rights import refuse_limited, refuse_unless_operator, refuse_without
from tradewind.engine.access.signing import code_of, hash_of, new_token
from tradewind.engine.clock import Clock
from tradewind.errors import BadRequest, Forbidden, NotFound
from tradewind.model.joining import Me
from tradewind.model.people import (
    EVERY_SCOPE,
    AuditEntry,
    Caller,
    Identity,
    Member,
    MemberRole,
    Scope,
    Signed,
    Token,
    User,
    Workspace,
)
from tradewind.model.secret import Secret
from tradewind.planning.names import short_text, workspace_name
from tradewind.store.access.audit import By
from tradewind.store.access.members import no_workspace
from tradewind.store.access.people import People as Kept
from tradewind.store.idempotency import Once

TOKEN_LIFE = timedelta(days=90)
"""Of a token whose maker didn't say: long enough for a quarter's work, short enough to be forgotten safely."""
LONGEST_LIFE = timedelta(days=366)
MOST_TOKENS = 100
"""Of those that people make; browsers' and lent ones end by themselves within the day."""
KIND = "token"


class Person:
    """The verbs of one user. Made by :meth:`tradewind.engine.access.people.People.as_`."""

    def __init__(
        self, kept: Kept, clock: Clock, signed: Signed, *, new_id: Callable[[str], str], request_id: str | None = None
    ) -> None:
        self._kept = kept
        self._clock = clock
        self._signed = signed
        self._new_id = new_id
        self._request_id = request_id

    async def portrait(self) -> Me:
        """Return who this is, and what they are where."""
        own = await self._kept.memberships(self._signed.user.id)
        limit = self._signed.workspace
        return Me(
            user=self._signed.user,
            memberships=tuple(member for member in own if limit is None or member.workspace == limit),
            identities=await self._kept.identities(self._signed.user.id),
            scopes=self._signed.scopes,
            workspace=limit,
            expires_at=self._signed.expires_at,
        )

    async def caller(self, workspace: str) -> Caller:
        """Return them as they stand in a workspace.

        Raises
        ------
        NotFound
            There is no such workspace, they aren't in it, or their token is for another: in the same words.
        """
        limit = self._signed.workspace
        user = self._signed.user
        role = await self._role_in(workspace) if limit in {None, workspace} else None
        if role is None:
            raise no_workspace(workspace)
        mentees: frozenset[str] = frozenset()
        if role is MemberRole.MENTOR:
            mentees = await self._kept.mentees(workspace)
        return Caller(
            user_id=user.id,
            user=user.name,
            workspace=workspace,
            role=role,
            scopes=self._signed.scopes,
            mentees=mentees,
            makes_until=self._signed.makes_until,
        )

    async def _role_in(self, workspace: str) -> MemberRole | None:
        if self._signed.roles is not None:
            return self._signed.roles.get(workspace)
        member = await self._kept.membership(self._signed.user.id, workspace)
        return member.role if member is not None else None

    # Their tokens

    async def tokens(self) -> Sequence[Token]:
        """Return the tokens that still let somebody in as this user, newest first; browsers are among them."""
        refuse_without(self._signed, Scope.READ)
        own = await self._kept.tokens(self._signed.user.id, self._clock.now())
        limit = self._signed.workspace
        return [token for token in own if limit in {None, token.workspace}]

    async def create_token(
        self,
        label: str,
        *,
        scopes: Set[Scope] = EVERY_SCOPE,
        workspace: str | None = None,
        life: timedelta | None = TOKEN_LIFE,
    ) -> tuple[Token, Secret]:
        """Make a token, and return it with its text, which is never shown again.

        Parameters
        ----------
        label : str
            What it is for.
        scopes : set of Scope
            What it is good for; no more than what they are signed in with.
        workspace : str, optional
            The only one it opens.
        life : timedelta, optional
            Until it expires; default 90 days, at most 366. None never does. Made with a token that expires, it ends
            with that one at the latest.

        Raises
        ------
        Forbidden
            What they are signed in with may not make this one.
        BadRequest
            The label, or the time, can't be used.
        NotFound
            They aren't in the workspace.
        """
        token = await self._token(label, scopes, workspace, life)
        text = Secret(new_token())
        await self._kept.create_token(token, hash_of(text.reveal()), self._by(), f"with {self._signed.token_id}")
        return token, text

    async def confirm_login(self, secret_hash: str) -> Token:
        """Let in the program that a browser was sent for. Raises NameTaken where that was answered already."""
        token = await self._token(f"tradewind login {code_of(secret_hash)}", self._signed.scopes, None, TOKEN_LIFE)
        how = f"confirmed in a browser with {self._signed.token_id}"
        await self._kept.create_token(token, secret_hash, self._by(), how)
        return token

    async def revoke_token(self, token_id: str) -> None:
        """Revoke one of theirs; twice is once. Raises NotFound.

        What they are signed in with may always be revoked by itself: whoever finds a lost one can do no better.
        """
        if token_id != self._signed.token_id:
            refuse_without(self._signed, Scope.MANAGE)
            if token_id not in {token.id for token in await self.tokens()}:
                raise NotFound(f"you have no token {token_id!r}; list yours and take its id")
        await self._kept.revoke_token(self._signed.user.id, token_id, self._by())

    async def bind(self, issuer: str, subject: str) -> None:
        """Let a sign-in elsewhere stand for them, too, from now on.

        Raises
        ------
        NameTaken
            It stands for another.
        Forbidden
            They came in with a token that ends: a sign-in elsewhere would outlast it, and whoever found the token would
            be them for ever.
        """
        refuse_limited(self._signed)
        if self._signed.makes_until is not None:
            raise Forbidden(
                "a token that ends can't bind a sign-in that doesn't; ask the server's operator for a sign-in link "
                f"(tradewind serve --sign-in-link {self._signed.user.name}), and bind it then"
            )
        identity = Identity(issuer=issuer, subject=subject, user_id=self._signed.user.id)
        await self._kept.bind(identity, self._by())

    # Workspaces

    async def workspaces(self) -> Sequence[Workspace]:
        """Return those they are in."""
        portrait = await self.portrait()
        return [await self._kept.workspace(member.workspace) for member in portrait.memberships]

    async def create_workspace(self, name: str, title: str = "", *, once: Once | None = None) -> Workspace:
        """Make a workspace, theirs, asked for ``once``. Raises Forbidden for who is no operator; NameTaken."""
        refuse_unless_operator(self._signed, "make workspaces")
        workspace = Workspace(
            name=workspace_name(name), title=short_text(title, "the title"), created_at=self._clock.now()
        )
        await self._kept.create_workspace(workspace, self._signed.user, self._by(), once)
        return workspace

    async def accept(self, secret: str) -> Member:
        """Become a member by an invitation's link. Raises NotFound where it isn't good; NameTaken for a member."""
        refuse_limited(self._signed)
        return await self._kept.accept(hash_of(secret), self._signed.user, self._by())

    async def agree_to_mentoring(self, workspace: str, has_agreed: bool) -> Member:
        """Let the workspace's mentors read everything of theirs, or no longer. Nobody else can say so for them."""
        refuse_without(self._signed, Scope.MANAGE)
        await self.caller(workspace)
        return await self._kept.agree_to_mentoring(workspace, self._signed.user.id, has_agreed, self._by())

    # Operators

    async def users(self, after: str = "", limit: int = 100) -> Sequence[User]:
        """Return the server's users by name, those after ``after``. Raises Forbidden for who is no operator."""
        refuse_unless_operator(self._signed, "see this server's users", Scope.READ)
        return await self._kept.users(after, limit)

    async def set_disabled(self, name: str, is_disabled: bool) -> User:
        """Shut a user out, or let them in again. Raises Forbidden, NotFound; BadRequest for the last operator.

        With one who is shut out go their tokens, what they invited, and their live clusters, asked to stop.
        """
        refuse_unless_operator(self._signed, "shut users out")
        if is_disabled and name == self._signed.user.name:
            raise BadRequest("you can't shut yourself out; ask another operator")
        return await self._kept.set_disabled(name, is_disabled, self._by())

    async def set_operator(self, name: str, is_operator: bool) -> User:
        """Make somebody an operator, or no longer. Raises Forbidden, NotFound; BadRequest for the last one."""
        refuse_unless_operator(self._signed, "make operators")
        return await self._kept.set_operator(name, is_operator, self._by())

    async def appoint(self, workspace: str, name: str) -> Member:
        """Make somebody owner of a workspace whose owners are all shut out. Raises Forbidden, NotFound, BadRequest."""
        refuse_unless_operator(self._signed, "appoint owners")
        return await self._kept.appoint(workspace, await self._kept.user_named(name), self._by())

    async def audit(self, before: int | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        """Return what was changed in the server as a whole, newest first. Raises Forbidden for who is no operator."""
        refuse_unless_operator(self._signed, "read the server's audit log", Scope.READ)
        return await self._kept.audit(None, before, limit)

    # What the above have in common

    async def _token(self, label: str, scopes: Set[Scope], workspace: str | None, life: timedelta | None) -> Token:
        refuse_without(self._signed, Scope.MANAGE)
        more = sorted(scopes - self._signed.scopes)
        if more:
            raise Forbidden(f"you are signed in without the scope {more[0].value!r} and can't give it; sign in anew")
        if self._signed.workspace is not None:
            workspace = workspace or self._signed.workspace
        if workspace is not None:
            await self.caller(workspace)
        now = self._clock.now()
        if life is not None and not timedelta(minutes=1) <= life <= LONGEST_LIFE:
            raise BadRequest(f"a token lasts a minute to {LONGEST_LIFE.days} days, or for ever; this is {life}")
        expires_at = None if life is None else now + life
        ends = self._signed.makes_until
        if ends is not None:
            # A token that leaked, or that another system lent us for some hours, must be over when it's over.
            expires_at = ends if expires_at is None else min(expires_at, ends)
        made = [token for token in await self._kept.tokens(self._signed.user.id, now) if token.id.startswith(KIND)]
        if len(made) >= MOST_TOKENS:
            raise BadRequest(f"you have {MOST_TOKENS} tokens, which is the most; revoke those you don't use")
        return Token(
            id=self._new_id(KIND),
            user_id=self._signed.user.id,
            label=short_text(label, "the label") or "token",
            scopes=frozenset(scopes),
            workspace=workspace,
            created_at=now,
            expires_at=expires_at,
        )

    def _by(self) -> By:
        return By(user=self._signed.user.name, at=self._clock.now(), request_id=self._request_id)
