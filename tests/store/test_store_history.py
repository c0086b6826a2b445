from __future__ import annotations

from dataclasses import replace

import pytest
from store_records import (
    MINUTE,
    SECRETS,
    T0,
    hold,
    make_cluster,
    make_computation,
    make_event,
    make_instance,
    make_usage,
)

from tradewind.errors import BadRequest, NotFound
from tradewind.store.store import Changes, Store


async def test_events_come_in_order_after_the_entry_asked_for(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    lease = await hold(store)
    await store.save(lease, Changes(events=(make_event("one"), make_event("two"))))
    [(first, _), (second, _)] = await store.events("c1")

    await store.save(lease, Changes(events=(make_event("three"),)))

    assert first < second
    assert [event.message for _, event in await store.events("c1", after=first)] == ["two", "three"]


async def test_usages_of_a_range_are_those_that_overlap_it(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    instance = make_instance()
    early = make_usage(instance, 0, T0, stopped_at=T0 + MINUTE)
    middle = make_usage(instance, 1, T0 + MINUTE, stopped_at=T0 + 2 * MINUTE)
    running = make_usage(instance, 2, T0 + 2 * MINUTE)
    await store.save(await hold(store), Changes(instances=(instance,), usages=(early, middle, running)))

    assert await store.usages() == (early, middle, running)
    assert await store.usages(since=T0 + MINUTE) == (middle, running)
    assert await store.usages(until=T0 + 2 * MINUTE) == (early, middle)
    assert await store.usages(since=T0 + 1.5 * MINUTE, until=T0 + 1.6 * MINUTE) == (middle,)
    assert await store.usages(since=T0 + 60 * MINUTE) == (running,)


async def test_usages_are_those_of_the_clusters_and_the_workspace_asked_for(store: Store) -> None:
    for id, workspace in [("c1", "lab"), ("c2", "lab"), ("c3", "other")]:
        await store.create_cluster(make_cluster(id, id, workspace), SECRETS)
        instance = make_instance(f"i-{id}", id)
        usage = replace(make_usage(instance), workspace=workspace)
        await store.save(await hold(store, id), Changes(instances=(instance,), usages=(usage,)))

    assert {usage.cluster_id for usage in await store.usages(workspace="lab")} == {"c1", "c2"}
    assert {usage.cluster_id for usage in await store.usages(["c2", "c3"])} == {"c2", "c3"}
    assert await store.usages([]) == ()


async def test_computations_come_newest_first_and_what_has_not_begun_before_them(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    await store.create_cluster(make_cluster("c2", "n2"), SECRETS)
    old = make_computation("aa11", started_at=T0)
    new = make_computation("aa22", started_at=T0 + MINUTE)
    waiting = make_computation("bb33", started_at=None)
    await store.save(await hold(store), Changes(computations=(old, new, waiting)))
    other = make_computation("cc44", "c2")
    await store.save(await hold(store, "c2"), Changes(computations=(other,)))

    assert await store.computations("lab", "c1") == (waiting, new, old)
    assert await store.computations("lab", limit=2) == (waiting, new)
    assert await store.computations("lab", "c2") == (other,)
    assert await store.computations("elsewhere") == ()


async def test_a_computation_is_found_by_an_unambiguous_beginning_of_its_id(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    found = [make_computation(id) for id in ("aa11", "aa11-2", "aa_2", "bb33")]
    await store.save(await hold(store), Changes(computations=tuple(found)))

    assert (await store.computation("lab", "b")).id == "bb33"
    assert (await store.computation("lab", "aa11")).id == "aa11"
    with pytest.raises(BadRequest, match=r"'aa1' could be any of aa11, aa11-2; give more"):
        await store.computation("lab", "aa1")
    with pytest.raises(NotFound, match="'a%'"):
        await store.computation("lab", "a%")
    with pytest.raises(NotFound, match="'BB'"):
        await store.computation("lab", "BB")
    with pytest.raises(NotFound):
        await store.computation("elsewhere", "b")
