"""A server that listens, on the event loop of the test: for what an answer without an end needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.server.stage import Stage
from tradewind.server.run import Server, listen, uvicorn_config


@asynccontextmanager
async def listening(stage: Stage) -> AsyncIterator[str]:
    """Serve a stage over plain HTTP; yields its URL."""
    place = listen("127.0.0.1", 0)
    server = Server(uvicorn_config(stage.app, stage.shared.settings, None), stage.app)
    started = asyncio.Event()
    server.on_start = started.set
    task = asyncio.create_task(server.serve([place]))
    async with asyncio.timeout(10):
        await started.wait()
    try:
        yield f"http://127.0.0.1:{place.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        place.close()
