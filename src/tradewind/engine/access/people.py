"""Who comes in, by which door: tokens, sign-ins elsewhere, invitations, and the very first user."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tradewind.config import Settings
from tradewind.engine.access.person import TOKEN_LIFE, Person
from tradewind.engine.access.signing import Signer, code_of, hash_of, new_token
from tradewind.engine.clock import Clock
from tradewind.errors import BadRequest, Forbidden, NameTaken, NotFound, SignInNeeded
from tradewind.model.people import (
    EVERY_SCOPE,
    Identity,
    Invitation,
    Scope,
    Signed,
    Token,
    User,
    Workspace,
)
from tradewind.model.secret import Secret
from tradewind.planning.names import email_address, fitting_name, user_name
from tradewind.store.access.audit import By
from tradewind.store.access.users import Found
from tradewind.store.store import Store

TOKEN = re.compile(r"tw_[A-Za-z0-9_-]{43}\Z")
SESSION_LIFE = timedelta(hours=12)
"""Of a browser's sign-in: a long working day."""
LENT_LIFE = timedelta(hours=12)
"""Of what another system's token is exchanged for: who leaves there is out here after that at the latest."""
CLAIM_LIFE = timedelta(days=1)
LOGIN_LIFE = timedelta(minutes=10)

LINK_LIFE = timedelta(days=1)
SESSION, FIRST, LENT, LINK = "session", "first", "lent", "link"
"""What ids of tokens begin with that a browser holds, that a newcomer got with their name, that another system's
sign-in was exchanged for, and that are a link good for one sign-in. Others were made by who was signed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Somebody for whom another system vouches."""

    issuer: str
    subject: str
    """The name that never changes there."""
    name: str
    """What they might be called here."""
    email: str | None = None
    is_email_verified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A program's wish to be let in, which somebody in a browser confirms."""

    code: str
    """For people to compare."""
    secret: Secret
    """For the program alone: it asks with it whether somebody confirmed."""
    request: str
    """For the address that is opened in the browser."""
    expires_at: datetime


