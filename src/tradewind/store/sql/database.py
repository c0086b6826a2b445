"""The door to the database itself: which kind it is, and what both kinds have in common."""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, StatementError
from sqlalchemy.pool import QueuePool

from tradewind.errors import BadRequest, StoreError
from tradewind.store.sql import postgresql, sqlite
from tradewind.store.sql.patience import Attempt

CONNECTIONS = 8
"""Transactions under way at once on PostgreSQL, of one process. On SQLite there is one: it knows one writer anyway."""

ANSWER_TIMEOUT_S = 40.0
"""How long a transaction may take; ours take milliseconds, and PostgreSQL itself ends a statement after 30 s."""

_UPSERTS: dict[tuple[str, str], Any] = {}
_KINDS = {"sqlite": sqlite, "postgresql": postgresql}


def connect(url: str | Path, connections: int = CONNECTIONS) -> tuple[Engine, str]:
    """Return the engine of ``url`` and the name of the place for messages; makes the file, for this user alone.

    Raises
    ------
    StoreError
        The URL can't be used, or the file can't be made.
    MissingExtra
        The library that speaks to PostgreSQL isn't installed.
    """
    try:
        # In a URL, what follows a "?" in a directory's name would be options.
        parsed = URL.create("sqlite", database=str(url)) if isinstance(url, Path) else make_url(url)
    except ArgumentError:
        # Not quoted: what only nearly is a URL may hold a password.
        raise StoreError(
            "the store's URL can't be read; give one as sqlite:////home/me/tradewind.db or "
            "postgresql://tradewind@db.example.org/tradewind"
        ) from None
    match parsed.get_backend_name():
        case "sqlite":
            return sqlite.connect(parsed)
        case "postgresql" | "postgres":
            return postgresql.connect(parsed, connections)
        case other:
            raise StoreError(
                f"{parsed.render_as_string(hide_password=True)}: the store can't be kept in {other!r}; give a URL as "
                "sqlite:////home/me/tradewind.db or postgresql://tradewind@db.example.org/tradewind"
            )


def reader(engine: Engine) -> Engine:
    """Return the same engine for transactions that only read: all of one as of one moment."""
    made: Engine = _kind(engine).reader(engine)
    return made


def asker(engine: Engine) -> Engine:
    """Return the same engine for single statements that only read."""
    made: Engine = _kind(engine).asker(engine)
    return made


def writer(engine: Engine) -> Engine:
    """Return the same engine for transactions that write."""
    made: Engine = _kind(engine).writer(engine)
    return made


def threads(engine: Engine) -> int:
    """Return how many threads may use the engine at once: one for each connection, as nobody should wait for one."""
    return engine.pool.size() if isinstance(engine.pool, QueuePool) else 1


def migrating(engine: Engine, place: str) -> AbstractContextManager[Connection]:
    """Run a transaction in which this process alone changes the tables."""
    made: AbstractContextManager[Connection] = _kind(engine).migrating(engine, place)
    return made


def is_worth_another_try(engine: Engine, error: DBAPIError, attempt: Attempt) -> bool:
    """Whether the whole transaction is to be begun again: nothing of it was kept, and the next may go well."""
    answer: bool = _kind(engine).is_worth_another_try(error, attempt)
    return answer


def cut(connection: Connection) -> None:
    """End the connection from another thread than the one that waits for its answer."""
    _KINDS[connection.dialect.name].cut(connection)


def insert_unless_there(connection: Connection, table: Table, values: Mapping[str, Any], **conflict: Any) -> bool:
    """Write a new row and return True; False where its key, or the index that ``conflict`` names, has one already.

    Of several transactions at once one writes it, and the others wait until it has.
    """
    statement = _insert(connection, table).on_conflict_do_nothing(**conflict)
    return connection.execute(statement, values, execution_options={"preserve_rowcount": True}).rowcount > 0


def upsert(connection: Connection, table: Table) -> Any:
    """Return the statement that writes rows of ``table``, new or changed."""
    made = _UPSERTS.get((connection.dialect.name, table.name))
    if made is None:
        made = _insert(connection, table)
        keys = [column.name for column in table.primary_key]
        changed = {column.name: made.excluded[column.name] for column in table.columns if column.name not in keys}
        made = made.on_conflict_do_update(index_elements=keys, set_=changed)
        _UPSERTS[connection.dialect.name, table.name] = made
    return made


@contextmanager
def explained(engine: Engine, place: str, attempt: Attempt) -> Iterator[None]:
    """Turn what the database says inside into an error that names ``place``, the fact and the next step."""
    try:
        yield
    except DBAPIError as error:
        raise _kind(engine).explain(place, error.orig or error, attempt) from error
    except StatementError as error:
        # A value that a column refused (a naive time): the caller's fault, in the column's own words.
        raise (error.orig or error) from None
    except sqlite3.Error as error:  # from the listeners of SQLite, which SQLAlchemy doesn't wrap
        raise sqlite.explain(place, error, attempt) from error
    except UnicodeEncodeError as error:
        raise BadRequest(f"{error.object!r:.200} isn't text that can be kept: its bytes are no UTF-8") from None
    except OverflowError as error:
        raise BadRequest(f"the database can't keep this: {error}") from None


def _insert(connection: Connection, table: Table) -> Any:
    # The dialect in use was imported when its engine was made; the other one would cost each start-up 60 ms.
    return importlib.import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert(table)


def _kind(engine: Engine) -> ModuleType:
    return _KINDS[engine.dialect.name]
