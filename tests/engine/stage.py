"""A fake world with a store, and engines on it whose rounds a test leads by hand."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Generator, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from tradewind.boot.tls import Authority
from tradewind.engine.rounds.rounds import LEASE, Rounds
from tradewind.model.cluster import Cluster, ClusterSpec, ClusterStatus, Intent, Lifetimes, ScaleMemory, Scaling
from tradewind.model.environment import Environment
from tradewind.model.instance import Instance, Role
from tradewind.model.money import Money
from tradewind.model.resources import Need
from tradewind.model.secret import Secret
from tradewind.model.usage import Usage
from tradewind.providers.base import Provider, ProviderSettings
from tradewind.providers.fake import Billed, FakeProvider, FakeWorld, Machine, Timing
from tradewind.providers.fake.faults import ProcessKilled
from tradewind.store.records import ClusterSecrets
from tradewind.store.store import Store
from tradewind.testing.clock import START, FakeClock

INSTALLATION = "mine"
LONG = Lifetimes(idle=timedelta(days=1), no_client=timedelta(days=1))
"""For tests that are about something else than a cluster's end."""


@cache
def authority() -> Authority:
    """Return one for all tests: making keys takes time."""
    return Authority.create("c", START)


@dataclass(slots=True, kw_only=True)
class Stage:
    """One world, one store, any number of engines."""

    store: Store
    world: FakeWorld
    clock: FakeClock
    provider: Provider
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    async def open(cls, url: str, timing: Timing | None = None) -> Stage:
        """Return an empty one."""
        clock = FakeClock()
        world = FakeWorld(clock, timing=timing or Timing())
        return cls(store=await Store.open(url), world=world, clock=clock, provider=door(world))

    def engine(self, holder: str = "A", provider: Provider | None = None, *, keeps_alive: bool = True) -> Rounds:
        """Return another process that looks after clusters."""
        return Rounds(
            store=self.store,
            provider_of=lambda name: provider or self.provider,
            link=self.world.agents,
            clock=self.clock,
            new_id=lambda prefix: f"{prefix}-{next(self.numbers):05d}",
            installation=INSTALLATION,
            holder=holder,
            keeps_alive=keeps_alive,
        )

    async def create(
        self,
        cluster_id: str = "c1",
        *,
        scaling: Scaling | None = None,
        lifetimes: Lifetimes = LONG,
        budget: Money | None = None,
        worker: Need | None = None,
        tags: dict[str, str] | None = None,
        environment: Environment | None = None,
        adopted_by: Rounds | None = None,
    ) -> Cluster:
        """Write a new cluster down, of two workers unless told otherwise; with a lease of the engine that adopts it."""
        scaling = scaling or Scaling.fixed(2)
        now = self.clock.now()
        spec = ClusterSpec(
            name=cluster_id,
            workspace="lab",
            provider="fake",
            scaling=scaling,
            lifetimes=lifetimes,
            budget=budget,
            worker=worker or Need(),
            tags=tags or {},
        )
        cluster = Cluster(
            id=cluster_id,
            spec=spec,
            intent=Intent(scaling=scaling),
            owner="ada",
            created_at=now,
            scale=ScaleMemory(wanted=scaling.initial),
            expires_at=None if lifetimes.total is None else now + lifetimes.total,
            environment=environment,
        )
        keys = authority()
        secrets = ClusterSecrets(
            authority_certificate=keys.certificate, authority_key=keys.key, agent_token=Secret(f"token of {cluster_id}")
        )
        if adopted_by is None:
            await self.store.create_cluster(cluster, secrets)
        else:
            await self.store.create_cluster(cluster, secrets, holder=adopted_by.holder, until=now + LEASE)
            adopted_by.leases.adopt(cluster, secrets, (), now + LEASE)
        return cluster

    async def go(
        self,
        engine: Rounds,
        until: Callable[[Cluster], bool],
        cluster_id: str = "c1",
        *,
        most: int = 50,
        step: timedelta | None = None,
    ) -> Cluster:
        """Do rounds at their own times, or every ``step``, until the cluster is as asked."""
        for _ in range(most):
            wake_at = await engine.round(cluster_id)
            cluster = await self.store.get_cluster(cluster_id)
            if until(cluster):
                return cluster
            if step is not None:
                self.clock.advance(step)
            else:
                self.clock.advance(max(timedelta(0), (wake_at or self.clock.now() + LEASE) - self.clock.now()))
        raise AssertionError(f"after {most} rounds it is still {cluster.status}: {cluster}")

    async def up(self, engine: Rounds, cluster_id: str = "c1") -> Cluster:
        """Do rounds until all workers that are wanted run."""
        await self.go(engine, is_running, cluster_id)
        for _ in range(50):
            cluster = await self.store.get_cluster(cluster_id)
            page = self.world.agents.page(cluster_id)
            running = [i for i in await self.live(cluster_id) if i.running_at and i.role is Role.WORKER]
            if page is not None and len(running) == cluster.scale.wanted:
                return cluster
            wake_at = await engine.round(cluster_id)
            assert wake_at is not None
            self.clock.advance(max(timedelta(0), wake_at - self.clock.now()))
        raise AssertionError("its workers don't come up")

    async def change(self, change: Callable[[Intent], Intent], cluster_id: str = "c1") -> None:
        """Let people change their mind."""
        await self.store.change_intent(cluster_id, change, now=self.clock.now())

    async def stop(self, cluster_id: str = "c1") -> None:
        """Let people ask for its end."""
        await self.change(lambda intent: replace(intent, stop=True), cluster_id)

    async def scale(self, scaling: Scaling, cluster_id: str = "c1", dismiss: tuple[str, ...] = ()) -> None:
        """Let people ask for another number of workers."""
        await self.change(lambda i: replace(i, scaling=scaling, dismiss=(*i.dismiss, *dismiss)), cluster_id)

    async def live(self, cluster_id: str = "c1", role: Role | None = None) -> tuple[Instance, ...]:
        """Return its live rows."""
        rows = await self.store.instances(cluster_id)
        return tuple(i for i in rows if i.status.is_live and role in {None, i.role})

    def machines(self, cluster_id: str = "c1", role: Role = Role.WORKER) -> tuple[Machine, ...]:
        """Return what exists of it, by the witness."""
        return tuple(m for m in self.world.alive() if m.marks.cluster == cluster_id and m.marks.role is role)

    async def bill(self, cluster_id: str = "c1") -> tuple[tuple[str, datetime, datetime | None], ...]:
        """Return our bill, one line for each instance."""
        return lines_of(await self.store.usages(cluster_ids=(cluster_id,)))

    def truth(self, cluster_id: str = "c1") -> tuple[tuple[str, datetime, datetime | None], ...]:
        """Return the infrastructure's bill, one line for each instance."""
        return tuple(sorted(truth_of(line) for line in self.world.ledger(cluster_id)))


