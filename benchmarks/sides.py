"""Servers that a benchmark starts for itself, on this machine alone."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tradewind.config import Settings
from tradewind.engine.access.identity import new_id
from tradewind.engine.access.people import People
from tradewind.engine.clock import SteadyClock
from tradewind.store.store import Store

SERVE = "from tradewind.cli import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that runs."""

    url: str
    pid: int
    token: str
    environ: Mapping[str, str] = field(default_factory=dict)
    """Variables with which a client finds it."""

    def pids(self) -> tuple[int, ...]:
        """Return the server's own processes: itself, and what it keeps ready to launch from."""
        return (self.pid, *(child.pid for child in psutil.Process(self.pid).children(recursive=True)))


@contextmanager
def serving(directory: Path, *, store: str | None = None) -> Iterator[Served]:
    """Run ``tradewind serve`` over plain HTTP, with one user; in SQLite unless a URL of another store is given."""
    environ = {
        **{name: text for name, text in os.environ.items() if not name.startswith("TRADEWIND_")},
        "TRADEWIND_DATA_DIR": str(directory),
        "TRADEWIND_CONFIG_DIR": str(directory),
        "TRADEWIND_SERVE__REQUESTS_PER_SECOND": "100000",
        "TRADEWIND_SERVE__BURST": "100000",
    }
    place = [] if store is None else ["--store", store]
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, "serve", "--no-tls", "--port", "0", *place],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environ,
        )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        if " at http" not in first:
            raise RuntimeError(f"the server didn't start: {first} {(directory / 'server.log').read_text()}")
        url = first.split()[-1]
        token = asyncio.run(_first_user(store or directory / "tradewind.db"))
        client = {"TRADEWIND_SERVER": url, "TRADEWIND_TOKEN": token}
        yield Served(url=url, pid=process.pid, token=token, environ=client)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _first_user(place: str | Path) -> str:
    store = await Store.open(place)
    try:
        people = People(store, SteadyClock(), Settings(), new_id=new_id)
        secret = await people.first_admin_secret()
        if secret is None:
            raise RuntimeError(f"{store.place} has users already")
        _, token = await people.claim(secret.reveal(), "ada")
        return token.reveal()
    finally:
        await store.aclose()
