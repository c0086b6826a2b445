"""What PostgreSQL alone does."""

from __future__ import annotations

from store_records import fill, make_cluster

from tradewind.store.store import Store


async def test_a_store_on_postgresql_keeps_what_it_was_given(postgres_url: str) -> None:
    store = await Store.open(postgres_url)
    changes = await fill(store, make_cluster())
    loaded = await store.load("c1")
    await store.aclose()
    assert loaded.cluster == make_cluster()
    assert loaded.instances == changes.instances
