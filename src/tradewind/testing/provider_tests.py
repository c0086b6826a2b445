"""One class that every provider passes."""

# ruff: noqa: E402 - the libraries for tests are asked for before they are imported
from __future__ import annotations

import asyncio
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from tradewind.testing.extras import require

require("pytest", "pytest_asyncio")

import pytest

from tradewind.boot.process import Boot
from tradewind.boot.tls import Authority
from tradewind.errors import BadRequest, NoCapacity, Rejected
from tradewind.model.instance import InstanceStatus, Marks, ObservedInstance, Role
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Need, Range
from tradewind.model.secret import Secret
from tradewind.providers.base import Handle, Order, Provider

MINE, OTHERS = "installation-of-the-tests", "installation-of-somebody-else"


class ProviderTests(ABC):
    """The contract of a provider, as tests.

    Subclass it as ``TestMyProvider``, and say how to make a provider and how to see what exists without one (the
    witness: ``ps``, ``squeue``, the cloud's own client). What the infrastructure can't do stands in
    :attr:`unpromised` with the reason, which is what its test is skipped with.
    """

    unpromised: ClassVar[Mapping[str, str]] = {}
    """Of ``no_capacity``, ``rejection``, ``self_expiry`` and ``logs_of_the_dead``: what isn't promised, and why."""
    start_within: ClassVar[timedelta] = timedelta(seconds=30)
    """From a launch to a running scheduler, at most."""
    stop_within: ClassVar[timedelta] = timedelta(seconds=30)
    """From a terminate to nothing, at most."""
    step: ClassVar[timedelta] = timedelta(seconds=0.1)
    """How long to wait between two looks."""
    lifetime: ClassVar[timedelta] = timedelta(seconds=2)
    """How long something lives that shall expire."""
    clock_skew: ClassVar[timedelta] = timedelta(seconds=1)
    """How far the infrastructure's clock may be from ours."""

    # What a subclass says

    @abstractmethod
    def make_provider(self, installation: str = MINE) -> Provider:
        """Return a new door to the same infrastructure, for this installation."""

    @abstractmethod
    async def alive(self) -> Collection[Marks]:
        """Return the marks of all that exists now, ours and others', without using a provider."""

    @abstractmethod
    async def ran_as(self, marks: Marks) -> tuple[Role, str, str] | None:
        """Return role, cluster id and instance id as the launched process itself shows them; None while it doesn't."""

    @abstractmethod
    async def exposed(self, marks: Marks) -> Sequence[str]:
        """Return what other users of the infrastructure can read of it: process arguments, tags, job scripts."""

    async def pass_time(self, duration: timedelta) -> None:
        """Let time go by. A fake moves its clock."""
        await asyncio.sleep(duration.total_seconds())

    def now(self) -> datetime:
        """Return the time by which orders are dated."""
        return datetime.now(UTC)

    def needs(self) -> Sequence[Need]:
        """Return needs that the infrastructure can satisfy."""
        return (Need(), Need(cpus=Range(minimum=1)), Need(memory=Range(minimum=GIB / 4, maximum=None), count=2))

    def impossible_need(self) -> Need:
        """Return a need that it never can."""
        return Need(memory=Range(minimum=2**60))

    def too_many(self, order: Order) -> Order:
        """Return ``order`` changed into one there is no room for, after filling the room where that's needed."""
        raise AssertionError(f"say in {type(self).__name__}.too_many how {order.offer.provider} runs out of room, "
                             "or in unpromised['no_capacity'] why it doesn't")  # fmt: skip

    def bad(self, order: Order) -> tuple[Order, str]:
        """Return ``order`` changed into one that is refused, and a part of the infrastructure's own words on it."""
        raise AssertionError(f"say in {type(self).__name__}.bad what {order.offer.provider} refuses, "
                             "or in unpromised['rejection'] why it refuses nothing")  # fmt: skip

    def boot(self, role: Role, cluster: str, instance: str, offer: Offer) -> Boot:
        """Return what an instance needs to start; override it where the provider needs more."""
        now = datetime.now(UTC)
        keys = Authority.create(cluster, now).issue(instance, now, hosts=("localhost", "127.0.0.1"))
        return Boot(
            role=role,
            cluster_id=cluster,
            instance_id=instance,
            keys=keys,
            agent_token=Secret(f"token-{uuid.uuid4().hex}"),
            threads=1,
            memory=min(offer.resources.memory, GIB),
        )

    # What the tests are written with

    async def order(
        self, provider: Provider, role: Role = Role.SCHEDULER, *, installation: str = MINE, cluster: str | None = None
    ) -> Order:
        """Return an order for the cheapest that the provider offers."""
        offer = (await provider.offers(Need()))[0]
        cluster = cluster or f"cluster-{uuid.uuid4().hex[:12]}"
        instance = f"{role}-{uuid.uuid4().hex[:12]}"
        return Order(
            marks=Marks(
                installation=installation,
                workspace="tests",
                cluster=cluster,
                instance=instance,
                order=f"order-{uuid.uuid4().hex[:12]}",
                role=role,
            ),
            offer=offer,
            boot=self.boot(role, cluster, instance, offer),
        )

    @asynccontextmanager
    async def door(self, installation: str = MINE) -> AsyncIterator[Provider]:
        """Open a provider; at the end, end all that it sees and wait until it's gone."""
        provider = self.make_provider(installation)
        try:
            yield provider
        finally:
            try:
                await self.pass_time(provider.capabilities.list_lag)
                await provider.terminate([seen.handle for seen in await living(provider)])
                await self.eventually(lambda: _is_empty(provider), self.stop_within, "all that a test launched ends")
            finally:
                await provider.aclose()

    async def eventually(self, check: Callable[[], Awaitable[bool]], within: timedelta, what: str) -> None:
        """Return as soon as ``check`` holds; fail when it doesn't ``within`` this time."""
        waited = timedelta(0)
        while not await check():
            assert waited <= within, f"expected within {within}: {what}"
            await self.pass_time(self.step)
            waited += self.step

    async def running(self, provider: Provider, order: Order) -> ObservedInstance:
        """Launch, wait until it runs (and, of a scheduler, can be reached), and return how it's seen then."""
        await launch(provider, order)

        async def is_up() -> bool:
            seen = await sight(provider, order)
            is_reachable = seen is not None and (order.marks.role is Role.WORKER or seen.contact is not None)
            return is_reachable and seen is not None and seen.status is InstanceStatus.RUNNING

        await self.eventually(is_up, self.start_within, f"{order.marks.instance} runs")
        seen = await sight(provider, order)
        assert seen is not None
        return seen

    async def count(self, order: Order) -> int:
        """Return how many things exist for an order, by the witness."""
        return sum(marks.order == order.marks.order for marks in await self.alive())

    async def gone(self, *orders: Order) -> None:
        """Wait until the witness sees nothing of these orders."""

        async def is_gone() -> bool:
            return not any([await self.count(order) for order in orders])

        await self.eventually(is_gone, self.stop_within, "the witness sees nothing of it any more")

    def needs_promise(self, promise: str, *, is_promised: bool = True) -> None:
        """Skip a test with the reason the subclass gives; a capability that is off without one is a failure."""
        if promise in self.unpromised:
            pytest.skip(f"{promise} isn't promised: {self.unpromised[promise]}")
        assert is_promised, f"capabilities don't promise {promise}: say in unpromised[{promise!r}] why"

    # The properties, numbered as in the design

    async def test_01_what_was_launched_is_observed_within_the_promised_lag(self) -> None:
        async with self.door() as provider:
            order = await self.order(provider)
            handle = await launch(provider, order)
            await self.pass_time(provider.capabilities.list_lag)
            seen = await sight(provider, order)
            assert seen is not None
            assert (seen.marks, seen.handle) == (order.marks, handle.handle)
            assert await self.count(order) == 1

    async def test_01_a_scheduler_comes_up_and_says_where_it_can_be_reached(self) -> None:
        async with self.door() as provider:
            seen = await self.running(provider, await self.order(provider))
            assert seen.contact is not None
            assert seen.contact.scheduler.startswith("tls://")
            assert seen.contact.agent.startswith("https://")

    async def test_01_a_worker_comes_up_beside_its_scheduler(self) -> None:
        async with self.door() as provider:
            scheduler = await self.order(provider)
            worker = await self.order(provider, Role.WORKER, cluster=scheduler.marks.cluster)
            # One authority signs for both, as it does for a cluster.
            now, boots = datetime.now(UTC), (scheduler.boot, worker.boot)
            authority = Authority.create(scheduler.marks.cluster, now)
            keys = [authority.issue(b.instance_id, now, hosts=("localhost", "127.0.0.1")) for b in boots]
            scheduler = replace(scheduler, boot=replace(scheduler.boot, keys=keys[0]))
            worker = replace(worker, boot=replace(worker.boot, keys=keys[1]))
            first = await self.running(provider, scheduler)
            at = first.contact.scheduler if first.contact is not None else None
            worker = replace(worker, cluster_contact=first.contact, boot=replace(worker.boot, scheduler_address=at))
            assert (await self.running(provider, worker)).contact is None

    async def test_02_the_same_order_twice_launches_once(self) -> None:
        async with self.door() as provider:
            order = await self.order(provider)
            first, second = await launch(provider, order), await launch(provider, order)
            assert first.handle == second.handle
            assert await self.count(order) == 1

    async def test_02_the_same_order_through_two_doors_at_once_launches_once(self) -> None:
        async with self.door() as one, AsyncExitStack() as stack:
            two = self.make_provider()
            stack.push_async_callback(two.aclose)
            order = await self.order(one)
            first, second = await asyncio.gather(launch(one, order), launch(two, order))
            assert first.handle == second.handle
            assert await self.count(order) == 1

    async def test_02_an_order_whose_instance_has_ended_launches_nothing_new(self) -> None:
        async with self.door() as provider:
            order = await self.order(provider)
            handle = await launch(provider, order)
            await provider.terminate([handle.handle])
            await self.gone(order)
            await launch(provider, order)
            await self.pass_time(provider.capabilities.list_lag)
            assert await self.count(order) == 0

    async def test_03_killed_after_each_yield_the_last_handle_suffices_to_end_it(self) -> None:
        async with self.door() as provider:
            yields, complete = 1, False
            while not complete:
                order = await self.order(provider)
                handles, complete = await _abandoned(provider, order, yields)
                await provider.terminate([handles[-1].handle])
                await self.gone(order)
                yields += 1

    async def test_03_a_launch_that_was_cancelled_is_found_by_giving_the_order_again(self) -> None:
        async with self.door() as provider:
            for turns in (1, 2, 4, 16):
                order = await self.order(provider)
                first = asyncio.create_task(launch(provider, order))
                for _ in range(turns):
                    await asyncio.sleep(0)
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
                handle = await launch(provider, order)
                assert await self.count(order) == 1
                await provider.terminate([handle.handle])
                await self.gone(order)

    async def test_04_terminate_is_silent_on_the_absent_the_twice_told_and_nothing(self) -> None:
        async with self.door() as provider:
            order = await self.order(provider)
            handle = (await launch(provider, order)).handle
            await provider.terminate([])
            await provider.terminate([handle, handle])
            await provider.terminate([handle])
            await self.gone(order)
            await provider.terminate([handle])

    async def test_04_terminate_ends_the_present_among_the_absent(self) -> None:
        async with self.door() as provider:
            gone, present = await self.order(provider), await self.order(provider)
            old = (await launch(provider, gone)).handle
            await provider.terminate([old])
            await self.gone(gone)
            await provider.terminate([old, (await launch(provider, present)).handle])
            await self.gone(present)

    async def test_05_terminate_returns_in_seconds_and_the_list_empties_later(self) -> None:
        async with self.door() as provider:
            seen = await self.running(provider, await self.order(provider))
            began = time.monotonic()
            await provider.terminate([seen.handle])
            assert time.monotonic() - began < 5
            await self.eventually(lambda: _is_empty(provider), self.stop_within, "the list is empty")

    async def test_06_a_fresh_provider_observes_and_ends_what_another_launched(self) -> None:
        async with self.door() as fresh:
            first = self.make_provider()
            order = await self.order(first)
            await launch(first, order)
            await first.aclose()
            await self.pass_time(fresh.capabilities.list_lag)
            seen = await sight(fresh, order)
            assert seen is not None
            assert seen.marks == order.marks
            await fresh.terminate([seen.handle])
            await self.gone(order)

    async def test_06_nobody_observes_what_another_installation_launched(self) -> None:
        async with self.door() as mine, self.door(OTHERS) as others:
            order = await self.order(others, installation=OTHERS)
            await launch(others, order)
            await self.pass_time(others.capabilities.list_lag)
            assert await sight(others, order) is not None
            assert await sight(mine, order) is None

    async def test_07_no_room_is_no_capacity_and_leaves_nothing(self) -> None:
        self.needs_promise("no_capacity")
        async with self.door() as provider:
            order = self.too_many(await self.order(provider))
            with pytest.raises(NoCapacity):
                await launch(provider, order)
            assert await self.count(order) == 0

    async def test_08_a_bad_order_is_rejected_in_the_words_of_the_infrastructure(self) -> None:
        self.needs_promise("rejection")
        async with self.door() as provider:
            order, words = self.bad(await self.order(provider))
            with pytest.raises(Rejected) as refusal:
                await launch(provider, order)
            assert words in str(refusal.value)
            assert await self.count(order) == 0

    async def test_09_offers_satisfy_the_need_cheapest_first_and_unpriced_last(self) -> None:
        async with self.door() as provider:
            for need in self.needs():
                offers = await provider.offers(need)
                assert offers, f"nothing is offered for {need}"
                assert all(satisfies(offer, need) for offer in offers)
                prices = [offer.price.per_hour if offer.price is not None else None for offer in offers]
                priced = [price for price in prices if price is not None]
                assert prices == sorted(priced) + [None] * (len(prices) - len(priced))
                assert all(price.is_finite() and price >= 0 for price in priced)
                assert {offer.provider for offer in offers} == {provider.name}

    async def test_09_what_can_never_be_had_is_a_bad_request(self) -> None:
        async with self.door() as provider:
            with pytest.raises(BadRequest):
                await provider.offers(self.impossible_need())

    async def test_09_spot_is_offered_exactly_where_it_is_promised(self) -> None:
        async with self.door() as provider:
            offers = await provider.offers(Need(), spot=True)
            assert bool(offers) == provider.capabilities.spot
            assert all(offer.spot for offer in offers)
            assert not any(offer.spot for offer in await provider.offers(Need()))

    async def test_10_what_runs_shows_its_role_and_ids(self) -> None:
        async with self.door() as provider:
            order = await self.order(provider)
            await self.running(provider, order)
            marks = order.marks
            assert await self.ran_as(marks) == (marks.role, marks.cluster, marks.instance)

    async def test_11_no_secret_can_be_seen(self) -> None:
        async with self.door() as provider:
            order = await self.order(provider)
            seen = await self.running(provider, order)
            logs = await provider.logs(seen.handle, 1000)
            texts = [repr(order), repr(order.marks), seen.handle, repr(seen), *logs, *await self.exposed(order.marks)]
            assert len(texts) > 4 + len(logs), "the witness shows nothing, so nothing was looked at"
            for secret in secrets(order.boot):
                assert not [text for text in texts if secret in text]

    async def test_12_what_expires_ends_without_any_door_open(self) -> None:
        provider = self.make_provider()
        self.needs_promise("self_expiry", is_promised=provider.capabilities.self_expiry)
        order = await self.order(provider)
        order = replace(order, expires_at=self.now() + self.lifetime)
        order = replace(order, boot=replace(order.boot, expires_at=order.expires_at))
        await launch(provider, order)
        assert await self.count(order) == 1
        await provider.aclose()
        await self.pass_time(self.lifetime)
        await self.gone(order)

    async def test_13_the_dead_keep_their_logs(self) -> None:
        async with self.door() as provider:
            self.needs_promise("logs_of_the_dead", is_promised=provider.capabilities.logs_of_the_dead)
            order = await self.order(provider)
            seen = await self.running(provider, order)
            await provider.terminate([seen.handle])
            await self.gone(order)
            assert await provider.logs(seen.handle, 100)
            assert len(await provider.logs(seen.handle, 1)) == 1
            assert not await provider.logs(seen.handle, 0)

    async def test_13_what_never_was_has_no_logs(self) -> None:
        async with self.door() as provider:
            order = await self.order(provider)
            handle = (await launch(provider, order)).handle
            assert not await provider.logs(f"{handle}-never-was", 100)

    async def test_14_all_times_are_aware_utc_and_in_order(self) -> None:
        async with self.door() as provider:
            before = self.now()
            order = await self.order(provider)
            alive = await self.running(provider, order)
            assert alive.started_at is not None
            await provider.terminate([alive.handle])
            await self.gone(order)
            after = self.now()
            dead = [seen for seen in await provider.observe() if seen.marks == order.marks]
            for seen in (alive, *dead):
                times = [moment for moment in (seen.started_at, seen.stopped_at) if moment is not None]
                assert all(moment.utcoffset() == timedelta(0) for moment in times)
                assert [before - self.clock_skew, *times, after + self.clock_skew] == sorted(
                    [before - self.clock_skew, *times, after + self.clock_skew]
                )


