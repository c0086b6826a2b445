"""A stage for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.engine.stage import Stage
from tradewind.providers.fake import Timing


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A world where everything takes a moment, with a store in a file."""
    timing = Timing(pending=timedelta(seconds=1), starting=timedelta(seconds=2), stopping=timedelta(seconds=1))
    stage = await Stage.open(f"sqlite:///{tmp_path / 'tradewind.db'}", timing)
    yield stage
    await stage.store.aclose()
