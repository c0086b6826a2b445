"""What those are told whom a server was still answering when it had to end."""

from __future__ import annotations

import asyncio
from contextlib import closing

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tradewind.server.guard import Guard
from tradewind.server.limits import Limits
from tradewind.server.metrics import Metrics
from tradewind.server.run import listen


async def test_whoever_is_not_answered_when_the_grace_is_over_is_told_to_ask_again() -> None:
    asked = asyncio.Event()

    async def slow(request: Request) -> Response:
        asked.set()
        await asyncio.Event().wait()
        return PlainTextResponse("never")

    limits = Limits(100, 100, asyncio.get_running_loop().time)
    app = Guard(
        Starlette(routes=[Route("/slow", slow)]), limits=limits, metrics=Metrics(), public_url="http://127.0.0.1"
    )
    server = uvicorn.Server(
        uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=0)
    )
    with closing(listen("127.0.0.1", 0)) as taken:
        running = asyncio.create_task(server.serve(sockets=[taken]))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}") as client:
            answer = asyncio.create_task(client.get("/slow"))
            await asked.wait()
            server.should_exit = True
            told = await answer
        await running

    assert told.status_code == 503
    assert told.headers["Retry-After"] == "1"
    assert told.json()["type"] == "urn:tradewind:Unavailable"
    assert "may have been done" in told.json()["detail"]
    assert told.headers["X-Request-Id"] == told.json()["request_id"]
