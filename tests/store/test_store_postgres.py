"""PostgreSQL: restarted, cut off, standing still, in each other's way."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import Connection, event, text
from store_records import MINUTE, SECRETS, T0, fill, hold, make_cluster, make_event, make_instance, make_usage
from tests.postgres import Postgres

from tradewind.errors import BadRequest, StoreError
from tradewind.store.sql import database, postgresql
from tradewind.store.sql.transactions import Transactions
from tradewind.store.store import Changes, Store


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    """A store on PostgreSQL with one cluster in it."""
    store = await Store.open(postgres_url)
    await fill(store, make_cluster())
    yield store
    await store.aclose()


@pytest.fixture
async def transactions(postgres_url: str) -> AsyncIterator[Transactions]:
    """The same database, for functions of a test's own."""
    transactions = await Transactions.open(postgres_url)
    yield transactions
    await transactions.aclose()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
async def test_after_a_restart_the_next_call_of_each_connection_goes_well(
    store: Store, postgres: Postgres, how: signal.Signals
) -> None:
    await asyncio.gather(*(store.load("c1") for _ in range(20)))

    postgres.restart(how)

    answers = await asyncio.gather(*(store.load("c1") for _ in range(20)))
    assert {answer.cluster.id for answer in answers} == {"c1"}
    await store.save(await hold(store), Changes(events=(make_event("after"),)))


async def test_while_it_is_down_the_error_says_where_and_what_to_do_and_never_the_password(
    store: Store, postgres: Postgres, postgres_url: str
) -> None:
    named = await Store.open(postgres_url.replace("tradewind@", "tradewind:hidden@"))
    postgres.stop()
    try:
        with pytest.raises(StoreError) as raised:
            await named.load("c1")
        with pytest.raises(StoreError):
            await store.take_lease("c1", "h1", T0, T0 + MINUTE)
    finally:
        postgres.start()

    assert str(raised.value).startswith(f"{postgres_url}: PostgreSQL can't be reached; nothing was written. See that")
    assert "hidden" not in str(raised.value)
    assert "hidden" not in named.place
    await hold(store)
    await named.aclose()


async def test_what_was_under_way_when_the_connection_broke_is_done_again_as_a_whole(
    transactions: Transactions, postgres: Postgres
) -> None:
    tries = []

    def write(connection: Connection) -> None:
        tries.append(connection)
        connection.execute(text("INSERT INTO facts VALUES ('before', 'it broke')"))
        if len(tries) == 1:
            postgres.cut()
        connection.execute(text("INSERT INTO facts VALUES ('after', 'it broke')"))

    await transactions.write(write)

    assert await transactions.read(lambda c: c.execute(text("SELECT count(*) FROM facts")).scalar()) == 2
    assert len(tries) == 2


async def test_a_connection_that_breaks_while_it_keeps_is_not_tried_again_and_the_message_says_so(
    transactions: Transactions, postgres: Postgres
) -> None:
    def write(connection: Connection) -> None:
        connection.execute(text("INSERT INTO facts VALUES ('perhaps', 'kept')"))
        event.listen(connection, "commit", lambda _: postgres.cut())

    with pytest.raises(StoreError, match="whether the last change was kept isn't known|it is being stopped"):
        await transactions.write(write)

    assert await transactions.read(lambda c: c.execute(text("SELECT count(*) FROM facts")).scalar()) == 0


async def test_a_database_that_stands_still_keeps_nobody_waiting_for_ever(
    postgres_url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "ANSWER_TIMEOUT_S", 0.3)
    store = await Store.open(postgres_url)
    await fill(store, make_cluster())
    postgres.pause()
    try:
        with pytest.raises(StoreError, match="gave no answer for too long; nothing was written"):
            await store.change_intent("c1", lambda intent: replace(intent, stop=True), T0)
    finally:
        postgres.resume()

    assert not (await store.load("c1")).cluster.intent.stop
    await store.aclose()


async def test_of_two_transactions_that_wait_for_each_other_both_are_done(transactions: Transactions) -> None:
    both_hold_one = threading.Barrier(2)

    def write(connection: Connection, first: str, second: str, tries: list[str]) -> None:
        tries.append(first)
        count(connection, first)
        if len(tries) == 1:
            both_hold_one.wait(10)
        count(connection, second)

    def count(connection: Connection, name: str) -> None:
        connection.execute(text("UPDATE facts SET value = value || '+' WHERE name = :name"), {"name": name})

    await transactions.write(lambda c: c.execute(text("INSERT INTO facts VALUES ('a', ''), ('b', '')")) and None)
    one: list[str] = []
    other: list[str] = []
    await asyncio.gather(transactions.write(write, "a", "b", one), transactions.write(write, "b", "a", other))

    found = await transactions.read(lambda c: c.execute(text("SELECT value FROM facts")).scalars().all())
    assert found == ["++", "++"]
    assert len(one) + len(other) >= 3


