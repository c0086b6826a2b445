"""Servers for an afternoon: real sockets, real TLS, and answers that a test writes down."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tradewind import __version__
from tradewind.boot.tls import Authority

OURS = {"Tradewind-Version": __version__, "Content-Type": "application/json"}
Reply = tuple[int, dict[str, str], bytes]


def ours(value: Any, status: int = 200, **headers: str) -> Reply:
    """Return an answer of a Tradewind server."""
    return (
        status,
        {**OURS, **{key.replace("_", "-"): text for key, text in headers.items()}},
        json.dumps(value).encode(),
    )


def problem(kind: str, status: int, detail: str, **headers: str) -> Reply:
    """Return one of its errors."""
    body = {"type": f"urn:tradewind:{kind}", "title": "", "status": status, "detail": detail, "request_id": "r-1"}
    code, told, data = ours(body, status, **headers)
    return code, {**told, "Content-Type": "application/problem+json"}, data


class Replies:
    """What a server is asked, and what it shall answer: each reply once, the last one for ever."""

    def __init__(self, *replies: Reply | Callable[[], Reply | None]) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.lines = 0

    def next(self) -> Reply | None:
        """Return the next answer; None cuts the line."""
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply() if callable(reply) else reply


@contextmanager
def serving(replies: Replies, chain: tuple[Path, Path] | None = None) -> Iterator[str]:
    """Serve on a free port of this machine; yields the URL. ``chain`` are files of a certificate and its key."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            replies.lines += 1

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told = {name.lower(): value for name, value in self.headers.items()}
            replies.asked.append((self.command, self.path, told, body))
            reply = replies.next()
            if reply is None:
                self.close_connection = True
                return
            status, headers, data = reply
            (self.send_response_only if "Date" in headers else self.send_response)(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(data)))
            else:
                self.close_connection = True
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Callers that hang up are part of the test."""

    server = Server(("127.0.0.1", 0), Handler)
    if chain is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*chain)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if chain else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def new_authority(name: str) -> Authority:
    """Return an authority that nobody knows yet."""
    return Authority.create(name, datetime.now(UTC), timedelta(days=1))


def certificate_of(
    authority: Authority, directory: Path, *, hosts: tuple[str, ...] = ("127.0.0.1",), shows: Authority | None = None
) -> tuple[Path, Path]:
    """Write a server's certificate and key, with who signed it (or with whom it ``shows`` instead)."""
    pair = authority.issue("a server", datetime.now(UTC), hosts=hosts, lifetime=timedelta(hours=1))
    number = len(list(directory.glob("*.pem")))
    chain, key = directory / f"{number}.pem", directory / f"{number}.key"
    chain.write_text(pair.certificate + (shows or authority).certificate)
    key.write_text(pair.key.reveal())
    return chain, key
