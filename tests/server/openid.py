"""A real OpenID provider on this machine, and a browser that finds its way through it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from starlette.applications import Starlette

CLIENT, SECRET = "tradewind", "a secret between the two"
HERE = "https://tradewind.test"
CALLBACK = HERE + "/sign-in/oidc/callback"
MODULES = Path(os.environ.get("NODE_MODULES_FOR_TESTS", "~/.cache/tradewind-tests/node_modules")).expanduser()
"""Where ``npm install --prefix ~/.cache/tradewind-tests oidc-provider@8 configurable-http-proxy@5`` puts them."""


def needed(module: str) -> tuple[str, Path]:
    """Return node and where its ``module`` is; skips the test where they aren't, but not in CI."""
    node = shutil.which("node")
    if node is None or not (MODULES / module).is_dir():
        words = f"needs node and its module {module} in {MODULES} (NODE_MODULES_FOR_TESTS)"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    return node, MODULES


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class OpenId:
    """The provider."""

    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[str] | None = None

    @property
    def issuer(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, kid: str = "one") -> None:
        """Start it with a new key of this name."""
        node, modules = needed("oidc-provider")
        asked = {
            "modules": str(modules),
            "port": self.port,
            "issuer": self.issuer,
            "client": CLIENT,
            "secret": SECRET,
            "redirects": [CALLBACK],
            "kid": kid,
        }
        command = [node, str(Path(__file__).with_name("provider.mjs")), json.dumps(asked)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        assert "listening" in self._process.stdout.readline(), "the provider ended at once"

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def provider() -> Iterator[OpenId]:
    """Run a provider."""
    running = OpenId()
    running.start()
    try:
        yield running
    finally:
        running.stop()


class Browser:
    """What a person uses: keeps cookies, follows links, fills in forms, and shows where they come from."""

    def __init__(self, app: Starlette) -> None:
        ours = httpx.ASGITransport(app, raise_app_exceptions=False, client=("203.0.113.9", 4711))
        self.client = httpx.AsyncClient(mounts={HERE: ours}, timeout=20)
        self.url = HERE + "/"
        self.text = ""
        self.status = 0
        self.headers = httpx.Headers()

    async def open(self, path: str) -> None:
        """Go to a page, and wherever it leads."""
        await self._go("GET", urljoin(self.url, path))

    async def click(self, href: str) -> None:
        """Follow the first link whose address holds ``href``."""
        links = [unescape(link) for link in re.findall(r'href="([^"]+)"', self.text)]
        await self.open(next(link for link in links if href in link))

    async def send(self, action: str | None = None, **fields: str) -> None:
        """Send the first form whose address holds ``action``, with what it holds and these fields."""
        forms = re.findall(r"<form([^>]*)>(.*?)</form>", self.text, re.DOTALL)
        found = [(head, inside) for head, inside in forms if action is None or action in head]
        assert found, f"no form to {action} at {self.url}: {self.text[:2000]}"
        head, inside = found[0]
        at = re.search(r'action="([^"]*)"', head)
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', inside)
        data = {name: unescape(value) for name, value in hidden} | fields
        await self._go("POST", urljoin(self.url, unescape(at.group(1)) if at else self.url), data)

    async def post(self, path: str, data: dict[str, str], headers: dict[str, str] | None = None) -> None:
        """Send what no form says."""
        await self._go("POST", urljoin(self.url, path), data, headers)

    async def _go(
        self, method: str, url: str, data: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        sent = headers
        if sent is None:
            sent = {"Sec-Fetch-Site": "same-origin"} if method == "POST" else {}
        for _ in range(20):
            answer = await self.client.request(method, url, data=data, headers=sent)
            self.url, self.text, self.status, self.headers = url, answer.text, answer.status_code, answer.headers
            refresh = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', self.text)
            if not answer.is_redirect and refresh is None:
                return
            url = urljoin(url, unescape(refresh.group(1)) if refresh else answer.headers["location"])
            method, data, sent = "GET", None, {}
        raise AssertionError(f"{url} leads in circles")

    async def sign_in_at_provider(self, name: str) -> None:
        """Fill in what the provider asks: who one is, and whether the server may know it."""
        for _ in range(3):
            if self.url.startswith(HERE):
                return
            await self.send(login=name, password="any")
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Close it."""
        await self.client.aclose()