class People:
    """The doors. Who came in speaks through :meth:`as_`, and within a workspace through the verbs of the engine."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, *, new_id: Callable[[str], str]) -> None:
        self._store = store
        self._people = store.people
        self._clock = clock
        self._settings = settings
        self._new_id = new_id
        self._signer: Signer | None = None

    def as_(self, signed: Signed, request_id: str | None = None) -> Person:
        """Return the verbs of somebody who is signed in."""
        return Person(self._people, self._clock, signed, new_id=self._new_id, request_id=request_id)

    async def signer(self) -> Signer:
        """Return what knows again what any replica gave out."""
        if self._signer is None:
            self._signer = Signer(await self._store.facts.agree("signing-key", secrets.token_urlsafe(32)))
        return self._signer

    async def let_in(self, text: str, *, is_browser: bool = False) -> Signed:
        """Return whom a token stands for.

        Parameters
        ----------
        text : str
            As it came; anything.
        is_browser : bool
            Whether it came as a browser's cookie: neither passes for the other.

        Raises
        ------
        SignInNeeded
            It is no token of ours, revoked, expired, or its user is shut out: in the same words.
        """
        found = None
        now = self._clock.now()
        if TOKEN.match(text):
            found = await self._people.token(hash_of(text), now)
        if found is None or (kind_of(found.token.id) == SESSION) is not is_browser:
            raise SignInNeeded(
                "this sign-in isn't good: unknown, expired or revoked; sign in again: tradewind login URL"
            )
        return _signed(found, now)

    # The first user

    async def first_admin_secret(self) -> Secret | None:
        """Return what makes whoever has it the server's first user; None once there is one.

        Good for a day and for one use. Each call and each replica gives another: all are good until one was used.
        """
        if await self._people.any_user():
            return None
        return Secret((await self.signer()).sign("first-admin", secrets.token_bytes(16), self._clock.now()))

    async def claim(self, secret: str, name: str, email: str | None = None) -> tuple[User, Secret]:
        """Make the first user, an operator and the owner of the first workspace; return them and a token of theirs.

        Raises
        ------
        Forbidden
            The secret isn't good, or there is a user already.
        BadRequest
            The name can't be one.
        """
        now = self._clock.now()
        try:
            (await self.signer()).read("first-admin", secret, now, CLAIM_LIFE)
        except BadRequest:
            raise Forbidden("this link isn't good: it lasts a day; restart the server for another") from None
        user = self._new_user(user_name(name), email_address(email), is_operator=True)
        token, text = self._token(user, "first sign-in", TOKEN_LIFE, FIRST)
        workspace = Workspace(name=self._settings.workspace, created_at=now)
        await self._people.claim(user, workspace, token, hash_of(text.reveal()), self._by(user.name))
        return user, text

    # Newcomers

    async def invitation(self, secret: str) -> Invitation:
        """Return what an invitation's link is for. Raises NotFound where it isn't good."""
        return await self._people.invitation(hash_of(secret), self._clock.now())

    async def sign_up(self, secret: str, name: str, email: str | None = None) -> tuple[User, Secret]:
        """Make a new user from an invitation alone, and return them and a token of theirs.

        Raises
        ------
        NotFound
            The invitation isn't good.
        NameTaken
            Somebody has the name.
        SignInNeeded
            This server lets an OpenID provider say who somebody is.
        """
        if self._settings.oidc.issuer:
            raise SignInNeeded(f"sign in with {self._settings.oidc.name} first; the invitation is good after that too")
        user = await self._people.create_user(
            self._new_user(user_name(name), email_address(email)),
            self._by(name),
            invitation_hash=hash_of(secret),
            exact_name=True,
        )
        return user, await self._issue(user, "first sign-in", TOKEN_LIFE, "by an invitation", kind=FIRST)

    async def arrive(self, arrival: Arrival, *, invitation: str | None = None, joins: str | None = None) -> User:
        """Return the user for whom another system vouches, made where they may be.

        Parameters
        ----------
        arrival : Arrival
            Whom it vouches for. An e-mail address never tells who somebody is: it can change hands.
        invitation : str, optional
            Secret of the link that brought them; used up by a newcomer alone: who is known is asked first.
        joins : str, optional
            The workspace that all newcomers from there belong to.

        Raises
        ------
        Forbidden
            They are shut out, or new and neither invited nor of a domain that is let in.
        NotFound
            The invitation isn't good.
        """
        user = await self._people.by_identity(arrival.issuer, arrival.subject)
        if user is not None:
            if user.disabled_at is not None:
                raise Forbidden(f"{user.name} is shut out of this server; ask its operator")
            return user
        if invitation is None and joins is None and not self._is_open_to(arrival):
            raise Forbidden("you are new here: ask a member for an invitation, and sign in through its link")
        fresh = self._new_user(fitting_name(arrival.name), _usable(arrival))
        try:
            return await self._people.create_user(
                fresh,
                self._by(fresh.name),
                identity=Identity(issuer=arrival.issuer, subject=arrival.subject, user_id=fresh.id),
                invitation_hash=hash_of(invitation) if invitation is not None else None,
                joins=joins,
            )
        except NameTaken:
            # They arrived twice at once, as by a double click, and the other one was first.
            first = await self._people.by_identity(arrival.issuer, arrival.subject)
            if first is None:
                raise
            return first

    # What stands for who came in

    async def session(self, user: User, label: str, how: str) -> Secret:
        """Return what a browser's cookie holds after a sign-in; ``how`` it was is for the audit log."""
        return await self._issue(user, label, SESSION_LIFE, how, kind=SESSION)

    async def session_of(self, signed: Signed, label: str) -> Secret:
        """Return what a browser's cookie holds after a token was pasted.

        It can do no more than the token and is over when that is, and what is made there doesn't outlast it: else
        whoever finds one that is good for an hour would have it for ever.
        """
        made, text = self._token(signed.user, label, SESSION_LIFE, SESSION, signed.scopes, signed.workspace)
        ends = min(filter(None, (made.expires_at, signed.expires_at)))
        made = replace(made, expires_at=ends, session_of=signed.token_id)
        by, how = self._by(signed.user.name), f"pasted {signed.token_id}"
        await self._people.create_token(made, hash_of(text.reveal()), by, how)
        return text

    async def lend(self, user: User, label: str, vouched_by: str) -> Secret:
        """Return the short token that another system's token is exchanged for."""
        return await self._issue(user, label, LENT_LIFE, f"vouched for by {vouched_by}", kind=LENT)

    async def end(self, signed: Signed) -> None:
        """Sign out: what they signed in with is good no more."""
        await self._people.revoke_token(signed.user.id, signed.token_id, self._by(signed.user.name))

    # A program's sign-in, confirmed in a browser

    async def begin_login(self) -> Login:
        """Return what a program shows and asks with. Nothing is kept: the secret becomes a token when confirmed."""
        now = self._clock.now()
        text = new_token()
        signer = await self.signer()
        request = signer.sign("login", bytes.fromhex(hash_of(text)), now)
        secret = Secret(signer.sign("poll", text.encode(), now))
        return Login(code=code_of(hash_of(text)), secret=secret, request=request, expires_at=now + LOGIN_LIFE)

    async def login_request(self, request: str) -> tuple[str, str]:
        """Return the code and the token's hash of what a browser was sent to confirm. Raises BadRequest."""
        raw = (await self.signer()).read("login", request, self._clock.now(), LOGIN_LIFE)
        return code_of(raw.hex()), raw.hex()

    async def poll_login(self, secret: str) -> Secret | None:
        """Return the token once somebody confirmed; None as long as nobody did. Raises BadRequest: too late."""
        now = self._clock.now()
        # A little longer than the page lasts: a confirmation at the last moment still counts.
        text = (await self.signer()).read("poll", secret, now, LOGIN_LIFE + timedelta(minutes=1)).decode()
        return Secret(text) if await self._people.token(hash_of(text), now) is not None else None

    # A link for who has nothing left to come in with

    async def sign_in_link(self, name: str) -> Secret:
        """Return what signs a user in once, within a day. For the server's own machine: whoever has it is that user.

        Raises
        ------
        NotFound
            There is no such user; the words say who the operators are.
        Forbidden
            They are shut out.
        """
        try:
            user = await self._people.user_named(name)
        except NotFound as error:
            operators = ", ".join(await self._people.operators()) or "nobody yet"
            raise NotFound(f"{error}; its operators are: {operators}") from None
        if user.disabled_at is not None:
            raise Forbidden(f"{name} is shut out of this server; another operator lets them in again")
        made, _ = self._token(user, "sign-in link", LINK_LIFE, LINK)
        # Of another form than a token, so that it is good for nothing else.
        text = Secret(f"twl_{secrets.token_urlsafe(32)}")
        how = f"for {name}, on the server's machine"
        await self._people.create_token(made, hash_of(text.reveal()), self._by("tradewind"), how)
        return text

    async def by_link(self, secret: str, label: str) -> Secret:
        """Return what a browser's cookie holds after such a link was opened. Raises Forbidden where it isn't good."""
        found = await self._people.token(hash_of(secret), self._clock.now())
        if found is None or kind_of(found.token.id) != LINK:
            raise Forbidden(
                "this link isn't good: it lasts a day and works once; ask the server's operator for another"
            )
        made, text = self._token(found.user, label, SESSION_LIFE, SESSION)
        by, how = self._by(found.user.name), f"by {found.token.id}"
        await self._people.exchange_token(found.token.id, made, hash_of(text.reveal()), by, how)
        return text

    # What the above have in common

    def _is_open_to(self, arrival: Arrival) -> bool:
        if arrival.email is None or not arrival.is_email_verified:
            return False
        domain = arrival.email.rpartition("@")[2].lower()
        return domain in {each.lower().lstrip("@") for each in self._settings.oidc.open_to}

    def _new_user(self, name: str, email: str | None, *, is_operator: bool = False) -> User:
        now = self._clock.now()
        return User(id=self._new_id("user"), name=name, email=email, is_operator=is_operator, created_at=now)

    def _token(
        self,
        user: User,
        label: str,
        life: timedelta,
        kind: str,
        scopes: frozenset[Scope] = EVERY_SCOPE,
        workspace: str | None = None,
    ) -> tuple[Token, Secret]:
        now = self._clock.now()
        made = Token(
            id=self._new_id(kind),
            user_id=user.id,
            label=label,
            scopes=scopes,
            workspace=workspace,
            created_at=now,
            expires_at=now + life,
        )
        return made, Secret(new_token())

    async def _issue(self, user: User, label: str, life: timedelta, how: str, *, kind: str) -> Secret:
        token, text = self._token(user, label, life, kind)
        await self._people.create_token(token, hash_of(text.reveal()), self._by(user.name), how)
        return text

    def _by(self, user: str) -> By:
        return By(user=user, at=self._clock.now())


def kind_of(token_id: str) -> str:
    """Return what a token was made as: the first word of its id."""
    return token_id.partition("-")[0]


def _signed(found: Found, now: datetime) -> Signed:
    token = found.token
    return Signed(
        user=found.user,
        roles=found.roles,
        scopes=token.scopes,
        workspace=token.workspace,
        token_id=token.id,
        expires_at=token.expires_at,
        makes_until=_makes_until(found, now),
    )


def _makes_until(found: Found, now: datetime) -> datetime | None:
    """Return when what is made with this ends at the latest; None where a person signed in, or it never ends.

    What a newcomer without a browser got counts as their sign-in for as long as a browser's session would.
    """
    token = found.token
    kind = kind_of(token.id)
    if kind == SESSION:
        return found.pasted_until
    if kind == FIRST and now < token.created_at + SESSION_LIFE:
        return None
    return token.expires_at


def _usable(arrival: Arrival) -> str | None:
    """Return where mail goes. An address that is none costs nobody their sign-in."""
    try:
        return email_address(arrival.email) if arrival.is_email_verified else None
    except BadRequest:
        return None
