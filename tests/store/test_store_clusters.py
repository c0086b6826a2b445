from __future__ import annotations

import traceback
from dataclasses import replace

import pytest
from store_records import MINUTE, SECRETS, T0, hold, make_cluster

from tradewind.errors import NameTaken, NotFound, StoreError
from tradewind.model.cluster import ClusterStatus, Intent, Scaling, StopReason
from tradewind.store.store import Changes, Store


async def stop(store: Store, cluster_id: str) -> None:
    lease = await hold(store, cluster_id)
    cluster = await store.get_cluster(cluster_id)
    stopped = replace(cluster, status=ClusterStatus.STOPPED, stop_reason=StopReason.ASKED, stopped_at=T0)
    await store.save(lease, Changes(cluster=stopped))
    await store.release_lease(lease)


def to_five(intent: Intent) -> Intent:
    return replace(intent, scaling=Scaling.fixed(5))


async def test_a_created_cluster_is_found_by_name_and_by_id_in_its_workspace_alone(store: Store) -> None:
    cluster = make_cluster()
    await store.create_cluster(cluster, SECRETS)

    assert await store.find_cluster("lab", "ocean") == cluster
    assert await store.find_cluster("lab", "c1") == cluster
    assert await store.find_cluster("other", "ocean") is None
    assert await store.get_cluster("c1") == cluster
    assert await store.secrets("c1") == SECRETS


async def test_an_id_goes_before_a_newer_cluster_of_that_name(store: Store) -> None:
    await store.create_cluster(make_cluster("c1", "ocean"), SECRETS)
    await store.create_cluster(make_cluster("c2", "c1", at=T0 + MINUTE), SECRETS)

    found = await store.find_cluster("lab", "c1")

    assert found is not None
    assert found.id == "c1"


async def test_the_name_of_a_live_cluster_is_taken_and_the_message_says_by_what(store: Store) -> None:
    await store.create_cluster(make_cluster("c1"), SECRETS)

    with pytest.raises(NameTaken, match=r"'ocean' .* ada .* pending \(id c1\).*choose another name"):
        await store.create_cluster(make_cluster("c2"), SECRETS)

    assert await store.secrets("c2") is None


async def test_the_name_of_a_stopping_cluster_is_taken_until_it_has_stopped(store: Store) -> None:
    await store.create_cluster(make_cluster("c1"), SECRETS)
    lease = await hold(store)
    await store.save(lease, Changes(cluster=replace(make_cluster("c1"), status=ClusterStatus.STOPPING)))
    with pytest.raises(NameTaken, match="Wait until it has stopped"):
        await store.create_cluster(make_cluster("c2"), SECRETS)
    await store.release_lease(lease)
    await stop(store, "c1")

    await store.create_cluster(make_cluster("c2", at=T0 + MINUTE), SECRETS)

    assert [cluster.id for cluster in await store.list_clusters("lab")] == ["c2", "c1"]
    assert [cluster.id for cluster in await store.list_clusters("lab", live=True)] == ["c2"]
    assert [cluster.id for cluster in await store.list_clusters("lab", live=False)] == ["c1"]
    assert [cluster.id for cluster in await store.list_clusters("lab", limit=1)] == ["c2"]


async def test_no_key_is_in_an_error_nor_in_what_a_log_would_show_of_it(store: Store) -> None:
    await store.create_cluster(make_cluster("c1"), SECRETS)

    with pytest.raises(StoreError) as raised:
        await store.create_cluster(make_cluster("c1", "another"), SECRETS)

    shown = "".join(traceback.format_exception(raised.value))
    assert "nobody-may-find" not in shown
    assert "ocean" not in shown


async def test_a_name_may_live_once_in_each_workspace(store: Store) -> None:
    await store.create_cluster(make_cluster("c1"), SECRETS)
    await store.create_cluster(make_cluster("c2", workspace="other"), SECRETS)

    assert [cluster.id for cluster in await store.list_clusters("other")] == ["c2"]


async def test_a_stopped_cluster_is_found_only_when_asked_for(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    await stop(store, "c1")

    assert await store.find_cluster("lab", "ocean") is None
    found = await store.find_cluster("lab", "ocean", live=False)
    assert found is not None
    assert found.status is ClusterStatus.STOPPED


async def test_what_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound, match="no cluster 'c9'"):
        await store.get_cluster("c9")
    with pytest.raises(NotFound):
        await store.load("c9")
    with pytest.raises(NotFound):
        await store.revision("c9")
    with pytest.raises(NotFound):
        await store.change_intent("c9", to_five, T0)
    with pytest.raises(NotFound):
        await store.take_lease("c9", "h1", T0, T0 + MINUTE)


async def test_a_changed_intent_wakes_the_cluster_and_raises_its_revision(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    lease = await hold(store)
    await store.save(lease, Changes(cluster=make_cluster(), wake_at=T0 + 60 * MINUTE))
    await store.release_lease(lease)
    before = await store.revision("c1")
    assert await store.due(T0 + MINUTE) == ()

    changed = await store.change_intent("c1", to_five, T0 + MINUTE)

    assert changed.intent.scaling == Scaling.fixed(5)
    assert changed.spec.scaling == Scaling.fixed(2)
    assert await store.get_cluster("c1") == changed
    assert await store.revision("c1") == before + 1
    assert await store.due(T0 + MINUTE) == ("c1",)


async def test_an_intent_that_stays_the_same_wakes_nobody(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    before = await store.revision("c1")

    await store.change_intent("c1", lambda intent: intent, T0 + MINUTE)

    assert await store.revision("c1") == before


async def test_the_intent_of_a_stopped_cluster_stays_as_it_is(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    await stop(store, "c1")

    cluster = await store.change_intent("c1", to_five, T0)

    assert cluster.status is ClusterStatus.STOPPED
    assert cluster.intent.scaling == Scaling.fixed(2)


async def test_a_change_that_raises_changes_nothing(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)

    def refuse(intent: Intent) -> Intent:
        raise LookupError("no such worker")

    with pytest.raises(LookupError, match="no such worker"):
        await store.change_intent("c1", refuse, T0)

    assert await store.get_cluster("c1") == make_cluster()


async def test_a_store_in_memory_keeps_a_cluster_until_it_closes() -> None:
    store = await Store.open("sqlite://")
    await store.create_cluster(make_cluster(), SECRETS)

    assert await store.get_cluster("c1") == make_cluster()
    await store.aclose()
    await store.aclose()
