"""One server, asked over lines that are kept open. Plain ``http.client``: any HTTP library imports for longer."""

from __future__ import annotations

import asyncio
import http.client
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode, urlsplit

from tradewind import __version__, wire
from tradewind.client.remote.answers import VERSION, Answer
from tradewind.client.remote.trust import context_for
from tradewind.errors import ServerError
from tradewind.model.secret import Secret

T = TypeVar("T")

PREFIX = "/api/v1/"
CONNECT_S = 10.0
ANSWER_S = 60.0
"""Seconds for an answer to come, beyond what was asked to be waited for."""
BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of an answer; a thousand clusters of twenty instances take a third."""
DOWNLOADED_AT_ONCE = 1 << 16
DOWNLOADS = 3
"""How often a download that breaks is tried: each time all of it is made and sent anew."""
TRIES = 5
FIRST_REST_S = 0.2
LONGEST_REST_S = 5.0
"""Seconds between tries grow from the first to the longest; a server that asks for more than that isn't asked again."""
IDLE_S = 4.0
"""A line unused for this long isn't used again: servers close theirs after five seconds, and a question sent into a
line that is being closed may or may not have been heard."""
THREADS = 32
WAITING_THREADS = 32
"""Threads for questions that wait, apart from the others, so that a hundred clusters that are watched hold up nobody
who asks for another. A server lets fifty of one user's wait."""


class Interrupted(ServerError):
    """The line was cut, or nothing came in time; what was asked may or may not have been done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request."""

    method: str
    path: str
    """Below the prefix, quoted."""
    body: bytes | None = None
    key: str | None = None
    """Makes a second asking of the same no second doing."""
    wait_s: float = 0.0
    """How long the server was asked to wait before it answers."""

    @property
    def is_safe(self) -> bool:
        """Whether it may be asked again when nobody knows whether it was heard."""
        return self.method in {"GET", "PUT", "DELETE"} or self.key is not None


def path(*parts: str, **query: object) -> str:
    """Return a path of ``parts``, each quoted whole, and of the parameters that aren't None."""
    given = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in query.items()}
    asked = urlencode({key: given[key] for key, value in query.items() if value is not None})
    return "/".join(quote(part, safe="") for part in parts) + (f"?{asked}" if asked else "")


