"""What stands around every answer: a number, a limit, a log line, headers, and no traceback ever."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tradewind import __version__
from tradewind.errors import TooMany, Unavailable
from tradewind.server import problems
from tradewind.server.context import About, current
from tradewind.server.limits import Limits
from tradewind.server.metrics import Metrics

if TYPE_CHECKING:
    from tradewind.server.telemetry import Traces

log = logging.getLogger("tradewind.server.access")

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST_ADDRESS = 8 * 1024
"""Bytes of a path and what stands behind its question mark."""
LARGEST_HEAD = 32 * 1024
"""Bytes of all headers of a request."""
STATIC = "/static/{name}"
LATER = timedelta(seconds=1)
"""When to ask again, a server that has ended meanwhile."""

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"tradewind-version", __version__.encode()),
)
"""Given to every answer that doesn't say otherwise itself."""


class Guard:
    """The outermost layer of the application."""

    def __init__(
        self, app: ASGIApp, *, limits: Limits, metrics: Metrics, public_url: str, traces: Traces | None = None
    ) -> None:
        self._app = app
        self._traces = traces
        self._limits = limits
        self._metrics = metrics
        self._origin = origin(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._traces is None:
            await self._answer(scope, receive, send)
            return
        with self._traces.request(scope) as span:
            status, about = await self._answer(scope, receive, send)
            self._traces.answered(span, scope["method"], _route(scope), status, about)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> tuple[int, About]:
        about = About(request_id=secrets.token_hex(8))
        token = current.set(about)
        began = time.perf_counter()
        status = 0

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_headers(message.get("headers", []), about.request_id)
            await send(message)

        try:
            await self._let_in(scope, receive, tell, about.request_id)
        except asyncio.CancelledError:
            if status:
                raise
            # The server ends and its grace is over. Whoever asked asks another one, with the same idempotency key.
            error = Unavailable("this server ends; what you asked for may have been done all the same", LATER)
            await problems.response_of(error, about.request_id)(scope, receive, tell)
        except Exception:
            log.exception("a fault of ours while answering %s %s", scope["method"], _route(scope))
            if status:
                raise  # half an answer is out; closing the connection is all that is left
            fault = "something went wrong here; its operator finds it in the log by the request id"
            await problems.problem(500, "ServerError", fault, about.request_id)(scope, receive, tell)
        finally:
            seconds = time.perf_counter() - began
            self._metrics.answered(scope["method"], _route(scope), status, seconds)
            # Who asks too often fills no log, and neither do the styles of pages; the metrics count them.
            is_noise = status == 429 or (status == 200 and _route(scope) == STATIC)
            level = logging.DEBUG if is_noise else logging.INFO
            told = {"status": status, "duration_s": seconds}
            log.log(level, "%s %s %s", scope["method"], _route(scope), status, extra=told)
            about = current.get() or about
            current.reset(token)
        return status, about

    async def _let_in(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        too_long = _too_long(scope)
        if too_long is not None:
            await problems.problem(*too_long, request_id)(scope, receive, send)
            return
        wait = self._limits.take(scope)
        if wait is not None:
            error = TooMany("you ask more than this server answers to one; wait a moment", retry_after=wait)
            await problems.response_of(error, request_id)(scope, receive, send)
            return
        if scope["method"] not in SAFE and not self._is_meant(dict(scope["headers"])):
            words = "this came from another site's page; open this server's own page and do it there"
            await problems.problem(403, "Forbidden", words, request_id)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_meant(self, headers: dict[bytes, bytes]) -> bool:
        """Whether who is signed in by a cookie meant to do this: another site's page can send cookies, not say so."""
        if b"cookie" not in headers or b"authorization" in headers:
            return True
        site = headers.get(b"sec-fetch-site")
        if site is not None:
            return site in {b"same-origin", b"none"}
        return headers.get(b"origin", b"").decode("latin-1") == self._origin


def origin(url: str) -> str:
    """Return what a browser calls the origin of ``url``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _route(scope: Scope) -> str:
    """Return the path as a pattern: names and secrets of people don't belong into logs and labels."""
    known = scope.get("tradewind.path") or getattr(scope.get("route"), "path", None)
    return known if isinstance(known, str) else "(no such path)"


def _too_long(scope: Scope) -> tuple[int, str, str] | None:
    """Return the status, error and words for an address or a head that no honest request has."""
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LONGEST_ADDRESS:
        return 414, "BadRequest", f"an address here is at most {LONGEST_ADDRESS} bytes long"
    if sum(len(name) + len(value) for name, value in scope["headers"]) > LARGEST_HEAD:
        return 431, "BadRequest", f"the headers of a request are at most {LARGEST_HEAD} bytes long"
    return None


def _with_headers(headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    own = {name.lower() for name, _ in headers}
    more = [(name, value) for name, value in HEADERS if name not in own]
    return [*headers, *more, (b"x-request-id", request_id.encode())]
