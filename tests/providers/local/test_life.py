"""What runs, and what its end leaves: nothing. Witnessed by the list of processes."""

import asyncio
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from distributed import Client

from tradewind.boot.serve import security_of
from tradewind.model.instance import InstanceStatus, Role
from tradewind.providers.base import Handle, Order

from .conftest import Site, is_gone
from .orders import keys, order, provider

RUNNING = InstanceStatus.RUNNING


async def start(site: Site, cluster: str, workers: int = 1, **boot: object) -> tuple[list[Order], list[Handle]]:
    orders = [order(Role.SCHEDULER, cluster), *(order(Role.WORKER, cluster, **boot) for _ in range(workers))]
    handles = await site.launch(*orders)
    for handle in handles:
        await site.until(handle, RUNNING)
    return orders, handles


def client_of(site: Site, address: str) -> Client:
    return Client(address, security=security_of(keys()), asynchronous=True)


async def address_of(site: Site, handle: Handle) -> str:
    seen = await site.observe(handle)
    assert seen is not None
    assert seen.contact is not None
    return seen.contact.scheduler


def start_a_sleeper() -> int:
    return subprocess.Popen(["sleep", "1000"], start_new_session=True).pid


def fork_a_sleeper() -> int:
    pid = os.fork()
    if pid == 0:
        time.sleep(1000)
        os._exit(0)
    return pid


async def test_a_cluster_computes_and_its_end_takes_all_that_its_tasks_started(site: Site) -> None:
    _, handles = await start(site, "c-end", workers=2)
    async with client_of(site, await address_of(site, handles[0])) as client:
        assert await client.submit(lambda x: x + 1, 1) == 2
        pids = [await client.submit(start_a_sleeper, pure=False), await client.submit(fork_a_sleeper, pure=False)]
    assert all(psutil.pid_exists(pid) for pid in pids)

    before = time.monotonic()
    await site.provider.terminate([handle.handle for handle in handles])
    assert time.monotonic() - before < 1

    for handle in handles:
        seen = await site.until_stopped(handle)
        assert seen.exit_code == 0
        assert seen.detail == "was asked to end"
        assert seen.stopped_at is not None
    assert all(is_gone(pid, 0) for pid in pids)


async def test_workers_follow_a_scheduler_that_was_killed(site: Site) -> None:
    orders, handles = await start(site, "c-follow")
    site.dask(orders[0]).kill()
    seen = await site.until_stopped(handles[0])
    assert seen.exit_code == -9
    assert "SIGKILL" in seen.detail
    assert (await site.until_stopped(handles[1])).exit_code == 0


async def test_a_killed_keeper_takes_its_dask_process_and_what_that_had_started(site: Site) -> None:
    orders, handles = await start(site, "c-keeper")
    async with client_of(site, await address_of(site, handles[0])) as client:
        pids = [await client.submit(start_a_sleeper, pure=False), await client.submit(fork_a_sleeper, pure=False)]
    dask = site.dask(orders[1])
    site.keeper(orders[1]).kill()
    assert is_gone(dask.pid, 2)
    seen = await site.until_stopped(handles[1])
    assert seen.stopped_at is None
    assert "keeper" in seen.detail
    assert all(is_gone(pid) for pid in pids)


async def test_a_process_over_its_memory_is_killed_and_the_record_says_how_much_it_used(site: Site) -> None:
    limit = 256 * 1024**2
    dask_config = {"distributed.worker.memory.pause": False, "distributed.worker.memory.spill": False}
    _, handles = await start(site, "c-memory", memory=limit, dask_config=dask_config)
    async with client_of(site, await address_of(site, handles[0])) as client:
        future = client.submit(lambda: (b"x" * 400 * 1024**2, time.sleep(5))[1])
        seen = await site.until_stopped(handles[1])
        future.release()
    assert seen.exit_code == -9
    assert seen.detail.startswith("used 0.")
    assert "of its 0.25 GiB" in seen.detail


async def test_what_expires_ends_without_its_provider(own_site: Site) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=1.5)
    (handle,) = await own_site.launch(order(Role.SCHEDULER, "c-expires", expires_at=expires_at))
    await own_site.provider.aclose()
    seen = await own_site.until_stopped(handle)
    assert seen.stopped_at is not None
    assert expires_at <= seen.stopped_at < expires_at + timedelta(seconds=6)  # 2 s of grace, on a busy machine
    assert "its time was over" in seen.detail


async def test_a_dask_process_that_does_not_listen_is_killed_after_its_grace(site: Site) -> None:
    orders, handles = await start(site, "c-deaf", workers=0)
    site.dask(orders[0]).suspend()
    await site.provider.terminate([handles[0].handle])
    assert (await site.until(handles[0], InstanceStatus.STOPPING)).status is InstanceStatus.STOPPING
    seen = await site.until_stopped(handles[0])
    assert seen.exit_code == -9
    assert seen.detail == "was asked to end"


async def test_a_worker_without_a_scheduler_can_be_ended(site: Site) -> None:
    one = order(Role.WORKER, "c-alone")
    (handle,) = await site.launch(one)
    await asyncio.sleep(0.1)
    await site.provider.terminate([handle.handle])
    seen = await site.until_stopped(handle)
    assert seen.exit_code in {0, -15}  # it may have been told before it could listen
    assert seen.detail == "was asked to end"


async def test_a_scheduler_that_nobody_pulls_ends_by_itself(site: Site) -> None:
    (handle,) = await site.launch(order(Role.SCHEDULER, "c-orphan", orphan_timeout_s=1.0))
    seen = await site.until_stopped(handle)
    assert seen.exit_code == 0
    assert seen.detail == "ended by itself"


