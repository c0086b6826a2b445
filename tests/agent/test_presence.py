"""Who is connected, and since when there has been nothing to do."""

from __future__ import annotations

import asyncio
import time

from distributed import Client, fire_and_forget
from distributed.deploy.cluster import Cluster


async def test_a_fresh_scheduler_has_never_had_a_client(rig):
    async with rig() as it:
        page = await it.asker.page()
        assert (page.clients, page.clients_ever) == (0, False)
        later = await it.asker.page_when(lambda page: page.no_client_seconds > 0.3)
        assert not later.clients_ever


async def test_a_client_is_counted_while_connected_and_remembered_after(rig):
    async with rig() as it:
        async with Client(it.scheduler.address, asynchronous=True):
            page = await it.asker.page()
            assert (page.clients, page.clients_ever, page.no_client_seconds) == (1, True, 0.0)
        page = await it.asker.page_when(lambda page: page.clients == 0)
        assert page.clients_ever
        assert page.no_client_seconds < 1


async def test_a_visit_between_two_looks_is_noticed(rig):
    async with rig(workers=0) as it:
        it.agent._poll_timer.stop()
        async with Client(it.scheduler.address, asynchronous=True):
            pass
        page = await it.asker.page_when(lambda page: page.clients == 0)
        assert page.clients_ever


async def test_every_cluster_object_is_counted(rig):
    async with rig(workers=0) as it:
        first, second = [_Attached(it.scheduler.address) for _ in range(2)]
        await first._start()
        await second._start()
        assert (await it.asker.page()).clients == 2
        await second.close()
        page = await it.asker.page_when(lambda page: page.clients < 2)
        assert (page.clients, page.clients_ever) == (1, True)
        await first.close()
        await it.asker.page_when(lambda page: page.clients == 0)


async def test_neither_fire_and_forget_nor_a_client_of_a_worker_is_somebody(rig):
    async with rig() as it:
        it.workers[0]._get_client()
        async with Client(it.scheduler.address, asynchronous=True) as client:
            fire_and_forget(client.submit(time.sleep, 1.0))
            page = await it.asker.page_when(lambda page: page.tasks_running == 1)
            assert page.clients == 1
        page = await it.asker.page_when(lambda page: page.clients == 0)
        assert len(it.scheduler.clients) == 2
        assert page.idle_seconds == 0


async def test_idle_counts_from_the_last_task(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        future = client.submit(time.sleep, 0.6)
        started = time.monotonic()
        busy = await it.asker.page_when(lambda page: page.tasks_running == 1)
        assert busy.idle_seconds == 0
        await future
        done = time.monotonic()
        idle = await it.asker.page_when(lambda page: page.idle_seconds > 0.5)
        assert idle.idle_seconds <= time.monotonic() - done + 0.1
        assert done - started > 0.5


async def test_a_task_between_two_looks_is_work(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        it.agent._poll_timer.stop()
        await it.asker.page_when(lambda page: page.idle_seconds > 0.5)
        await client.submit(int, 1)
        assert (await it.asker.page()).idle_seconds == 0


async def test_a_task_no_worker_can_take_is_work(rig):
    async with rig(workers=0) as it, Client(it.scheduler.address, asynchronous=True) as client:
        future = client.submit(int, 1)
        page = await it.asker.page_when(lambda page: page.tasks_running == 1)
        await asyncio.sleep(0.3)
        page = await it.asker.page()
        assert (page.idle_seconds, page.adaptive_target) == (0, 1)
        await client.cancel([future])


async def test_held_results_are_those_a_client_wants_when_idle(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        futures = [client.submit(bytes, size) for size in (10_000, 20_000)]
        await client.gather(futures)
        page = await it.asker.page_when(lambda page: page.idle_seconds > 1)
        assert page.held_results == 2
        assert 30_000 <= page.held_bytes < 31_000
        del futures
        await it.asker.page_when(lambda page: page.idle_seconds > 1 and page.held_results == 0)


class _Attached(Cluster):
    """A Cluster object that looks at a scheduler that runs already."""

    def __init__(self, address):
        from distributed.core import rpc

        super().__init__(asynchronous=True)
        self.scheduler_comm = rpc(address)
