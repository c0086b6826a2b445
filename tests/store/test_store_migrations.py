"""Yesterday's database works tomorrow."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine, select
from store_old import NAMED, OLD, REVIEWED, SHARED
from store_records import SECRETS, T0, fill, make_cluster, url_of
from tests.postgres import Postgres

from tradewind.errors import NameTaken, StoreError
from tradewind.store.schema import metadata
from tradewind.store.sql import database, migrate
from tradewind.store.store import Store

KINDS = ("sqlite", "postgresql")


@pytest.fixture(params=KINDS)
def empty_url(request: pytest.FixtureRequest, path: Path) -> str:
    """URL of a database without tables."""
    if request.param == "sqlite":
        return url_of(path)
    found: str = request.getfixturevalue("empty_postgres_url")
    return found


def tables_of(path: Path) -> dict[str, str]:
    """Return the statement that would make each table and index, blanks and quotes set aside.

    A table that was rebuilt has its name in quotes ever after.
    """
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: "".join(sql.replace('"', "").split()) for name, sql in rows if name != "alembic_version"}


def restore(dump: Path, url: str) -> None:
    """Make a database from a dump."""
    if url.startswith("postgresql"):
        with psycopg.connect(url) as connection:
            connection.execute(dump.read_bytes())
        return
    path = Path(url.removeprefix("sqlite:///"))
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(dump.read_text())


def raw(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Return what a statement answers that no code of ours touches."""
    if url.startswith("postgresql"):
        with psycopg.connect(url) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
        found = file.execute(statement).fetchall()
        file.commit()
        return found


async def test_the_migrations_make_exactly_the_tables_the_program_knows(path: Path, tmp_path: Path) -> None:
    store = await Store.open(url_of(path))
    await store.aclose()
    straight = tmp_path / "straight.db"
    engine = create_engine(url_of(straight))
    metadata.create_all(engine)

    assert tables_of(path) == tables_of(straight)
    with create_engine(url_of(path)).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


async def test_the_migrations_make_the_same_tables_on_postgresql(postgres: Postgres, postgres_url: str) -> None:
    straight = postgres.create()
    engine, _ = database.connect(straight)
    copy = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        for index in table.to_metadata(copy).indexes:
            # Only the migrations say it for this database; see the comment in the schema.
            index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
    copy.create_all(engine)
    engine.dispose()

    made, known = (postgres.dump(url, "--schema-only", "-T", "alembic_version") for url in (postgres_url, straight))

    assert made == known
    assert made.count("WHERE (status <> 'stopped'::text)") == 2
    postgres.drop(straight)


def test_the_head_constant_is_the_newest_revision() -> None:
    assert ScriptDirectory(str(migrate.MIGRATIONS)).get_heads() == [migrate.HEAD]


@pytest.mark.parametrize("kind", KINDS)
def test_every_revision_has_its_old_database(kind: str) -> None:
    revisions = {script.revision for script in ScriptDirectory(str(migrate.MIGRATIONS)).walk_revisions()}

    assert {file.stem for file in OLD.glob(f"{kind}/*.sql")} == revisions


