"""People in the store, on both databases: what must hold whatever is asked in whatever order."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_records import SECRETS, T0, make_cluster

from tradewind.errors import BadRequest, Forbidden, NameTaken, NotFound
from tradewind.model.people import Identity, Invitation, MemberRole, Token, User, Workspace
from tradewind.store.access.audit import By
from tradewind.store.store import Store

OWNER, MEMBER = MemberRole.OWNER, MemberRole.MEMBER
BY = By(user="test", at=T0)


def user(name: str, **changes: Any) -> User:
    return User(id=f"u-{name}", name=name, created_at=T0, **changes)


async def lab(store: Store, *names: str) -> None:
    """Make the workspace ``lab``; the first of the users owns it."""
    for name in names:
        await store.people.create_user(user(name), BY)
    await store.people.create_workspace(Workspace(name="lab", created_at=T0), user(names[0]), BY)
    for name in names[1:]:
        await store.people.join("lab", user(name), MEMBER, BY)


def anything(was: object, to_be: object) -> None:
    """Check nothing."""


def token(name: str, number: int = 0, **changes: Any) -> Token:
    values = {"label": "laptop", "created_at": T0, "expires_at": T0 + timedelta(days=1)} | changes
    return Token(id=f"token-{name}-{number}", user_id=f"u-{name}", **values)


def invitation(number: int = 0, by: str = "olga", **changes: Any) -> Invitation:
    values = {"role": MEMBER, "created_at": T0, "expires_at": T0 + timedelta(days=1)} | changes
    return Invitation(id=f"i-{number}", workspace="lab", invited_by=by, **values)


@pytest.mark.parametrize("name", ["olga", "'; DROP TABLE users; --", "Ωλγα", "名前", "a%_b", 'x"y', "a\\b", "🌊"])
async def test_every_text_is_kept_as_it_is(store: Store, name: str) -> None:
    await store.people.create_user(user(name, email=name), BY)
    await store.people.create_workspace(Workspace(name=name, title=name, created_at=T0), user(name), BY)

    assert (await store.people.user_named(name)).email == name
    assert (await store.people.workspace(name)).title == name
    assert [m.user for m in await store.people.members(name)] == [name]


async def test_a_name_is_one_users(store: Store) -> None:
    await store.people.create_user(user("olga"), BY)

    with pytest.raises(NameTaken):
        await store.people.create_user(User(id="other", name="olga", created_at=T0), BY, exact_name=True)
    other = await store.people.create_user(User(id="other", name="olga", created_at=T0), BY)

    assert other.name == "olga2"


@pytest.mark.parametrize("how", ["removed", "shut out"])
async def test_a_cluster_that_is_made_while_its_owner_goes_is_refused_or_asked_to_stop(store: Store, how: str) -> None:
    names = [f"ada{number}" for number in range(8)]
    await lab(store, "olga", *names)

    async def make(name: str) -> None:
        cluster = replace(make_cluster(f"c-{name}", f"n-{name}"), owner=name)
        await store.create_cluster(cluster, SECRETS, member=f"u-{name}")

    async def go(name: str) -> None:
        if how == "removed":
            await store.people.remove("lab", name, anything, BY)
        else:
            await store.people.set_disabled(name, True, BY)

    made = await asyncio.gather(*(each for name in names for each in (make(name), go(name))), return_exceptions=True)

    assert {type(one) for one in made} <= {type(None), Forbidden, *map(type, made[1::2])}
    assert not [one for one in made[1::2] if isinstance(one, BaseException)]
    assert all(cluster.intent.stop for cluster in await store.list_clusters("lab"))
    with pytest.raises(Forbidden):
        await make(names[0])


async def test_who_is_sent_away_while_they_invite_keeps_no_link(store: Store) -> None:
    names = [f"ana{number}" for number in range(4)]
    await lab(store, "olga", *names)
    for name in names:
        await store.people.change_role("lab", name, MemberRole.ADMIN, anything, BY)

    async def invites(number: int, name: str) -> None:
        await store.people.invite(invitation(number, name), f"hash {number}", BY)

    await asyncio.gather(
        *(invites(number, name) for number, name in enumerate(names)),
        *(store.people.remove("lab", name, anything, BY) for name in names[:2]),
        *(store.people.set_disabled(name, True, BY) for name in names[2:]),
        return_exceptions=True,
    )

    assert await store.people.invitations("lab", T0) == ()
    for number, name in enumerate(names, 10):
        with pytest.raises(Forbidden, match="may not invite"):
            await invites(number, name)


async def test_a_membership_ends_with_its_live_clusters_there_and_nowhere_else(store: Store) -> None:
    await lab(store, "olga", "ada")
    for number, workspace, owner in [(1, "lab", "ada"), (2, "lab", "olga"), (3, "other", "ada")]:
        cluster = replace(make_cluster(f"c{number}", f"n{number}", workspace), owner=owner)
        await store.create_cluster(cluster, SECRETS)

    await store.people.remove("lab", "ada", anything, BY)

    stopped = {n: (await store.get_cluster(f"c{n}")).intent for n in (1, 2, 3)}
    assert [n for n, intent in stopped.items() if intent.stop] == [1]
    assert "ada is no longer a member" in stopped[1].stop_detail
    assert await store.due(T0) != ()


async def test_who_is_shut_out_leaves_no_live_cluster_anywhere(store: Store) -> None:
    await lab(store, "olga", "ada")
    for number, workspace in [(1, "lab"), (2, "other")]:
        await store.create_cluster(replace(make_cluster(f"c{number}", f"n{number}", workspace), owner="ada"), SECRETS)

    await store.people.set_disabled("ada", True, BY)

    assert all([(await store.get_cluster(f"c{n}")).intent.stop for n in (1, 2)])


async def test_a_change_that_fails_leaves_no_entry_in_the_audit_log(store: Store) -> None:
    await lab(store, "olga")
    before = await store.people.audit("lab")

    with pytest.raises(BadRequest):
        await store.people.remove("lab", "olga", anything, BY)
    with pytest.raises(NotFound):
        await store.people.create_user(user("eve"), BY, invitation_hash="unknown")

    assert await store.people.audit("lab") == before
    assert [u.name for u in await store.people.users()] == ["olga"]


async def test_an_invitation_that_many_follow_at_once_makes_one_member(store: Store) -> None:
    await lab(store, "olga")
    await store.people.invite(invitation(), "hash", BY)
    newcomers = [user(f"bob{n}") for n in range(6)]

    results = await asyncio.gather(
        *[store.people.create_user(each, BY, invitation_hash="hash") for each in newcomers], return_exceptions=True
    )

    assert [type(r) for r in results].count(User) == 1
    assert [type(r) for r in results].count(NotFound) == 5
    assert len(await store.people.users()) == 2, "who came too late is no user either"


async def test_a_sign_in_elsewhere_that_arrives_twice_at_once_is_one_user(store: Store) -> None:
    def arrives(number: int) -> Any:
        fresh = User(id=f"u{number}", name="bob", created_at=T0)
        identity = Identity(issuer="https://id", subject="1", user_id=fresh.id)
        return store.people.create_user(fresh, BY, identity=identity)

    results = await asyncio.gather(*map(arrives, range(4)), return_exceptions=True)

    assert [type(r) for r in results].count(User) == 1, results
    assert {type(r) for r in results} == {User, NameTaken}
    assert len(await store.people.users()) == 1


@pytest.mark.parametrize(
    ("changes", "is_good"),
    [
        ({}, True),
        ({"expires_at": None}, True),
        ({"expires_at": T0}, False),
        ({"expires_at": T0 - timedelta(seconds=1)}, False),
        ({"revoked_at": T0 - timedelta(days=1)}, False),
    ],
)
async def test_a_token_is_good_until_it_expires_or_is_revoked(store: Store, changes: Any, is_good: bool) -> None:
    await lab(store, "olga")
    await store.people.create_token(token("olga", **changes), "hash", BY)

    assert (await store.people.token("hash", T0) is not None) is is_good
    assert await store.people.token("HASH", T0) is None
    assert await store.people.token("' OR '1'='1", T0) is None


async def test_the_audit_log_is_read_in_parts(store: Store) -> None:
    await lab(store, "olga", *[f"m{n}" for n in range(7)])
    whole = await store.people.audit("lab")
    parts: list[Any] = []
    while part := await store.people.audit("lab", parts[-1].seq if parts else None, 3):
        parts += part

    assert tuple(parts) == whole
    assert len(whole) == 9


# Whatever is done to members in whatever order, a workspace keeps an owner who can act.

NAMES = ("ann", "ben", "cid")
who = st.sampled_from(NAMES)
step = st.one_of(
    st.tuples(st.just("join"), who, st.sampled_from(MemberRole)),
    st.tuples(st.just("change"), who, st.sampled_from(MemberRole)),
    st.tuples(st.just("remove"), who, st.none()),
    st.tuples(st.just("accept"), who, st.sampled_from(MemberRole)),
)


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(step, max_size=15))
def test_no_sequence_of_changes_leaves_a_workspace_without_an_owner(steps: list[Any]) -> None:
    asyncio.run(_go(steps))


async def _go(steps: list[Any]) -> None:
    store = await Store.open("sqlite://")
    numbers = itertools.count()
    await lab(store, NAMES[0])
    for name in NAMES[1:]:
        await store.people.create_user(user(name), BY)
    believed = {NAMES[0]: OWNER}
    for what, name, role in steps:
        try:
            if what == "join":
                await store.people.join("lab", user(name), role, BY)
                believed.setdefault(name, role)
            elif what == "accept":
                number = next(numbers)
                await store.people.invite(invitation(number, NAMES[0], role=role), f"hash{number}", BY)
                await store.people.accept(f"hash{number}", user(name), BY)
                believed[name] = role
            elif what == "change":
                await store.people.change_role("lab", name, role, anything, BY)
                believed[name] = role
            else:
                await store.people.remove("lab", name, anything, BY)
                del believed[name]
        except Forbidden:
            assert believed.get(NAMES[0]) not in {OWNER, MemberRole.ADMIN}, "who invites must be one who may"
        except BadRequest:
            assert [n for n, r in believed.items() if r is OWNER] == [name]
        except (NotFound, NameTaken):
            assert (name in believed) is (what == "accept")
        members = {m.user: m.role for m in await store.people.members("lab")}
        assert members == believed
        assert OWNER in members.values()
    await store.aclose()
