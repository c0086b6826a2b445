"""Reading what was sent: no more than is allowed, and not for ever."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from tradewind.config import Settings

PATIENCE_S = 10.0
"""Seconds in which a body must have arrived: an honest one takes less than one."""
CLOSE = {"Connection": "close"}
"""Given with answers to requests whose rest nobody will read: else their sender would hold the line with it."""


async def read(request: Request, kind: str = "application/json", *, limit: int = 0) -> bytes:
    """Return the body, of this ``kind`` by its own account. Raises HTTPException 408, 413 or 415.

    Parameters
    ----------
    request : Request
        Whose body it is.
    kind : str
        Media type that it must say it has.
    limit : int
        Bytes that are read where the server's ``body_limit`` is less.
    """
    told_kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if told_kind != kind:
        raise HTTPException(415, f"send the body with the header Content-Type: {kind}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "send the body as it is, without a Content-Encoding")
    settings: Settings = request.app.state.settings
    is_own = limit > settings.serve.body_limit
    limit = max(limit, settings.serve.body_limit)
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told[:20]) > limit:
        raise _too_large(limit, is_own)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise _too_large(limit, is_own)
                parts.append(part)
    except TimeoutError:
        raise HTTPException(408, f"the body didn't arrive within {PATIENCE_S:g} s", CLOSE) from None
    except ClientDisconnect:
        raise HTTPException(400, "the connection was closed before the body had arrived") from None
    return b"".join(parts)


def _too_large(limit: int, is_own: bool) -> HTTPException:
    fact = f"the body is longer than {limit} bytes, which is the most this server reads"
    step = "send less" if is_own else "send less, or ask its operator for a larger body_limit"
    return HTTPException(413, f"{fact}{' here' if is_own else ''}; {step}", CLOSE)
