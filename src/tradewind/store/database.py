"""The door to the database itself: the one place that knows which kind it is."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, StatementError
from sqlalchemy.pool import QueuePool, SingletonThreadPool

from tradewind.errors import StoreError

LOCK_TIMEOUT_S = 10.0
"""How long one process waits for another's transaction. Each takes milliseconds, so ten seconds means trouble."""

_ADVICE = {
    "SQLITE_FULL": "the disk is full; nothing was written. Make room there, then try again",
    "SQLITE_IOERR": "reading or writing it failed; nothing was written. Look at the disk and at your quota there",
    "SQLITE_BUSY": f"another process has kept it locked for {LOCK_TIMEOUT_S:.0f} s; nothing was written. Try again, "
    "and if it stays so, end the Tradewind process that hangs",
    "SQLITE_READONLY": "it can't be written to. Allow this user to write to the file and its directory, "
    "or give another place",
    "SQLITE_CANTOPEN": "it can't be opened. Allow this user to write to the file and its directory, "
    "or give another place",
    "SQLITE_PERM": "this user may not use it. Allow it, or give another place",
    "SQLITE_NOTADB": "this file is no database. Move it away, or give another place",
    "SQLITE_CORRUPT": "the file is damaged. Move it away to start afresh; "
    "'sqlite3 FILE .recover' can save what is still readable",
}


def connect(url: str) -> tuple[Engine, str]:
    """Return the engine of ``url`` and the name of the place for messages; makes the file, for this user alone.

    Raises
    ------
    StoreError
        The URL can't be used, or the file can't be made.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(f"{url!r} is no database URL; give one as sqlite:////home/me/tradewind.db") from None
    if parsed.get_backend_name() != "sqlite":
        raise StoreError(
            f"{parsed.render_as_string(hide_password=True)}: this version keeps its store in SQLite alone; "
            "give a URL as sqlite:////home/me/tradewind.db"
        )
    if parsed.database in {None, "", ":memory:"}:
        return _listen(create_engine(parsed, poolclass=SingletonThreadPool)), "the store in memory"
    place = Path(str(parsed.database)).expanduser().absolute()
    _make_private(place)
    engine = create_engine(
        parsed.set(database=str(place)),
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        connect_args={"timeout": LOCK_TIMEOUT_S, "check_same_thread": False},
    )
    return _listen(engine), str(place)


def writer(engine: Engine) -> Engine:
    """Return the same engine, whose transactions take the right to write when they begin.

    A transaction that reads first and then wants to write can't wait in SQLite: it fails at once when somebody
    else wrote in between (SQLITE_BUSY_SNAPSHOT), whatever the timeout. https://www.sqlite.org/isolation.html
    """
    return engine.execution_options(sqlite_begin="IMMEDIATE")


def use_write_ahead_log(engine: Engine) -> None:
    """Let readers and one writer work at the same time, for good; a no-op where it is so already."""
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while cursor.execute("PRAGMA journal_mode").fetchone()[0] not in {"wal", "memory"}:
            try:
                cursor.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                # When two processes make the same file, SQLite answers "busy" here without waiting.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
    finally:
        connection.close()


@contextmanager
def foreign_keys_off(connection: Connection) -> Iterator[None]:
    """Let tables be rebuilt inside; must be entered before a transaction begins, because SQLite ignores it in one."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys = ON")


@cache
def upsert(table: Table) -> sqlite.Insert:
    """Return the statement that writes rows of ``table``, new or changed.

    PostgreSQL has the same words under its own dialect; this is the line to choose at.
    """
    keys = [column.name for column in table.primary_key]
    statement = sqlite.insert(table)
    changed = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn what the database says inside into a StoreError that names ``place``, the fact and the next step."""
    try:
        yield
    except DBAPIError as error:
        raise StoreError(_explain(place, error.orig or error)) from error
    except StatementError as error:
        # A value that a column refused (a naive time): the caller's fault, in the column's own words.
        raise (error.orig or error) from None
    except sqlite3.Error as error:  # from the listeners below, which SQLAlchemy doesn't wrap
        raise StoreError(_explain(place, error)) from error


def _explain(place: str, error: BaseException) -> str:
    name: str = getattr(error, "sqlite_errorname", "")  # extended, as SQLITE_IOERR_WRITE
    for prefix, advice in _ADVICE.items():
        if name.startswith(prefix):
            return f"{place}: {advice} ({error})"
    return f"{place}: the database says: {error}; nothing was written"


def _make_private(place: Path) -> None:
    """Make the file before SQLite does: it will hold keys, and the umask of most people lets everybody read."""
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            found = os.fstat(descriptor)
            if stat.S_IMODE(found.st_mode) & 0o077 and found.st_uid == os.geteuid():
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(
            f"{place}: the store can't be written there: {error.strerror}. "
            "Allow this user to write to the file and its directory, or give another place"
        ) from error


def _listen(engine: Engine) -> Engine:
    @event.listens_for(engine, "connect")
    def settle(connection: sqlite3.Connection, record: object) -> None:
        connection.isolation_level = None  # Python's sqlite3 must not begin transactions by itself: we do, below
        connection.execute("PRAGMA foreign_keys = ON")
        # With WAL this loses nothing when a process dies; a power cut may take the last commits, never the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")  # deleted keys are overwritten, not only unlinked

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine
