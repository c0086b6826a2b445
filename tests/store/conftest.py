"""A fresh store for each test, on each kind of database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_records import url_of

from tradewind.store.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file of a store on SQLite will be; its directory doesn't exist yet."""
    return tmp_path / "data" / "tradewind.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, path: Path) -> str:
    """URL of a store with nothing in it; its file, on SQLite, doesn't exist yet."""
    if request.param == "sqlite":
        return url_of(path)
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """An empty store."""
    store = await Store.open(url)
    yield store
    await store.aclose()
