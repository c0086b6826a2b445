"""What is decided once, and what is done once."""

from __future__ import annotations

import asyncio

from store_records import MINUTE, T0

from tradewind.store.idempotency import KEPT, PATIENCE, Begun, Done
from tradewind.store.store import Store


async def test_the_first_value_of_a_fact_stands_for_all(store: Store, url: str) -> None:
    other = await Store.open(url)

    found = await asyncio.gather(*(each.facts.agree("key", f"value {n}") for n in range(10) for each in (store, other)))

    assert len(set(found)) == 1
    assert await store.facts.agree("key", "another") == found[0]
    assert await store.facts.agree("other key", "another") == "another"
    await other.aclose()


async def test_of_equal_requests_at_once_one_alone_is_done(store: Store, url: str) -> None:
    other = await Store.open(url)

    found = await asyncio.gather(
        *(each.idempotency.begin("u1", "k1", "hash", T0) for _ in range(5) for each in (store, other))
    )

    assert sorted(begun.name for begun in found if isinstance(begun, Begun)) == ["FRESH", *["UNDER_WAY"] * 9]
    await other.aclose()


async def test_a_request_that_was_answered_gets_the_same_answer_again(store: Store) -> None:
    await store.idempotency.begin("u1", "k1", "hash", T0)
    await store.idempotency.finish("u1", "k1", 201, '{"id": "c1"}')
    await store.idempotency.finish("u1", "k1", 500, "{}")

    assert await store.idempotency.begin("u1", "k1", "hash", T0 + MINUTE) == Done(status=201, body='{"id": "c1"}')


async def test_a_key_that_was_used_for_another_request_is_a_mistake(store: Store) -> None:
    await store.idempotency.begin("u1", "k1", "hash", T0)

    assert await store.idempotency.begin("u1", "k1", "other", T0) is Begun.OTHER_REQUEST
    assert await store.idempotency.begin("u2", "k1", "other", T0) is Begun.FRESH


async def test_a_request_whose_server_died_may_be_sent_again(store: Store) -> None:
    await store.idempotency.begin("u1", "k1", "hash", T0)

    assert await store.idempotency.begin("u1", "k1", "hash", T0 + PATIENCE / 2) is Begun.UNDER_WAY
    assert await store.idempotency.begin("u1", "k1", "hash", T0 + PATIENCE) is Begun.FRESH
    assert await store.idempotency.begin("u1", "k1", "hash", T0 + PATIENCE) is Begun.UNDER_WAY


async def test_a_request_that_failed_may_be_sent_again_at_once_but_no_answer_is_forgotten(store: Store) -> None:
    await store.idempotency.begin("u1", "k1", "hash", T0)
    await store.idempotency.abandon("u1", "k1")
    assert await store.idempotency.begin("u1", "k1", "hash", T0) is Begun.FRESH

    await store.idempotency.finish("u1", "k1", 201, "{}")
    await store.idempotency.abandon("u1", "k1")
    assert await store.idempotency.begin("u1", "k1", "hash", T0) == Done(status=201, body="{}")


async def test_an_answer_is_forgotten_after_a_day(store: Store) -> None:
    await store.idempotency.begin("u1", "k1", "hash", T0)
    await store.idempotency.finish("u1", "k1", 201, "{}")

    assert await store.idempotency.begin("u1", "k1", "other", T0 + KEPT) is Begun.FRESH