async def launch(provider: Provider, order: Order) -> Handle:
    """Launch and return the last handle."""
    handles = [handle async for handle in provider.launch(order)]
    assert handles, "a launch that succeeds yields a handle"
    assert {handle.order for handle in handles} == {order.marks.order}
    return handles[-1]


async def living(provider: Provider) -> tuple[ObservedInstance, ...]:
    """Return what a provider lists, without the dead."""
    return tuple(seen for seen in await provider.observe() if seen.status is not InstanceStatus.STOPPED)


async def sight(provider: Provider, order: Order) -> ObservedInstance | None:
    """Return how a provider sees the living instance of an order; None where it doesn't."""
    found = [seen for seen in await living(provider) if seen.marks.order == order.marks.order]
    assert len(found) <= 1, f"{order.marks.order} is listed {len(found)} times"
    return found[0] if found else None


def satisfies(offer: Offer, need: Need) -> bool:
    """Return whether an offer has what a need asks for."""
    has = offer.resources
    if need.vm_types:
        return offer.vm_type in need.vm_types
    return need.cpus.holds(has.cpus) and need.memory.holds(has.memory) and has.gpus >= need.gpus


def secrets(boot: Boot) -> tuple[str, ...]:
    """Return texts that give the secrets of ``boot`` away: the token, and each line of its private key."""
    key = [line for line in boot.keys.key.reveal().splitlines() if line and "-----" not in line]
    return (*key, boot.agent_token.reveal())


async def _is_empty(provider: Provider) -> bool:
    return not await living(provider)


async def _abandoned(provider: Provider, order: Order, yields: int) -> tuple[list[Handle], bool]:
    """Stop listening after so many handles; return them, and whether there were no more."""
    handles: list[Handle] = []
    launching = provider.launch(order)
    try:
        async for handle in launching:
            handles.append(handle)
            if len(handles) == yields:
                return handles, False
    finally:
        if (aclose := getattr(launching, "aclose", None)) is not None:
            await aclose()
    return handles, True
