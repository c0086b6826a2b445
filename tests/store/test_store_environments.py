"""Named environments: versions that never change, numbers that are never given again."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from store_records import SECRETS, T0, make_cluster

from tradewind import wire
from tradewind.errors import BadRequest, NameTaken, NotFound
from tradewind.model.environment import Artifact, Environment, Package, seal
from tradewind.model.exchange import MadeEnvironment
from tradewind.model.named import NamedEnvironment, content_of
from tradewind.store import environments as limits
from tradewind.store.access.audit import By
from tradewind.store.store import Store

BY = By(user="ada", at=T0)


def software(version: str = "1.0", platform: str = "linux-x86_64") -> Environment:
    packages = (Package(name="distributed", version="2026.8.0"), Package(name="melt", version=version))
    return seal(Environment(python="3.11", platform=platform, packages=packages, content_hash=""))


def named(version: str = "1.0", *, name: str = "climate", workspace: str = "lab", note: str = "") -> NamedEnvironment:
    environments = (software(version), software(version, "linux-aarch64"))
    return NamedEnvironment(
        workspace=workspace,
        name=name,
        version=0,
        created_at=T0,
        created_by="ada",
        content_hash=content_of(environments, ""),
        environments=environments,
        source="uv.lock",
        note=note,
    )


async def add(store: Store, one: NamedEnvironment) -> MadeEnvironment:
    return await store.environments.add(one, BY)


async def test_another_content_is_the_next_version_and_the_newest_is_what_the_name_means(store: Store) -> None:
    assert (await add(store, named("1.0"))).version.version == 1
    assert (await add(store, named("2.0"))).version.version == 2

    assert (await store.environments.get("lab", "climate")).environments == named("2.0").environments
    assert await store.environments.get("lab", "climate", 1) == replace(named("1.0"), version=1)


async def test_the_same_content_makes_no_version_whatever_is_said_of_it(store: Store) -> None:
    first = await add(store, named())

    again = await add(store, named(note="as in the paper"))

    assert (first.is_new, again.is_new) == (True, False)
    assert again.version == first.version
    assert [entry.action for entry in await store.people.audit("lab")] == ["environment.created"]


async def test_what_was_before_can_be_the_newest_again(store: Store) -> None:
    for version in ("1.0", "2.0", "1.0"):
        await add(store, named(version))

    assert [line.version for line in await store.environments.versions("lab", "climate")] == [3, 2, 1]


async def test_two_who_make_one_at_the_same_moment_make_two_versions_or_share_one(store: Store) -> None:
    made = await asyncio.gather(*(add(store, named(version)) for version in ("1.0", "2.0", "1.0", "2.0")))

    lines = await store.environments.versions("lab", "climate")
    assert sorted(line.version for line in lines) == list(range(1, len(lines) + 1))
    assert {one.version.content_hash for one in made} == {line.content_hash for line in lines}


async def test_a_list_has_the_newest_of_each_name_of_one_workspace_and_no_packages(store: Store) -> None:
    for one in (named("1.0"), named("2.0"), named(name="sea"), named(name="other", workspace="elsewhere")):
        await add(store, one)

    lines = await store.environments.newest("lab")

    assert [(line.reference, line.versions) for line in lines] == [("climate@2", 2), ("sea@1", 1)]
    assert (lines[0].platforms, lines[0].python, lines[0].packages) == (("linux-x86_64", "linux-aarch64"), "3.11", 2)


async def test_a_deleted_number_is_never_given_again(store: Store) -> None:
    await add(store, named("1.0"))
    await add(store, named("2.0"))
    await store.environments.delete("lab", "climate", 2, T0, BY)

    assert (await store.environments.get("lab", "climate")).version == 1
    assert (await add(store, named("2.0"))).version.version == 3
    await store.environments.delete("lab", "climate", None, T0, BY)
    assert await store.environments.newest("lab") == ()
    assert (await add(store, named("2.0"))).version.version == 4


async def test_what_isnt_there_is_told_with_what_is(store: Store) -> None:
    with pytest.raises(NotFound, match="'climate' in workspace 'lab'; none was made yet"):
        await store.environments.get("lab", "climate")
    await add(store, named())
    with pytest.raises(NotFound, match="no climate@7 .* the newest is climate@1"):
        await store.environments.get("lab", "climate", 7)
    with pytest.raises(NotFound, match="there are climate"):
        await store.environments.delete("lab", "climat", None, T0, BY)
    with pytest.raises(NotFound):
        await store.environments.versions("elsewhere", "climate")


async def test_what_a_live_cluster_runs_cant_be_deleted_and_others_can(store: Store) -> None:
    await add(store, named("1.0"))
    await add(store, named("2.0"))
    runs = replace(software("1.0"), name="climate@1")
    await store.create_cluster(replace(make_cluster("c1", "ocean"), environment=runs), SECRETS)

    for version in (1, None):
        with pytest.raises(NameTaken, match="climate@1 is what cluster ocean runs now; stop it first"):
            await store.environments.delete("lab", "climate", version, T0, BY)
    await store.environments.delete("lab", "climate", 2, T0, BY)

    assert [line.version for line in await store.environments.versions("lab", "climate")] == [1]
    assert (await store.get_cluster("c1")).environment == runs


async def test_a_cluster_that_gets_other_software_runs_that_name_no_more(store: Store) -> None:
    await add(store, named("1.0"))
    runs = replace(software("1.0"), name="climate@1")
    await store.create_cluster(replace(make_cluster("c1", "ocean"), environment=runs), SECRETS)

    await store.equip("c1", software("2.0"), T0)

    await store.environments.delete("lab", "climate", None, T0, BY)
    assert await store.environments.newest("lab") == ()


async def test_of_deleted_versions_the_last_number_alone_is_kept(store: Store) -> None:
    for number in range(1, 6):
        assert (await add(store, named("1.0"))).version.version == number
        await store.environments.delete("lab", "climate", number, T0, BY)

    kept = [one async for page in store.archive.pages("environments", "lab") for one in page]

    assert [(one.version, one.environments) for one in kept] == [(5, ())]


async def test_a_name_that_was_deleted_needs_a_place_like_a_new_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_NAMES", 2)
    for name in ("a", "b"):
        await add(store, named(name=name))
    await store.environments.delete("lab", "a", None, T0, BY)
    await add(store, named(name="c"))

    with pytest.raises(BadRequest, match="at most 2 named environments; delete"):
        await add(store, named(name="a"))
    await add(store, named("2.0", name="b"))
    await add(store, named(name="a", workspace="elsewhere"))


async def test_a_name_has_so_many_versions_that_are_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_VERSIONS", 2)
    for version in ("1.0", "2.0"):
        await add(store, named(version))
    with pytest.raises(BadRequest, match="climate has 2 versions, which is the most"):
        await add(store, named("3.0"))
    assert not (await add(store, named("2.0"))).is_new, "what is there already needs no room"
    await store.environments.delete("lab", "climate", 1, T0, BY)

    assert (await add(store, named("3.0"))).version.version == 3


async def test_what_takes_too_much_room_is_refused_and_deleting_makes_room(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = len(wire.dump_json(named().environments))
    monkeypatch.setattr(limits, "MOST_BYTES_IN_ALL", 2 * one)
    for name in ("a", "b"):
        await add(store, named(name=name))
    with pytest.raises(BadRequest, match=r"take 0\.0 MiB, and with this one it would be more"):
        await add(store, named(name="c"))
    await add(store, named(name="c", workspace="elsewhere"))
    await store.environments.delete("lab", "a", None, T0, BY)
    await add(store, named(name="c"))

    monkeypatch.setattr(limits, "MOST_BYTES", one - 1)
    with pytest.raises(BadRequest, match="lock it for fewer platforms"):
        await add(store, named(name="d", workspace="elsewhere"))


async def test_the_files_that_somebody_needs_are_those_of_live_clusters_and_of_kept_names(store: Store) -> None:
    def with_file(sha256: str) -> Environment:
        return seal(replace(software(), artifacts=(Artifact(file_name="x.whl", sha256=sha256, size=1),)))

    await add(store, replace(named(name="kept"), environments=(with_file("a" * 64),)))
    await add(store, replace(named(name="gone"), environments=(with_file("b" * 64),)))
    await store.environments.delete("lab", "gone", None, T0, BY)
    await store.create_cluster(replace(make_cluster(), environment=with_file("c" * 64)), SECRETS)

    assert await store.environments.files() == {"a" * 64, "c" * 64}
