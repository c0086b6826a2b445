"""Users, whom a sign-in elsewhere stands for, and the tokens that stand for them. Each runs inside a transaction."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from tradewind.errors import BadRequest, Forbidden, NameTaken, NotFound
from tradewind.model.people import Identity, MemberRole, Scope, Token, User
from tradewind.planning.names import LONGEST, RESERVED
from tradewind.store.access.audit import By, record
from tradewind.store.schema import facts, identities, members, tokens, users

TOUCH_EVERY = timedelta(minutes=5)
"""How exactly a token's last use is known: a write for each request would cost more than the request."""
CLAIMED = "claimed"
"""The fact whose row says that a server has its first user; a row can be written once, so one claim wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Whom a token lets in."""

    user: User
    token: Token
    roles: Mapping[str, MemberRole]
    """What they are in each of their workspaces."""
    pasted_until: datetime | None
    """When the token ends that was pasted to get this session; None for what is no such session, or never ends."""


def create(connection: Connection, user: User, by: By) -> None:
    """Write a new user down. Raises NameTaken."""
    try:
        with connection.begin_nested():
            connection.execute(insert(users), _user_values(user))
    except IntegrityError:
        raise NameTaken(f"there is a user {user.name!r} already; choose another name") from None
    record(connection, by.did("user.created", user.name, "an operator" if user.is_operator else ""))


def claim(connection: Connection, user: User, by: By) -> None:
    """Write the very first user down. Raises Forbidden once there is one."""
    late = Forbidden("this server has its first user already; ask them for an invitation")
    try:
        with connection.begin_nested():
            # Replicas that race wait here for one another: the key of the row decides, not a look at the users.
            connection.execute(insert(facts).values(name=CLAIMED, value=user.id))
    except IntegrityError:
        raise late from None
    if any_user(connection):
        raise late
    create(connection, user, by)


def any_user(connection: Connection) -> bool:
    """Whether there is a user at all."""
    return connection.execute(select(users.c.id).limit(1)).first() is not None


def get(connection: Connection, user_id: str) -> User:
    """Return a user by id. Raises NotFound."""
    return _one(connection, select(users).where(users.c.id == user_id), user_id)


def named(connection: Connection, name: str) -> User:
    """Return a user by name. Raises NotFound."""
    return _one(connection, select(users).where(users.c.name == name), name)


def list_all(connection: Connection, after: str = "", limit: int = 100) -> tuple[User, ...]:
    """Return users by name, those after the name ``after``."""
    statement = select(users).where(users.c.name > after).order_by(users.c.name).limit(limit)
    return tuple(map(user_from, connection.execute(statement).mappings()))


def operators(connection: Connection) -> tuple[str, ...]:
    """Return the names of those who run the server, without those who are shut out."""
    statement = select(users.c.name).where(users.c.is_operator, users.c.disabled_at.is_(None)).order_by(users.c.name)
    return tuple(connection.execute(statement).scalars())


def free_name(connection: Connection, wanted: str) -> str:
    """Return ``wanted``, or where that is somebody's, ``wanted`` with the first number that makes it new."""
    for number in itertools.count(1):
        ending = "" if number == 1 else str(number)
        name = wanted[: LONGEST - len(ending)] + ending
        taken = connection.execute(select(users.c.id).where(users.c.name == name)).first()
        if taken is None and name not in RESERVED:
            return name
    raise AssertionError("there are names without end")


def set_disabled(connection: Connection, name: str, is_disabled: bool, by: By) -> User:
    """Shut a user out, or let them in again; what stood for them is revoked. The last operator stays."""
    # All operators are locked, in one order: two that shut each other out at once would leave none.
    operators = connection.execute(
        select(users.c.name).where(users.c.is_operator).order_by(users.c.id).with_for_update()
    )
    operators.all()
    user = named(connection, name)
    if is_disabled == (user.disabled_at is not None):
        return user
    active = select(func.count()).where(users.c.is_operator, users.c.disabled_at.is_(None), users.c.id != user.id)
    if is_disabled and user.is_operator and not connection.execute(active.select_from(users)).scalar():
        raise BadRequest(f"{name} is this server's last operator and can't be shut out; make another operator first")
    at = by.at if is_disabled else None
    connection.execute(update(users).where(users.c.id == user.id).values(disabled_at=at))
    if is_disabled:
        revoke_all(connection, user.id, None, by.at)
    record(connection, by.did("user.disabled" if is_disabled else "user.enabled", name))
    return get(connection, user.id)


