"""Tradewind against dask-gateway-server, in turns: time to the first result, creates per minute, memory per cluster.

Each measurement starts a server of its own in a fresh directory, with real schedulers and workers as processes of this
machine, all of one Python environment, encrypted on both sides:

1. some clusters one after the other, as a user would: from the call to the first result of a cluster of two workers;
2. many clusters at once, without workers: creates per minute, from the first request until the last scheduler answers;
3. as many again: what each adds to the server's own processes, and to all processes together.

It needs both in one environment: ``pip install dask-gateway dask-gateway-server`` next to Tradewind. That server is
told to start schedulers as ``python -m distributed.cli.dask_scheduler``, since the command it calls of itself is gone.

``python benchmarks/gateway.py --pairs 5 --json gateway.json``
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter, sleep

import psutil
from pairs import arguments, compare, machine, measure, report, take_turns
from sides import free_port, serving

ONE_BY_ONE = 4
"""Clusters one after the other; the first is reported apart from the rest."""
REST_S = 3.0
"""Between them: one side waits for a cluster's end, the other doesn't, and the next must not pay for that."""
MANY = 30
AT_ONCE = 8
WORKERS = 2
MIB = 1024 * 1024
START_WITHIN_S = 60.0


class Side(ABC):
    """One server and its client."""

    own: tuple[int, ...] = ()
    """Pids of the server's own processes, without those it launched for users."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @abstractmethod
    def first_result(self) -> float:
        """Return the seconds from the call to the first result, of a cluster that has ended when this returns."""

    @abstractmethod
    async def create(self) -> object:
        """Return what names a new cluster without workers, once its scheduler answers."""

    @abstractmethod
    async def stop(self, cluster: object) -> None:
        """End it."""


class Tradewind(Side):
    """The engine behind ``tradewind.Cluster``: in this process, or in a server where the settings name one."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        from tradewind.client.door import open_api

        self._api = open_api()

    def first_result(self) -> float:
        """See :meth:`Side.first_result`."""
        from tradewind import Cluster

        began = perf_counter()
        with Cluster(n_workers=WORKERS, show_widget=False) as cluster, cluster.get_client() as client:
            _add(client)
            return perf_counter() - began

    async def create(self) -> str:
        """See :meth:`Side.create`."""
        from tradewind.config import load_settings
        from tradewind.model.cluster import ClusterSpec, ClusterStatus, Scaling

        name, python_path = f"bench-{os.urandom(5).hex()}", tuple(sys.path)
        workspace = load_settings().workspace
        spec = ClusterSpec(
            name=name, workspace=workspace, provider="local", scaling=Scaling.fixed(0), python_path=python_path
        )
        made = await self._api.create(spec)
        view = await self._api.view(made.id)
        while view.cluster.status is not ClusterStatus.RUNNING:
            if view.cluster.status.rank > ClusterStatus.RUNNING.rank:
                raise RuntimeError(f"cluster {name} is {view.cluster.status}: {view.cluster.stop_detail}")
            view = await self._api.wait_changed(made.id, view.revision, 10)
        return made.id

    async def stop(self, cluster: object) -> None:
        """See :meth:`Side.stop`."""
        await self._api.stop(str(cluster))


class DaskGateway(Side):
    """``dask-gateway-server`` with its local backend."""

    def __init__(self, directory: Path, address: str) -> None:
        super().__init__(directory)
        self.address = address

    def first_result(self) -> float:
        """See :meth:`Side.first_result`."""
        from dask_gateway import Gateway

        with Gateway(self.address, auth="basic") as gateway:
            began = perf_counter()
            with gateway.new_cluster() as cluster:
                cluster.scale(WORKERS)
                with cluster.get_client() as client:
                    _add(client)
                    return perf_counter() - began

    async def create(self) -> str:
        """See :meth:`Side.create`."""
        from dask_gateway import Gateway

        async with Gateway(self.address, auth="basic", asynchronous=True) as gateway:
            name: str = await gateway.submit()
            # What its own client waits with: a call that is answered when the cluster has started or failed.
            report = await gateway._wait_for_start(name)
            if report.status.name != "RUNNING":
                raise RuntimeError(f"cluster {name} is {report.status}")
            return name

    async def stop(self, cluster: object) -> None:
        """See :meth:`Side.stop`."""
        from dask_gateway import Gateway

        async with Gateway(self.address, auth="basic", asynchronous=True) as gateway:
            await gateway.stop_cluster(cluster)


@contextmanager
def engine(directory: Path) -> Iterator[Side]:
    """Give the engine in this process, for what a server adds to it."""
    yield Tradewind(directory)


@contextmanager
def server(directory: Path) -> Iterator[Side]:
    """Give Tradewind's shared server, on SQLite."""
    with serving(directory) as served:
        os.environ.update(served.environ)
        side = Tradewind(directory)
        side.own = served.pids()
        yield side


