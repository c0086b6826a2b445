"""A real JupyterHub on this machine."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.server.openid import free_port, needed

PATIENCE_S = 60.0
PLACE = Path(os.environ.get("JUPYTERHUB_FOR_TESTS", "~/.cache/tradewind-tests/hub/bin/jupyterhub")).expanduser()
"""Where it is, in an environment of its own: ``pip install jupyterhub jupyter-server``."""

CONFIG = """
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{public}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{api}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy}"
c.ConfigurableHTTPProxy.command = ["{node}", "{modules}/configurable-http-proxy/bin/configurable-http-proxy"]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.Spawner.cmd = ["{bin}/jupyterhub-singleuser"]
c.Spawner.args = ["--allow-root"]
c.JupyterHub.services = [dict(name="tests", api_token="{token}")]
c.JupyterHub.load_roles = [dict(name="tests", services=["tests"], scopes=["admin:users", "tokens", "admin:servers"])]
c.JupyterHub.cleanup_servers = True
"""


@dataclass(slots=True)
class Hub:
    """The hub, and what its administrator may do."""

    directory: Path
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    ports: tuple[int, int, int] = field(default_factory=lambda: (free_port(), free_port(), free_port()))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def api_url(self) -> str:
        """Its API as other programs of this machine reach it."""
        return f"http://127.0.0.1:{self.ports[1]}/hub/api"

    def start(self) -> None:
        """Start it and wait until it answers."""
        node, modules = needed("configurable-http-proxy")
        found = PLACE if PLACE.exists() else shutil.which("jupyterhub")
        if found is None:
            words = f"needs a JupyterHub at {PLACE} (JUPYTERHUB_FOR_TESTS)"
            if os.environ.get("CI") == "true":
                pytest.fail(words)
            pytest.skip(words)
        public, api, proxy = self.ports
        config = CONFIG.format(
            public=public, api=api, proxy=proxy, node=node, modules=modules, bin=Path(found).parent, token=self.token
        )
        (self.directory / "jupyterhub_config.py").write_text(config)
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "JUPYTER"))}
        with (self.directory / "hub.log").open("wb") as log:
            self._process = subprocess.Popen(
                [found], cwd=self.directory, env=environ, stdout=log, stderr=log, start_new_session=True
            )
        self._until(lambda: self._ask("GET", "/").status_code == 200, "the hub to answer")

    def stop(self) -> None:
        """End it, with its proxy and its notebooks."""
        if self._process is None:
            return
        started = [self._process, *psutil.Process(self._process.pid).children(recursive=True)]
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        for process in started[1:]:
            if isinstance(process, psutil.Process) and process.is_running():
                process.kill()

    def user(self, name: str) -> None:
        """Make a user."""
        assert self._ask("POST", f"/users/{name}").status_code in {201, 409}

    def delete(self, name: str) -> None:
        """Delete a user."""
        assert self._ask("DELETE", f"/users/{name}").status_code == 204

    def token_of(self, name: str, **asked: Any) -> str:
        """Make a token of a user's, as they would on the hub's page."""
        self.user(name)
        answer = self._ask("POST", f"/users/{name}/tokens", json=asked)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def environ_of_notebook(self, name: str) -> dict[str, str]:
        """Start a user's notebook server, and return what its process has in its environment."""
        self.user(name)
        assert self._ask("POST", f"/users/{name}/server").status_code in {201, 202}
        self._until(lambda: self._ask("GET", f"/users/{name}").json()["servers"].get("", {}).get("ready"), "a notebook")
        assert self._process is not None
        for child in psutil.Process(self._process.pid).children(recursive=True):
            environ = child.environ()
            if environ.get("JUPYTERHUB_USER") == name:
                return environ
        raise AssertionError("there is no notebook's process")

    def stop_notebook(self, name: str) -> None:
        """Stop a user's notebook server."""
        assert self._ask("DELETE", f"/users/{name}/server").status_code in {202, 204}
        self._until(lambda: not self._ask("GET", f"/users/{name}").json()["servers"], "a notebook's end")

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"token {self.token}"}
        return httpx.request(method, self.api_url + path, headers=headers, timeout=20, **more)

    def _until(self, holds: Any, what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if holds():
                    return
            except httpx.TransportError:
                pass
            assert self._process is not None
            assert self._process.poll() is None, (self.directory / "hub.log").read_text()[-3000:]
            time.sleep(0.2)
        raise AssertionError(f"waited {PATIENCE_S:g} s for {what}: {(self.directory / 'hub.log').read_text()[-3000:]}")


@contextmanager
def hub(directory: Path) -> Iterator[Hub]:
    """Run a hub."""
    running = Hub(directory)
    try:
        running.start()
        yield running
    finally:
        running.stop()
