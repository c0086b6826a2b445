"""A copy, and the way back."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import pytest
from store_old import OLD
from store_records import MINUTE, T0, fill, hold, make_cluster, make_event, url_of
from tests.postgres import Postgres

from tradewind.errors import BadRequest, StoreError
from tradewind.store import backup
from tradewind.store.store import Changes, Store


async def test_a_copy_made_while_the_store_is_written_to_is_one_moment_of_it(path: Path, tmp_path: Path) -> None:
    store = await Store.open(path)
    await fill(store, make_cluster())
    lease = await hold(store)

    begun = asyncio.Event()

    async def write() -> None:
        for number in range(1000):
            await store.save(lease, Changes(cluster=make_cluster(), events=(make_event(str(number)),)))
            begun.set()

    writing = asyncio.create_task(write())
    await begun.wait()
    copy = tmp_path / "copies" / "tradewind.backup"
    await asyncio.to_thread(backup.back_up, path, copy)
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
    await store.aclose()

    restored = tmp_path / "elsewhere" / "tradewind.db"
    backup.restore(copy, restored)
    store = await Store.open(restored)
    assert await store.get_cluster("c1") == make_cluster()
    # Each of those saves wrote one event and raised the revision by one.
    assert await store.revision("c1") == 1 + len(await store.events("c1"))
    await store.save(await hold(store, now=T0 + MINUTE), Changes(events=(make_event("after"),)))
    await store.aclose()


async def test_a_copy_can_be_read_by_its_owner_alone_and_nothing_else_is_left(path: Path, tmp_path: Path) -> None:
    store = await Store.open(path)
    await store.aclose()
    old = os.umask(0o022)
    try:
        backup.back_up(path, tmp_path / "copies" / "tradewind.backup")
    finally:
        os.umask(old)

    [copy] = (tmp_path / "copies").iterdir()
    assert copy.stat().st_mode & 0o777 == 0o600


async def test_nothing_that_is_there_is_written_over(path: Path, tmp_path: Path) -> None:
    store = await Store.open(path)
    await fill(store, make_cluster())
    await store.aclose()
    copy = tmp_path / "copy"
    copy.write_text("my thesis")

    with pytest.raises(BadRequest, match="there is a file of that name; move it away"):
        backup.back_up(path, copy)
    assert copy.read_text() == "my thesis"
    copy.unlink()
    backup.back_up(path, copy)
    with pytest.raises(BadRequest, match=r"tradewind\.db: there is a file of that name"):
        backup.restore(copy, path)


def test_a_copy_is_not_put_beside_what_is_left_of_another_store(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with closing(sqlite3.connect(copy)) as connection:
        connection.executescript((OLD / "sqlite" / "0001.sql").read_text())
    path.parent.mkdir()
    Path(f"{path}-wal").write_bytes(b"of the store that was there before")

    with pytest.raises(BadRequest, match=r"tradewind\.db-wal: there is a file"):
        backup.restore(copy, path)


def test_what_is_no_store_is_not_restored(path: Path, tmp_path: Path) -> None:
    thesis = tmp_path / "thesis"
    thesis.write_text("my thesis " * 1000)
    other = tmp_path / "bookmarks.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")

    with pytest.raises(StoreError, match="thesis: it can't be read as a store: file is not a database"):
        backup.restore(thesis, path)
    with pytest.raises(StoreError, match="bookmarks.db: this is no store of Tradewind"):
        backup.restore(other, path)
    with pytest.raises(StoreError, match="there is no such file"):
        backup.restore(tmp_path / "nothing", path)
    assert not path.exists()


async def test_a_damaged_file_is_found_and_not_copied(path: Path, tmp_path: Path) -> None:
    store = await Store.open(path)
    await fill(store, make_cluster())
    await store.aclose()
    assert backup.check(path) == ()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM instances")  # the keys aren't watched on this connection
        connection.commit()

    assert backup.check(path) == ("a row of usages belongs to none of instances",)
    with pytest.raises(StoreError, match="it is damaged .*Restore an earlier one"):
        backup.back_up(path, tmp_path / "copy")


async def test_a_copy_of_an_earlier_version_is_restored_and_brought_up_to_date(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with closing(sqlite3.connect(copy)) as connection:
        connection.executescript((OLD / "sqlite" / "0001.sql").read_text())

    backup.restore(copy, path)

    store = await Store.open(path)
    assert await store.find_cluster("lab", "ocean") == make_cluster()
    await store.aclose()


async def test_a_store_on_postgresql_is_copied_and_restored_with_its_own_tools(
    postgres: Postgres, postgres_url: str, empty_postgres_url: str, tmp_path: Path
) -> None:
    store = await Store.open(postgres_url)
    await fill(store, make_cluster())
    dump = tmp_path / "tradewind.dump"

    # As in docs/guides/backup.md, while the store is in use.
    def run(*words: str) -> None:
        subprocess.run([postgres.bin / words[0], *words[1:]], check=True, capture_output=True)

    await asyncio.to_thread(run, "pg_dump", "--format=custom", f"--file={dump}", postgres_url)
    await fill(store, make_cluster("c2", "after"))
    await store.aclose()
    run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={empty_postgres_url}", str(dump))

    restored = await Store.open(empty_postgres_url)
    assert [cluster.id for cluster in await restored.list_clusters("lab")] == ["c1"]
    await fill(restored, make_cluster("c3", "new"))
    assert await restored.events("c3") > await restored.events("c1")
    await restored.aclose()


def test_for_postgresql_the_right_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="pg_dump --format=custom"):
        backup.back_up("postgresql://me@db/tradewind", tmp_path / "copy")
    with pytest.raises(BadRequest, match="pg_restore --no-owner"):
        backup.restore(tmp_path / "copy", "postgresql://me@db/tradewind")


@pytest.mark.parametrize("name", ["with blanks", "why?", "50% #1", "größe 日本"])
async def test_a_store_and_its_copy_may_be_called_anything(tmp_path: Path, name: str) -> None:
    place = tmp_path / name / "tradewind.db"
    store = await Store.open(place)
    await store.aclose()

    backup.back_up(place, tmp_path / f"copy {name}")

    assert backup.check(tmp_path / f"copy {name}") == ()
    assert backup.file_of(url_of(tmp_path / "x.db")) == tmp_path / "x.db"
