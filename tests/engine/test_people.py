"""Who comes in by which door, and what each may do about others."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.postgres import Postgres
from tradewind.config import OidcSettings, Settings
from tradewind.engine.access.asker import Asker
from tradewind.engine.access.members import Members
from tradewind.engine.access.people import Arrival, People
from tradewind.engine.access.person import Person
from tradewind.engine.tidying import TOKENS_KEPT, Tidying
from tradewind.errors import BadRequest, Forbidden, NameTaken, NotFound, SignInNeeded
from tradewind.model.people import MemberRole, Scope, Signed, User
from tradewind.model.secret import Secret
from tradewind.store.store import Store
from tradewind.testing.clock import FakeClock

OWNER, ADMIN, MEMBER, VIEWER, MENTOR = (
    MemberRole.OWNER,
    MemberRole.ADMIN,
    MemberRole.MEMBER,
    MemberRole.VIEWER,
    MemberRole.MENTOR,
)
OPEN = Settings(oidc=OidcSettings(issuer="https://id.example.org", open_to=("example.edu",)))


@dataclass(slots=True, kw_only=True)
class House:
    """A server's people, on a store of their own."""

    store: Store
    clock: FakeClock = field(default_factory=FakeClock)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def people(self, settings: Settings | None = None) -> People:
        """Return the doors of one replica."""
        return People(self.store, self.clock, settings or Settings(), new_id=self.new_id)

    async def newcomer(self, name: str = "ada") -> tuple[User, Secret]:
        """Make the first user; return what they are given."""
        secret = await self.people().first_admin_secret()
        assert secret is not None
        return await self.people().claim(secret.reveal(), name)

    async def claim(self, name: str = "ada") -> Signed:
        """Make the first user, and sign them in with it."""
        _, token = await self.newcomer(name)
        return await self.people().let_in(token.reveal())

    async def member(self, name: str, role: MemberRole, by: Signed) -> Signed:
        """Make a new user a member of the workspace ``default``."""
        _, secret = await (await self.within(by)).invite(role)
        _, token = await self.people().sign_up(secret.reveal(), name)
        return await self.people().let_in(token.reveal())

    async def within(self, signed: Signed, workspace: str = "default") -> Members:
        """Return the verbs of somebody in a workspace."""
        asker = Asker(self.store, self.clock, await self.as_(signed).caller(workspace))
        return Members(self.store.people, self.clock, asker, new_id=self.new_id)

    def new_id(self, prefix: str) -> str:
        """Return an id that a test can foresee."""
        return f"{prefix}-{next(self.numbers)}"

    def as_(self, signed: Signed) -> Person:
        """Return the verbs of somebody, who asks anew each time: what they were at sign-in doesn't matter."""
        return self.people().as_(replace(signed, roles=None))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = await Store.open(tmp_path / "tradewind.db")
    yield House(store=store)
    await store.aclose()


# The first user


async def test_the_first_admin_link_makes_an_operator_who_owns_the_first_workspace(house: House) -> None:
    ada = await house.claim()

    assert ada.user.is_operator
    assert [(m.workspace, m.role) for m in (await house.as_(ada).portrait()).memberships] == [("default", OWNER)]


async def test_every_replica_knows_another_ones_link_and_none_gives_one_once_there_is_a_user(house: House) -> None:
    one, other = house.people(), house.people()
    secrets = [await one.first_admin_secret(), await other.first_admin_secret()]
    assert None not in secrets

    await other.claim(secrets[0].reveal(), "ada")

    assert await one.first_admin_secret() is None
    with pytest.raises(Forbidden, match="first user already"):
        await one.claim(secrets[1].reveal(), "eve")


@pytest.mark.parametrize(
    "spoil", [lambda s: "", lambda s: s[:-1], lambda s: "A" * len(s), lambda s: "é", lambda s: s + s]
)
async def test_a_forged_first_admin_link_makes_nobody(house: House, spoil: Callable[[str], str]) -> None:
    secret = await house.people().first_admin_secret()
    assert secret is not None

    with pytest.raises(Forbidden):
        await house.people().claim(spoil(secret.reveal()), "eve")


async def test_the_first_admin_link_is_good_for_a_day(house: House) -> None:
    secret = await house.people().first_admin_secret()
    assert secret is not None
    house.clock.advance(timedelta(days=1))

    with pytest.raises(Forbidden, match="lasts a day"):
        await house.people().claim(secret.reveal(), "ada")


# Tokens


@pytest.mark.parametrize(
    "text", ["", "tw_", "tw_" + "a" * 43, "x" * 10_000, "tw_' OR 1=1 --", "tw_\x00", "tw_" + "é" * 43]
)
async def test_what_is_no_token_lets_nobody_in(house: House, text: str) -> None:
    await house.claim()

    with pytest.raises(SignInNeeded):
        await house.people().let_in(text)


