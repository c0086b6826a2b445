"""What the world around Dask expects of a cluster object, with real local clusters."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import dask
import pytest
from distributed import Client
from distributed.core import Status
from distributed.utils import TimeoutError as DaskTimeout

from tests.e2e.conftest import SRC
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
        patch.setenv("PYTHONPATH", str(SRC))
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


def test_a_second_program_attaches_by_name_and_leaves_it_up(cluster: Cluster) -> None:
    # Its environment is this one's, so its home is too.
    second = [sys.executable, "-c", ASK_SECOND_PROGRAM, "expected"]
    answer = subprocess.run(second, capture_output=True, text=True, timeout=30, check=False)

    assert answer.stdout == "expected 42\n", answer.stderr
    assert answer.stderr == ""
    assert cluster.get_client().submit(sum, (20, 22)).result() == 42


def test_adaptive_bounds_are_what_adapt_returns(cluster: Cluster) -> None:
    answer = cluster.adapt(minimum=1, maximum=2)
    back = cluster.scale(1)

    assert (answer.minimum, answer.maximum) == (1, 2)
    assert back == Scaling.fixed(1)
