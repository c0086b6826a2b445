"""A second copy of a store in a file. One on PostgreSQL has better tools of its own, which are named."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from tradewind.errors import BadRequest, StoreError
from tradewind.store.sql.place import make_private

FAULTS_SHOWN = 10


def file_of(url: str | Path) -> Path | None:
    """Return the file that a store is kept in; None where it is none."""
    if isinstance(url, Path):
        return url
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    if parsed.get_backend_name() != "sqlite" or parsed.database in {None, "", ":memory:"}:
        return None
    return Path(str(parsed.database)).expanduser().absolute()


def check(file: Path) -> tuple[str, ...]:
    """Return what is damaged in a store's file, nothing where it is whole; reads all of it.

    Raises
    ------
    StoreError
        It isn't a store of ours, or can't be read.
    """
    try:
        with closing(_open(file)) as store:
            tables = {row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "alembic_version" not in tables or "clusters" not in tables:
                raise StoreError(f"{file}: this is no store of Tradewind; name the file that a backup made")
            faults = [row[0] for row in store.execute(f"PRAGMA integrity_check({FAULTS_SHOWN})") if row[0] != "ok"]
            faults += [
                f"a row of {row[0]} belongs to none of {row[2]}" for row in store.execute("PRAGMA foreign_key_check")
            ]
            return tuple(faults[:FAULTS_SHOWN])
    except sqlite3.Error as error:
        raise StoreError(f"{file}: it can't be read as a store: {error}. Restore a backup") from error


def back_up(url: str | Path, copy: Path) -> None:
    """Write a copy of a store to a file that isn't there yet, as of one moment; the store may be in use meanwhile.

    Raises
    ------
    BadRequest
        The store is no file, or ``copy`` is there already.
    StoreError
        The store is damaged or can't be read, or the copy can't be written.
    """
    file = file_of(url)
    if file is None:
        raise BadRequest(
            "this store is a database of PostgreSQL, which makes its own copies: "
            "pg_dump --format=custom --file=tradewind.dump DATABASE-URL"
        )
    if faults := check(file):
        raise StoreError(f"{file}: it is damaged ({faults[0]}), so a copy of it would be. Restore an earlier one")
    _copy(file, copy)


def restore(copy: Path, url: str | Path) -> None:
    """Make a store from a copy, where there is none.

    Raises
    ------
    BadRequest
        The store is no file, or there is one already.
    StoreError
        The copy is damaged or no store, or the store can't be written.
    """
    file = file_of(url)
    if file is None:
        raise BadRequest(
            "this store is a database of PostgreSQL, which reads its own copies: "
            "pg_restore --no-owner --dbname=DATABASE-URL tradewind.dump"
        )
    if faults := check(copy):
        raise StoreError(f"{copy}: it is damaged: {faults[0]}. Take another backup")
    _copy(copy, file)


def _copy(source: Path, target: Path) -> None:
    """Write all of a database to a new file, whole or not at all, for this user alone."""
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What SQLite keeps beside a file that is gone would be taken for a part of the new one.
        there = [path for path in (target, Path(f"{target}-wal"), Path(f"{target}-journal")) if path.exists()]
        if there:
            raise BadRequest(f"{there[0]}: there is a file of that name; move it away, or give another name")
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as beside:
            whole = Path(beside) / target.name
            make_private(whole)
            with closing(_open(source)) as store:
                store.execute("VACUUM INTO ?", (str(whole),))
            with whole.open("rb") as written:
                os.fsync(written.fileno())
            # The name is taken before the copy comes to it: a rename alone would put it in the place of another's.
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            whole.replace(target)
    except FileExistsError:
        raise BadRequest(f"{target}: there is a file of that name; move it away, or give another name") from None
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"{target}: the copy can't be written: {error}. Make room there, or give another place"
        ) from error


def _open(file: Path) -> sqlite3.Connection:
    if not file.is_file():
        raise StoreError(f"{file}: there is no such file")
    return sqlite3.connect(file, timeout=10, isolation_level=None)