class Connection:
    """Asks, on threads of its own, so that any event loop can wait for the answer.

    Parameters
    ----------
    url : str
        As :func:`tradewind.client.remote.credentials.server_url` writes it.
    token : callable
        Returns the token; called for each question, so that a new sign-in is heard of.
    renew : callable, optional
        Called with the token that wasn't good any more; returns another, or None.
    authority : str, optional
        PEM of what vouches for the server; default: what this machine trusts.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], Secret | None] = lambda: None,
        *,
        renew: Callable[[Secret | None], Secret | None] = lambda _: None,
        authority: str | None = None,
    ) -> None:
        self.url = url
        self._token = token
        self._renew = renew
        self._authority = authority
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []
        self._busy: set[http.client.HTTPConnection] = set()
        self._threads: dict[bool, ThreadPoolExecutor] = {}
        self._is_closed = False

    async def ask(self, question: Question, kind: type[T]) -> T:
        """Return the answer to ``question``; asked again where that can do no harm.

        Raises
        ------
        SignInNeeded
            There is no token, or it isn't good any more.
        Interrupted, ServerError
            Nobody answers, or not as one of ours would.
        TradewindError
            What the server says.
        """
        stop = threading.Event()
        future = self._pool(waits=question.wait_s > 0).submit(self.ask_here, question, kind, stop)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            stop.set()
            raise

    async def download(self, where: str, to: Path) -> None:
        """Write the answer to a GET into a file, however long it is; raises as :meth:`ask` does.

        One that breaks is begun anew, from its start: it is tried three times in all.
        """
        # A first look refreshes what lets us in, which a download doesn't.
        await self.ask(Question(method="GET", path="me"), object)
        stop = threading.Event()
        future = self._pool(waits=False).submit(self._download, where, to, stop)
        try:
            await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            stop.set()
            raise

    def _download(self, where: str, to: Path, stop: threading.Event) -> None:
        rest_s = FIRST_REST_S
        for tries_left in reversed(range(DOWNLOADS)):
            try:
                self._download_once(where, to, stop)
            except Interrupted as error:
                if self._is_closed or stop.is_set():
                    raise
                if not tries_left:
                    raise Interrupted(
                        f"{error} The download broke {DOWNLOADS} times, and what was written isn't whole: try again "
                        "later, or ask for less."
                    ) from None
                if stop.wait(rest_s * random.uniform(0.5, 1.0)):
                    raise  # nobody waits for it any more
                rest_s *= 4
            else:
                return

    def _download_once(self, where: str, to: Path, stop: threading.Event) -> None:
        token = self._token()
        headers = {"User-Agent": f"tradewind/{__version__}", VERSION: __version__}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        line = self._line(ANSWER_S)
        try:
            line.request("GET", PREFIX + where, headers=headers)
            response = line.getresponse()
            if response.status != 200:
                told = {name.lower(): value for name, value in response.getheaders()}
                raise Answer(url=self.url, status=response.status, headers=told, body=response.read(BODY_LIMIT)).error()
            with to.open("wb") as file:
                while not stop.is_set() and (piece := response.read(DOWNLOADED_AT_ONCE)):
                    file.write(piece)
            # Of an answer that ends before the length it told, the library says nothing.
            if stop.is_set() or response.length:
                raise http.client.IncompleteRead(b"", response.length)
        except (TimeoutError, http.client.HTTPException, ConnectionError, ssl.SSLError) as error:
            raise Interrupted(f"the line to {self.url} was cut ({_words(error)}).") from None
        finally:
            self._drop(line)

    def ask_here(self, question: Question, kind: type[T], stop: threading.Event | None = None) -> T:
        """Return the answer as :meth:`ask` does, waiting for it in this thread."""
        return self.answer(question, stop).load(kind)

    def answer(self, question: Question, stop: threading.Event | None = None) -> Answer:
        """Return the last answer to ``question``, whatever it says; raises where there is none."""
        rest_s, renewed = FIRST_REST_S, False
        stop = stop or threading.Event()
        token = self._token()
        for tries_left in reversed(range(TRIES)):
            try:
                answer = self._once(question, token)
            except Interrupted:
                # Of a long wait the asker decides: whoever cut it would cut the next one too.
                if not tries_left or not question.is_safe or question.wait_s or self._is_closed:
                    raise
                asked_to_rest = None
            else:
                if answer.status == 401 and not renewed:
                    renewed, other = True, self._renew(token)
                    if other is not None and other != token:
                        token = other
                        continue
                if not tries_left or not _is_worth_repeating(question, answer):
                    return answer
                asked_to_rest = answer.retry_after_s
            if stop.wait(asked_to_rest if asked_to_rest is not None else rest_s * random.uniform(0.5, 1.0)):
                raise Interrupted(f"{self.url}: the question was taken back")
            rest_s = min(rest_s * 2, LONGEST_REST_S)
        raise AssertionError  # the last try returns or raises

    def warm(self) -> None:
        """Open a line that the next question will use; a hint, so it fails in silence."""

        def open_one() -> None:
            with suppress(ServerError):
                self._give_back(self._line(CONNECT_S))

        self._pool(waits=False).submit(open_one)

    def close(self) -> None:
        """Cut all lines; whoever waits for an answer is told so at once."""
        with self._lock:
            self._is_closed = True
            lines = [*self._busy, *(line for _, line in self._idle)]
            self._idle.clear()
            pools = list(self._threads.values())
        for line in lines:
            if line.sock is not None:
                with suppress(OSError):
                    line.sock.shutdown(socket.SHUT_RDWR)
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)
        for line in lines:
            line.close()

    def _pool(self, *, waits: bool) -> ThreadPoolExecutor:
        with self._lock:
            if self._is_closed:
                raise ServerError(f"this program's connection to {self.url} was closed: make a new Cluster(name=…)")
            if waits not in self._threads:
                many = WAITING_THREADS if waits else THREADS
                self._threads[waits] = ThreadPoolExecutor(many, thread_name_prefix="tradewind server")
            return self._threads[waits]

    def _once(self, question: Question, token: Secret | None) -> Answer:
        headers = {"Accept": "application/json", "User-Agent": f"tradewind/{__version__}", VERSION: __version__}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        if question.body is not None:
            headers["Content-Type"] = "application/json"
        if question.key is not None:
            headers["Idempotency-Key"] = question.key
        line = self._line(question.wait_s + ANSWER_S)
        try:
            line.request(question.method, PREFIX + question.path, body=question.body, headers=headers)
            response = line.getresponse()
            body = response.read(BODY_LIMIT + 1)
        except TimeoutError:
            self._drop(line)
            raise Interrupted(f"{self.url} didn't answer within {question.wait_s + ANSWER_S:.0f} s.") from None
        except (OSError, http.client.HTTPException) as error:
            self._drop(line)
            raise Interrupted(f"the line to {self.url} was cut ({_words(error)}).") from None
        except BaseException:
            self._drop(line)
            raise
        if len(body) > BODY_LIMIT:
            self._drop(line)
            raise ServerError(f"{self.url} answered with more than {BODY_LIMIT >> 20} MiB: ask for less.")
        if response.will_close:
            self._drop(line)
        else:
            self._give_back(line)
        told = {name.lower(): value for name, value in response.getheaders()}
        return Answer(url=self.url, status=response.status, headers=told, body=body)

    def _line(self, timeout_s: float) -> http.client.HTTPConnection:
        """Return an open line that nobody else uses."""
        oldest = time.monotonic() - IDLE_S
        with self._lock:
            stale = [line for since, line in self._idle if since < oldest]
            self._idle = [(since, line) for since, line in self._idle if since >= oldest]
            line = self._idle.pop()[1] if self._idle else None
            if line is not None:
                self._busy.add(line)
        for old in stale:
            old.close()
        if line is not None:
            if line.sock is not None:
                line.sock.settimeout(timeout_s)
            return line
        line = self._new_line(timeout_s)
        try:
            line.connect()
        except BaseException as error:
            self._drop(line)
            if isinstance(error, ssl.SSLCertVerificationError):
                raise ServerError(self._untrusted(error)) from None
            if isinstance(error, OSError):
                raise Interrupted(self._unreachable(error)) from None
            raise
        assert line.sock is not None
        line.sock.settimeout(timeout_s)
        return line

    def _new_line(self, timeout_s: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        connect_s = min(CONNECT_S, timeout_s)
        proxy = _proxy_for(parts.scheme, host)
        at, at_port = proxy or (host, port)
        line: http.client.HTTPConnection
        if parts.scheme == "https":
            with self._lock:
                self._context = self._context or context_for(self._authority)
            line = http.client.HTTPSConnection(at, at_port, timeout=connect_s, context=self._context)
            if proxy is not None:
                line.set_tunnel(host, port or 443)
        else:
            line = http.client.HTTPConnection(at, at_port, timeout=connect_s)
        with self._lock:
            if self._is_closed:
                raise ServerError(f"the connection to {self.url} was closed.")
            self._busy.add(line)
        return line

    def _give_back(self, line: http.client.HTTPConnection) -> None:
        with self._lock:
            self._busy.discard(line)
            if not self._is_closed:
                self._idle.append((time.monotonic(), line))
                return
        line.close()

    def _drop(self, line: http.client.HTTPConnection) -> None:
        with self._lock:
            self._busy.discard(line)
        line.close()

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> str:
        said = error.verify_message.rstrip(".")
        if self._authority is not None:
            return (
                f"{self.url} shows another certificate than the one you accepted ({said}). If its operator says that "
                f"it was changed, sign in anew: tradewind login {self.url}"
            )
        return f"nothing on this machine vouches for {self.url} ({said}). To look at it: tradewind login {self.url}"

    def _unreachable(self, error: OSError) -> str:
        if isinstance(error, ssl.SSLError):
            return f"{self.url} doesn't speak TLS: is the port right, and is it https?"
        if isinstance(error, socket.gaierror):
            return f"there is no machine of the name {urlsplit(self.url).hostname!r}: is the address {self.url} right?"
        return f"nobody answers at {self.url} ({_words(error)}): is the server up, and the address right?"


def _is_worth_repeating(question: Question, answer: Answer) -> bool:
    """Whether the same question may get another answer in a moment, and does no harm if it was heard."""
    if not answer.is_passing or (answer.retry_after_s or 0.0) > LONGEST_REST_S:
        return False
    # Who waits for a change decides themselves. A 429 was refused before anything was done.
    return not question.wait_s and (question.is_safe or answer.status == 429)


def _words(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return wire.printable(str(text))[:200]


def _proxy_for(scheme: str, host: str) -> tuple[str, int | None] | None:
    """Return the proxy that this machine's user named for ``host``, as every other tool takes it."""
    if not any(name.lower() in {f"{scheme}_proxy", "all_proxy"} for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # some 30 ms that hardly anybody needs

    proxies = getproxies()
    named = proxies.get(scheme) or proxies.get("all")
    if not named or proxy_bypass(host):
        return None
    parts = urlsplit(named if "://" in named else f"http://{named}")
    return (parts.hostname, parts.port) if parts.hostname else None