async def test_a_token_is_good_until_it_expires(house: House) -> None:
    ada = await house.claim()
    _, secret = await house.as_(ada).create_token("laptop", life=timedelta(hours=1))
    house.clock.advance(timedelta(minutes=59))
    await house.people().let_in(secret.reveal())
    house.clock.advance(timedelta(minutes=1))

    with pytest.raises(SignInNeeded):
        await house.people().let_in(secret.reveal())


async def test_a_revoked_token_is_refused_in_the_words_of_an_unknown_one(house: House) -> None:
    ada = await house.claim()
    token, secret = await house.as_(ada).create_token("laptop")
    await house.as_(ada).revoke_token(token.id)
    words = set()
    for text in (secret.reveal(), "tw_" + "a" * 43):
        with pytest.raises(SignInNeeded) as caught:
            await house.people().let_in(text)
        words.add(str(caught.value))

    assert len(words) == 1


async def test_the_text_of_a_token_is_nowhere_in_the_store(house: House, tmp_path: Path) -> None:
    ada = await house.claim()
    _, token = await house.as_(ada).create_token("laptop")
    _, invitation = await (await house.within(ada)).invite()
    login = await house.people().begin_login()
    await house.as_(ada).confirm_login((await house.people().login_request(login.request))[1])
    polled = await house.people().poll_login(login.secret.reveal())
    await house.store.aclose()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())  # noqa: ASYNC240

    assert b"laptop" in kept
    assert polled is not None
    for secret in (token, invitation, login.secret, polled):
        assert secret.reveal().encode() not in kept


async def test_a_token_gives_no_more_than_it_has(house: House) -> None:
    ada = await house.claim()
    _, text = await house.as_(ada).create_token("robot", scopes={Scope.MANAGE, Scope.READ}, workspace="default")
    robot = await house.people().let_in(text.reveal())

    with pytest.raises(Forbidden, match="'clusters'"):
        await house.as_(robot).create_token("more", scopes={Scope.CLUSTERS})
    made, _ = await house.as_(robot).create_token("same", scopes={Scope.READ})
    assert made.workspace == "default", "a token for one workspace makes none for all"


@pytest.mark.parametrize("scopes", [set(), {Scope.READ}, {Scope.CLUSTERS}, {Scope.READ, Scope.CLUSTERS}])
async def test_a_token_without_manage_changes_nothing_about_people(house: House, scopes: set[Scope]) -> None:
    ada = await house.claim()
    await house.member("bob", MEMBER, ada)
    other, _ = await house.as_(ada).create_token("other")
    _, text = await house.as_(ada).create_token("reader", scopes=scopes)
    reader = await house.people().let_in(text.reveal())
    members = await house.within(reader)

    for asked in (
        house.as_(reader).create_token("more", scopes=set()),
        house.as_(reader).revoke_token(other.id),
        house.as_(reader).agree_to_mentoring("default", True),
        house.as_(reader).create_workspace("mine"),
        house.as_(reader).accept("twi_x"),
        house.as_(reader).bind("https://id", "1"),
        house.as_(reader).set_disabled("bob", True),
        house.as_(reader).set_operator("bob", True),
        house.as_(reader).appoint("default", "bob"),
        members.invite(),
        members.invitations(),
        members.change_role("bob", ADMIN),
        members.remove("bob"),
        members.remove("ada"),
    ):
        with pytest.raises(Forbidden):
            await asked


async def test_a_token_for_one_workspace_shows_no_other(house: House) -> None:
    ada = await house.claim()
    await house.as_(ada).create_workspace("ocean")
    _, text = await house.as_(ada).create_token("robot", workspace="ocean")
    robot = await house.people().let_in(text.reveal())

    assert [w.name for w in await house.as_(robot).workspaces()] == ["ocean"]
    with pytest.raises(NotFound):
        await house.as_(robot).caller("default")
    with pytest.raises(Forbidden):
        await house.as_(robot).users()


async def test_any_token_may_revoke_itself(house: House) -> None:
    ada = await house.claim()
    token, text = await house.as_(ada).create_token("lost", scopes=set())

    await house.as_(await house.people().let_in(text.reveal())).revoke_token(token.id)

    with pytest.raises(SignInNeeded):
        await house.people().let_in(text.reveal())


async def test_nobody_revokes_anothers_token(house: House) -> None:
    ada = await house.claim()
    bob = await house.member("bob", MEMBER, ada)

    with pytest.raises(NotFound):
        await house.as_(bob).revoke_token(ada.token_id)