CALLER = """
import asyncio, sys
from pathlib import Path
from tests.providers.local.orders import order, provider
from tradewind.model.instance import Role

async def main(state, order_id):
    local = provider(Path(state))
    async for handle in local.launch(order(Role.SCHEDULER, "c-caller", order_id=order_id)):
        print(handle.handle, flush=True)
    if len(sys.argv) > 3:
        await asyncio.sleep(1000)
    await local.aclose()

asyncio.run(main(*sys.argv[1:3]))
"""


def caller(site: Site, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CALLER, str(site.state), *arguments], stdout=subprocess.PIPE, text=True, cwd=os.getcwd()
    )


async def test_instances_outlive_a_killed_caller_and_a_fresh_provider_ends_them(own_site: Site) -> None:
    process = caller(own_site, "o-caller", "stay")
    assert process.stdout is not None
    name = await asyncio.to_thread(process.stdout.readline)
    handle = Handle(order="o-caller", handle=name.strip())
    warm = [child.pid for child in psutil.Process(process.pid).children()]
    await own_site.until(handle, RUNNING)

    process.kill()
    process.wait()
    assert all(is_gone(pid) for pid in warm)
    seen = await own_site.observe(handle)
    assert seen is not None
    assert seen.status is RUNNING

    await own_site.provider.terminate([handle.handle])
    await own_site.until_stopped(handle)


async def test_the_same_order_from_two_programs_at_once_launches_once(own_site: Site) -> None:
    programs = [caller(own_site, "o-twice"), caller(own_site, "o-twice")]
    said = [(await asyncio.to_thread(program.communicate, timeout=20))[0].strip() for program in programs]
    assert said == ["o-twice", "o-twice"]
    assert len(await own_site.provider.observe()) == 1
    keepers = [
        process
        for process in psutil.process_iter(["cmdline"])
        if "tradewind scheduler c-caller" in " ".join(process.info["cmdline"] or ())
    ]
    assert len(keepers) == 1


async def test_the_same_order_twice_launches_once(site: Site) -> None:
    one = order(Role.SCHEDULER, "c-twice")
    first, second = await site.launch(one, one)
    assert first == second
    await site.until(first, RUNNING)
    site.keeper(one)  # finds exactly one


async def test_a_killed_warm_process_leaves_instances_and_is_replaced(own_site: Site) -> None:
    one, another = order(Role.SCHEDULER, "c-warm-1"), order(Role.SCHEDULER, "c-warm-2")
    (first,) = await own_site.launch(one)
    await own_site.until(first, RUNNING)
    warm = own_site.warm()
    warm.kill()
    assert is_gone(warm.pid)
    (second,) = await own_site.launch(another)
    await own_site.until(second, RUNNING)
    seen = await own_site.observe(first)
    assert seen is not None
    assert seen.status is RUNNING


async def test_what_was_installed_since_is_not_kept_from_new_instances(
    own_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    monkeypatch.syspath_prepend(str(packages))
    one, another, third = (order(Role.SCHEDULER, f"c-packages-{number}") for number in range(3))
    await own_site.launch(one)
    before = own_site.warm()
    await own_site.launch(another)
    assert own_site.warm() == before
    (packages / "wavelet-1.0.dist-info").mkdir()
    await own_site.launch(third)
    assert is_gone(before.pid)
    assert own_site.warm().pid != before.pid


async def test_another_installation_is_neither_shown_nor_ended(site: Site) -> None:
    _, (handle,) = await start(site, "c-others", workers=0)
    stranger = provider(site.state, installation="another")
    assert list(await stranger.observe()) == []
    await stranger.terminate([handle.handle])
    await asyncio.sleep(0.3)
    seen = await site.observe(handle)
    assert seen is not None
    assert seen.status is RUNNING


async def test_terminate_of_what_never_was_is_silent(site: Site) -> None:
    await site.provider.terminate(["o-never", "../../etc", ""])


async def test_a_poke_comes_when_a_scheduler_is_up_and_when_it_has_ended(site: Site) -> None:
    pokes: list[float] = []
    site.provider.on_change(lambda: pokes.append(time.monotonic()))
    _, (handle,) = await start(site, "c-poke", workers=0)
    assert pokes
    await asyncio.sleep(0.1)
    count = len(pokes)
    await site.provider.terminate([handle.handle])
    await site.until_stopped(handle)
    await asyncio.sleep(0.1)
    assert len(pokes) > count


@pytest.mark.parametrize("number", [15, 2])
async def test_a_signal_to_the_keeper_ends_its_instance(site: Site, number: int) -> None:
    orders, (handle,) = await start(site, f"c-signal-{number}", workers=0)
    site.keeper(orders[0]).send_signal(number)
    assert (await site.until_stopped(handle)).exit_code == 0


def spill(path_of_a_worker: str) -> str:
    path = os.path.join(path_of_a_worker, "spilled")
    with open(path, "wb") as file:
        file.write(b"x")
    return path


async def test_what_a_killed_worker_spilled_goes_with_it(site: Site) -> None:
    orders, handles = await start(site, "c-spill")
    async with client_of(site, await address_of(site, handles[0])) as client:
        (path,) = (await client.run(lambda dask_worker: spill(dask_worker.local_directory))).values()
        assert os.path.exists(path)  # noqa: ASYNC240
        site.dask(orders[1]).kill()
        await site.until_stopped(handles[1])
        async with asyncio.timeout(5):
            while os.path.exists(path):  # noqa: ASYNC110, ASYNC240
                await asyncio.sleep(0.02)
    await site.provider.terminate([handle.handle for handle in handles])
