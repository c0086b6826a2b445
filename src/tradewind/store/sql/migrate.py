"""Bring the tables to the form this program knows."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from tradewind.errors import StoreError
from tradewind.store.sql import database

HEAD = "0005"
"""The newest revision in ``migrations/versions``."""

MIGRATIONS = Path(__file__).parents[1] / "migrations"


def bring_up_to_date(engine: Engine, place: str, directory: Path = MIGRATIONS, head: str = HEAD) -> None:
    """Run what is missing, in one transaction; safe to call from several processes at once.

    Parameters
    ----------
    engine : Engine
        Of the database.
    place : str
        Its name, for messages.
    directory : Path, optional
        Where ``env.py`` and ``versions`` stand.
    head : str, optional
        The newest revision in there.

    Raises
    ------
    StoreError
        The database belongs to another program, or to a newer version of this one.
    """
    with engine.begin() as connection:
        if revision_of(connection, place) == head:
            return
    with database.migrating(engine, place) as connection:
        # Only now nobody else can: whoever came second finds the work done.
        found = revision_of(connection, place)
        if found != head:
            _upgrade(connection, found, place, directory, head)


def revision_of(connection: Connection, place: str) -> str | None:
    """Return the revision of the tables, None where there are none yet."""
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if tables:
        raise StoreError(
            f"{place}: this database belongs to another program (it has a table {tables[0]!r}). Give another place"
        )
    return None


def _upgrade(connection: Connection, found: str | None, place: str, directory: Path, head: str) -> None:
    # Alembic takes 0.3 s to import, and is of use once in the life of a version: everybody else passes by.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(directory).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            f"{place}: it was written by a newer Tradewind (its tables are at {found}, this program knows up to "
            f"{head}). Upgrade Tradewind, or give another place"
        )
    command.upgrade(config, head)