async def test_a_cookie_is_no_token_and_a_token_no_cookie(house: House) -> None:
    ada = await house.claim()
    cookie = await house.people().session(ada.user, "browser", "signed in")
    _, token = await house.as_(ada).create_token("laptop")

    await house.people().let_in(cookie.reveal(), is_browser=True)
    await house.people().let_in(token.reveal())
    with pytest.raises(SignInNeeded):
        await house.people().let_in(cookie.reveal())
    with pytest.raises(SignInNeeded):
        await house.people().let_in(token.reveal(), is_browser=True)


async def test_what_is_made_while_another_system_vouches_ends_when_that_does(house: House) -> None:
    ada = await house.claim()
    lent = await house.people().let_in((await house.people().lend(ada.user, "hub", "https://hub")).reveal())
    browser = await house.people().let_in((await house.people().session_of(lent, "b")).reveal(), is_browser=True)

    for signed in (lent, browser):
        token, _ = await house.as_(signed).create_token("for long", life=timedelta(days=90))
        assert token.expires_at == lent.expires_at


@pytest.mark.parametrize("life", [timedelta(hours=2), timedelta(days=90), None])
async def test_a_token_that_expires_makes_none_that_outlasts_it(house: House, life: timedelta | None) -> None:
    ada = await house.claim()
    _, text = await house.as_(ada).create_token("robot", life=timedelta(hours=1))
    house.clock.advance(timedelta(minutes=20))
    robot = await house.people().let_in(text.reveal())

    made, _ = await house.as_(robot).create_token("more", life=life)
    login = await house.people().begin_login()
    confirmed = await house.as_(robot).confirm_login((await house.people().login_request(login.request))[1])
    brief, _ = await house.as_(robot).create_token("less", life=timedelta(minutes=5))

    assert made.expires_at == confirmed.expires_at == robot.expires_at
    assert brief.expires_at == house.clock.now() + timedelta(minutes=5)


async def test_a_token_that_never_expires_makes_others_that_never_do(house: House) -> None:
    ada = await house.claim()
    browser = await house.people().let_in(
        (await house.people().session(ada.user, "b", "signed in")).reveal(), is_browser=True
    )
    _, text = await house.as_(browser).create_token("robot", life=None)

    made, _ = await house.as_(await house.people().let_in(text.reveal())).create_token("more", life=None)

    assert made.expires_at is None


@pytest.mark.parametrize("settings", [Settings(), OPEN], ids=["where tokens are the only way in", "beside a provider"])
@pytest.mark.parametrize("life", [timedelta(hours=2), timedelta(days=90), None])
async def test_a_browser_with_a_pasted_token_makes_none_that_outlasts_it(
    house: House, settings: Settings, life: timedelta | None
) -> None:
    ada = await house.claim()
    _, text = await house.as_(ada).create_token("mine", life=timedelta(hours=1))
    doors = house.people(settings)
    pasted = await doors.let_in(text.reveal())
    browser = await doors.let_in((await doors.session_of(pasted, "browser")).reveal(), is_browser=True)

    made, more = await house.as_(browser).create_token("next", life=life)
    login = await doors.begin_login()
    confirmed = await house.as_(browser).confirm_login((await doors.login_request(login.request))[1])
    again = await doors.let_in(
        (await doors.session_of(await doors.let_in(more.reveal()), "b")).reveal(), is_browser=True
    )
    third, _ = await house.as_(again).create_token("third", life=life)

    assert {browser.expires_at, made.expires_at, confirmed.expires_at, third.expires_at} == {pasted.expires_at}


@pytest.mark.parametrize("is_browser", [False, True])
async def test_an_invitation_ends_with_the_token_that_it_was_made_with(house: House, is_browser: bool) -> None:
    ada = await house.claim()
    _, text = await house.as_(ada).create_token("mine", life=timedelta(hours=1))
    hour = await house.people().let_in(text.reveal())
    if is_browser:
        cookie = await house.people().session_of(hour, "browser")
        hour = await house.people().let_in(cookie.reveal(), is_browser=True)

    long, secret = await (await house.within(hour)).invite(MEMBER, life=timedelta(days=90))
    short, _ = await (await house.within(hour)).invite(MEMBER, life=timedelta(minutes=5))
    own, _ = await (await house.within(ada)).invite(MEMBER, life=timedelta(days=90))

    assert long.expires_at == house.clock.now() + timedelta(hours=1)
    assert short.expires_at == house.clock.now() + timedelta(minutes=5)
    assert own.expires_at == house.clock.now() + timedelta(days=90)
    house.clock.advance(timedelta(hours=1))
    with pytest.raises(NotFound):
        await house.people().sign_up(secret.reveal(), "eve")


