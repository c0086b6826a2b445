"""What ends on hosts that somebody doesn't reach: never later than it is given up."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.bare import GATEWAY, BareHost, BareHosts
from tests.hosts.furnished import furnish
from tests.hosts.index import muted
from tests.providers.local.orders import INSTALLATION, order
from tradewind.boot.process import Software
from tradewind.config import SshHost
from tradewind.errors import Unavailable
from tradewind.model.environment import Environment, Package
from tradewind.model.instance import InstanceStatus, ObservedInstance, Role
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Resources
from tradewind.providers.base import Handle, Order, ProviderSettings
from tradewind.providers.ssh import SshProvider
from tradewind.providers.ssh.sight import gone_by

pytestmark = [pytest.mark.rig, pytest.mark.timeout(300)]

ALONE_S = 10.0
LIMIT_S = 2 * ALONE_S + 3
RUNNING, STARTING = InstanceStatus.RUNNING, InstanceStatus.STARTING


class Watched:
    """A provider that is asked all the time, and what it said last of whom, and when."""

    def __init__(self, hosts: BareHosts, state: Path, **changed: Any) -> None:
        tables = [
            {
                "name": host.name,
                "address": host.address,
                "user": "root",
                "key": str(hosts.key),
                "cores": 4,
                "memory": 4 * GIB,
                "environment": furnish(host),
                **changed,
            }
            for host in hosts.hosts
        ]
        assert all(SshHost(**table) for table in tables)
        options = {"hosts": tables, "known_hosts": str(hosts.known_hosts), "config": "/nowhere"}
        settings = ProviderSettings(installation=INSTALLATION, state_directory=str(state), options=options)
        self.provider = SshProvider(settings)
        self.seen: dict[str, ObservedInstance] = {}
        self.heard_at: dict[str, float] = {}
        """When each was last seen on a host that answered."""

    async def look(self) -> None:
        while True:
            with suppress(Unavailable):
                for one in await self.provider.observe():
                    self.seen[one.handle] = one
                    if one.detail.startswith("on "):
                        self.heard_at[one.handle] = time.time()
            await asyncio.sleep(0.3)

    async def launch(self, one: Order) -> Handle:
        return [handle async for handle in self.provider.launch(one)][-1]

    async def until(self, is_so: Callable[[], bool], within_s: float = 60.0) -> None:
        until_s = time.monotonic() + within_s
        while not is_so():
            assert time.monotonic() < until_s, self.seen
            await asyncio.sleep(0.1)

    async def up(self, handle: Handle) -> None:
        await self.until(lambda: handle.handle in self.seen and self.seen[handle.handle].status is RUNNING)


@asynccontextmanager
async def watched(hosts: BareHosts, state: Path, **changed: Any) -> AsyncIterator[Watched]:
    made = Watched(hosts, state, **changed)
    looking = asyncio.create_task(made.look())
    try:
        yield made
    finally:
        live = [handle for handle, one in made.seen.items() if one.status.is_live]
        with suppress(Unavailable):
            await made.provider.terminate(live)
        looking.cancel()
        await made.provider.aclose()


def ordered(role: Role, cluster: str, host: BareHost, **boot: Any) -> Order:
    offer = Offer(provider="ssh", vm_type=host.name, resources=Resources(cpus=1, memory=GIB))
    boot = {"orphan_timeout_s": ALONE_S, "python_path": (), **boot}
    return replace(order(role, cluster, **boot), offer=offer)


def lives(host: BareHost, one: Order) -> bool:
    return any(one.marks.instance in line for line in host.processes())


def end_of(host: BareHost, one: Order) -> dict[str, Any]:
    path = host.home / ".cache" / "tradewind" / "runs" / one.marks.order / "exit.json"
    return dict(json.loads(path.read_text()))


async def ended(host: BareHost, one: Order, within_s: float) -> dict[str, Any]:
    """Wait until nothing of it runs there; asks no provider."""
    until_s = time.monotonic() + within_s
    while await asyncio.to_thread(lives, host, one):
        assert time.monotonic() < until_s, host.processes()
        await asyncio.sleep(0.5)
    return end_of(host, one)


def pull(agent: str) -> None:
    """Ask for the status page, as an engine does."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(f"{agent}/v1/status", headers={"Authorization": "Bearer the-agents-own-token"})
    with urllib.request.urlopen(request, timeout=3, context=context) as answer:
        answer.read()


