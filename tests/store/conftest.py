"""A fresh store for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_records import url_of

from tradewind.store.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store's file will be; its directory doesn't exist yet."""
    return tmp_path / "data" / "tradewind.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    store = await Store.open(url_of(path))
    yield store
    await store.aclose()
