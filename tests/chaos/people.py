"""Who works in a chaos run."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from tradewind.model.people import MemberRole, Token, User, Workspace
from tradewind.store.access.audit import By
from tradewind.store.store import Store

WORKSPACE = "chaos"
OWNER = "ada"
PEOPLE = (OWNER, "bob", "cy")


async def admit(database: str) -> dict[str, str]:
    """Write everybody down, and return the token of each; the first owns the workspace, the others run clusters."""
    store = await Store.open(database)
    try:
        return {name: await _person(store, name) for name in PEOPLE}
    finally:
        await store.aclose()


async def strangers(database: str, count: int) -> dict[str, str]:
    """Write down people who belong nowhere yet, and return the token of each."""
    store = await Store.open(database)
    try:
        return {name: await _user(store, name) for name in (f"guest{number}" for number in range(count))}
    finally:
        await store.aclose()


async def _person(store: Store, name: str) -> str:
    token = await _user(store, name)
    now = datetime.now(UTC)
    by = By(user="test", at=now)
    user = await store.people.user_named(name)
    if name == OWNER:
        await store.people.create_workspace(Workspace(name=WORKSPACE, created_at=now), user, by)
    else:
        await store.people.join(WORKSPACE, user, MemberRole.MEMBER, by)
    return token


async def _user(store: Store, name: str) -> str:
    now = datetime.now(UTC)
    by = By(user="test", at=now)
    user = await store.people.create_user(User(id=f"u-{name}", name=name, created_at=now), by)
    text = "tw_" + name.ljust(43, "x")
    token = Token(id=f"t-{name}", user_id=user.id, label="", created_at=now - timedelta(hours=1), expires_at=None)
    await store.people.create_token(token, hashlib.sha256(text.encode()).hexdigest(), by)
    return text