async def test_a_browser_with_a_token_of_months_makes_others_of_months(house: House) -> None:
    ada = await house.claim()
    _, text = await house.as_(ada).create_token("mine", life=timedelta(days=60))
    pasted = await house.people().let_in(text.reveal())
    cookie = await house.people().session_of(pasted, "browser")
    browser = await house.people().let_in(cookie.reveal(), is_browser=True)

    made, _ = await house.as_(browser).create_token("next", life=timedelta(days=90))

    assert browser.expires_at == house.clock.now() + timedelta(hours=12)
    assert made.expires_at == pasted.expires_at


async def test_a_browser_is_signed_out_when_the_token_that_was_pasted_is_revoked(house: House) -> None:
    ada = await house.claim()
    token, text = await house.as_(ada).create_token("mine")
    cookie = await house.people().session_of(await house.people().let_in(text.reveal()), "browser")
    await house.people().let_in(cookie.reveal(), is_browser=True)

    await house.as_(ada).revoke_token(token.id)

    with pytest.raises(SignInNeeded):
        await house.people().let_in(cookie.reveal(), is_browser=True)


@pytest.mark.parametrize("door", ["browser", "first link", "invitation"])
async def test_who_signed_in_themselves_makes_tokens_that_outlast_that(house: House, door: str) -> None:
    ada = await house.claim()
    signed = {
        "browser": await house.people().let_in(
            (await house.people().session(ada.user, "b", "signed in")).reveal(), is_browser=True
        ),
        "first link": ada,
        "invitation": await house.member("bob", MEMBER, ada),
    }[door]

    made, _ = await house.as_(signed).create_token("for ever", life=None)

    assert made.expires_at is None


async def test_what_a_newcomer_got_is_a_token_like_others_after_twelve_hours(house: House) -> None:
    _, text = await house.newcomer()
    house.clock.advance(timedelta(hours=12))
    ada = await house.people().let_in(text.reveal())

    made, _ = await house.as_(ada).create_token("for ever", life=None)

    assert made.expires_at == ada.expires_at


async def test_a_token_that_ends_binds_no_sign_in_that_does_not(house: House) -> None:
    ada = await house.claim()
    _, text = await house.as_(ada).create_token("leaked", life=timedelta(hours=1))
    leaked = await house.people().let_in(text.reveal())
    cookie = await house.people().session_of(leaked, "browser")
    browser = await house.people().let_in(cookie.reveal(), is_browser=True)

    for signed in (leaked, browser):
        with pytest.raises(Forbidden, match="--sign-in-link ada"):
            await house.as_(signed).bind("https://id.example.org", "thief")
    await house.as_(ada).bind("https://id.example.org", "ada")


async def test_the_audit_log_says_what_each_token_was_made_with(house: House) -> None:
    ada = await house.claim()
    token, text = await house.as_(ada).create_token("mine")
    pasted = await house.people().let_in(text.reveal())
    cookie = await house.people().session_of(pasted, "browser")
    browser = await house.people().let_in(cookie.reveal(), is_browser=True)
    made, _ = await house.as_(browser).create_token("next")

    told = {entry.subject: entry.detail for entry in await house.as_(ada).audit() if entry.action == "token.created"}

    assert told[ada.token_id].startswith("by the first link, ")
    assert told[token.id].startswith(f"with {ada.token_id}, mine, ")
    assert told[browser.token_id].startswith(f"pasted {token.id}, browser, ")
    assert told[made.id].startswith(f"with {browser.token_id}, next, ")


# Who has nothing left to come in with


async def test_a_link_from_the_server_s_machine_signs_in_once_and_makes_tokens_that_stay(house: House) -> None:
    ada = await house.claim()
    house.clock.advance(timedelta(days=91))
    link = await house.people().sign_in_link("ada")

    cookie = await house.people().by_link(link.reveal(), "browser")

    again = await house.people().let_in(cookie.reveal(), is_browser=True)
    made, _ = await house.as_(again).create_token("new")
    told = [(entry.user, entry.detail) for entry in await house.as_(again).audit() if "sign-in link" in entry.detail]
    assert again.user == ada.user
    assert made.expires_at == house.clock.now() + timedelta(days=90)
    assert [user for user, _ in told] == ["tradewind"]
    assert told[0][1].startswith("for ada, on the server's machine, ")
    with pytest.raises(Forbidden, match="another"):
        await house.people().by_link(link.reveal(), "browser")


async def test_of_two_who_open_a_link_at_once_one_comes_in(house: House) -> None:
    await house.claim()
    link = await house.people().sign_in_link("ada")

    came = await asyncio.gather(
        *[house.people().by_link(link.reveal(), "browser") for _ in range(4)], return_exceptions=True
    )

    assert sorted(type(each).__name__ for each in came) == ["Forbidden", "Forbidden", "Forbidden", "Secret"]


