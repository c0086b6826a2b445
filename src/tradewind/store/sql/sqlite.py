"""SQLite: one file for one machine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool, SingletonThreadPool

from tradewind.errors import StoreError, TradewindError
from tradewind.store.sql.patience import Attempt
from tradewind.store.sql.place import is_on_network, make_private

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


def connect(url: URL) -> tuple[Engine, str]:
    """Return the engine of a file, made for this user alone where there is none, and its path."""
    if url.database in {None, "", ":memory:"}:
        engine = create_engine(url, poolclass=SingletonThreadPool, hide_parameters=True)
        return _listen(engine, "memory"), "the store in memory"
    place = Path(str(url.database)).expanduser().absolute()
    make_private(place)
    engine = create_engine(
        url.set(database=str(place)),
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,  # some are keys, and errors of ours keep their traceback
        connect_args={"timeout": LOCK_TIMEOUT_S, "check_same_thread": False},
    )
    # The write-ahead log lives in memory that processes share. On a file system of several machines (a home directory
    # of a computing centre) there is none, and two login nodes would spoil the file: the old journal is slower there,
    # and right. https://www.sqlite.org/wal.html, "All processes using a database must be on the same host computer"
    journal = "delete" if is_on_network(place, psutil.disk_partitions(all=True)) else "wal"
    return _listen(engine, journal), str(place)


def writer(engine: Engine) -> Engine:
    """Return the same engine, whose transactions take the right to write when they begin.

    A transaction that reads first and then wants to write can't wait in SQLite: it fails at once when somebody
    else wrote in between (SQLITE_BUSY_SNAPSHOT), whatever the timeout. https://www.sqlite.org/isolation.html
    """
    return engine.execution_options(sqlite_begin="IMMEDIATE")


def reader(engine: Engine) -> Engine:
    """Return the same engine: a transaction sees one moment from its first read on."""
    return engine


asker = reader


@contextmanager
def migrating(engine: Engine, place: str) -> Iterator[Connection]:
    """Run a transaction that nobody else changes the tables in meanwhile, and in which tables may be rebuilt."""
    with writer(engine).connect() as connection, _foreign_keys_off(connection), connection.begin():
        yield connection
        # The keys weren't watched meanwhile.
        if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise StoreError(f"{place}: upgrading it would lose rows; it was left as it is")


def explain(place: str, error: BaseException, attempt: Attempt) -> TradewindError:
    """Return what the database says as an error of ours."""
    name: str = getattr(error, "sqlite_errorname", "")  # extended, as SQLITE_IOERR_WRITE
    for prefix, advice in _ADVICE.items():
        if name.startswith(prefix):
            return StoreError(f"{place}: {advice} ({error})")
    return StoreError(f"{place}: the database says: {error}; nothing was written")


def is_worth_another_try(error: DBAPIError, attempt: Attempt) -> bool:
    """Whether the transaction is to be begun again. Never: who waits for a lock has waited long enough by then."""
    return False


def cut(connection: Connection) -> None:
    """Leave it be: there is no peer that could hang, only a disk, and that can't be left."""


@contextmanager
def _foreign_keys_off(connection: Connection) -> Iterator[None]:
    """Let tables be rebuilt inside; must be entered before a transaction begins, because SQLite ignores it in one."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys = ON")


def _listen(engine: Engine, journal: str) -> Engine:
    @event.listens_for(engine, "connect")
    def settle(connection: sqlite3.Connection, record: object) -> None:
        connection.isolation_level = None  # Python's sqlite3 must not begin transactions by itself: we do, below
        _use_journal(connection, journal)
        # With WAL, NORMAL loses nothing when a process dies; a power cut may take the last commits, never the file.
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if journal == 'wal' else 'FULL'}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # deleted keys are overwritten, not only unlinked

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _use_journal(connection: sqlite3.Connection, journal: str) -> None:
    """Choose how readers and the writer keep apart; a file remembers it, so this is a no-op but for the first time."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != journal:
        try:
            connection.execute(f"PRAGMA journal_mode = {journal}")
        except sqlite3.OperationalError as error:
            # When several processes make the same file, SQLite answers "busy" here without waiting: 1 in 100 did.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
