"""What of a cluster's software counts as changed, and what new workers of it start with."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tradewind.client.door import Place
from tradewind.client.software.sync import Sync, Synced, changed_packages, refuse_for_scheduler, with_code_of
from tradewind.config import Settings
from tradewind.errors import BadRequest, SyncError
from tradewind.model.environment import Artifact, Environment, Package, Source, seal
from tradewind.model.exchange import Deposit, NewDeposit


def software(*packages: Package, artifacts: tuple[Artifact, ...] = (), **more: str) -> Environment:
    words = {"python": "3.11.7", "platform": "linux-x86_64", **more}
    ordered = tuple(sorted(packages, key=lambda one: one.name))
    files = tuple(sorted(artifacts, key=lambda one: one.file_name))
    return seal(Environment(packages=ordered, content_hash="", artifacts=files, **words))  # type: ignore[arg-type]


def package(name: str, version: str, source: Source = Source.INDEX, **more: str) -> Package:
    return Package(name=name, version=version, source=source, **more)  # type: ignore[arg-type]


NUMPY = package("numpy", "2.0")
CHANGES = [
    ("nothing", (NUMPY,), (NUMPY,), []),
    ("a version", (NUMPY,), (package("numpy", "2.1"),), [("numpy", "2.0", "2.1")]),
    ("a package more", (NUMPY,), (NUMPY, package("xarray", "1")), [("xarray", "", "1")]),
    ("a package less", (NUMPY, package("xarray", "1")), (NUMPY,), [("xarray", "1", "")]),
    ("who asked for it", (NUMPY,), (replace(NUMPY, is_requested=True),), []),
    (
        "one's own code",
        (package("mine", "1", Source.EDITABLE),),
        (package("mine", "2", Source.EDITABLE), package("more", "1", Source.DIRECTORY)),
        [],
    ),
    (
        "a commit",
        (package("lib", "1", Source.VCS, url="git+https://h/r@a"),),
        (package("lib", "1", Source.VCS, url="git+https://h/r@b"),),
        [("lib", "1", "1")],
    ),
    ("an index's name", (package("lib", "1", url="https://a/s"),), (package("lib", "1"),), []),
    (
        "a build of conda",
        (package("hdf5", "1", Source.CONDA, build="h1"),),
        (package("hdf5", "1", Source.CONDA, build="h2"),),
        [("hdf5", "1", "1")],
    ),
]


@pytest.mark.parametrize(("before", "now", "told"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_changed(before: tuple[Package, ...], now: tuple[Package, ...], told: list[tuple[str, str, str]]) -> None:
    found = changed_packages(software(*before), software(*now))
    assert [(one.package, one.there, one.here) for one in found] == told


def test_of_another_platform_nothing_is_told_and_of_another_python_that_alone() -> None:
    other = software(package("numpy", "1"), platform="macosx-arm64")
    assert changed_packages(other, software(NUMPY)) == ()
    assert changed_packages(None, software(NUMPY)) == ()
    (found,) = changed_packages(software(package("numpy", "1"), python="3.11.6"), software(NUMPY))
    assert (found.package, found.there, found.here) == ("python", "3.11.6", "3.11.7")


@pytest.mark.parametrize("name", ["dask", "distributed", "cloudpickle", "msgpack"])
def test_what_the_scheduler_needs_too_is_refused_by_name(name: str) -> None:
    differences = changed_packages(software(package(name, "1")), software(package(name, "2")))
    with pytest.raises(BadRequest, match=f"{name} is 1 on the cluster and 2 here.*Install {name} 1 again"):
        refuse_for_scheduler(differences)


def test_other_packages_are_not_refused() -> None:
    refuse_for_scheduler(changed_packages(software(NUMPY), software(package("numpy", "3"))))


def file(name: str) -> Artifact:
    return Artifact(file_name=name, sha256=name[0] * 64, size=1)


def test_new_workers_start_with_the_packages_of_now_and_the_code_of_the_start() -> None:
    old, new, lib, lib2, modules, modules2 = map(
        file, ["old.whl", "new.whl", "lib.whl", "2lib.whl", "modules-1.zip", "9modules.zip"]
    )
    mine = package("mine", "1", Source.EDITABLE, artifact=old.sha256)
    before = software(NUMPY, mine, package("lib", "1", Source.VCS, artifact=lib.sha256), artifacts=(old, lib, modules))
    now = software(
        package("numpy", "3"),
        replace(mine, version="2", artifact=new.sha256),
        package("lib", "2", Source.VCS, artifact=lib2.sha256),
        artifacts=(new, lib2, modules2),
    )

    target = with_code_of(before, now)

    assert {(one.name, one.version) for one in target.packages} == {("numpy", "3"), ("mine", "1"), ("lib", "2")}
    assert set(target.artifacts) == {old, lib2, modules}
    assert target == seal(target)
    assert with_code_of(before, before) == before


def test_what_was_done_is_told_in_a_line() -> None:
    assert str(Synced(seconds=0.2)).startswith("Nothing has changed")
    many = Synced(files=tuple(f"m{n}.py" for n in range(10)), workers=3, size=2**20, seconds=1.25)
    assert str(many) == (
        "3 workers import m0.py, m1.py, m2.py, m3.py, m4.py, m5.py, m6.py, m7.py and 2 more anew (1.0 MiB sent); 1.2 s."
    )


OLD = Artifact(file_name="mine-1-py3-none-any.whl", sha256="a" * 64, size=1, is_deposited=True)
NEW = Artifact(file_name="mine-2-py3-none-any.whl", sha256="b" * 64, size=1)
OF_A_PRIVATE_INDEX = Artifact(file_name="tide-1-py3-none-any.whl", sha256="c" * 64, size=1)


async def target_on_a_server(before: Environment, *, is_taken: bool) -> tuple[Environment, list[NewDeposit]]:
    """Return what new workers start with after a sync, and what was deposited for it."""
    asked: list[NewDeposit] = []

    async def deposit(wanted: NewDeposit) -> Deposit:
        asked.append(wanted)
        return Deposit(is_taken=is_taken)

    spec = SimpleNamespace(provider="ssh", working_directory=None)
    session: Any = SimpleNamespace(
        api=SimpleNamespace(deposit=deposit), spec=spec, record=SimpleNamespace(environment=before)
    )
    now = software(
        package("mine", "2", Source.EDITABLE, artifact=NEW.sha256),
        package("tide", "1", artifact=OF_A_PRIVATE_INDEX.sha256),
        artifacts=(NEW, OF_A_PRIVATE_INDEX),
    )
    place = Place(settings=Settings(), server="https://tradewind.example.org")
    return await Sync(session, place)._target(now), asked


async def test_new_workers_of_a_server_fetch_the_code_that_the_scheduler_fetched() -> None:
    before = software(package("mine", "1", Source.EDITABLE, artifact=OLD.sha256), artifacts=(OLD,))

    target, asked = await target_on_a_server(before, is_taken=True)

    assert target.artifacts == (OLD, OF_A_PRIVATE_INDEX)
    assert [one.artifacts for one in asked] == [target.artifacts]
    with pytest.raises(SyncError, match="Nothing changed"):
        await target_on_a_server(before, is_taken=False)


async def test_new_workers_of_a_server_without_a_store_are_told_of_no_files() -> None:
    target, asked = await target_on_a_server(software(NUMPY), is_taken=False)

    assert (target.artifacts, asked) == ((), [])