async def test_a_link_is_good_for_nothing_but_signing_in_within_a_day(house: House) -> None:
    ada = await house.claim()
    link = await house.people().sign_in_link("ada")
    for is_browser in (False, True):
        with pytest.raises(SignInNeeded):
            await house.people().let_in(link.reveal(), is_browser=is_browser)
    _, token = await house.as_(ada).create_token("mine")
    with pytest.raises(Forbidden):
        await house.people().by_link(token.reveal(), "browser")
    house.clock.advance(timedelta(days=1))

    with pytest.raises(Forbidden, match="lasts a day"):
        await house.people().by_link(link.reveal(), "browser")


async def test_no_link_is_made_for_who_is_shut_out_or_is_not_there(house: House) -> None:
    ada = await house.claim()
    await house.member("bob", MEMBER, ada)
    link = await house.people().sign_in_link("bob")
    await house.as_(ada).set_disabled("bob", True)

    with pytest.raises(Forbidden, match="shut out"):
        await house.people().sign_in_link("bob")
    with pytest.raises(Forbidden, match="isn't good"):
        await house.people().by_link(link.reveal(), "browser")
    with pytest.raises(NotFound, match="operators are: ada"):
        await house.people().sign_in_link("eve")


async def test_tokens_that_are_good_for_nothing_are_deleted_after_ninety_days(house: House) -> None:
    ada = await house.claim()
    browser = await house.people().let_in(
        (await house.people().session(ada.user, "b", "signed in")).reveal(), is_browser=True
    )
    _, forever = await house.as_(browser).create_token("for ever", life=None)
    revoked, _ = await house.as_(browser).create_token("revoked", life=None)
    await house.as_(browser).create_token("expired", life=timedelta(minutes=1))
    await house.as_(browser).revoke_token(revoked.id)
    tidying = Tidying(store=house.store, clock=house.clock)

    async def tidied(after: timedelta) -> int:
        house.clock.advance(after)
        return await tidying.tidy()

    assert [await tidied(timedelta(0)), await tidied(TOKENS_KEPT - timedelta(hours=1))] == [0, 0]
    assert await tidied(timedelta(hours=1)) == 1, "the one that was revoked"
    assert await tidied(timedelta(minutes=59)) == 0, "not its time yet"
    assert await tidied(timedelta(minutes=1)) == 1, "the one that expired"
    assert await tidied(timedelta(hours=12)) == 1, "the browser's"
    await house.people().let_in(forever.reveal())
    assert {entry.subject for entry in await house.as_(ada).audit()} >= {revoked.id}


async def test_the_last_use_of_a_token_is_known_to_minutes(house: House) -> None:
    ada = await house.claim()
    first = house.clock.now()
    _, text = await house.as_(ada).create_token("laptop")
    known = []
    for minutes in (0, 4, 2):
        house.clock.advance(timedelta(minutes=minutes))
        await house.people().let_in(text.reveal())
        known += [token.last_used_at for token in await house.as_(ada).tokens() if token.label == "laptop"]

    assert known == [first, first, first + timedelta(minutes=6)]


# A program's sign-in


async def test_a_program_gets_its_token_once_somebody_confirmed(house: House) -> None:
    ada = await house.claim()
    login = await house.people().begin_login()
    assert await house.people().poll_login(login.secret.reveal()) is None
    code, secret_hash = await house.people().login_request(login.request)
    assert code == login.code

    await house.as_(ada).confirm_login(secret_hash)

    token = await house.people().poll_login(login.secret.reveal())
    assert token is not None
    assert (await house.people().let_in(token.reveal())).user == ada.user


async def test_a_sign_in_is_confirmed_once_and_within_minutes(house: House) -> None:
    ada = await house.claim()
    login = await house.people().begin_login()
    await house.as_(ada).confirm_login((await house.people().login_request(login.request))[1])

    with pytest.raises(NameTaken):
        await house.as_(ada).confirm_login((await house.people().login_request(login.request))[1])
    house.clock.advance(timedelta(minutes=10))
    with pytest.raises(BadRequest):
        await house.people().login_request(login.request)


async def test_what_a_browser_sees_of_a_sign_in_gives_no_token(house: House) -> None:
    ada = await house.claim()
    login = await house.people().begin_login()
    await house.as_(ada).confirm_login((await house.people().login_request(login.request))[1])

    with pytest.raises(BadRequest):
        await house.people().poll_login(login.request)
    with pytest.raises(BadRequest):
        await house.people().login_request(login.secret.reveal())


# Newcomers


