"""The application: every operation at its place, and the same guard around all."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tradewind.config import OidcSettings, Settings
from tradewind.engine.assembly import Assembly
from tradewind.engine.clock import Clock
from tradewind.errors import MissingExtra, TradewindError
from tradewind.server import (
    advisor,
    artifacts,
    budgets,
    clusters,
    environments,
    health,
    history,
    logins,
    openapi,
    people,
    problems,
    reviews,
    stream,
)
from tradewind.server.context import request_id
from tradewind.server.guard import Guard
from tradewind.server.limits import Limits, Streams
from tradewind.server.metrics import Metrics
from tradewind.server.news import News
from tradewind.server.operation import Operation, by_path
from tradewind.server.pages.places import PLACES

if TYPE_CHECKING:
    from tradewind.server.oidc import OpenIdProvider
    from tradewind.server.telemetry import Traces

TABLES = (
    clusters.table,
    artifacts.table,
    history.table,
    budgets.table,
    environments.table,
    stream.table,
    people.table,
    logins.table,
    reviews.table,
    advisor.table,
)
OPERATIONS: tuple[Operation, ...] = tuple(operation for table in TABLES for operation in table.operations)
"""Everything that can be asked, in the order it is documented."""


def create_app(assembly: Assembly, settings: Settings, *, public_url: str | None = None) -> Starlette:
    """Return the application for an engine that is open already.

    Parameters
    ----------
    assembly : Assembly
        The engine and its store, on the event loop that the application will run on.
    settings : Settings
        Of the server.
    public_url : str, optional
        How people reach it; default what the settings say. The Host header of a request is never believed.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await app.state.news.aclose()
        if app.state.traces is not None:
            # A receiver that doesn't answer is waited for on another thread, or nobody else could end either.
            await asyncio.to_thread(app.state.traces.close)

    app = Starlette(lifespan=lifespan)
    # It would send people to where the Host header says, which a stranger may have written.
    app.router.redirect_slashes = False
    state = app.state
    state.assembly = assembly
    state.settings = settings
    state.public_url = public_url or default_url(settings)
    state.metrics = Metrics()
    state.limits = Limits(settings.serve.requests_per_second, settings.serve.burst, time.monotonic)
    state.streams = Streams()
    state.traces = _traces(settings.serve.otlp_endpoint)
    state.news = News(assembly.store, assembly.clock)
    state.ending = asyncio.Event()
    state.advising = asyncio.Semaphore(advisor.AT_ONCE)

    for path, operations in by_path(OPERATIONS).items():
        app.add_route(path, _dispatch(operations), methods=[each.method for each in operations])
    for path, answer in {**health.PLACES, **openapi.PLACES}.items():
        app.add_route(path, _named(path, answer), methods=["GET"])
    for path, (answer_page, methods) in PLACES.items():
        app.add_route(path, _named(path, answer_page), methods=list(methods))
    state.oidc = _oidc(settings.oidc, assembly.clock)
    state.openapi = openapi.document(OPERATIONS)

    app.add_exception_handler(TradewindError, _told)
    app.add_exception_handler(HTTPException, _told_by_number)
    app.add_middleware(
        Guard, limits=state.limits, metrics=state.metrics, public_url=state.public_url, traces=state.traces
    )
    return app


def default_url(settings: Settings) -> str:
    """Return how people reach a server that has no other address than its own."""
    serve = settings.serve
    if serve.public_url is not None:
        return serve.public_url.rstrip("/")
    host = f"[{serve.host}]" if ":" in serve.host else serve.host
    return f"{'https' if serve.tls else 'http'}://{host}:{serve.port}"


def _oidc(settings: OidcSettings, clock: Clock) -> OpenIdProvider | None:
    """Return where people sign in, if they do so elsewhere."""
    if settings.issuer is None:
        return None
    # Two hundred modules and some MiB, for those who have such a provider.
    made: OpenIdProvider = importlib.import_module("tradewind.server.oidc").OpenIdProvider(settings, clock)
    return made


def _traces(endpoint: str | None) -> Traces | None:
    """Return where traces go. Raises MissingExtra."""
    if endpoint is None:
        return None
    try:
        # Only who wants traces has its libraries, and waits for their import.
        telemetry = importlib.import_module("tradewind.server.telemetry")
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"[serve] otlp_endpoint needs the library {error.name!r}, which isn't installed: "
            "pip install 'tradewind[server,telemetry]'"
        ) from error
    made: Traces = telemetry.Traces(endpoint)
    return made


def _dispatch(operations: list[Operation]) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers one path: one route for all its methods, so that a 405 can name them all."""
    methods = {operation.method: operation for operation in operations}

    async def answer(request: Request) -> Response:
        return await methods["GET" if request.method == "HEAD" else request.method].answer_to(request)

    return answer


def _named(path: str, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Return ``answer``, with its path told to whoever counts."""

    async def named(request: Request) -> Response:
        request.scope["tradewind.path"] = path
        return await answer(request)

    return named


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, TradewindError)
    return problems.response_of(error, request_id())


async def _told_by_number(request: Request, error: Exception) -> Response:
    """Turn what the framework says by number into a problem."""
    assert isinstance(error, HTTPException)
    words = {
        404: "there is nothing at this address; /api lists what there is",
        405: f"this address doesn't take {request.method[:20]}",
    }
    is_plain = error.detail == HTTPStatus(error.status_code).phrase
    detail = words.get(error.status_code, error.detail) if is_plain else error.detail
    kind = "NotFound" if error.status_code == 404 else "BadRequest"
    return problems.problem(
        error.status_code, kind, detail, request_id(), headers=dict(error.headers) if error.headers else None
    )
