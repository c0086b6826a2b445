"""What the world around Dask expects of a cluster object, with real local clusters."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import pytest
from distributed import Client
from distributed.core import Status
from distributed.utils import TimeoutError as DaskTimeout

from tradewind import Cluster
from tradewind.model.cluster import Scaling

ASK_SECOND_PROGRAM = """
import sys
from tradewind import Cluster
with Cluster(name=sys.argv[1], show_widget=False) as cluster:
    print(cluster.name, cluster.get_client().submit(int, "41").result() + 1)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One running cluster for all tests that leave it as it is."""
    place = str(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEWIND_DATA_DIR", place)
        patch.setenv("TRADEWIND_CONFIG_DIR", place)
        with Cluster(n_workers=1, wait_for_workers=True, name="expected") as cluster:
            yield cluster


def test_a_client_takes_the_cluster_and_computes(cluster: Cluster) -> None:
    with Client(cluster) as client:
        assert client.submit(sum, (20, 22)).result() == 42
        assert client.cluster is cluster


def test_what_a_client_reads_is_there(cluster: Cluster) -> None:
    assert isinstance(cluster.scheduler_address, str)
    assert cluster.scheduler_address.startswith("tls://")
    assert cluster.status is Status.running
    assert cluster.security.get_connection_args("client")["ssl_context"]
    assert cluster.loop.asyncio_loop.is_running()
    assert cluster.dashboard_link.startswith("http")


def test_a_client_of_the_address_alone_gets_in_with_its_security(cluster: Cluster) -> None:
    with Client(cluster.scheduler_address, security=cluster.security, set_as_default=False) as client:
        assert client.submit(sum, (20, 22)).result() == 42


def test_get_client_gives_one_that_computes_by_default(cluster: Cluster) -> None:
    with cluster.get_client():
        assert dask.delayed(sum)((20, 22)).compute() == 42


def test_the_page_of_a_client_holds_the_clusters(cluster: Cluster) -> None:
    with Client(cluster, set_as_default=False) as client:
        assert "expected" in client._repr_html_()
        assert cluster._repr_html_() in client._repr_html_()


def test_waiting_for_workers_that_are_there_returns(cluster: Cluster) -> None:
    cluster.wait_for_workers(1, timeout=5)

    assert len(cluster.scheduler_info["workers"]) == 1


def test_waiting_for_workers_that_never_come_ends_with_a_timeout(cluster: Cluster) -> None:
    with pytest.raises((TimeoutError, DaskTimeout)):
        cluster.wait_for_workers(2, timeout=0.2)


def test_the_three_sets_of_workers_are_of_the_same_names(cluster: Cluster) -> None:
    assert len(cluster.observed) == 1
    assert cluster.plan == cluster.requested == cluster.observed


def test_each_worker_says_its_threads_and_memory(cluster: Cluster) -> None:
    workers = cluster.scheduler_info["workers"]

    assert isinstance(cluster.scheduler_info, dict)
    assert all(w["nthreads"] >= 1 and w["memory_limit"] > 0 for w in workers.values())


def test_logs_hold_the_journal_the_scheduler_and_the_worker(cluster: Cluster) -> None:
    logs = cluster.get_logs()

    assert set(logs) == {"Cluster", "Scheduler", *cluster.observed}
    assert "Running after" in logs["Cluster"]


def test_it_is_shown_as_text_and_html(cluster: Cluster) -> None:
    assert repr(cluster).startswith("Cluster(expected, 'tls://")
    assert "expected" in cluster._repr_html_()


def test_a_second_program_attaches_by_name_and_leaves_it_up(
    cluster: Cluster, caller: Callable[..., subprocess.Popen[str]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(home)
    data = cluster._session.api._directory
    second = caller(ASK_SECOND_PROGRAM, "expected", TRADEWIND_DATA_DIR=str(data), TRADEWIND_CONFIG_DIR=place)
    out, errors = second.communicate(timeout=30)

    assert out == "expected 42\n", errors
    assert errors == ""
    assert cluster.get_client().submit(sum, (20, 22)).result() == 42


def test_adaptive_bounds_are_what_adapt_returns(cluster: Cluster) -> None:
    answer = cluster.adapt(minimum=1, maximum=2)
    back = cluster.scale(1)

    assert (answer.minimum, answer.maximum) == (1, 2)
    assert back == Scaling.fixed(1)


async def test_an_asynchronous_cluster_is_awaited_computes_and_closes(home: Path) -> None:
    async with (
        Cluster(n_workers=1, asynchronous=True, wait_for_workers=True) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        assert await client.submit(sum, (20, 22)) == 42

    assert cluster.status is Status.closed
    await cluster.close()


async def test_the_model_of_dasks_extension_for_jupyterlab_is_right_at_each_step(home: Path) -> None:
    # The accesses are those of dask_labextension.manager, in their order; it awaits scale and close, but not adapt.
    cluster = await Cluster(n_workers=1, asynchronous=True, wait_for_workers=True)
    started = model_of(cluster)
    scaled = cluster.scale(0)
    await scaled
    adaptive = cluster.adapt(minimum=0, maximum=1)
    adapted = model_of(cluster, adaptive)
    await adaptive
    kept = (await cluster._session.look()).cluster.intent.scaling
    await cluster.close()
    closed = model_of(cluster)

    assert started["workers"] == 1
    assert started["cores"] >= 1
    assert started["scheduler_address"].startswith("tls://")
    assert started["dashboard_link"].startswith("http")
    assert adapted["adapt"] == {"minimum": 0, "maximum": 1}
    assert (kept.minimum, kept.maximum) == (0, 1)
    assert closed["workers"] >= 0


def model_of(cluster: Any, adaptive: Any = None) -> dict[str, Any]:
    info = cluster.scheduler_info
    assert isinstance(info, dict)
    model = {
        "scheduler_address": cluster.scheduler_address,
        "dashboard_link": cluster.dashboard_link or "",
        "workers": len(info["workers"]),
        "memory": sum(d["memory_limit"] for d in info["workers"].values()),
        "cores": sum(d["nthreads"] for d in info["workers"].values()),
    }
    if adaptive:
        model["adapt"] = {"minimum": adaptive.minimum, "maximum": adaptive.maximum}
    return model


async def test_dasks_extension_for_jupyterlab_runs_it(home: Path) -> None:
    pytest.importorskip("dask_labextension")
    from dask_labextension.manager import DaskClusterManager

    factory = {"module": "tradewind", "class": "Cluster", "args": [], "kwargs": {"n-workers": 1}}
    with dask.config.set({"labextension.factory": factory, "labextension.initial": []}):
        async with DaskClusterManager() as manager:
            started = SimpleNamespace(
                **await manager.start_cluster(configuration={"adapt": {"minimum": 1, "maximum": 2}})
            )
            adapted = manager.adapt_cluster(started.id, 1, 3)
            scaled = await manager.scale_cluster(started.id, 1)
            listed = manager.list_clusters()
            closed = await manager.close_cluster(started.id)

    assert started.adapt == {"minimum": 1, "maximum": 2}
    assert adapted is not None
    assert adapted["adapt"] == {"minimum": 1, "maximum": 3}
    assert scaled is not None
    assert [model["id"] for model in listed] == [started.id]
    assert closed is not None
