"""Lists that come a page at a time."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from store_records import MINUTE, SECRETS, T0, hold, make_cluster, make_computation

from tradewind.errors import BadRequest
from tradewind.model.cluster import ClusterStatus
from tradewind.store import pages
from tradewind.store.store import Changes, Store


async def test_pages_of_clusters_are_the_whole_list_in_its_order_also_where_times_are_equal(store: Store) -> None:
    for number in range(7):
        await store.create_cluster(make_cluster(f"c{number}", f"n{number}", at=T0 + number // 3 * MINUTE), SECRETS)
    whole = await store.list_clusters("lab")
    assert [cluster.id for cluster in whole] == ["c6", "c5", "c4", "c3", "c2", "c1", "c0"]
    assert whole.next is None

    for limit in (1, 2, 3, 6, 7):
        found, cursor = [], None
        while True:
            page = await store.list_clusters("lab", limit=limit, cursor=cursor)
            assert len(page) <= limit
            found += page
            if (cursor := page.next) is None:
                break
        assert tuple(found) == whole


async def test_a_cluster_made_between_two_pages_moves_nothing(store: Store) -> None:
    for number in range(4):
        await store.create_cluster(make_cluster(f"c{number}", f"n{number}", at=T0 + number * MINUTE), SECRETS)
    first = await store.list_clusters("lab", limit=2)
    await store.create_cluster(make_cluster("c9", "n9", at=T0 + 9 * MINUTE), SECRETS)

    second = await store.list_clusters("lab", limit=2, cursor=first.next)

    assert [cluster.id for cluster in (*first, *second)] == ["c3", "c2", "c1", "c0"]


async def test_clusters_are_filtered_by_owner_and_status(store: Store) -> None:
    for number, owner in enumerate(["ada", "grace", "ada"]):
        cluster = replace(make_cluster(f"c{number}", f"n{number}", at=T0 + number * MINUTE), owner=owner)
        await store.create_cluster(cluster, SECRETS)
    running = replace(make_cluster("c2", "n2"), status=ClusterStatus.RUNNING)
    await store.save(await hold(store, "c2"), Changes(cluster=running))

    assert [cluster.id for cluster in await store.list_clusters("lab", owner="ada")] == ["c2", "c0"]
    assert [cluster.id for cluster in await store.list_clusters("lab", statuses={ClusterStatus.RUNNING})] == ["c2"]
    assert await store.list_clusters("lab", owner="grace", statuses={ClusterStatus.RUNNING}) == ()
    assert await store.list_clusters("lab", statuses=set()) == ()


async def test_pages_of_computations_are_the_whole_list_also_of_those_that_have_not_begun(store: Store) -> None:
    for cluster in ("c1", "c2"):
        await store.create_cluster(make_cluster(cluster, cluster), SECRETS)
        times = [None, None, T0, T0, T0 + MINUTE]
        made = tuple(make_computation(f"a{number}", cluster, at) for number, at in enumerate(times))
        await store.save(await hold(store, cluster), Changes(computations=made))
    whole = await store.computations("lab")
    assert len(whole) == 10

    for limit in (1, 3, 4, 9):
        found, cursor = [], None
        while True:
            page = await store.computations("lab", limit=limit, cursor=cursor)
            found += page
            if (cursor := page.next) is None:
                break
        assert tuple(found) == whole


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "no cursor",
        "größe",
        "bm9uZQ",
        base64.urlsafe_b64encode(b"[" * 9000).decode(),
        base64.urlsafe_b64encode(json.dumps(["2026-03-01T12:00:00", "c1"]).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps([T0.isoformat(), 7]).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps([T0.isoformat()]).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps({T0.isoformat(): 1, "c1": 2}).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps([None, "c1"]).encode()).decode(),
        pages.cursor([T0, "\udce9"]),
    ],
)
async def test_a_cursor_that_no_list_gave_is_refused(store: Store, cursor: str) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    with pytest.raises(BadRequest):
        await store.list_clusters("lab", cursor=cursor)
