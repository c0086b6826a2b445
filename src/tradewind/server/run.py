"""Running the server: from settings to a socket, and from a signal to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from tradewind.config import Settings
from tradewind.engine.access.identity import new_id
from tradewind.engine.access.people import People
from tradewind.engine.clock import SteadyClock
from tradewind.engine.shared import Shared
from tradewind.errors import ConfigError
from tradewind.model.secret import Secret
from tradewind.server.app import create_app, default_url
from tradewind.server.certificate import Certificate, certificate_for
from tradewind.server.pages.signing import LINK
from tradewind.store.store import Store

log = logging.getLogger(__name__)

GRACE_S = 5
"""Seconds that answers under way have to end, once the server was told to."""
IDLE_S = 65
"""Seconds that a connection without a request is kept: longer than proxies do, or they meet a closed one."""
HEAD_PATIENCE_S = 15.0
"""Seconds in which a request's head must be there: who sends a byte a minute would hold a line for hours."""
YOUNG, OLDER, OLD = 10_000, 10, 1_000_000
"""After how many new objects the young are searched, after how many such searches the older ones, and the old ones:
never by itself. A thousand clusters are a million old objects, and a search of those took 0.4 s."""
SEARCHED_EVERY_S = 600.0
"""Seconds between searches of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What its operator wants to know once the server listens."""

    url: str
    fingerprint: str | None
    """sha256 of its certificate; None where it speaks no TLS."""
    welcome: Secret | None
    """Link that makes whoever opens it first the first admin; None where there is somebody already."""
    providers: tuple[str, ...]
    store: str


async def serve(settings: Settings, directory: Path, told: Callable[[Started], None]) -> None:
    """Serve until a signal says to stop; then hand all clusters over and return.

    Parameters
    ----------
    settings : Settings
        Of the server.
    directory : Path
        Where its certificate, and its store where there is no other, are kept.
    told : callable
        Called once, when it listens.

    Raises
    ------
    StoreError
        The store can't be opened.
    ConfigError
        The address can't be listened on, or a setting can't be used.
    """
    listening = listen(settings.serve.host, settings.serve.port)
    # Port 0 is "any that is free"; from here on it has a number.
    settings = replace(settings, serve=replace(settings.serve, port=listening.getsockname()[1]))
    with contextlib.closing(listening):
        shared = await Shared.open(settings, directory)
        try:
            now = shared.assembly.clock.now()
            certificate = certificate_for(settings.serve, directory, now) if settings.serve.tls else None
            app = create_app(shared.assembly, settings)
            shared.prepare()
            server = Server(uvicorn_config(app, settings, certificate), app)
            server.on_start = lambda: told(_started(settings, shared, certificate, welcome))
            welcome = await _welcome(shared, settings)
            async with seldom_searched():
                await server.serve([listening])
        finally:
            await shared.aclose()


async def sign_in_link(settings: Settings, directory: Path, name: str) -> Secret:
    """Return the address that signs a user in once, within a day; the server may run meanwhile.

    Raises
    ------
    NotFound
        There is no such user; the words say who the operators are.
    Forbidden
        They are shut out.
    StoreError
        The store can't be opened.
    """
    store = await Store.open(settings.store or directory / "tradewind.db")
    try:
        people = People(store, SteadyClock(), settings, new_id=new_id)
        secret = await people.sign_in_link(name)
    finally:
        await store.aclose()
    return Secret(f"{default_url(settings)}{LINK}#{secret.reveal()}")


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises ConfigError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        # With the protocol named: asyncio sends at once only what it knows for TCP, and an answer's second half would
        # else wait 40 ms for the other side to say that it has the first.
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(1024)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"{host}:{port} can't be listened on: {reason}. Choose another with --host and --port, or end what has it."
        ) from None
    return made


def uvicorn_config(app: Starlette, settings: Settings, certificate: Certificate | None) -> uvicorn.Config:
    """Return what uvicorn is told."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # Behind a proxy of this machine it alone knows who asks; who speaks TLS with us is believed nothing.
        proxy_headers=not settings.serve.tls,
        forwarded_allow_ips="127.0.0.1,::1",
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=32 * 1024,
        ssl_certfile=str(certificate.chain) if certificate is not None else None,
        ssl_keyfile=str(certificate.key) if certificate is not None else None,
    )


class Server(uvicorn.Server):
    """A uvicorn that ends on its first signal, at once on its second, and says when it listens."""

    def __init__(self, config: uvicorn.Config, app: Starlette) -> None:
        super().__init__(config)
        self._starlette = app
        self.on_start: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self.started:
            self.on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let answers under way end."""
        self._starlette.state.ending.set()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: the second one doesn't wait for anybody."""
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that end programs; having been told to end is no failure, so they aren't raised again."""
        loop = asyncio.get_running_loop()
        taken = (signal.SIGINT, signal.SIGTERM)
        try:
            for each in taken:
                loop.add_signal_handler(each, self.handle_exit, each, None)
        except (ValueError, RuntimeError):
            yield  # not the main thread: whoever runs it there ends it by should_exit
            return
        try:
            yield
        finally:
            for each in taken:
                loop.remove_signal_handler(each)


async def _welcome(shared: Shared, settings: Settings) -> Secret | None:
    secret = await shared.assembly.people.first_admin_secret()
    # Behind the #, so that it is in no log: browsers keep that part to themselves.
    return Secret(f"{default_url(settings)}/welcome#{secret.reveal()}") if secret is not None else None


def _started(settings: Settings, shared: Shared, certificate: Certificate | None, welcome: Secret | None) -> Started:
    return Started(
        url=default_url(settings),
        fingerprint=certificate.fingerprint if certificate is not None else None,
        welcome=welcome,
        providers=shared.allowed,
        store=shared.assembly.store.place,
    )


class Connection(H11Protocol):
    """Uvicorn's, with an end to patience: a request's head must have arrived soon after the line was opened."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Look at what has arrived, and go on waiting for the rest of a head that is there in part."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._stop_waiting()
        elif self._patience is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()

    def _wait(self) -> None:
        self._patience = self.loop.call_later(HEAD_PATIENCE_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if not self.transport.is_closing():
            self.transport.close()


@contextlib.asynccontextmanager
async def seldom_searched() -> AsyncIterator[None]:
    """Search for garbage once in ten minutes inside, and not at all among what was there at the beginning.

    Python searches more often by itself, and all wait while everything remembered is gone through.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLD)
    task = asyncio.create_task(_now_and_then(), name="tradewind garbage")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gc.set_threshold(*before)
        gc.unfreeze()


async def _now_and_then() -> None:
    while True:
        await asyncio.sleep(SEARCHED_EVERY_S)
        gc.collect()
