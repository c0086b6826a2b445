"""Creating once what was asked for twice: the answer is kept under the caller's ``Idempotency-Key``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from tradewind.engine.assembly import Assembly
from tradewind.errors import BadRequest, Unavailable
from tradewind.store.idempotency import Begun, Done

_KEY = re.compile(r"[!-~]{1,200}\Z")


async def answered(
    request: Request, user_id: str, key: str, raw: bytes, do: Callable[[], Awaitable[Response]]
) -> Response:
    """Return the answer of ``do``, or the one that it gave when the same request came before.

    A request that fails is forgotten, and may be sent again with the same key.

    Raises
    ------
    BadRequest
        The key can't be one, or was used for another request.
    Unavailable
        The same request is being answered at this moment.
    """
    if not _KEY.match(key):
        raise BadRequest("an Idempotency-Key has 1 to 200 letters, digits and signs of ASCII, without spaces")
    assembly: Assembly = request.app.state.assembly
    kept = assembly.store.idempotency
    asked = f"{request.method} {request.url.path}\n".encode() + raw
    begun = await kept.begin(user_id, key, hashlib.sha256(asked).hexdigest(), assembly.clock.now())
    if isinstance(begun, Done):
        return Response(
            begun.body, begun.status, headers={"Idempotency-Replayed": "true"}, media_type="application/json"
        )
    if begun is Begun.OTHER_REQUEST:
        raise BadRequest("this Idempotency-Key was used for another request; take a new one for each thing you create")
    if begun is Begun.UNDER_WAY:
        raise Unavailable("the same request is being answered right now", retry_after=timedelta(seconds=1))
    try:
        response = await do()
    except BaseException:
        await kept.abandon(user_id, key)
        raise
    await kept.finish(user_id, key, response.status_code, bytes(response.body).decode())
    return response
