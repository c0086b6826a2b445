"""The agent's pages: JSON over TLS for who holds the cluster's token."""

from __future__ import annotations

import hmac
import json
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from tradewind.boot.unwritten import read_once

if TYPE_CHECKING:
    from tradewind.agent.scheduler import Agent
    from tradewind.boot.process import KeyPair

BODY_LIMIT = 64 * 1024
MESSAGE_LIMIT = 4000
RETIRE_LIMIT = 10_000
"""Workers in one request."""
LEVELS = ("info", "warning")


class _Page(RequestHandler):  # type: ignore[misc]  # tornado is read without its types
    """What all pages share: the token is asked for first, all answers are JSON."""

    agent: Agent

    def initialize(self, agent: Agent) -> None:
        self.agent = agent

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")

    def prepare(self) -> None:
        expected = f"Bearer {self.agent.settings.token.reveal()}".encode()
        given = self.request.headers.get("Authorization", "").encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(given, expected):
            self.set_header("WWW-Authenticate", "Bearer")
            raise HTTPError(401, reason="Unauthorized")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        message = error.log_message if isinstance(error, HTTPError) and error.log_message else ""
        self.finish(json.dumps({"error": message or HTTPStatus(status_code).phrase}))

    def answer(self, data: dict[str, Any]) -> Any:
        """Write ``data`` and return what resolves when it's sent."""
        return self.finish(json.dumps(data, allow_nan=False, separators=(",", ":")))

    def target_duration_s(self) -> float:
        """Return how soon the known work should be done, for Dask's estimate of how many workers that takes."""
        text = self.get_query_argument("target_duration", "180")
        return max(_number(text, "target_duration", most=86400 * 365), 0.001)

    def body(self) -> dict[str, Any]:
        """Return the request's JSON object."""
        try:
            data = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError):
            raise _bad("the body isn't JSON") from None
        if not isinstance(data, dict):
            raise _bad("the body must be a JSON object")
        return data


class _Missing(_Page):
    def prepare(self) -> None:
        super().prepare()
        raise HTTPError(404)


class _Status(_Page):
    def get(self) -> Any:
        since = _number(self.get_query_argument("since", "0"), "since", most=2**53)
        given = self.get_query_argument("paid_for", None)
        paid_for = None if given is None else _number(given, "paid_for", most=86400 * 365)
        return self.answer(
            self.agent.status(
                since=int(since),
                target_duration_s=self.target_duration_s(),
                paid_for_s=paid_for,
                renews=self.get_query_argument("renews", "yes") != "no",
            )
        )


# A page of its own: an agent of an older version knows no look that doesn't renew, and must not take this for one.
class _Peek(_Page):
    def get(self) -> Any:
        return self.answer(self.agent.peek(target_duration_s=self.target_duration_s()))


class _Retire(_Page):
    async def post(self) -> None:
        body = self.body()
        n, names = body.get("n"), body.get("workers")
        if (n is None) == (names is None):
            raise _bad('give either "n", how many, or "workers", a list of their names')
        if n is not None and (type(n) is not int or not 0 <= n <= RETIRE_LIMIT):
            raise _bad(f'"n" must be a whole number from 0 to {RETIRE_LIMIT}')
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise _bad('"workers" must be a list of names')
        retired, retiring = await self.agent.retire(n=n, names=names)
        await self.answer({"retired": retired, "retiring": retiring})


class _Say(_Page):
    def post(self) -> Any:
        body = self.body()
        message, level = body.get("message"), body.get("level", "info")
        if not isinstance(message, str) or not 0 < len(message) <= MESSAGE_LIMIT:
            raise _bad(f'"message" must be text of 1 to {MESSAGE_LIMIT} characters')
        if level not in LEVELS:
            raise _bad(f'"level" must be one of {", ".join(LEVELS)}')
        return self.answer({"told": self.agent.say(message, level=level)})


class _Close(_Page):
    async def post(self) -> None:
        reason = self.body().get("reason", "asked")
        if not isinstance(reason, str) or len(reason) > MESSAGE_LIMIT:
            raise _bad(f'"reason" must be text of at most {MESSAGE_LIMIT} characters')
        await self.answer({"closing": True})
        self.agent.end(reason)


def serve(agent: Agent, *, host: str, port: int, keys: KeyPair) -> tuple[HTTPServer, int]:
    """Return a server that listens already, and the port it got."""
    handlers = {
        "/v1/status": _Status,
        "/v1/peek": _Peek,
        "/v1/retire": _Retire,
        "/v1/say": _Say,
        "/v1/close": _Close,
    }
    application = Application(
        [(path, handler, {"agent": agent}) for path, handler in handlers.items()],
        default_handler_class=_Missing,
        default_handler_args={"agent": agent},
        log_function=lambda handler: None,  # one line per second in the scheduler's log helps nobody
    )
    server = HTTPServer(
        application,
        ssl_options=_server_context(keys),
        max_body_size=BODY_LIMIT,
        max_header_size=16 * 1024,
        idle_connection_timeout=120.0,
        body_timeout=10.0,
    )
    sockets = bind_sockets(port, address=host)
    server.add_sockets(sockets)
    return server, sockets[0].getsockname()[1]


def _server_context(keys: KeyPair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with read_once(f"{keys.certificate.rstrip()}\n{keys.key.reveal()}") as path:  # the ssl module reads files alone
        context.load_cert_chain(path)
    return context


def _number(text: str, name: str, *, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= most:
        raise _bad(f"{name!r} must be a number from 0 to {most:g}")
    return value


def _bad(message: str) -> HTTPError:
    return HTTPError(400, message.replace("%", "%%"))
