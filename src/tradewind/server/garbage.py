"""Python's search for garbage, as a server can bear it: all wait while everything remembered is gone through."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

YOUNG, OLDER, OLD = 10_000, 10, 1_000_000
"""After how many new objects the young are searched, after how many such searches the older ones, and the old ones:
never by itself. A thousand clusters are a million old objects, and a search of those took 0.4 s."""
PERIOD_S = 600.0
"""Seconds between searches of all."""


@asynccontextmanager
async def seldom_searched() -> AsyncIterator[None]:
    """Search everything once in ten minutes inside, and what was there at the beginning not at all."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLD)
    task = asyncio.create_task(_now_and_then(), name="tradewind garbage")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gc.set_threshold(*before)
        gc.unfreeze()


async def _now_and_then() -> None:
    while True:
        await asyncio.sleep(PERIOD_S)
        gc.collect()
