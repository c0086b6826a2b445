from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest
from store_records import (
    MINUTE,
    SECRETS,
    T0,
    fill,
    hold,
    make_cluster,
    make_computation,
    make_event,
    make_instance,
    make_usage,
    make_view,
    url_of,
)

from tradewind.errors import LeaseLost
from tradewind.model.cluster import ClusterStatus, Intent, Scaling
from tradewind.model.environment import Environment
from tradewind.model.instance import Contact, InstanceStatus
from tradewind.store.access.audit import By
from tradewind.store.records import Changes, Lease
from tradewind.store.store import Store

SECOND = timedelta(seconds=1)
LEASE = 15 * SECOND


def to_five(intent: Intent) -> Intent:
    return replace(intent, scaling=Scaling.fixed(5))


def bytes_beside(path: Path) -> bytes:
    """Return all bytes of the file and of those SQLite keeps beside it."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


async def test_another_holder_gets_no_lease_while_one_is_valid(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    await hold(store, holder="h1")

    assert await store.take_lease("c1", "h2", T0 + MINUTE / 2, T0 + 2 * MINUTE) is None
    await store.change_intent("c1", to_five, T0)
    assert await store.due(T0, holder="h2") == ()
    assert await store.due(T0, holder="h1") == ("c1",)


async def test_the_same_holder_renews_with_the_same_epoch_even_late(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    first = await hold(store)

    again = await hold(store, now=T0 + 10 * MINUTE)

    assert again.epoch == first.epoch
    await store.save(first, Changes())


async def test_a_take_over_raises_the_epoch_and_the_first_holder_can_save_nothing(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    first = await hold(store, holder="h1")
    second = await hold(store, holder="h2", now=T0 + MINUTE)
    assert second.epoch == first.epoch + 1

    changed = replace(make_cluster(), status=ClusterStatus.RUNNING)
    with pytest.raises(LeaseLost, match=r"cluster c1 is looked after by h2 .* Load it again"):
        await store.save(first, Changes(cluster=changed, instances=(make_instance(),), events=(make_event(),)))

    assert await store.get_cluster("c1") == make_cluster()
    assert await store.instances("c1") == ()
    assert await store.events("c1") == ()


async def test_a_released_lease_is_free_for_others_and_its_epoch_never_comes_again(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    first = await hold(store)
    await store.release_lease(first, T0)

    with pytest.raises(LeaseLost, match="nobody"):
        await store.save(first, Changes())
    assert await store.due(T0, holder="h2") == ("c1",)
    assert (await hold(store)).epoch == first.epoch + 1


async def test_releasing_a_lost_lease_leaves_the_new_holder_alone(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    first = await hold(store, holder="h1")
    second = await hold(store, holder="h2", now=T0 + MINUTE)

    await store.release_lease(first)

    await store.save(second, Changes())


async def test_due_are_live_clusters_whose_time_has_come_the_longest_due_first(store: Store) -> None:
    for number, wait in enumerate([3, 1, 2, 99]):
        cluster = make_cluster(f"c{number}", f"n{number}")
        await store.create_cluster(cluster, SECRETS)
        lease = await hold(store, cluster.id)
        await store.save(lease, Changes(cluster=cluster, wake_at=T0 + wait * MINUTE))
        await store.release_lease(lease)
    lease = await hold(store, "c2")
    await store.save(lease, Changes(cluster=replace(make_cluster("c2", "n2"), status=ClusterStatus.STOPPED)))
    await store.release_lease(lease)

    assert await store.due(T0 + 3 * MINUTE) == ("c1", "c0")
    assert await store.due(T0 + 3 * MINUTE, limit=1) == ("c1",)


async def test_what_is_saved_is_what_is_loaded(store: Store) -> None:
    cluster = make_cluster()
    changes = await fill(store, cluster)

    loaded = await store.load("c1")

    assert loaded.cluster == cluster
    assert loaded.instances == changes.instances
    assert loaded.open_usages == changes.usages
    assert loaded.secrets == SECRETS


async def test_a_second_save_changes_rows_instead_of_adding_them(store: Store) -> None:
    changes = await fill(store, make_cluster())
    lease = await hold(store)
    running = replace(changes.instances[0], status=InstanceStatus.RUNNING, handle="pid:7", running_at=T0 + MINUTE)
    closed = replace(changes.usages[0], stopped_at=T0 + MINUTE)
    opened = replace(closed, sequence=1, started_at=T0 + MINUTE, stopped_at=None)
    done = replace(changes.computations[0], done=True)

    await store.save(lease, Changes(instances=(running,), usages=(closed, opened), computations=(done,)))

    loaded = await store.load("c1")
    assert loaded.instances == (running,)
    assert loaded.open_usages == (opened,)
    assert await store.usages(["c1"]) == (closed, opened)
    assert await store.computations("lab") == (done,)


async def test_save_never_writes_the_spec_or_the_intent(store: Store) -> None:
    cluster = make_cluster()
    await store.create_cluster(cluster, SECRETS)
    lease = await hold(store)
    wanted = await store.change_intent("c1", to_five, T0 + MINUTE)

    overtaken = replace(cluster, status=ClusterStatus.RUNNING, spec=replace(cluster.spec, provider="other"))
    await store.save(lease, Changes(cluster=overtaken, wake_at=T0 + 60 * MINUTE))

    found = await store.get_cluster("c1")
    assert found.intent == wanted.intent
    assert found.spec == cluster.spec
    assert found.status is ClusterStatus.RUNNING


async def test_an_intent_changed_during_a_round_is_not_slept_over(store: Store) -> None:
    cluster = make_cluster()
    await store.create_cluster(cluster, SECRETS)
    lease = await hold(store)
    await store.change_intent("c1", to_five, T0 + MINUTE)

    await store.save(lease, Changes(cluster=cluster, wake_at=T0 + 60 * MINUTE))
    assert await store.due(T0 + MINUTE, holder="h1") == ("c1",)

    seen = await store.load("c1")
    read = replace(lease, revision=seen.revision)
    await store.save(read, Changes(cluster=seen.cluster, wake_at=T0 + 60 * MINUTE))
    assert await store.due(T0 + 59 * MINUTE, holder="h1") == ()


async def test_a_save_and_a_budget_set_at_once_leave_the_cluster_due(store: Store, url: str) -> None:
    other = await Store.open(url)
    for number in range(20):
        name = f"c{number}"
        cluster = make_cluster(name, name, workspace=f"lab{number}")
        await store.create_cluster(cluster, SECRETS)
        first = await hold(store, name)
        await store.save(first, Changes(cluster=cluster, wake_at=T0 + 30 * MINUTE))
        lease = await hold(store, name)
        limit = make_view(f"lab{number}", T0 + MINUTE)
        entry = By(user="ada", at=T0 + MINUTE).did("budget.created", limit.budget.id)
        saving = store.save(lease, Changes(cluster=cluster, wake_at=T0 + 60 * MINUTE))
        setting = other.money.add(limit, (), entry)

        await asyncio.gather(*((saving, setting) if number % 2 else (setting, saving)))

        assert await store.due(T0 + MINUTE, holder="h1") == (name,)
        await store.save(replace(lease, revision=99), Changes(cluster=replace(cluster, status=ClusterStatus.STOPPED)))
    await other.aclose()


async def test_a_budget_changed_after_the_load_is_not_slept_over_by_the_save(store: Store) -> None:
    cluster = make_cluster()
    limit = make_view("lab", T0)
    await store.money.add(limit, (), By(user="ada", at=T0).did("budget.created", limit.budget.id))
    await store.create_cluster(cluster, SECRETS)
    await store.save(await hold(store), Changes(cluster=cluster, wake_at=T0 + 30 * MINUTE))
    lease = await hold(store)
    assert (await store.load("c1")).revision == lease.revision

    softer = replace(limit.budget, is_hard=False)
    await store.money.change(softer, By(user="ada", at=T0 + MINUTE).did("budget.changed", softer.id))
    await store.save(lease, Changes(wake_at=T0 + 60 * MINUTE))

    assert await store.due(T0 + MINUTE, holder="h1") == ("c1",)


async def test_secrets_go_with_the_save_that_says_stopped_and_leave_no_trace_in_the_file(path: Path) -> None:
    store = await Store.open(url_of(path))
    await store.create_cluster(make_cluster(), SECRETS)
    await store.aclose()
    assert b"key-nobody-may-find" in bytes_beside(path)
    store = await Store.open(url_of(path))
    lease = await hold(store)
    await store.save(lease, Changes(cluster=replace(make_cluster(), status=ClusterStatus.STOPPING)))
    assert await store.secrets("c1") == SECRETS

    await store.save(lease, Changes(cluster=replace(make_cluster(), status=ClusterStatus.STOPPED)))

    assert await store.secrets("c1") is None
    assert (await store.load("c1")).secrets is None
    await store.aclose()
    assert b"nobody-may-find" not in bytes_beside(path)


async def test_the_environment_is_written_when_it_changes(store: Store) -> None:
    cluster = make_cluster()
    await store.create_cluster(cluster, SECRETS)
    lease = await hold(store)
    other = Environment(python="3.12.1", platform="linux-x86_64", packages=(), content_hash="h2")

    await store.save(lease, Changes(cluster=replace(cluster, environment=other)))
    assert (await store.get_cluster("c1")).environment == other

    await store.save(
        replace(lease, revision=await store.revision("c1")), Changes(cluster=replace(cluster, environment=None))
    )
    assert (await store.get_cluster("c1")).environment is None


async def test_a_round_that_read_before_does_not_undo_what_people_chose_for_new_workers(store: Store) -> None:
    cluster = make_cluster()
    await store.create_cluster(cluster, SECRETS)
    lease = await hold(store)
    chosen = Environment(python="3.12.1", platform="linux-x86_64", packages=(), content_hash="h3")
    before = await store.revision("c1")

    await store.equip("c1", chosen, T0)
    await store.save(lease, Changes(cluster=cluster))

    after = await store.get_cluster("c1")
    assert (after.environment, after.intent.equipment) == (chosen, "h3")
    assert await store.revision("c1") == before + 2
    await store.equip("c1", chosen, T0)
    assert await store.revision("c1") == before + 2, "the same again is no change"
    await store.equip("c1", None, T0, compiled="c1")
    after = await store.get_cluster("c1")
    assert (after.environment, after.intent.equipment) == (chosen, "h3+c1"), "what isn't named stays"


async def test_a_lease_saves_nothing_that_belongs_to_another_cluster(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    await store.create_cluster(make_cluster("c2", "n2"), SECRETS)
    lease = await hold(store)

    for stolen in (
        Changes(cluster=make_cluster("c2")),
        Changes(instances=(make_instance(cluster_id="c2"),)),
        Changes(usages=(make_usage(make_instance(cluster_id="c2")),)),
        Changes(events=(make_event(cluster_id="c2"),)),
        Changes(computations=(make_computation(cluster_id="c2"),)),
    ):
        with pytest.raises(ValueError, match="belongs to c2"):
            await store.save(lease, stolen)


async def test_a_computation_of_another_cluster_is_not_taken_over_by_its_id(store: Store) -> None:
    await fill(store, make_cluster("c1", "n1"))
    await fill(store, make_cluster("c2", "n2"))
    lease = await hold(store, "c1")

    await store.save(lease, Changes(computations=(make_computation("aa-c2", "c1"),)))

    assert [found.cluster_id for found in await store.computations("lab", "c2")] == ["c2"]


async def test_a_naive_time_is_refused_and_nothing_is_written(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    lease = await hold(store)
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - the fault under test

    with pytest.raises(ValueError, match="no time zone"):
        await store.save(lease, Changes(events=(make_event(), replace(make_event(), at=naive))))

    assert await store.events("c1") == ()


async def test_what_no_database_keeps_of_a_machine_s_words_costs_no_round(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    words = "exit \0 /data/caf\udce9.nc"
    contact = Contact(scheduler=f"tls://{words}", agent="https://h", dashboard=None)
    instance = replace(make_instance(), detail=words, handle=words)

    await store.save(
        await hold(store),
        Changes(
            cluster=replace(make_cluster(), stop_detail=words, contact=contact),
            instances=(instance,),
            usages=(make_usage(instance, vm_type=words, region=words),),
            events=(make_event(words),),
        ),
    )

    kept = "exit \ufffd /data/caf\ufffd.nc"
    loaded = await store.load("c1")
    [(_, event)] = await store.events("c1")
    assert loaded.cluster.contact is not None
    assert loaded.cluster.contact.scheduler == f"tls://{kept}"
    assert loaded.cluster.stop_detail == loaded.instances[0].detail == loaded.instances[0].handle == kept
    assert loaded.open_usages[0].vm_type == loaded.open_usages[0].region == event.message == kept


async def test_what_is_taken_in_vain_is_due_again_later_each_time_up_to_a_minute(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    now, waits = T0, []

    for holder in ("h1", "h2", "h1", "h2", "h1"):
        assert await store.take_lease("c1", holder, now, now + LEASE)
        taken = now
        while not await store.due(now, holder=holder):
            now += SECOND
        waits.append((now - taken) / SECOND)

    assert waits == [15, 30, 60, 60, 60]


async def taken_in_vain(store: Store) -> Lease:
    """Take a cluster three times, the last time now; each lease before ran out in a round that went wrong."""
    for late in (2, 1, 0):
        lease = await store.take_lease("c1", "h1", T0 - late * LEASE, T0 - late * LEASE + LEASE)
    assert lease is not None
    return lease


async def test_whom_people_call_all_the_time_is_taken_over_as_soon_as_others_are(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    now = T0
    for number in range(8):
        await store.change_intent("c1", partial(replace, scaling=Scaling.fixed(number)), now)
        (lease,) = await store.take_due(now, "h1", now + LEASE)
        await store.save(lease, Changes(wake_at=now + LEASE))
        now += 5 * SECOND

    dies_at = now - 5 * SECOND
    assert await store.due(dies_at + LEASE, holder="h2") == ("c1",)


async def test_once_a_round_went_well_a_cluster_isnt_put_off_for_longer_any_more(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    await taken_in_vain(store)

    now = T0 + 2 * LEASE
    await store.renew_leases("h1", ("c1",), now, now + LEASE)
    now += 10 * LEASE
    await store.take_lease("c1", "h2", now, now + LEASE)

    assert await store.due(now + LEASE, holder="h2") == ("c1",)


async def test_a_lease_renewed_in_the_middle_of_a_round_says_nothing_of_how_it_ends(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    lease = await taken_in_vain(store)
    await store.take_lease("c1", "h1", T0 + LEASE, T0 + 2 * LEASE, read=lease.revision)

    now = T0 + 10 * LEASE
    await store.take_lease("c1", "h2", now, now + LEASE)

    assert await store.due(now + 59 * SECOND, holder="h2") == ()
    assert await store.due(now + 60 * SECOND, holder="h2") == ("c1",)


async def test_what_is_saved_in_a_round_that_may_still_go_wrong_doesnt_bring_a_cluster_forward(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    lease = await taken_in_vain(store)

    await store.save(lease, Changes(wake_at=T0 + LEASE))

    assert await store.due(T0 + 59 * SECOND, holder="h1") == ()
    assert await store.due(T0 + 60 * SECOND, holder="h1") == ("c1",)


async def test_what_people_want_of_a_cluster_that_is_put_off_makes_it_due_at_once(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    lease = await taken_in_vain(store)

    await store.change_intent("c1", to_five, T0 + SECOND)
    await store.save(lease, Changes(wake_at=T0 + LEASE))

    assert await store.due(T0 + SECOND, holder="h1") == ("c1",)


async def test_clusters_of_a_provider_that_is_left_out_arent_due(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    provider = make_cluster().spec.provider

    assert await store.due(T0, without=(provider,)) == ()
    assert await store.due(T0, without=("another",)) == ("c1",)


async def test_what_is_due_is_taken_with_its_leases_the_longest_due_first(store: Store) -> None:
    for number, wait in enumerate([3, 1, 2, 99]):
        cluster = make_cluster(f"c{number}", f"n{number}")
        await store.create_cluster(cluster, SECRETS, holder="h1", until=T0 + MINUTE)
        await store.save(await hold(store, cluster.id), Changes(cluster=cluster, wake_at=T0 + wait * MINUTE))
    first = await hold(store, "c1")
    now, until = T0 + 5 * MINUTE, T0 + 6 * MINUTE

    assert await store.take_due(T0, "h2", until) == ()
    taken = await store.take_due(now, "h2", until, limit=2)
    more = await store.take_due(now, "h2", until)

    assert [(lease.cluster_id, lease.epoch) for lease in taken] == [("c1", 1), ("c2", 1)]
    assert [(lease.cluster_id, lease.epoch) for lease in more] == [("c0", 1)]
    assert await store.take_due(now, "h3", until) == ()
    with pytest.raises(LeaseLost):
        await store.save(first, Changes())
    await store.save(taken[0], Changes())


async def test_times_of_any_zone_come_back_as_the_same_moment_in_utc(store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    lease = await hold(store)
    elsewhere = T0.astimezone(timezone(timedelta(hours=-7)))

    await store.save(lease, Changes(events=(replace(make_event(), at=elsewhere),)))

    [(_, event)] = await store.events("c1")
    assert event.at == T0
    assert event.at.utcoffset() == timedelta(0)
