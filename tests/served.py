"""A real ``tradewind serve`` for a whole session of tests, and the directories of people who are signed in to it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tradewind.client.remote.credentials import Credentials, Login, save_credentials
from tradewind.client.remote.trust import meet
from tradewind.config import Settings
from tradewind.engine.access.identity import new_id
from tradewind.engine.access.people import People
from tradewind.engine.clock import SteadyClock
from tradewind.model.secret import Secret
from tradewind.store.store import Store

SRC = Path(__file__).parents[1] / "src"
WORKSPACE = "default"


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server that runs, and its first user."""

    url: str
    directory: Path
    """Its data: the store, and what its local clusters write."""
    fingerprint: str
    token: Secret
    authority: str
    pid: int

    def sign_in(self, directory: Path) -> None:
        """Let whoever has their settings in ``directory`` be the first user."""
        login = Login(token=self.token, user="ada", workspace=WORKSPACE, authority=self.authority)
        file = directory / "credentials.toml"
        save_credentials(Credentials(current=self.url, logins={self.url: login}), file)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server on a free port, with a file for a store; started when a test first asks for it."""
    directory = tmp_path_factory.mktemp("served")
    process, url = start_server(directory)
    try:
        yield meet_server(directory, process, url, asyncio.run(first_user(directory)))
    finally:
        end_server(process)
    log = (directory / "log").read_text()
    assert "Traceback" not in log, log[-5000:]


def start_server(directory: Path, port: int = 0, words: Sequence[str] = ()) -> tuple[subprocess.Popen[str], str]:
    """Start a server that keeps everything in ``directory``, and return its process and URL once it listens."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("TRADEWIND_")}
    names = ("TRADEWIND_DATA_DIR", "TRADEWIND_CONFIG_DIR", "TRADEWIND_CACHE_DIR")
    home = {name: str(directory) for name in names}
    with (directory / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "from tradewind.cli import main; main()", "serve", "--port", str(port), *words],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**environ, **home, "PYTHONPATH": str(SRC)},
        )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert " at https://" in first, (first, (directory / "log").read_text())
    return process, first.split()[-1]


def meet_server(directory: Path, process: subprocess.Popen[str], url: str, token: Secret) -> Served:
    """Return what a test needs to know of a server."""
    stranger = meet(url)
    return Served(
        url=url,
        directory=directory,
        fingerprint=stranger.fingerprint,
        token=token,
        authority=stranger.authority,
        pid=process.pid,
    )


def end_server(process: subprocess.Popen[str]) -> None:
    """End a server as its operator does."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


@asynccontextmanager
async def people_of(directory: Path) -> AsyncIterator[People]:
    """Open the doors of a server from the inside, past its HTTP: what somebody did elsewhere."""
    store = await Store.open(directory / "tradewind.db")
    try:
        yield People(store, SteadyClock(), Settings(), new_id=new_id)
    finally:
        await store.aclose()


async def first_user(directory: Path) -> Secret:
    """Make the first user, ada, and return a token of hers."""
    async with people_of(directory) as people:
        secret = await people.first_admin_secret()
        assert secret is not None
        _, token = await people.claim(secret.reveal(), "ada")
        return token
