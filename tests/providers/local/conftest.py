import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tradewind.model.instance import InstanceStatus, ObservedInstance
from tradewind.providers.base import Handle, Order

from .orders import provider


class Site:
    """A provider with its state directory, and witnesses that don't ask it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.provider = provider(state)

    async def launch(self, *orders: Order) -> list[Handle]:
        async def one(order: Order) -> Handle:
            return [handle async for handle in self.provider.launch(order)][-1]

        return list(await asyncio.gather(*map(one, orders)))

    async def observe(self, handle: Handle) -> ObservedInstance | None:
        return next((item for item in await self.provider.observe() if item.handle == handle.handle), None)

    async def until(self, handle: Handle, *statuses: InstanceStatus, within_s: float = 15) -> ObservedInstance:
        async with asyncio.timeout(within_s):
            while True:
                seen = await self.observe(handle)
                if seen is not None and seen.status in statuses:
                    return seen
                assert seen is None or seen.status is not InstanceStatus.STOPPED, (
                    seen,
                    await self.provider.logs(handle.handle, 40),
                )
                await asyncio.sleep(0.02)

    async def until_stopped(self, handle: Handle, within_s: float = 10) -> ObservedInstance:
        return await self.until(handle, InstanceStatus.STOPPED, within_s=within_s)

    def directory(self, handle: Handle) -> Path:
        return self.state / "local" / "runs" / handle.handle

    def keeper(self, order: Order) -> psutil.Process:
        """Found by its title in the list of processes."""
        title = f"tradewind {order.marks.role} {order.marks.cluster} {order.marks.instance}"
        return _only(lambda process: title in " ".join(process.cmdline()))

    def dask(self, order: Order) -> psutil.Process:
        (dask,) = self.keeper(order).children()
        return dask

    def warm(self) -> psutil.Process:
        log = str(self.state / "local" / "warm.log")
        return _only(lambda process: process.ppid() == os.getpid() and os.readlink(f"/proc/{process.pid}/fd/1") == log)


def _only(matches: Callable[[psutil.Process], bool]) -> psutil.Process:
    found = []
    for process in psutil.process_iter():
        try:
            if matches(process):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    assert len(found) == 1, found
    return found[0]


def is_gone(pid: int, within_s: float = 5) -> bool:
    until = time.monotonic() + within_s
    while True:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.02)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("state"))
    site.provider.prepare()
    yield site
    asyncio.run(_close(site))


async def _close(site: Site) -> None:
    live = [item for item in await site.provider.observe() if item.status is not InstanceStatus.STOPPED]
    await site.provider.terminate([item.handle for item in live])
    async with asyncio.timeout(10):
        while any(item.status is not InstanceStatus.STOPPED for item in await site.provider.observe()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await site.provider.aclose()


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """One whose warm process a test may kill."""
    site = Site(tmp_path)
    yield site
    asyncio.run(_close(site))
