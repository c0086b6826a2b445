import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.line import sshd as servers
from tests.line.cable import Cable, plugged
from tests.line.sshd import Sshd
from tests.providers.local.orders import INSTALLATION
from tradewind.model.instance import InstanceStatus, ObservedInstance
from tradewind.model.resources import GIB
from tradewind.providers.base import Handle, Order, ProviderSettings
from tradewind.providers.ssh import SshProvider

PYTHON = "/usr/bin/python3"
"""A bare one: nothing of ours is installed there."""


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return servers.environment(tmp_path_factory.mktemp("ssh") / "environment")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if servers.MISSING:
        pytest.skip(servers.MISSING)
    with servers.sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@dataclass
class Lab:
    """Hosts on one sshd, each with a directory of its own; and witnesses that ask no provider."""

    server: Sshd
    directory: Path
    environment: Path
    providers: list[SshProvider] = field(default_factory=list)

    def host(self, name: str = "ws1", **changed: Any) -> dict[str, Any]:
        return {
            "name": name,
            "address": "127.0.0.1",
            "port": self.server.port,
            "cores": 4,
            "memory": 8 * GIB,
            "key": str(self.server.key),
            "python": PYTHON,
            "environment": str(self.environment),
            "directory": str(self.directory / name),
        } | changed

    def provider(self, *hosts: dict[str, Any], installation: str = INSTALLATION, **options: Any) -> SshProvider:
        table = {
            "hosts": hosts or (self.host(),),
            "placement": "spread",
            "known_hosts": str(self.server.known_hosts),
            "config": str(self.directory / "no_ssh_config"),
        }
        state = options.pop("state", self.directory / "state")
        settings = ProviderSettings(installation=installation, state_directory=str(state), options=table | options)
        made = SshProvider(settings)
        self.providers.append(made)
        return made

    def runs(self, name: str = "ws1") -> list[Path]:
        return sorted((self.directory / name / "runs").glob("*"))

    def claims(self, order: Order | None = None) -> list[Path]:
        return list(self.directory.glob(f"*/runs/{order.marks.order if order is not None else '*'}/instance.json"))

    async def aclose(self) -> None:
        for provider in self.providers:
            await provider.aclose()
        self.kill_all()

    def processes(self) -> list[psutil.Process]:
        """All that belongs to an instance of this lab: by its title, or by the variable that its tasks inherit."""
        mine = {claim.parent.name: json.loads(claim.read_text())["marks"]["instance"] for claim in self.claims()}
        titles, found = set(mine.values()), []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                is_mine = titles & set(" ".join(process.cmdline()).split())
                is_mine = is_mine or process.environ().get("TRADEWIND_INSTANCE") in mine
                if is_mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def kill_all(self) -> None:
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.fixture
async def lab(server: Sshd, tmp_path: Path, environment: Path) -> AsyncIterator[Lab]:
    made = Lab(server, tmp_path, environment)
    yield made
    await made.aclose()


@pytest.fixture
async def cable(lab: Lab) -> AsyncIterator[Cable]:
    async with plugged(lab.server) as made:
        yield made


async def launch(provider: SshProvider, *orders: Order) -> list[Handle]:
    async def one(order: Order) -> Handle:
        return [handle async for handle in provider.launch(order)][-1]

    return list(await asyncio.gather(*map(one, orders)))


async def sight(provider: SshProvider, handle: Handle) -> ObservedInstance | None:
    return next((seen for seen in await provider.observe() if seen.handle == handle.handle), None)


async def until(
    provider: SshProvider, handle: Handle, *statuses: InstanceStatus, within_s: float = 40, detail: str | None = None
) -> ObservedInstance:
    until_s = time.monotonic() + within_s
    while True:
        seen = await sight(provider, handle)
        if seen is not None and seen.status in statuses and (detail is None or seen.detail == detail):
            return seen
        assert seen is None or seen.status is not InstanceStatus.STOPPED, (seen, await provider.logs(handle.handle, 40))
        assert time.monotonic() < until_s, (seen, await provider.logs(handle.handle, 40))
        await asyncio.sleep(0.05)
