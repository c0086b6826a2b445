"""Yesterday's database works tomorrow."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from store_records import fill, make_cluster, url_of

from tradewind.errors import StoreError
from tradewind.store import database, migrate
from tradewind.store.schema import metadata
from tradewind.store.store import Store

OLD = Path(__file__).parent / "old"
"""One dump per revision, made by the program of its day: two clusters, one of everything each."""


def tables_of(path: Path) -> dict[str, str]:
    """Return the statement that would make each table and index, blanks set aside."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: "".join(sql.split()) for name, sql in rows if name != "alembic_version"}


def restore(dump: Path, path: Path) -> None:
    """Make a database from a dump."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(dump.read_text())


async def test_the_migrations_make_exactly_the_tables_the_program_knows(path: Path, tmp_path: Path) -> None:
    store = await Store.open(url_of(path))
    await store.aclose()
    straight = tmp_path / "straight.db"
    engine = create_engine(url_of(straight))
    metadata.create_all(engine)

    assert tables_of(path) == tables_of(straight)
    with create_engine(url_of(path)).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_head_constant_is_the_newest_revision() -> None:
    assert ScriptDirectory(str(migrate.MIGRATIONS)).get_heads() == [migrate.HEAD]


def test_every_revision_has_its_old_database() -> None:
    revisions = {script.revision for script in ScriptDirectory(str(migrate.MIGRATIONS)).walk_revisions()}

    assert {file.stem for file in OLD.glob("*.sql")} == revisions


@pytest.mark.parametrize("dump", sorted(OLD.glob("*.sql")), ids=lambda dump: dump.stem)
async def test_an_old_database_is_brought_up_to_date_with_nothing_lost(path: Path, dump: Path) -> None:
    restore(dump, path)

    store = await Store.open(url_of(path))

    assert await store.find_cluster("lab", "ocean") == make_cluster()
    loaded = await store.load("c1")
    assert [instance.id for instance in loaded.instances] == ["i-c1"]
    assert [usage.instance_id for usage in loaded.open_usages] == ["i-c1"]
    assert [event.message for _, event in await store.events("c1")] == ["it began"]
    assert (await store.computation("lab", "aa-c2")).cluster_id == "c2"
    await fill(store, make_cluster("c9", "new"))
    await store.aclose()


async def test_the_database_of_a_newer_program_is_refused_and_left_alone(path: Path) -> None:
    store = await Store.open(url_of(path))
    await store.aclose()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '0999'")
        newer.commit()

    with pytest.raises(StoreError, match="newer Tradewind .*0999.* Upgrade Tradewind"):
        await Store.open(url_of(path))

    with closing(sqlite3.connect(path)) as newer:
        assert newer.execute("SELECT version_num FROM alembic_version").fetchall() == [("0999",)]


TOMORROW = """
import sqlalchemy as sa
from alembic import op

revision = "0900"
down_revision = {head!r}

def upgrade():
    with op.batch_alter_table("clusters", recreate="always") as table:
        table.add_column(sa.Column("colour", sa.Text))
    {then}
"""


def write_tomorrow(tmp_path: Path, then: str) -> Path:
    """Return a copy of the migrations with one more, that rebuilds a table others point at."""
    directory = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, directory)
    (directory / "versions" / "0900_tomorrow.py").write_text(TOMORROW.format(head=migrate.HEAD, then=then))
    return directory


async def test_a_migration_may_rebuild_a_table_that_others_point_at(path: Path, tmp_path: Path) -> None:
    store = await Store.open(url_of(path))
    await fill(store, make_cluster())
    await store.aclose()
    engine, place = database.connect(url_of(path))

    migrate.bring_up_to_date(engine, place, write_tomorrow(tmp_path, "pass"), "0900")

    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT id, name, colour FROM clusters").all() == [("c1", "ocean", None)]
        assert connection.exec_driver_sql("SELECT cluster_id FROM usages").all() == [("c1",)]
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("then", "error"),
    [("raise RuntimeError('in the middle')", RuntimeError), ("op.execute('DELETE FROM clusters')", StoreError)],
    ids=["fails", "loses rows"],
)
async def test_a_migration_that_fails_leaves_the_database_as_it_was(
    path: Path, tmp_path: Path, then: str, error: type[Exception]
) -> None:
    store = await Store.open(url_of(path))
    await fill(store, make_cluster())
    await store.aclose()
    before = tables_of(path)
    engine, place = database.connect(url_of(path))

    with pytest.raises(error):
        migrate.bring_up_to_date(engine, place, write_tomorrow(tmp_path, then), "0900")

    engine.dispose()
    assert tables_of(path) == before
    store = await Store.open(url_of(path))
    assert await store.get_cluster("c1") == make_cluster()
    await store.aclose()
