"""A real ``tradewind serve`` for a whole session of tests, and the directories of people who are signed in to it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tradewind.client.credentials import Credentials, Login, save_credentials
from tradewind.client.trust import meet
from tradewind.config import Settings
from tradewind.engine.clock import SteadyClock
from tradewind.engine.identity import new_id
from tradewind.engine.people import People
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
    environ = {name: text for name, text in os.environ.items() if not name.startswith("TRADEWIND_")}
    process = subprocess.Popen(
        [sys.executable, "-c", "from tradewind.cli import main; main()", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=(directory / "log").open("w"),
        text=True,
        env={
            **environ,
            "PYTHONPATH": str(SRC),
            "TRADEWIND_DATA_DIR": str(directory),
            "TRADEWIND_CONFIG_DIR": str(directory),
        },
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert " at https://" in first, (first, (directory / "log").read_text())
        url = first.split()[-1]
        token = asyncio.run(_first_user(directory / "tradewind.db"))
        stranger = meet(url)
        yield Served(
            url=url,
            directory=directory,
            fingerprint=stranger.fingerprint,
            token=token,
            authority=stranger.authority,
            pid=process.pid,
        )
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
    log = (directory / "log").read_text()
    assert "Traceback" not in log, log[-5000:]


async def _first_user(place: Path) -> Secret:
    store = await Store.open(place)
    try:
        people = People(store, SteadyClock(), Settings(), new_id=new_id)
        secret = await people.first_admin_secret()
        assert secret is not None
        _, token = await people.claim(secret.reveal(), "ada")
        return token
    finally:
        await store.aclose()