def door(world: FakeWorld) -> FakeProvider:
    """Return a provider for ``world``."""
    return FakeProvider(ProviderSettings(installation=INSTALLATION, state_directory=""), world=world)


def truth_of(line: Billed) -> tuple[str, datetime, datetime | None]:
    """Return a line of the ledger as a line of our bill."""
    return (line.instance, line.started_at, line.stopped_at)


def lines_of(usages: tuple[Usage, ...]) -> tuple[tuple[str, datetime, datetime | None], ...]:
    """Return usages joined by instance; fails where they overlap or leave a gap."""
    lines: dict[str, tuple[str, datetime, datetime | None]] = {}
    for usage in sorted(usages, key=lambda usage: (usage.instance_id, usage.sequence)):
        before = lines.get(usage.instance_id)
        if before is not None:
            assert before[2] == usage.started_at, f"{usage.instance_id} has a gap or an overlap"
        start = before[1] if before is not None else usage.started_at
        lines[usage.instance_id] = (usage.instance_id, start, usage.stopped_at)
    return tuple(sorted(lines.values()))


def is_running(cluster: Cluster) -> bool:
    """Whether its scheduler answers."""
    return cluster.status is ClusterStatus.RUNNING


def is_stopped(cluster: Cluster) -> bool:
    """Whether it is over."""
    return cluster.status is ClusterStatus.STOPPED


@dataclass(slots=True)
class Interrupted(Awaitable[Any]):
    """A coroutine that at its ``at``-th await is kept waiting by ``meanwhile``, and there killed unless that returns.

    Counts from 0; ``reached`` says whether it got so far.
    """

    coroutine: Coroutine[Any, Any, Any]
    at: int
    meanwhile: Callable[[], Awaitable[None]]
    reached: bool = False

    def __await__(self) -> Generator[Any, None, Any]:
        failure: BaseException | None = None
        for number in itertools.count():
            if number == self.at:
                self.reached = True
                try:
                    yield from self.meanwhile().__await__()
                except BaseException:
                    self.coroutine.close()
                    raise
            try:
                waited_for = self.coroutine.send(None) if failure is None else self.coroutine.throw(failure)
            except StopIteration as done:
                return done.value
            failure = None
            try:
                yield waited_for
            except BaseException as error:
                failure = error


async def killed(coroutine: Coroutine[Any, Any, Any], at: int) -> bool:
    """Run until the ``at``-th await and kill there, with all that it began; return whether it got so far."""

    async def kill() -> None:
        raise ProcessKilled(f"at await {at}")

    interrupted = Interrupted(coroutine, at, kill)
    others = asyncio.all_tasks()
    try:
        await interrupted
    except ProcessKilled:
        await bury(others)
    return interrupted.reached


async def bury(others: Set[asyncio.Task[Any]] = frozenset()) -> None:
    """End what a killed process had begun, but for ``others``; a transaction under way ends one way or the other."""
    orphans = asyncio.all_tasks() - others - {asyncio.current_task()}
    for task in orphans:
        task.cancel()
    await asyncio.gather(*orphans, return_exceptions=True)