async def test_an_invitation_makes_one_member_once(house: House) -> None:
    ada = await house.claim()
    _, secret = await (await house.within(ada)).invite(VIEWER)
    bob, _ = await house.people().sign_up(secret.reveal(), "bob")

    with pytest.raises(NotFound, match="used, withdrawn, or is too old"):
        await house.people().sign_up(secret.reveal(), "eve")
    assert [(m.user, m.role) for m in await (await house.within(ada)).members()] == [("ada", OWNER), ("bob", VIEWER)]


async def test_a_failed_sign_up_leaves_neither_a_user_nor_a_used_invitation(house: House) -> None:
    ada = await house.claim()
    _, secret = await (await house.within(ada)).invite()

    with pytest.raises(NameTaken):
        await house.people().sign_up(secret.reveal(), "ada")
    with pytest.raises(NotFound):
        await house.people().sign_up("twi_forged", "eve")

    assert [u.name for u in await house.as_(ada).users()] == ["ada"]
    await house.people().invitation(secret.reveal())


@pytest.mark.parametrize(
    "name", ["", "Ada", "a b", "-a", "ada/../eve", "é", "a" * 40, "tradewind", "me", "a\n", "'; DROP TABLE users; --"]
)
async def test_a_name_that_others_could_not_tell_is_refused(house: House, name: str) -> None:
    ada = await house.claim()
    _, secret = await (await house.within(ada)).invite()

    with pytest.raises(BadRequest):
        await house.people().sign_up(secret.reveal(), name)


async def test_where_a_provider_says_who_somebody_is_an_invitation_alone_does_not(house: House) -> None:
    ada = await house.claim()
    _, secret = await (await house.within(ada)).invite()

    with pytest.raises(SignInNeeded):
        await house.people(OPEN).sign_up(secret.reveal(), "bob")


def arrival(subject: str = "1", name: str = "bob", email: str | None = None, verified: bool = False) -> Arrival:
    return Arrival(issuer="https://id.example.org", subject=subject, name=name, email=email, is_email_verified=verified)


@pytest.mark.parametrize(
    "who",
    [
        arrival(),
        arrival(email="bob@example.edu"),
        arrival(email="bob@example.edu.evil.org", verified=True),
        arrival(email="bob@notexample.edu", verified=True),
        arrival(email="bob@sub.example.edu", verified=True),
        arrival(email="example.edu", verified=False),
    ],
)
async def test_a_newcomer_needs_an_invitation_or_a_verified_address_of_an_open_domain(
    house: House, who: Arrival
) -> None:
    await house.claim()

    with pytest.raises(Forbidden, match="invitation"):
        await house.people(OPEN).arrive(who)


async def test_an_open_domain_lets_in_who_then_belongs_to_no_workspace(house: House) -> None:
    await house.claim()

    bob = await house.people(OPEN).arrive(arrival(email="bob@Example.EDU", verified=True))

    assert bob.email == "bob@Example.EDU"
    assert await house.store.people.memberships(bob.id) == ()


async def test_the_same_address_at_another_sign_in_is_somebody_else(house: House) -> None:
    doors = house.people(OPEN)
    bob = await doors.arrive(arrival("1", "bob", "bob@example.edu", True))
    other = await doors.arrive(arrival("2", "bob", "bob@example.edu", True))

    assert bob.id != other.id
    assert (bob.name, other.name) == ("bob", "bob2")
    assert await doors.arrive(arrival("1", "robert", "eve@evil.org", True)) == bob


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("Zoë Müller", "zoe-muller"),
        ("ada@x.org", "ada"),
        ("李", "user"),
        ("../../etc", "etc"),
        ("me", "me2"),
        ("x" * 99, "x" * 39),
    ],
)
async def test_a_name_from_elsewhere_is_made_to_fit(house: House, wanted: str, name: str) -> None:
    user = await house.people(OPEN).arrive(arrival(name=wanted, email="a@example.edu", verified=True))

    assert user.name == name


async def test_a_second_sign_in_can_stand_for_somebody_and_never_for_two(house: House) -> None:
    ada = await house.claim()
    bob = await house.member("bob", MEMBER, ada)
    await house.as_(ada).bind("https://id.example.org", "1")

    assert await house.people().arrive(arrival("1")) == ada.user
    with pytest.raises(NameTaken):
        await house.as_(bob).bind("https://id.example.org", "1")


