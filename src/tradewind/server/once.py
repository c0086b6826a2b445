"""Creating once what was asked for twice: the answer is kept under the caller's ``Idempotency-Key``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from tradewind.errors import BadRequest, TradewindError
from tradewind.store.idempotency import Idempotency, Once

HEADER = "idempotency-key"
_KEY = re.compile(r"[!-~]{1,200}\Z")


def once_of(request: Request, user_id: str, raw: bytes, status: int, now: datetime) -> Once | None:
    """Return by what a request is known again, None where it has no key. Raises BadRequest for one that can't be."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.match(key):
        raise BadRequest("an Idempotency-Key has 1 to 200 letters, digits and signs of ASCII, without spaces")
    asked = f"{request.method} {request.url.path}\n".encode() + raw
    return Once(user_id=user_id, key=key, request_hash=hashlib.sha256(asked).hexdigest(), status=status, at=now)


async def answered(kept: Idempotency, once: Once, do: Callable[[], Awaitable[Response]]) -> Response:
    """Return the answer of ``do``, which keeps it with what it makes, or the one that was given to the same before.

    A request that fails keeps nothing, and may be sent again with the same key.

    Raises
    ------
    BadRequest
        The key was used for another request.
    """
    before = await kept.answer(once)
    if before is None:
        try:
            return await do()
        except TradewindError:
            # The same may have been done elsewhere meanwhile, and be why this one failed: by its name, which is taken
            # now, or its money, which is spent. Or it was done here, and the store's word on it was lost on the way.
            before = await kept.answer(once)
            if before is None:
                raise
    return Response(before.body, before.status, headers={"Idempotency-Replayed": "true"}, media_type="application/json")