@asynccontextmanager
async def pulled(agent: str) -> AsyncIterator[None]:
    async def go_on() -> None:
        while True:
            with suppress(OSError):
                await asyncio.to_thread(pull, agent)
            await asyncio.sleep(1)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()


def agent_of(one: ObservedInstance) -> str:
    assert one.contact is not None
    return one.contact.agent


async def test_what_the_engine_does_not_reach_ends_before_it_is_given_up_whatever_it_does(
    hosts: BareHosts, tmp_path: Path
) -> None:
    first, _, third = hosts.hosts
    with muted(GATEWAY) as address:
        # A package, so that it asks the index even where the host has uv already.
        making = Software(
            environment=Environment(
                python="3.11.0",
                platform="linux-x86_64",
                packages=(Package(name="never-comes", version="1.0"),),
                content_hash="cd" * 32,
                indexes=(f"http://{address}/simple",),
            )
        )
        async with watched(hosts, tmp_path / "one") as one, watched(hosts, tmp_path / "two", environment=None) as two:
            scheduler = ordered(Role.SCHEDULER, "c-page", first)
            installs = ordered(Role.WORKER, "c-install", third, software=making)
            up, made = await one.launch(scheduler), await two.launch(installs)
            await one.up(up)
            await two.until(lambda: two.seen[made.handle].status is STARTING)
            with ExitStack() as cuts:
                async with pulled(agent_of(one.seen[up.handle])):
                    # Only the way in is closed; whoever holds the token reads its page all the time.
                    cuts.enter_context(first.deaf_to(GATEWAY, 22))
                    cuts.enter_context(third.deaf_to(GATEWAY))
                    ends = await asyncio.gather(
                        ended(first, scheduler, LIMIT_S + 15), ended(third, installs, LIMIT_S + 15)
                    )
            for end, who, handle in zip(ends, (one, two), (up, made), strict=True):
                assert "nobody who looks after it has heard of this host" in end["detail"]
                assert time.time() < gone_by(who.heard_at[handle.handle], ALONE_S)
                await who.until(lambda who=who, handle=handle: not who.seen[handle.handle].status.is_live)
                assert "has heard of this host" in who.seen[handle.handle].detail


async def test_a_worker_that_only_its_scheduler_reaches_works_on_until_that_does_not_either(
    hosts: BareHosts, tmp_path: Path
) -> None:
    first, second, _ = hosts.hosts
    async with watched(hosts, tmp_path / "state") as one:
        scheduler, worker = ordered(Role.SCHEDULER, "c-far", first), ordered(Role.WORKER, "c-far", second)
        up = await one.launch(scheduler)
        await one.up(up)
        async with pulled(agent_of(one.seen[up.handle])):
            far = await one.launch(worker)
            await one.up(far)
            with second.deaf_to(GATEWAY):
                await asyncio.sleep(2 * LIMIT_S)
                assert lives(second, worker)
                seen = one.seen[far.handle]
                assert seen.status is RUNNING
                assert seen.detail.endswith("its scheduler reaches it")
                with second.deaf_to(first.address):
                    cut_at = time.time()
                    await ended(second, worker, 120)
                    assert time.time() < gone_by(cut_at, ALONE_S)
                    assert one.seen[far.handle].status is RUNNING, "it isn't given up yet"
            assert lives(first, scheduler)


async def test_an_order_whose_host_falls_silent_at_once_is_not_forgotten(hosts: BareHosts, tmp_path: Path) -> None:
    third = hosts.hosts[2]
    async with watched(hosts, tmp_path / "state") as one:
        worker = ordered(Role.WORKER, "c-lost", third)
        await one.until(lambda: len(one.provider._known) == 3)
        handle = await one.launch(worker)
        with third.deaf_to(GATEWAY):
            one.seen.clear()
            fresh = Watched(hosts, tmp_path / "state")
            seen = {o.handle: o for o in await fresh.provider.observe()}
            await fresh.provider.aclose()
            assert seen[handle.handle].status is STARTING
            await ended(third, worker, LIMIT_S + 15)
