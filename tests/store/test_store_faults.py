"""SQLite: disks that are full, files that are something else, places nobody may write to."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from store_records import MINUTE, SECRETS, T0, fill, hold, make_cluster, make_event, make_instance, url_of

from tradewind.errors import StoreError
from tradewind.model.cluster import ClusterStatus
from tradewind.store.sql import sqlite
from tradewind.store.store import Changes, Store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_full_disk_is_a_clear_error_leaves_no_half_round_and_the_store_works_again(small_disk: Path) -> None:
    path = small_disk / "tradewind.db"
    store = await Store.open(url_of(path))
    changes = await fill(store, make_cluster())
    lease = await hold(store, now=T0 + MINUTE)
    ballast = small_disk / "ballast"
    fill_up(ballast)
    many = tuple(make_instance(f"many-{number}") for number in range(2000))
    running = replace(make_cluster(), status=ClusterStatus.RUNNING)

    with pytest.raises(StoreError) as raised:
        await store.save(lease, Changes(cluster=running, instances=many, events=(make_event("saved"),)))

    assert str(path) in str(raised.value)
    assert "the disk is full; nothing was written. Make room there" in str(raised.value)
    assert (await store.load("c1")).cluster == make_cluster()
    assert await store.instances("c1") == changes.instances
    assert len(await store.events("c1")) == 1
    ballast.unlink()
    await store.save(lease, Changes(cluster=running, instances=many[:100], events=(make_event("saved"),)))
    assert (await store.load("c1")).cluster == running
    assert len(await store.instances("c1")) == 101
    await store.aclose()


async def test_a_store_can_not_be_made_on_a_full_disk_but_once_there_is_room(small_disk: Path) -> None:
    path = small_disk / "tradewind.db"
    ballast = small_disk / "ballast"
    fill_up(ballast)

    with pytest.raises(StoreError, match=r"tradewind\.db: .*(disk is full|reading or writing it failed)"):
        await Store.open(url_of(path))

    ballast.unlink()
    store = await Store.open(url_of(path))
    await fill(store, make_cluster())
    await store.aclose()


async def test_a_store_in_a_place_that_can_not_be_written_names_the_place_and_the_way_out(small_disk: Path) -> None:
    path = small_disk / "tradewind.db"
    store = await Store.open(url_of(path))
    await store.aclose()
    forbid_writing(small_disk)

    for place in (path, small_disk / "new" / "tradewind.db"):
        with pytest.raises(StoreError, match=r"tradewind\.db: .*Read-only file system.*give another place"):
            await Store.open(url_of(place))


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    write(path, "my thesis, " * 1000)

    with pytest.raises(StoreError, match=r"tradewind\.db: this file is no database\. Move it away"):
        await Store.open(url_of(path))

    assert files_beside(path) == {"tradewind.db": "my thesis, " * 1000}


async def test_the_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")

    with pytest.raises(StoreError, match="belongs to another program.*'bookmarks'"):
        await Store.open(url_of(path))

    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]


async def test_a_database_locked_for_too_long_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await Store.open(url_of(path))
    await store.create_cluster(make_cluster(), SECRETS)
    await store.aclose()
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT_S", 0.05)
    impatient = await Store.open(url_of(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as hog:
        hog.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreError, match="another process has kept it locked"):
            await impatient.take_lease("c1", "h1", T0, T0 + MINUTE)
        assert await impatient.get_cluster("c1") == make_cluster()

        hog.execute("ROLLBACK")
    await hold(impatient)
    await impatient.aclose()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("not a url", "URL can't be read; give one as"),
        ("mysql://me:hidden@db/tradewind", r"mysql://me:\*\*\*@db/tradewind: .* can't be kept in 'mysql'"),
        ("sqlite:////dev/null/tradewind.db", "tradewind.db: the store can't be written there: .*give another place"),
        ("sqlite:////tmp", "Is a directory.*give another place"),
    ],
)
async def test_a_url_that_can_not_be_used_says_why(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        await Store.open(url)


def fill_up(ballast: Path) -> None:
    """Write until the file system has no room."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


def forbid_writing(disk: Path) -> None:
    """Make a mounted file system read-only, also for root."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def write(path: Path, text: str) -> None:
    """Write a file and its directory."""
    path.parent.mkdir()
    path.write_text(text)


def files_beside(path: Path) -> dict[str, str]:
    """Return the files of a directory and what is in them."""
    return {file.name: file.read_text() for file in path.parent.iterdir()}