async def test_a_read_sees_one_moment_whatever_is_written_meanwhile(transactions: Transactions, store: Store) -> None:
    has_read, was_written = threading.Event(), threading.Event()

    def read(connection: Connection) -> list[int | None]:
        count = text("SELECT count(*) FROM events")
        before = connection.execute(count).scalar()
        has_read.set()
        was_written.wait(10)
        return [before, connection.execute(count).scalar()]

    reading = asyncio.create_task(transactions.read(read))
    await asyncio.to_thread(has_read.wait, 10)
    await store.save(await hold(store), Changes(events=(make_event("meanwhile"),)))
    was_written.set()

    assert await reading == [1, 1]


async def test_who_only_reads_can_not_write(transactions: Transactions) -> None:
    with pytest.raises(StoreError, match="can only be read"):
        await transactions.read(lambda c: c.execute(text("DELETE FROM facts")) and None)


async def test_replicas_that_take_what_is_due_at_once_never_get_the_same(store: Store, postgres_url: str) -> None:
    for number in range(40):
        await store.create_cluster(make_cluster(f"d{number}", f"n{number}"), SECRETS)
    replicas = [await Store.open(postgres_url) for _ in range(3)]

    taken = await asyncio.gather(
        *(
            replica.take_due(T0, f"h{number}", T0 + MINUTE, limit=5)
            for _ in range(4)
            for number, replica in enumerate(replicas)
        )
    )

    leases = [lease for some in taken for lease in some]
    by_holder = {lease.cluster_id: lease.holder for lease in leases}
    assert all(by_holder[lease.cluster_id] == lease.holder for lease in leases)
    assert {lease.cluster_id: lease.holder for lease in await store.leases()} == by_holder
    for replica in replicas:
        await replica.aclose()


async def test_what_another_transaction_has_is_skipped_and_not_waited_for(store: Store, postgres_url: str) -> None:
    await store.create_cluster(make_cluster("c2", "n2"), SECRETS)
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT id FROM clusters WHERE id = 'c2' FOR UPDATE")

        taken = await asyncio.wait_for(store.take_due(T0 + MINUTE, "h1", T0 + 2 * MINUTE), 5)

    assert [lease.cluster_id for lease in taken] == ["c1"]


async def test_a_row_that_is_kept_for_too_long_says_so(
    postgres_url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgresql._SESSION, "lock_timeout", "50ms")
    impatient = await Store.open(postgres_url)
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT id FROM clusters WHERE id = 'c1' FOR UPDATE")

        with pytest.raises(StoreError, match="another transaction has kept a row for 10 s; nothing was written"):
            await impatient.take_lease("c1", "h1", T0, T0 + MINUTE)

    await hold(impatient)
    await impatient.aclose()


async def test_people_s_text_that_can_not_be_kept_is_refused(store: Store) -> None:
    with pytest.raises(BadRequest, match="NUL"):
        await store.create_cluster(make_cluster("c2", "a\0b"), SECRETS)
    with pytest.raises(BadRequest, match="NUL"):
        await store.find_cluster("lab", "a\0b")
    with pytest.raises(BadRequest, match="no UTF-8"):
        await store.find_cluster("lab", "a\udcffb")
    with pytest.raises(BadRequest, match="can't keep this"):
        await store.list_clusters("lab", limit=10**30)


async def test_a_cluster_may_have_usages_of_petabytes(store: Store) -> None:
    instance = make_instance("big")
    usage = make_usage(instance)
    usage = replace(usage, resources=replace(usage.resources, memory=2**60, disk=2**62))

    await store.save(await hold(store), Changes(instances=(instance,), usages=(usage,)))

    assert usage in await store.usages(["c1"])


async def test_a_store_is_reached_by_a_socket_too(postgres: Postgres, postgres_url: str) -> None:
    url = postgres.socket_url_of(postgres_url.rpartition("/")[2])

    store = await Store.open(url)

    await fill(store, make_cluster())
    assert store.place == f"postgresql://tradewind@{postgres.directory}/{postgres_url.rpartition('/')[2]}"
    await store.aclose()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg", "postgresql+asyncpg"])
async def test_every_word_for_postgresql_means_the_driver_that_is_there(postgres_url: str, scheme: str) -> None:
    store = await Store.open(postgres_url.replace("postgresql", scheme))

    assert store.place == postgres_url
    await store.aclose()


async def test_a_database_that_is_not_there_is_named_with_the_next_step(postgres: Postgres) -> None:
    with pytest.raises(StoreError, match=r"/nowhere: .*database \"nowhere\" does not exist"):
        await Store.open(postgres.url_of("nowhere"))