def set_operator(connection: Connection, name: str, is_operator: bool, by: By) -> User:
    """Make somebody an operator, or no longer. The last one stays."""
    connection.execute(select(users.c.id).where(users.c.is_operator).order_by(users.c.id).with_for_update()).all()
    user = named(connection, name)
    if user.is_operator == is_operator:
        return user
    others = select(users.c.id).where(users.c.is_operator, users.c.disabled_at.is_(None), users.c.id != user.id)
    if not is_operator and connection.execute(others.limit(1)).first() is None:
        raise BadRequest(f"{name} is this server's last operator; make another operator first")
    connection.execute(update(users).where(users.c.id == user.id).values(is_operator=is_operator))
    record(connection, by.did("user.changed", name, "became an operator" if is_operator else "is no operator any more"))
    return get(connection, user.id)


# Identities


def by_identity(connection: Connection, issuer: str, subject: str) -> User | None:
    """Return the user whom this sign-in stands for."""
    statement = (
        select(users)
        .join(identities, identities.c.user_id == users.c.id)
        .where(identities.c.issuer == issuer, identities.c.subject == subject)
    )
    row = connection.execute(statement).mappings().first()
    return user_from(row) if row else None


def bind(connection: Connection, identity: Identity, by: By) -> None:
    """Let a sign-in elsewhere stand for a user. Raises NameTaken where it stands for another."""
    try:
        with connection.begin_nested():
            values = {"issuer": identity.issuer, "subject": identity.subject, "user_id": identity.user_id}
            connection.execute(insert(identities), values)
    except IntegrityError:
        other = by_identity(connection, identity.issuer, identity.subject)
        if other is not None and other.id == identity.user_id:
            return
        raise NameTaken(
            f"this sign-in at {identity.issuer} stands for another user already; sign in with it, or use another"
        ) from None
    record(connection, by.did("identity.bound", get(connection, identity.user_id).name, identity.issuer))


def identities_of(connection: Connection, user_id: str) -> tuple[Identity, ...]:
    """Return the sign-ins that stand for a user."""
    statement = select(identities).where(identities.c.user_id == user_id).order_by(identities.c.issuer)
    return tuple(
        Identity(issuer=row["issuer"], subject=row["subject"], user_id=row["user_id"])
        for row in connection.execute(statement).mappings()
    )


# Tokens


def token(connection: Connection, secret_hash: str, now: datetime) -> Found | None:
    """Return what a token stands for and what its user is where, unless it is revoked, expired, or the user shut out.

    A session that somebody got by pasting a token ends with that token, too. One statement for all of it: each request
    asks this before anything else.
    """
    pasted = tokens.alias("pasted")
    statement = (
        select(
            tokens,
            pasted.c.expires_at.label("pasted_until"),
            *(column.label(f"of_user_{column.name}") for column in users.c),
            members.c.workspace.label("member_of"),
            members.c.role.label("member_as"),
        )
        .join(users, users.c.id == tokens.c.user_id)
        .outerjoin(members, members.c.user_id == users.c.id)
        .outerjoin(pasted, pasted.c.id == tokens.c.session_of)
        .where(
            tokens.c.secret_hash == secret_hash,
            _is_good(tokens, now),
            or_(tokens.c.session_of.is_(None), and_(pasted.c.id.is_not(None), _is_good(pasted, now))),
            users.c.disabled_at.is_(None),
        )
    )
    rows = connection.execute(statement).mappings().all()
    if not rows:
        return None
    roles = {row["member_of"]: MemberRole(row["member_as"]) for row in rows if row["member_of"] is not None}
    first = rows[0]
    return Found(
        user=user_from(first, "of_user_"), token=token_from(first), roles=roles, pasted_until=first["pasted_until"]
    )


def touch(connection: Connection, token_id: str, now: datetime) -> None:
    """Write down that a token was used."""
    connection.execute(update(tokens).where(tokens.c.id == token_id).values(last_used_at=now))


