"""What is decided once, and what is done once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import insert
from store_records import MINUTE, SECRETS, T0, make_cluster

from tradewind import wire
from tradewind.errors import BadRequest, NameTaken, Unavailable
from tradewind.store.idempotency import KEPT, Answer, Once
from tradewind.store.schema import idempotency
from tradewind.store.sql import database
from tradewind.store.store import Store


async def test_the_first_value_of_a_fact_stands_for_all(store: Store, url: str) -> None:
    other = await Store.open(url)

    found = await asyncio.gather(*(each.facts.agree("key", f"value {n}") for n in range(10) for each in (store, other)))

    assert len(set(found)) == 1
    assert await store.facts.agree("key", "another") == found[0]
    assert await store.facts.agree("other key", "another") == "another"
    await other.aclose()


ASKED = Once(user_id="u1", key="k1", request_hash="hash", status=201, at=T0)


async def test_of_equal_requests_at_once_one_alone_makes_anything(store: Store, url: str) -> None:
    other = await Store.open(url)
    made = [make_cluster(f"c{number}", f"n{number}") for number in range(10)]

    done = await asyncio.gather(
        *(each.create_cluster(c, SECRETS, once=ASKED) for c, each in zip(made, [store, other] * 5, strict=True)),
        return_exceptions=True,
    )

    winners = [cluster for cluster, error in zip(made, done, strict=True) if error is None]
    assert [type(error) for error in done if error is not None] == [Unavailable] * 9
    assert tuple(await store.list_clusters("lab")) == tuple(winners)
    assert await other.idempotency.answer(ASKED) == Answer(status=201, body=wire.dump_json(winners[0]))
    await other.aclose()


async def test_what_was_not_made_was_not_answered(store: Store) -> None:
    await store.create_cluster(make_cluster("c1", "ocean"), SECRETS)

    with pytest.raises(NameTaken):
        await store.create_cluster(make_cluster("c2", "ocean"), SECRETS, once=ASKED)

    assert await store.idempotency.answer(ASKED) is None
    await store.create_cluster(make_cluster("c3", "other"), SECRETS, once=ASKED)
    assert await store.idempotency.answer(ASKED) is not None


async def test_a_key_that_was_used_for_another_request_is_a_mistake(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS, once=ASKED)

    with pytest.raises(BadRequest, match="used for another request"):
        await store.idempotency.answer(replace(ASKED, request_hash="other"))
    assert await store.idempotency.answer(replace(ASKED, user_id="u2", request_hash="other")) is None


async def test_an_answer_is_forgotten_after_a_day(store: Store) -> None:
    await store.create_cluster(make_cluster("c1", "n1"), SECRETS, once=ASKED)
    again = replace(ASKED, request_hash="other", at=T0 + KEPT)

    assert await store.idempotency.answer(replace(ASKED, at=T0 + KEPT - MINUTE)) is not None
    assert await store.idempotency.answer(again) is None
    await store.create_cluster(make_cluster("c2", "n2"), SECRETS, once=again)
    assert await store.idempotency.forget(T0 + KEPT) == 0
    assert await store.idempotency.forget(T0 + 2 * KEPT) == 1
    assert await store.idempotency.answer(again) is None


async def test_what_a_server_of_before_left_unanswered_keeps_nobody_waiting(store: Store, url: str) -> None:
    with database.connect(url)[0].begin() as connection:
        connection.execute(
            insert(idempotency).values(user_id="u1", key="k1", request_hash="other", created_at=T0 - MINUTE)
        )

    assert await store.idempotency.answer(ASKED) is None
    await store.create_cluster(make_cluster(), SECRETS, once=ASKED)

    assert await store.idempotency.answer(ASKED) is not None
