"""Every error as a problem (RFC 9457): what it is called, its status, and what may be said of it."""

from __future__ import annotations

import math
from datetime import timedelta
from http import HTTPStatus

from starlette.responses import Response

from tradewind import errors, wire
from tradewind.model.exchange import Problem

STATUS: dict[type[errors.TradewindError], int] = {
    errors.OverBudget: 402,
    errors.BadRequest: 400,
    errors.SignInNeeded: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.NameTaken: 409,
    errors.LeaseLost: 409,
    errors.TooMany: 429,
    errors.StoreError: 503,
    errors.NoCapacity: 503,
    errors.Unavailable: 503,
    errors.Rejected: 502,
    errors.ProviderError: 502,
}
"""Of each class and those below it that have none of their own; all others are faults of the server: 500."""

MEDIA_TYPE = "application/problem+json"


def status_of(kind: type[errors.TradewindError]) -> int:
    """Return the status of an error."""
    return next((STATUS[each] for each in kind.__mro__ if each in STATUS), 500)


def response_of(error: errors.TradewindError, request_id: str) -> Response:
    """Return the answer that tells of an error."""
    retry_after = error.retry_after if isinstance(error, errors.TooMany | errors.Unavailable) else None
    if isinstance(error, errors.StoreError):
        retry_after = timedelta(seconds=2)
    return problem(status_of(type(error)), type(error).__name__, str(error), request_id, retry_after=retry_after)


def problem(
    status: int,
    kind: str,
    detail: str,
    request_id: str,
    *,
    retry_after: timedelta | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return a problem as an answer; ``kind`` is the name of a class in :mod:`tradewind.errors`."""
    seconds = None if retry_after is None else retry_after.total_seconds()
    body = Problem(
        type=f"urn:tradewind:{kind}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=wire.printable(detail),
        request_id=request_id,
        retry_after=seconds,
    )
    more = dict(headers or {})
    if seconds is not None:
        more["Retry-After"] = str(max(1, math.ceil(seconds)))
    if status == 401:
        more["WWW-Authenticate"] = 'Bearer realm="tradewind"'
    return Response(wire.dump_json(body), status, headers=more, media_type=MEDIA_TYPE)
