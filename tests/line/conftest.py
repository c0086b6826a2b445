from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tradewind.config import SshHost
from tradewind.host.bare import program
from tradewind.line import Line, Places

from . import sshd as servers
from .cable import Cable, plugged
from .sshd import Sshd

PYTHON = "/usr/bin/python3"
"""A bare one: nothing of ours is installed there."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if servers.MISSING:
        pytest.skip(servers.MISSING)
    with servers.sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@dataclass
class Desk:
    """Where lines to one sshd begin, each with a station at its other end."""

    server: Sshd
    directory: Path
    lines: list[Line] = field(default_factory=list)
    pokes: int = 0

    @property
    def there(self) -> Path:
        return self.directory / "there"

    def line(self, *, known_hosts: Path | None = None, **changed: Any) -> Line:
        host = SshHost(
            name="ws1",
            address="127.0.0.1",
            port=self.server.port,
            key=str(self.server.key),
            python=PYTHON,
            directory=str(self.there),
        )
        places = Places(
            known_hosts=str(known_hosts or self.server.known_hosts), config=str(self.directory / "no_ssh_config")
        )
        text, head = program(), {"as": "station"}
        made = Line(replace(host, **changed), places, self.poke, table="[their table]", text=text, head=head)
        self.lines.append(made)
        return made

    def poke(self) -> None:
        self.pokes += 1

    async def aclose(self) -> None:
        for line in self.lines:
            await line.aclose()


@pytest.fixture
async def desk(server: Sshd, tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(server, tmp_path)
    yield made
    await made.aclose()


@pytest.fixture
async def cable(server: Sshd) -> AsyncIterator[Cable]:
    async with plugged(server) as made:
        yield made
