"""Server-sent events: how the clusters and budgets of a workspace stand, first all and then each that changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

from tradewind import wire
from tradewind.errors import TradewindError
from tradewind.model.exchange import ClusterNews
from tradewind.server import auth
from tradewind.server.news import STOPPED_FOR, News
from tradewind.server.operation import Asked, Nothing, Table

table = Table("stream")

HEARTBEAT_S = 10.0
"""Seconds after which something is said though nothing happened: proxies cut silent lines. Each time it is asked
again whether the listener may still listen."""
MEDIA_TYPE = "text/event-stream"


@table.on("GET", "/workspaces/{workspace}/stream", answer=str, media_type=MEDIA_TYPE, patience_s=None)
async def stream(asked: Asked[Nothing, Nothing]) -> StreamingResponse:
    """Tell what changes, as server-sent events, until the sign-in ends.

    The events are ``cluster`` and ``budget``, with news of one as data. First come all live clusters, those that
    stopped within ten minutes, and all budgets; then each cluster that changes, and each budget that is set, changed,
    removed, or passes 50, 80 or 100 per cent. Who comes back with the ``Last-Event-ID`` of an earlier stream is told
    what changed since, or, where that isn't known any more, how all stands; news of one revision are the same news.
    """
    await asked.verbs.clusters.news(asked.assembly.clock.now() - STOPPED_FOR)
    asked.request.app.state.streams.enter(asked.signed.user.id)
    return StreamingResponse(_events(asked), media_type=MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})


async def _events(asked: Asked[Nothing, Nothing]) -> AsyncIterator[str]:
    request = asked.request
    news: News = request.app.state.news
    ending: asyncio.Event = request.app.state.ending
    listener = news.join(asked.caller.workspace, request.headers.get("last-event-id", ""))
    checked_at = asked.assembly.clock.now()
    try:
        yield "retry: 2000\n\n"
        while not ending.is_set():
            items, place = await listener.next(_patience_s(asked))
            now = asked.assembly.clock.now()
            if not items or (now - checked_at).total_seconds() > HEARTBEAT_S:
                checked_at = now
                if not await _may_still(asked):
                    return
            if not items:
                yield ": nothing new\n\n"
            for number, item in enumerate(items, 1):
                # Only the last one says where to go on: who is cut off before is told the others again.
                last = f"id: {place}\n" if number == len(items) else ""
                kind = "cluster" if isinstance(item, ClusterNews) else "budget"
                yield f"event: {kind}\n{last}data: {wire.dump_json(item)}\n\n"
    finally:
        news.leave(listener)
        request.app.state.streams.leave(asked.signed.user.id)


def _patience_s(asked: Asked[Nothing, Nothing]) -> float:
    """Return how long to be silent: not beyond the end of the sign-in."""
    expires_at = asked.signed.expires_at
    if expires_at is None:
        return HEARTBEAT_S
    return max(0.0, min(HEARTBEAT_S, (expires_at - asked.assembly.clock.now()).total_seconds()))


async def _may_still(asked: Asked[Nothing, Nothing]) -> bool:
    try:
        caller = await auth.caller_now(asked.request, asked.caller.workspace)
        await asked.assembly.as_(caller).clusters.news(asked.assembly.clock.now())
    except TradewindError:
        return False
    return True
