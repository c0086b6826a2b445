"""``tradewind store``, as somebody who lost a disk calls it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def store(nothing_yet: Path, run: Run) -> Path:
    """The store of a user, with nothing in it."""
    result = run("store", "check")
    assert result.exit_code == 0, result.output
    return nothing_yet / "data" / "tradewind.db"


def test_a_store_that_was_lost_comes_back_from_its_copy(store: Path, run: Run, tmp_path: Path) -> None:
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("INSERT INTO facts VALUES ('mine', 'kept')")
        connection.commit()
    copy = tmp_path / "copy"
    made = run("store", "backup", str(copy))
    for file in store.parent.glob("tradewind.db*"):
        file.unlink()

    back = run("store", "restore", str(copy))

    assert "It holds keys: keep it private" in made.output
    assert back.output == f"{store}: restored from {copy}\n"
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("SELECT * FROM facts").fetchall() == [("mine", "kept")]


def test_a_whole_store_is_said_to_be_so(store: Path, run: Run, ask: Callable[..., Any]) -> None:
    assert run("store", "check").output == f"{store}: all is well\n"
    assert ask("store", "check") == {"store": str(store), "faults": []}


def test_a_damaged_store_fails_the_check(store: Path, run: Run) -> None:
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("INSERT INTO members VALUES ('nowhere', 'nobody', 'owner', 0, '2026-03-01 12:00:00')")
        connection.commit()

    result = run("store", "check")

    assert result.exit_code == 1
    assert "it is damaged\na row of members belongs to none of" in result.output


def test_a_store_is_not_restored_over_another(store: Path, run: Run, tmp_path: Path) -> None:
    run("store", "backup", str(tmp_path / "copy"))

    result = run("store", "restore", str(tmp_path / "copy"))

    assert result.exit_code == 1
    assert "there is a file of that name; move it away" in result.output


def test_a_store_on_postgresql_is_checked_too(postgres_url: str, run: Run) -> None:
    assert run("store", "check", "--store", postgres_url).output == f"{postgres_url}: all is well\n"

    result = run("store", "backup", "copy", "--store", postgres_url)

    assert result.exit_code == 1
    assert "pg_dump --format=custom" in result.output