def create_token(connection: Connection, made: Token, secret_hash: str, by: By, how: str = "") -> None:
    """Write a token down. Raises NameTaken for one that is there already: a sign-in is confirmed once."""
    values = {
        "id": made.id,
        "secret_hash": secret_hash,
        "user_id": made.user_id,
        "label": made.label,
        "scopes": " ".join(sorted(made.scopes)),
        "workspace": made.workspace,
        "created_at": made.created_at,
        "expires_at": made.expires_at,
        "revoked_at": made.revoked_at,
        "session_of": made.session_of,
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(tokens), values)
    except IntegrityError:
        raise NameTaken("this sign-in was answered already; start another") from None
    until = f"until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else "for ever"
    about = ", ".join(filter(None, (how, made.label, f"scopes {values['scopes'] or 'none'}", until)))
    record(connection, by.did("token.created", made.id, about, workspace=made.workspace))


def tokens_of(connection: Connection, user_id: str, now: datetime) -> tuple[Token, ...]:
    """Return the tokens that still let somebody in as this user, newest first."""
    statement = (
        select(tokens)
        .where(tokens.c.user_id == user_id, _is_good(tokens, now))
        .order_by(tokens.c.created_at.desc(), tokens.c.id)
    )
    return tuple(map(token_from, connection.execute(statement).mappings()))


def revoke(connection: Connection, user_id: str, token_id: str, by: By) -> None:
    """Revoke one of a user's tokens; twice is once. Raises NotFound."""
    mine = select(tokens).where(tokens.c.id == token_id, tokens.c.user_id == user_id).with_for_update()
    row = connection.execute(mine).mappings().first()
    if row is None:
        raise NotFound(f"you have no token {token_id!r}; list yours and take its id")
    if row["revoked_at"] is None:
        connection.execute(update(tokens).where(tokens.c.id == token_id).values(revoked_at=by.at))
        record(connection, by.did("token.revoked", token_id, row["label"], workspace=row["workspace"]))


def use_up(connection: Connection, token_id: str, by: By) -> None:
    """Make a token that is good for one use good for nothing. Raises Forbidden for the second use."""
    statement = update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None)).values(revoked_at=by.at)
    if not connection.execute(statement).rowcount:
        raise Forbidden("this link was used already; ask for another")
    record(connection, by.did("token.revoked", token_id, "used up"))


def revoke_all(connection: Connection, user_id: str, workspace: str | None, now: datetime) -> int:
    """Revoke a user's tokens, all or those that open this ``workspace`` alone; return how many."""
    statement = update(tokens).where(tokens.c.user_id == user_id, tokens.c.revoked_at.is_(None))
    if workspace is not None:
        statement = statement.where(tokens.c.workspace == workspace)
    return connection.execute(statement.values(revoked_at=now)).rowcount


def forget_tokens(connection: Connection, before: datetime) -> int:
    """Delete the tokens that were good for nothing any more at ``before``; return how many."""
    over = or_(tokens.c.expires_at <= before, tokens.c.revoked_at <= before)
    return connection.execute(delete(tokens).where(over)).rowcount


# Rows


def user_from(row: RowMapping, prefix: str = "") -> User:
    """Return the user of a row, whose columns begin with ``prefix``."""
    return User(
        id=row[prefix + "id"],
        name=row[prefix + "name"],
        email=row[prefix + "email"],
        is_operator=row[prefix + "is_operator"],
        created_at=row[prefix + "created_at"],
        disabled_at=row[prefix + "disabled_at"],
    )


def token_from(row: RowMapping) -> Token:
    """Return the token of a row."""
    return Token(
        id=row["id"],
        user_id=row["user_id"],
        label=row["label"],
        scopes=frozenset(map(Scope, row["scopes"].split())),
        workspace=row["workspace"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
        session_of=row["session_of"],
    )


def is_stale(found: Token, now: datetime) -> bool:
    """Whether the time a token was last used is worth writing down again."""
    return found.last_used_at is None or now - found.last_used_at >= TOUCH_EVERY


def _is_good(table: FromClause, now: datetime) -> ColumnElement[bool]:
    return and_(table.c.revoked_at.is_(None), or_(table.c.expires_at.is_(None), table.c.expires_at > now))


def _user_values(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "is_operator": user.is_operator,
        "created_at": user.created_at,
        "disabled_at": user.disabled_at,
    }


def _one(connection: Connection, statement: Select[Any], name: str) -> User:
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise NotFound(f"there is no user {name!r} on this server")
    return user_from(row)