async def test_who_is_shut_out_comes_in_by_no_door(house: House) -> None:
    ada = await house.claim()
    bob = await house.member("bob", ADMIN, ada)
    await house.as_(bob).bind("https://id.example.org", "1")
    _, text = await house.as_(bob).create_token("laptop")
    cookie = await house.people().session(bob.user, "browser", "signed in")
    _, secret = await (await house.within(bob)).invite()

    await house.as_(ada).set_disabled("bob", True)

    with pytest.raises(SignInNeeded):
        await house.people().let_in(text.reveal())
    with pytest.raises(SignInNeeded):
        await house.people().let_in(cookie.reveal(), is_browser=True)
    with pytest.raises(Forbidden):
        await house.people().arrive(arrival("1"))
    with pytest.raises(NotFound):
        await house.people().sign_up(secret.reveal(), "bob-again")


# Members


@pytest.mark.parametrize(
    ("role", "may_do"),
    [
        (OWNER, {"invite member", "invite owner", "make admin", "make owner", "unmake owner", "remove", "audit"}),
        (ADMIN, {"invite member", "make admin", "remove", "audit"}),
        (MEMBER, set()),
        (VIEWER, set()),
        (MENTOR, set()),
    ],
)
async def test_who_may_change_what_about_members(house: House, role: MemberRole, may_do: set[str]) -> None:
    ada = await house.claim()
    who = await house.member("who", role, ada)
    await house.member("bob", MEMBER, ada)
    await house.member("zoe", OWNER, ada)
    members = await house.within(who)
    asked = {
        "invite member": lambda: members.invite(MEMBER),
        "invite owner": lambda: members.invite(OWNER),
        "make admin": lambda: members.change_role("bob", ADMIN),
        "make owner": lambda: members.change_role("bob", OWNER),
        "unmake owner": lambda: members.change_role("zoe", MEMBER),
        "remove": lambda: members.remove("bob"),
        "audit": lambda: members.audit(),
    }
    if "unmake owner" not in may_do:
        # An admin can't touch an owner, whatever for.
        asked["remove owner"] = lambda: members.remove("zoe")
    done = set()
    for what, do in asked.items():
        try:
            await do()
        except Forbidden:
            continue
        done.add(what)

    assert done == may_do


async def test_the_last_owner_can_neither_go_nor_step_down(house: House) -> None:
    ada = await house.claim()
    members = await house.within(ada)

    with pytest.raises(BadRequest, match="last owner"):
        await members.remove("ada")
    with pytest.raises(BadRequest, match="last owner"):
        await members.change_role("ada", ADMIN)


async def test_an_owner_who_is_shut_out_does_not_count_as_one(house: House) -> None:
    ada = await house.claim()
    await house.member("bob", OWNER, ada)
    await house.as_(ada).set_disabled("bob", True)

    with pytest.raises(BadRequest, match="last owner"):
        await (await house.within(ada)).remove("ada")


async def test_an_operator_appoints_an_owner_only_where_none_is_left(house: House) -> None:
    ada = await house.claim()
    bob = await house.member("bob", OWNER, ada)
    await (await house.within(bob)).remove("ada")
    with pytest.raises(BadRequest, match="has an owner"):
        await house.as_(ada).appoint("default", "ada")
    await house.as_(ada).set_disabled("bob", True)

    await house.as_(ada).appoint("default", "ada")

    assert (await house.as_(ada).caller("default")).role is OWNER


async def test_anybody_may_leave(house: House) -> None:
    ada = await house.claim()
    bob = await house.member("bob", VIEWER, ada)

    await (await house.within(bob)).remove("bob")

    with pytest.raises(NotFound):
        await house.as_(bob).caller("default")


async def test_with_a_membership_end_its_tokens_and_invitations(house: House) -> None:
    ada = await house.claim()
    bob = await house.member("bob", ADMIN, ada)
    _, here = await house.as_(bob).create_token("here", workspace="default")
    _, anywhere = await house.as_(bob).create_token("anywhere")
    _, secret = await (await house.within(bob)).invite()

    await (await house.within(ada)).remove("bob")

    with pytest.raises(SignInNeeded):
        await house.people().let_in(here.reveal())
    await house.people().let_in(anywhere.reveal())
    with pytest.raises(NotFound):
        await house.people().sign_up(secret.reveal(), "bob-again")


async def test_who_may_no_longer_invite_has_no_link_left(house: House) -> None:
    ada = await house.claim()
    bob = await house.member("bob", ADMIN, ada)
    _, secret = await (await house.within(bob)).invite(ADMIN)

    await (await house.within(ada)).change_role("bob", MEMBER)

    with pytest.raises(NotFound):
        await house.people().invitation(secret.reveal())


async def test_accepting_twice_does_not_use_an_invitation_up(house: House) -> None:
    ada = await house.claim()
    bob = await house.member("bob", MEMBER, ada)
    _, secret = await (await house.within(ada)).invite(ADMIN)

    with pytest.raises(NameTaken):
        await house.as_(bob).accept(secret.reveal())

    assert (await house.people().invitation(secret.reveal())).role is ADMIN


