"""What an engine deletes by the way: of its store, and of a cache that other stores' engines share."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.store.store_records import SECRETS, make_cluster
from tradewind.engine.tidying import FIRST, Tidying
from tradewind.model.environment import Artifact, Environment, seal
from tradewind.store.idempotency import Once
from tradewind.store.store import Store
from tradewind.testing.clock import FakeClock


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path / "tradewind.db")
    yield opened
    await opened.aclose()


def put(cache: Path, sha256: str, used_at: float) -> Path:
    """Put a file into the cache that was used then."""
    path = cache / "artifacts" / sha256
    path.mkdir(parents=True)
    (path / "mine.whl").write_bytes(b"x")
    for one in (path / "mine.whl", path):
        os.utime(one, (used_at, used_at))
    return path


async def tidied(tidying: Tidying) -> int:
    """Tidy when it is time."""
    await tidying.tidy()
    assert isinstance(tidying.clock, FakeClock)
    tidying.clock.advance(FIRST)
    return await tidying.tidy()


async def test_what_a_store_needs_is_left_alone_by_the_engine_of_another(store: Store, tmp_path: Path) -> None:
    clock, cache = FakeClock(), tmp_path / "cache"
    old = (clock.now() - timedelta(days=50)).timestamp()
    kept, gone = put(cache, "a" * 64, old), put(cache, "b" * 64, old)
    theirs = await Store.open(tmp_path / "theirs.db")
    artifact = Artifact(file_name="mine.whl", sha256="a" * 64, size=1)
    environment = Environment(
        python="3.11.7", platform="linux-x86_64", packages=(), content_hash="", artifacts=(artifact,)
    )
    await theirs.create_cluster(replace(make_cluster(), environment=seal(environment)), SECRETS)

    await tidied(Tidying(store=theirs, clock=clock, cache=cache, installation="theirs"))
    await theirs.aclose()
    gone_since = put(cache, "c" * 64, old)
    await tidied(Tidying(store=store, clock=clock, cache=cache, installation="mine"))

    assert kept.exists()
    assert not gone.exists()
    assert not gone_since.exists()


async def test_a_cache_that_can_not_be_tidied_keeps_nothing_from_being_forgotten(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, cache = FakeClock(), tmp_path / "cache"
    (cache / "needed" / "no file").mkdir(parents=True)
    asked = Once(user_id="u1", key="k1", request_hash="hash", status=201, at=clock.now() - timedelta(days=30))
    await store.create_cluster(make_cluster(), SECRETS, once=asked)

    assert await tidied(Tidying(store=store, clock=clock, cache=cache)) == 1
    assert "no file" in caplog.text
