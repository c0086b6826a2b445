"""Clusters in asynchronous code, and Dask's extension for JupyterLab, which runs them so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import pytest
from distributed import Client
from distributed.core import Status

from tradewind import Cluster


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
