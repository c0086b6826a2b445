"""The advisor's pages for one person: on this machine alone, until they are closed."""

from __future__ import annotations

import contextlib
import http.server
import importlib.resources
import threading
import webbrowser
from collections.abc import Callable
from datetime import date
from urllib.parse import unquote, urlsplit

import click

from tradewind.cli.terminal import has_browser, now
from tradewind.errors import TradewindError
from tradewind.server.advice import answering, asking, directory
from tradewind.server.advice.sheet import Fields, Leads, Sheet, read_fields
from tradewind.server.pages.template import render

HERE = "127.0.0.1"
FIRST = "/advise"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
STATIC = {
    "style.css": "text/css; charset=utf-8",
    "advice.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
PAGES: dict[str, Callable[[Fields, date], Sheet | Leads]] = {
    "/advise": asking.asked,
    answering.ANSWER: answering.answered,
    "/partners": directory.listed,
    "/partners/compare": directory.compared,
}


def show_pages(first: str) -> None:
    """Serve the pages on a free port of this machine, open a browser at ``first``, and wait for Ctrl-C."""
    with http.server.ThreadingHTTPServer((HERE, 0), _Asked) as served:
        served.daemon_threads = True
        url = f"http://{HERE}:{served.server_address[1]}"
        click.echo(f"The page is at {url}{first}, for this machine alone; Ctrl-C ends it.")
        if has_browser():
            threading.Thread(target=webbrowser.open, args=(f"{url}{first}",), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            served.serve_forever()


class _Asked(http.server.BaseHTTPRequestHandler):
    """One request of the browser."""

    timeout = 30
    server_version = "Tradewind"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer it."""
        parts = urlsplit(self.path)
        assert isinstance(self.server, http.server.HTTPServer)
        port = self.server.server_port
        if self.headers.get("Host", "") not in {f"{HERE}:{port}", f"localhost:{port}"}:
            # Another site whose name was made to lead here reads nothing, though nothing here is anybody's secret.
            self._send(403, "text/plain; charset=utf-8", b"This page is for this machine alone.")
            return
        name = parts.path.removeprefix("/static/")
        if name != parts.path and name in STATIC:
            file = importlib.resources.files("tradewind.server.pages").joinpath("static", name)
            self._send(200, STATIC[name], file.read_bytes())
            return
        try:
            made = _made(parts.path, parts.query, now().date())
        except TradewindError as error:
            made = Sheet(template="error.html", values={"words": str(error), "number": ""}, status=400)
        if isinstance(made, Leads):
            self.send_response(303)
            self.send_header("Location", made.to)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        public_url = f"http://{HERE}:{port}"
        text = render(made.template, signed=None, public_url=public_url, is_alone=True, **made.values)
        self._send(made.status, "text/html; charset=utf-8", text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal is somebody's."""

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


def _made(path: str, query: str, today: date) -> Sheet | Leads:
    """Return what an address leads to; any that isn't known leads to the first page."""
    if path in PAGES:
        return PAGES[path](read_fields(query), today)
    if path.startswith("/partners/"):
        return directory.one(unquote(path.removeprefix("/partners/")), today)
    return Leads(to=FIRST)