@contextmanager
def dask_gateway(directory: Path) -> Iterator[Side]:
    """Give the other server, with its proxy."""
    api, proxy = free_port(), free_port()
    config = directory / "dask_gateway_config.py"
    command = [sys.executable, "-m", "distributed.cli.dask_"]
    lines = [
        'c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"',
        'c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"',
        f'c.DaskGateway.address = "127.0.0.1:{api}"',
        f'c.Proxy.address = "127.0.0.1:{proxy}"',
        f"c.ClusterConfig.scheduler_cmd = {[*command[:2], command[2] + 'scheduler']}",
        f"c.ClusterConfig.worker_cmd = {[*command[:2], command[2] + 'worker']}",
        f'c.LocalBackend.clusters_directory = "{directory}/clusters"',
    ]
    config.write_text("\n".join(lines), encoding="utf-8")
    starts = "from dask_gateway_server.app import main; main()"
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", starts, "-f", str(config)], stdout=log, stderr=log)
    try:
        side = DaskGateway(directory, f"http://127.0.0.1:{proxy}")
        _until_up(side)
        side.own = (process.pid, *(child.pid for child in psutil.Process(process.pid).children()))
        yield side
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            # It still ends clusters. Nobody else ever will, so what it launched is ended here.
            for left in psutil.Process(process.pid).children(recursive=True):
                left.kill()
            process.kill()
            process.wait()


SIDES = {"tradewind": server, "dask-gateway": dask_gateway, "tradewind-engine": engine}


def measure_here(side_name: str) -> dict[str, float]:
    """Return the figures of one server."""
    with (
        tempfile.TemporaryDirectory(prefix="tradewind-peer-", ignore_cleanup_errors=True) as directory,
        SIDES[side_name](Path(directory)) as side,
    ):
        figures: dict[str, float] = {}
        times = []
        for _ in range(ONE_BY_ONE):
            times.append(side.first_result())
            sleep(REST_S)
        figures["first result, first cluster"] = times[0]
        figures["first result, later clusters"] = statistics.median(times[1:])
        sleep(5)  # what ends, ends before memory is read
        at_rest = _pss(_family(side))
        began = perf_counter()
        clusters = asyncio.run(_many(side))
        figures["creates per minute"] = MANY / (perf_counter() - began) * 60
        # The first many fill caches, once; what a cluster costs is what as many again add.
        own_before, all_before = _rss(side.own), _pss(_family(side))
        clusters += asyncio.run(_many(side))
        if side.own:
            figures["server before, MiB"] = at_rest / MIB
            figures["server's growth per cluster, MiB"] = (_rss(side.own) - own_before) / MIB / MANY
            figures["all processes per cluster, MiB"] = (_pss(_family(side)) - all_before) / MIB / MANY
        asyncio.run(_stop(side, clusters))
        return figures


def _add(client) -> None:  # type: ignore[no-untyped-def]
    if client.submit(sum, (1, 2)).result() != 3:
        raise RuntimeError("a cluster can't add")


async def _many(side: Side) -> list[object]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one() -> object:
        async with places:
            return await side.create()

    return list(await asyncio.gather(*(one() for _ in range(MANY))))


async def _stop(side: Side, clusters: list[object]) -> None:
    await asyncio.gather(*(side.stop(cluster) for cluster in clusters))
    await asyncio.sleep(3)


def _until_up(side: DaskGateway) -> None:
    from dask_gateway import Gateway

    until = perf_counter() + START_WITHIN_S
    while True:
        try:
            with Gateway(side.address, auth="basic") as gateway:
                gateway.list_clusters()
                return
        except Exception:
            if perf_counter() > until:
                raise
            sleep(0.2)


def _family(side: Side) -> tuple[int, ...]:
    """Return the server's processes and all that descend from them or work in the server's directory."""
    found = set(side.own)
    for pid in side.own:
        found |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
    place = str(side.directory).encode()
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and place in Path(f"/proc/{process.pid}/environ").read_bytes():
                found.add(process.pid)
        except OSError:
            continue  # it has ended
    return tuple(found)


def _rss(pids: tuple[int, ...]) -> float:
    """Return the bytes that these processes have in memory.

    For growth: of what processes share, each one's part in :func:`_pss` shrinks with every process that is forked.
    """
    return float(sum(psutil.Process(pid).memory_info().rss for pid in pids))


def _pss(pids: tuple[int, ...]) -> float:
    """Return the bytes that these processes hold, pages that several share counted once in all."""
    total = 0.0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total


def main() -> None:
    """Measure, compare, report; or, with ``--measure``, be one of the measured processes."""
    parser = arguments("Tradewind against dask-gateway-server.", pairs=5)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=["tradewind", "dask-gateway"])
    parser.add_argument("--measure", choices=SIDES, help="measure one side in this process and print JSON")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure_here(options.measure)))
        return
    where = machine()
    script = str(Path(__file__).resolve())
    taken = take_turns({side: partial(measure, script, "--measure", side) for side in options.sides}, options.pairs)
    first, *others = options.sides
    report(taken, [c for other in others for c in compare(taken, first, other)], where, options.json)


if __name__ == "__main__":
    sys.exit(main())