async def test_a_mentor_reads_those_who_agreed_and_only_they_can_say_so(house: House) -> None:
    ada = await house.claim()
    bob = await house.member("bob", MEMBER, ada)
    mia = await house.member("mia", MENTOR, ada)
    assert (await house.as_(mia).caller("default")).mentees == frozenset()

    await house.as_(bob).agree_to_mentoring("default", True)
    assert (await house.as_(mia).caller("default")).mentees == {"bob"}
    await house.as_(bob).agree_to_mentoring("default", False)

    assert (await house.as_(mia).caller("default")).mentees == frozenset()
    assert (await house.as_(bob).caller("default")).mentees == frozenset()


async def test_a_workspace_that_is_not_there_and_one_of_others_are_told_in_the_same_words(house: House) -> None:
    ada = await house.claim()
    bob = await house.member("bob", MEMBER, ada)
    await house.as_(ada).create_workspace("ocean")
    words = set()
    for name in ("ocean", "nosea"):
        with pytest.raises(NotFound) as caught:
            await house.as_(bob).caller(name)
        words.add(str(caught.value).replace(name, "…"))

    assert len(words) == 1


async def test_only_operators_make_workspaces_and_see_users(house: House) -> None:
    ada = await house.claim()
    bob = await house.member("bob", OWNER, ada)

    for asked in (house.as_(bob).create_workspace("ocean"), house.as_(bob).users(), house.as_(bob).audit()):
        with pytest.raises(Forbidden, match="operator"):
            await asked


async def test_the_last_operator_stays(house: House) -> None:
    ada = await house.claim()
    bob = await house.member("bob", MEMBER, ada)
    await house.as_(ada).set_operator("bob", True)
    bob = replace(bob, user=replace(bob.user, is_operator=True))
    await house.as_(bob).set_operator("ada", False)

    with pytest.raises(BadRequest, match="last operator"):
        await house.as_(bob).set_operator("bob", False)


async def test_every_change_is_in_the_audit_log_with_who_made_it_and_no_secret(house: House) -> None:
    ada = await house.claim()
    _, secret = await (await house.within(ada)).invite(ADMIN, email="bob@example.org")
    _, token = await house.people().sign_up(secret.reveal(), "bob")
    bob = await house.people().let_in(token.reveal())
    await (await house.within(ada)).change_role("bob", MEMBER)
    await house.as_(bob).agree_to_mentoring("default", True)
    await (await house.within(ada)).remove("bob")

    entries = [*await (await house.within(ada)).audit(), *await house.as_(ada).audit()]

    assert {(e.user, e.action, e.subject) for e in entries} >= {
        ("ada", "user.created", "ada"),
        ("ada", "workspace.created", "default"),
        ("ada", "member.added", "ada"),
        ("ada", "member.changed", "bob"),
        ("bob", "user.created", "bob"),
        ("bob", "member.added", "bob"),
        ("bob", "member.changed", "bob"),
        ("ada", "member.removed", "bob"),
    }
    assert not [e for e in entries if secret.reveal() in repr(e) or token.reveal() in repr(e)]
    numbers = [e.seq for e in await (await house.within(ada)).audit()]
    assert numbers == sorted(numbers, reverse=True)


def test_secrets_are_not_shown_by_accident() -> None:
    assert "tw_" not in repr(Secret("tw_x"))


async def test_two_claims_at_once_on_postgresql_make_one_first_user(postgres_url: str, postgres: Postgres) -> None:
    stores = [await Store.open(postgres_url) for _ in range(3)]
    houses = [House(store=store, numbers=itertools.count(1000 * i)) for i, store in enumerate(stores)]
    secrets = [await house.people().first_admin_secret() for house in houses]
    claims = [
        h.people().claim(s.reveal(), f"user{i}") for i, (h, s) in enumerate(zip(houses, secrets, strict=True)) if s
    ]

    results = await asyncio.gather(*claims, return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["Forbidden", "Forbidden", "tuple"]
    for store in stores:
        await store.aclose()


async def test_two_owners_who_leave_at_once_on_postgresql_leave_one(postgres_url: str) -> None:
    store = await Store.open(postgres_url)
    house = House(store=store)
    ada = await house.claim()
    for number in range(5):
        name = f"bob{number}"
        await house.member(name, OWNER, ada)
    members = await (await house.within(ada)).members()
    signed = [Signed(user=await store.people.user_named(m.user), token_id="t") for m in members]

    results = await asyncio.gather(
        *[(await house.within(each)).remove(each.user.name) for each in signed], return_exceptions=True
    )

    assert [type(r) for r in results].count(BadRequest) == 1
    assert len(await store.people.members("default")) == 1
    await store.aclose()
