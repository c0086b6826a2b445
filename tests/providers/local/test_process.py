"""What the Dask process finds itself in: variables, directory, path, settings, randomness, secrets, log, dashboard."""

import asyncio
import os
import sys
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from tradewind.errors import Rejected
from tradewind.model.instance import InstanceStatus, Role

from .conftest import Site
from .orders import keys, order
from .test_life import RUNNING, address_of, client_of, start


async def test_variables_settings_path_and_directory_are_the_callers(site: Site, tmp_path: Path) -> None:
    (tmp_path / "my_science.py").write_text("answer = 42\n")
    _, handles = await start(
        site,
        "c-around",
        environ={"MY_VARIABLE": "seen", "DASK_MY_OWN__SETTING": "7", "TZ": "Asia/Tokyo"},
        dask_config={"distributed.worker.memory.target": 0.123},
        working_directory=str(tmp_path),
        python_path=("", str(tmp_path), *sys.path),
        threads=3,
    )

    def look() -> tuple[object, ...]:
        import time

        import dask
        import my_science
        from distributed import get_worker

        target = dask.config.get("distributed.worker.memory.target")
        settings = (target, dask.config.get("my-own.setting"), time.tzname[0])
        return os.environ["MY_VARIABLE"], my_science.answer, os.getcwd(), settings, get_worker().state.nthreads

    async with client_of(site, await address_of(site, handles[0])) as client:
        assert await client.submit(look) == ("seen", 42, str(tmp_path), (0.123, 7, "JST"), 3)


async def test_variables_that_only_a_start_reads_make_a_fresh_start(site: Site) -> None:
    _, handles = await start(site, "c-fresh", environ={"PYTHONOPTIMIZE": "1", "OMP_NUM_THREADS": "3"})

    def look() -> tuple[object, ...]:
        return sys.flags.optimize, os.environ["OMP_NUM_THREADS"], os.environ["PYTHONHASHSEED"]

    async with client_of(site, await address_of(site, handles[0])) as client:
        assert await client.submit(look) == (1, "3", "6640")
    await site.provider.terminate([handles[1].handle])
    assert (await site.until_stopped(handles[1])).exit_code == 0


async def test_variables_the_caller_sets_later_arrive(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await start(site, "c-early", workers=0)
    monkeypatch.setenv("MY_LATE_VARIABLE", "late")
    _, handles = await start(site, "c-late")
    async with client_of(site, await address_of(site, handles[0])) as client:
        assert await client.submit(lambda: os.environ.get("MY_LATE_VARIABLE")) == "late"


async def test_forked_workers_draw_different_random_numbers(site: Site) -> None:
    _, handles = await start(site, "c-random", workers=2)

    def draw() -> tuple[float, float]:
        import random

        import numpy as np

        return float(np.random.random()), random.random()

    async with client_of(site, await address_of(site, handles[0])) as client:
        drawn = await client.run(draw)
    assert len({numbers[0] for numbers in drawn.values()}) == 2
    assert len({numbers[1] for numbers in drawn.values()}) == 2


async def test_no_secret_stands_in_arguments_variables_or_files(site: Site) -> None:
    orders, handles = await start(site, "c-secret")
    token = orders[0].boot.agent_token.reveal().encode()
    body = keys().key.reveal().splitlines()[1].encode()
    processes = [site.warm(), *map(site.keeper, orders), *map(site.dask, orders)]
    sources = [Path(f"/proc/{process.pid}/{name}") for process in processes for name in ("cmdline", "environ")]
    for source in sources:
        shown = source.read_bytes()
        assert token not in shown
        assert body not in shown
    files = [path for path in site.state.rglob("*") if path.is_file()]
    assert len(files) > 4
    for path in files:
        content = path.read_bytes()
        assert token not in content, path
        assert body not in content, path
    assert all(site.directory(handle).stat().st_mode & 0o777 == 0o700 for handle in handles)


async def test_the_log_stays_after_death(site: Site) -> None:
    _, handles = await start(site, "c-log")
    async with client_of(site, await address_of(site, handles[0])) as client:
        await client.submit(lambda: print("a word from a task"))
    await site.provider.terminate([handle.handle for handle in handles])
    await site.until_stopped(handles[1])
    assert "a word from a task" in await site.provider.logs(handles[1].handle, 100)
    assert len(await site.provider.logs(handles[1].handle, 1)) == 1
    assert list(await site.provider.logs("o-never", 10)) == []


async def test_scratch_is_removed(site: Site) -> None:
    _, handles = await start(site, "c-scratch")
    assert (site.directory(handles[1]) / "scratch").is_dir()
    await site.provider.terminate([handle.handle for handle in handles])
    await site.until_stopped(handles[1])
    async with asyncio.timeout(5):  # its keeper says that it ended first, and clears away then
        while (site.directory(handles[1]) / "scratch").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_taken_port_is_said_in_one_sentence(site: Site) -> None:
    _, handles = await start(site, "c-port", workers=0)
    port = int((await address_of(site, handles[0])).rsplit(":", 1)[1])
    (second,) = await site.launch(order(Role.SCHEDULER, "c-port-2", options={"port": port}))
    seen = await site.until_stopped(second)
    assert "the Dask scheduler can't start with the options port" in seen.detail
    assert "use" in seen.detail
    assert "\n" not in seen.detail


async def test_the_dashboard_answers(site: Site) -> None:
    _, handles = await start(site, "c-pages", workers=0)
    seen = await site.observe(handles[0])
    assert seen is not None
    assert seen.contact is not None
    url = seen.contact.dashboard
    assert url is not None
    async with asyncio.timeout(10):
        while True:
            try:
                page = await asyncio.to_thread(lambda: urlopen(url, timeout=5).read())
                break
            except OSError:
                await asyncio.sleep(0.1)
    assert b"Dask" in page


async def test_an_unfit_order_id_is_rejected(site: Site) -> None:
    with pytest.raises(Rejected, match="plain file name"):
        await site.launch(order(Role.SCHEDULER, "c", order_id="../../elsewhere"))


async def test_the_warm_process_has_one_thread_and_is_not_held_by_instances(site: Site) -> None:
    orders, _ = await start(site, "c-thread", workers=0)
    assert site.warm().num_threads() == 1
    # Were the link's end open in an instance too, the caller's death would go unseen by the warm process's heirs.
    warm_sockets = _sockets(site.warm())
    assert warm_sockets
    for process in (site.keeper(orders[0]), site.dask(orders[0])):
        assert not warm_sockets & _sockets(process)


def _sockets(process: psutil.Process) -> set[str]:
    links = (os.readlink(path) for path in Path(f"/proc/{process.pid}/fd").iterdir())
    return {link for link in links if link.startswith("socket:")}


async def test_a_worker_is_running_only_once_it_is_connected(site: Site) -> None:
    (alone,) = await site.launch(order(Role.WORKER, "c-ready"))
    await asyncio.sleep(0.4)
    seen = await site.observe(alone)
    assert seen is not None
    assert seen.status is InstanceStatus.STARTING
    await site.launch(order(Role.SCHEDULER, "c-ready"))
    await site.until(alone, RUNNING)
