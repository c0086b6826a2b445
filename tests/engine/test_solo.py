"""The engine on its own thread: opened late, mended, closed."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradewind.config import Settings
from tradewind.engine.solo import Solo
from tradewind.errors import StoreError, TradewindError


@pytest.fixture
def solo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Solo]:
    monkeypatch.setenv("TRADEWIND_DATA_DIR", str(tmp_path))
    solo = Solo(Settings(provider="fake"), looks_after=False)
    yield solo
    solo.close()


def test_a_store_that_could_not_be_opened_is_tried_again(solo: Solo, tmp_path: Path) -> None:
    (tmp_path / "tradewind.db").write_text("no database " * 100)
    with pytest.raises(StoreError, match="no database"):
        solo.run(solo.list_clusters())
    (tmp_path / "tradewind.db").unlink()
    assert not solo.run(solo.list_clusters())


def test_closing_leaves_no_loop_and_no_thread(solo: Solo) -> None:
    solo.run(solo.list_clusters())
    solo.close()
    solo.close()
    assert not solo._thread.is_alive()
    assert solo._loop.is_closed()
    never_asked = Solo(Settings(provider="fake"), looks_after=False)
    never_asked.close()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        del never_asked
        gc.collect()
    assert not [text for warning in said if "event loop" in (text := str(warning.message))]
    with pytest.raises(TradewindError, match="was closed"):
        solo.prepare("fake")


def test_who_waits_for_an_answer_when_it_is_closed_is_let_go(solo: Solo) -> None:
    solo.run(solo.list_clusters())
    waiting = asyncio.run_coroutine_threadsafe(asyncio.sleep(600), solo._loop)
    solo.close()
    with pytest.raises(concurrent.futures.CancelledError):
        waiting.result(timeout=5)