@pytest.mark.parametrize("revision", sorted(file.stem for file in OLD.glob("sqlite/*.sql")))
async def test_an_old_database_is_brought_up_to_date_with_nothing_lost(empty_url: str, revision: str) -> None:
    kind = empty_url.partition(":")[0]
    restore(OLD / kind / f"{revision}.sql", empty_url)

    store = await Store.open(empty_url)

    assert await store.find_cluster("lab", "ocean") == make_cluster()
    loaded = await store.load("c1")
    assert [instance.id for instance in loaded.instances] == ["i-c1"]
    assert [usage.instance_id for usage in loaded.open_usages] == ["i-c1"]
    assert loaded.secrets == SECRETS
    assert [event.message for _, event in await store.events("c1")] == ["it began"]
    assert (await store.computation("lab", "aa-c2")).cluster_id == "c2"
    await fill(store, make_cluster("c9", "new"))
    await store.aclose()
    engine, _ = database.connect(empty_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        there = (SHARED if revision > "0001" else {}) | (NAMED if revision > "0002" else {})
        there |= REVIEWED if revision > "0004" else {}
        for name, row in there.items():
            columns = [metadata.tables[name].c[column] for column in row]
            assert connection.execute(select(*columns)).mappings().all() == [row], name
    engine.dispose()


async def test_what_ran_before_the_upgrade_is_still_protected_by_its_name(empty_url: str) -> None:
    restore(OLD / empty_url.partition(":")[0] / "0003.sql", empty_url)
    runs = '{"python":"3.11","platform":"linux-x86_64","packages":[],"content_hash":"ff","name":"climate@1"}'
    raw(empty_url, f"UPDATE clusters SET environment = '{runs}' WHERE id = 'c1'")

    store = await Store.open(empty_url)

    with pytest.raises(NameTaken, match="climate@1 is what cluster ocean runs"):
        await store.environments.delete("lab", "climate", None, T0, None)
    assert raw(empty_url, "SELECT size FROM environments") == [(len(NAMED["environments"]["environments"]),)]
    await store.aclose()


async def test_a_cookie_of_a_kind_that_nothing_knows_any_more_is_good_for_nothing(empty_url: str) -> None:
    restore(OLD / empty_url.partition(":")[0] / "0003.sql", empty_url)
    raw(
        empty_url,
        "INSERT INTO tokens (id, secret_hash, user_id, label, scopes, created_at, expires_at) SELECT 'lentsession-7', "
        "'dd', user_id, 'browser', scopes, created_at, expires_at FROM tokens WHERE id = 't1'",
    )

    store = await Store.open(empty_url)

    assert await store.people.token("dd", T0) is None
    assert await store.people.token("bb", T0) is not None
    await store.aclose()


async def test_the_database_of_a_newer_program_is_refused_and_left_alone(url: str) -> None:
    store = await Store.open(url)
    await store.aclose()
    raw(url, "UPDATE alembic_version SET version_num = '0999'")

    with pytest.raises(StoreError, match="newer Tradewind .*0999.* Upgrade Tradewind"):
        await Store.open(url)

    assert raw(url, "SELECT version_num FROM alembic_version") == [("0999",)]


async def test_the_database_of_another_program_is_refused_and_left_alone(empty_postgres_url: str) -> None:
    raw(empty_postgres_url, "CREATE TABLE bookmarks (url TEXT)")

    with pytest.raises(StoreError, match="belongs to another program.*'bookmarks'"):
        await Store.open(empty_postgres_url)

    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert raw(empty_postgres_url, tables) == [("bookmarks",)]


async def test_a_database_that_can_not_keep_every_name_is_refused(postgres: Postgres) -> None:
    url = postgres.create(encoding="LATIN1")

    with pytest.raises(StoreError, match="it keeps text as LATIN1.* createdb --encoding=UTF8"):
        await Store.open(url)

    postgres.drop(url)


TOMORROW = """
import sqlalchemy as sa
from alembic import op

revision = "0900"
down_revision = {head!r}

def upgrade():
    with op.batch_alter_table("clusters", recreate="{recreate}") as table:
        table.add_column(sa.Column("colour", sa.Text))
    {then}
"""


def write_tomorrow(tmp_path: Path, then: str, recreate: str = "always") -> Path:
    """Return a copy of the migrations with one more, that rebuilds a table others point at."""
    directory = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, directory)
    (directory / "versions" / "0900_tomorrow.py").write_text(
        TOMORROW.format(head=migrate.HEAD, then=then, recreate=recreate)
    )
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


async def test_a_migration_that_fails_leaves_postgresql_as_it_was(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    before = postgres.dump(postgres_url)
    engine, place = database.connect(postgres_url)
    directory = write_tomorrow(tmp_path, "raise RuntimeError('in the middle')", recreate="never")

    with pytest.raises(RuntimeError):
        migrate.bring_up_to_date(engine, place, directory, "0900")

    engine.dispose()
    assert postgres.dump(postgres_url) == before
