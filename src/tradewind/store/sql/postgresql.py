"""PostgreSQL: one database for several servers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from tradewind.errors import BadRequest, MissingExtra, StoreError, TradewindError
from tradewind.store.sql.patience import Attempt

CONNECT_TIMEOUT_S = 5
"""How long to wait for a server that doesn't answer at all."""
STATEMENT_TIMEOUT_S = 30
"""How long one statement may take; ours take milliseconds."""
LOCK_TIMEOUT_S = 10
"""How long to wait for a row that another transaction has; each takes milliseconds, so this means trouble."""
MOST_PREPARED = 300
"""Statements a connection keeps ready; there are some two hundred."""
MIGRATION_LOCK = 0x74726164657769
"""Any number, as long as no other program locks it: "tradewi" in bytes."""

_SESSION = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
    "lock_timeout": f"{LOCK_TIMEOUT_S}s",
    # A server of ours that was stopped in the middle (SIGSTOP, a sleeping machine) must not keep rows from others, who
    # wait for a lock no longer than this.
    "idle_in_transaction_session_timeout": f"{LOCK_TIMEOUT_S}s",
    "timezone": "UTC",
}
_NETWORK = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    # A peer that vanished without a word: noticed after half a minute, not after two hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
    "application_name": "tradewind",
}

_NOTHING = "nothing was written"
_ADVICE = {
    "28": "it refuses this user or password; correct the URL of the store",
    "3D000": "there is no such database. Make it (createdb), or correct the URL of the store",
    "53100": f"its disk is full; {_NOTHING}. Make room there",
    "53300": f"it has too many connections; {_NOTHING}. Raise its max_connections, or run fewer servers",
    "25006": f"it can only be read; {_NOTHING}. Give the URL of the primary, not of a standby",
    "42501": f"this user may not do that; {_NOTHING}. Make it the owner of the database",
    "57014": f"it took longer than {STATEMENT_TIMEOUT_S} s; {_NOTHING}. Look at what keeps the database busy",
    "55P03": f"another transaction has kept a row for {LOCK_TIMEOUT_S} s; {_NOTHING}. Try again, and if it stays so, "
    "look at pg_stat_activity for who hangs",
    "57P": f"it is being stopped or started; {_NOTHING}. Try again in a moment",
    "40": f"others kept changing the same rows; {_NOTHING}. Try again",
    "XX": f"its files are damaged; {_NOTHING}. Restore a backup",
}
"""By how an SQLSTATE begins. https://www.postgresql.org/docs/current/errcodes-appendix.html"""


def connect(url: URL, connections: int) -> tuple[Engine, str]:
    """Return the engine of a database, and its name for messages; nothing is opened yet.

    Raises
    ------
    MissingExtra
        The library that speaks to PostgreSQL isn't installed.
    """
    # Whatever driver the URL names, and under the older word for the same: this is the one we have.
    url = url.set(drivername="postgresql+psycopg")
    session = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    given = url.query.get("options", "")
    try:
        engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=connections,
            max_overflow=0,
            connect_args={**_NETWORK, "options": f"{session} {given}".strip()},
            use_native_hstore=False,
            hide_parameters=True,  # some are keys, and errors of ours keep their traceback
        )
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"PostgreSQL needs the library {error.name!r}; install it with: pip install 'tradewind[server]'"
        ) from None

    @event.listens_for(engine, "connect")
    def settle(connection: Any, record: object) -> None:
        connection.prepare_threshold = 2  # ours are few and come again and again
        connection.prepared_max = MOST_PREPARED

    return engine, _name_of(url)


def writer(engine: Engine) -> Engine:
    """Return the engine for what changes something: each statement sees what others have committed before it.

    So whoever decides by what it reads must lock it first: ``with_for_update``, or a condition in the UPDATE itself.
    """
    return engine


def reader(engine: Engine) -> Engine:
    """Return the engine for what reads: all of it as of one moment, and nothing is locked."""
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def asker(engine: Engine) -> Engine:
    """Return the engine for single statements that read: without the words that begin and end a transaction."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def migrating(engine: Engine, place: str) -> Iterator[Connection]:
    """Run a transaction that no other program of ours changes the tables in meanwhile, however long it takes."""
    with engine.begin() as connection:
        for setting in ("lock_timeout", "statement_timeout"):
            connection.execute(text(f"SET LOCAL {setting} = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        encoding = connection.execute(text("SHOW server_encoding")).scalar()
        if encoding != "UTF8":
            raise StoreError(
                f"{place}: it keeps text as {encoding}, and names may be in any script; make it anew with: "
                "createdb --encoding=UTF8 --template=template0"
            )
        yield connection


def explain(place: str, error: BaseException, attempt: Attempt) -> TradewindError:
    """Return what the database says as an error of ours."""
    state: str | None = getattr(error, "sqlstate", None)
    # Its first line is the fact; what follows are hints and the statement.
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if _is_refused_value(error):
        return BadRequest(f"the database can't keep this: {said}")
    for prefix, advice in _ADVICE.items():
        if state is not None and state.startswith(prefix):
            return StoreError(f"{place}: {advice} ({said})")
    if state is not None:
        return StoreError(f"{place}: the database says: {said} ({state}); {_NOTHING}")
    fact = "PostgreSQL gave no answer for too long" if attempt.was_cut else "PostgreSQL can't be reached"
    # The one moment in which nobody can know: the word to keep it was sent, and the answer never came.
    kept = "whether the last change was kept isn't known" if attempt.is_keeping else _NOTHING
    return StoreError(
        f"{place}: {fact}; {kept}. See that it runs and that this machine may connect to it; "
        f"then it is tried again by itself ({said})"
    )


def is_worth_another_try(error: DBAPIError, attempt: Attempt) -> bool:
    """Whether the transaction is to be begun again at once."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state in {"40001", "40P01"}:  # others were quicker; the same will go well when they are done
        return True
    # A connection that was kept for long may have died meanwhile, as when PostgreSQL was restarted, and it is found
    # out only now: cheaper than to ask each time before. The pool replaces it, and those of its age.
    return error.connection_invalidated and not attempt.is_keeping and not attempt.was_cut


def cut(connection: Connection) -> None:
    """End the connection under the thread that waits for its answer; that one gets an error."""
    raw = connection.connection.driver_connection
    if raw is None or raw.closed:
        return
    with socket.socket(fileno=os.dup(raw.fileno())) as line, suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _is_refused_value(error: BaseException) -> bool:
    """Whether a value can't be kept: a text with a NUL in it, a number that is too large."""
    state: str | None = getattr(error, "sqlstate", None)
    return type(error).__name__ == "DataError" if state is None else state.startswith("22")


def _name_of(url: URL) -> str:
    """Return the URL without its password, wherever in it that stands."""
    host = url.query.get("host", url.host or "localhost")
    hosts = host if isinstance(host, str) else ",".join(host)
    named = URL.create("postgresql", username=url.username, host=hosts, port=url.port, database=url.database)
    return named.render_as_string()
