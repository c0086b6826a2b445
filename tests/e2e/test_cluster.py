"""The main job on real processes: what a notebook asks of a cluster, and what is left of it afterwards."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Sequence
from decimal import Decimal

import pytest
from distributed import Client, span

from tests.e2e.conftest import eventually, instances_of
from tradewind import Cluster
from tradewind.client.door import open_api
from tradewind.errors import BadRequest, NotFound
from tradewind.model.cluster import StopReason
from tradewind.model.computation import Computation

pytestmark = pytest.mark.timeout(120)


def divide(a: int, b: int) -> int:
    return a // b


def recorded(cluster: Cluster) -> Sequence[Computation]:
    """Return what was recorded of its computations."""
    return cluster.sync(cluster._session.api.computations, cluster.cluster_id)


def ended(cluster: Cluster) -> StopReason | None:
    """Return why it stopped; None while it lives."""
    cluster.sync(cluster._session.look)
    record = cluster._session.record
    return None if record.status.is_live else record.stop_reason


@pytest.mark.both_modes
def test_one_line_gives_a_cluster_that_computes_is_billed_and_ends(home):
    with Cluster(n_workers=2, show_widget=False) as cluster:
        client = cluster.get_client()
        assert client.submit(sum, [1, 2]).result() == 3
        assert cluster.scheduler_address.startswith("tls://127.0.0.1")
        assert cluster.requested == cluster.plan
        client.close()
    receipt = cluster._receipt
    assert receipt is not None
    assert receipt.total.instance_seconds > 0
    assert receipt.total.money == ()
    assert "free" in str(receipt)
    eventually(lambda: not instances_of(home), 10, "all has ended")


@pytest.mark.both_modes
async def test_everything_can_be_awaited(home):
    async with Cluster(n_workers=1, asynchronous=True, show_widget=False) as cluster:
        async with Client(cluster, asynchronous=True) as client:
            assert await client.submit(sum, [1, 2]) == 3
        await cluster.scale(2)
        await cluster.wait_for_workers(2)
        handle = await cluster.adapt()
        assert (handle.minimum, handle.maximum) == (1, 200)
        assert (await cluster.receipt()).cluster_name == cluster.name
    await asyncio.to_thread(eventually, lambda: not instances_of(home), 10, "all has ended")


@pytest.mark.both_modes
def test_scale_follows_up_and_down_and_dismisses_by_name(home):
    with Cluster(n_workers=1, worker_memory="500 MiB", show_widget=False) as cluster:
        cluster.scale(3)
        cluster.wait_for_workers(3, timeout=20)
        leaver = sorted(cluster.observed)[0]
        cluster.scale_down([leaver])
        eventually(lambda: leaver not in cluster.observed and len(cluster.observed) == 2, 20, "the named one leaves")
        cluster.scale(cores=1)
        eventually(lambda: len(cluster.observed) == 1, 20, "one is left")


@pytest.mark.both_modes
def test_adaptive_scaling_lives_beside_the_scheduler(home):
    with Cluster(n_workers=[1, 3], worker_memory="500 MiB", show_widget=False) as cluster:
        client = cluster.get_client()
        handle = cluster.adapt(minimum=1, maximum=3, target_duration="1s", wait_count=2, interval="500ms")
        assert (handle.minimum, handle.maximum) == (1, 3)
        futures = client.map(lambda n: time.sleep(0.4), range(40), pure=False)
        eventually(lambda: len(cluster.observed) == 3, 20, "it grows with the work")
        client.gather(futures)
        del futures
        eventually(lambda: len(cluster.observed) == 1, 30, "it shrinks when the work is done")
        client.close()


@pytest.mark.both_modes
def test_attaches_by_name_and_leaves_up_what_it_did_not_start(home):
    cluster = Cluster(name="shared", n_workers=1, shutdown_on_close=True, show_widget=False)
    code = (
        "from tradewind import Cluster; c = Cluster.from_name('shared', show_widget=False);"
        "print(c.get_client().submit(sum, [1, 2]).result(), c.cluster_id); c.close()"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert other.returncode == 0, other.stderr
    assert other.stdout.split() == ["3", cluster.cluster_id]
    assert ended(cluster) is None
    with pytest.raises(NotFound, match="'shared'"):
        Cluster.from_name("nobody", show_widget=False)
    cluster.close()


@pytest.mark.both_modes
def test_another_process_connects_by_address_alone(home):
    with Cluster(n_workers=1, show_widget=False) as cluster:
        code = (
            "import sys; import tradewind.client.security as s; s.register(); from distributed import Client;"
            "print(Client(sys.argv[1]).submit(sum, [1, 2]).result())"
        )
        other = subprocess.run(
            [sys.executable, "-c", code, cluster.scheduler_address],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert other.stdout.strip() == "3", other.stderr


@pytest.mark.both_modes
def test_idle_is_warned_of_at_half_while_results_are_held_and_then_stops(home):
    cluster = Cluster(n_workers=1, idle_timeout="4 s", show_widget=False)
    client = cluster.get_client()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        future = client.submit(sum, [1, 2])
        assert future.result() == 3
        eventually(lambda: any("will stop in" in str(w.message) for w in caught), 15, "the warning comes")
        assert ended(cluster) is None
        eventually(lambda: ended(cluster) is StopReason.IDLE, 15, "it stops")
    client.close()
    cluster.close()


@pytest.mark.both_modes
def test_stops_when_nobody_is_connected(home):
    code = (
        "from tradewind import Cluster; c = Cluster(name='left', n_workers=1, shutdown_on_close=False,"
        "no_client_timeout='1 s', show_widget=False); import os; os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
    api = open_api()
    api.run(api.list_clusters())
    eventually(lambda: api.run(api.list_clusters())[0].cluster.stop_reason is StopReason.NO_CLIENT, 20, "it stops")


def test_cluster_timeout_ends_it_whatever_happens(home):
    cluster = Cluster(n_workers=1, cluster_timeout="4 s", show_widget=False)
    eventually(lambda: ended(cluster) is StopReason.EXPIRED, 20, "it ends at its age")
    cluster.close()


def test_budget_stops_it_before_it_is_passed(home, monkeypatch):
    monkeypatch.setenv("TRADEWIND_LOCAL__PRICE_PER_HOUR", "3.60")
    with pytest.raises(BadRequest, match="budget"):
        Cluster(n_workers=1, budget="0.001 USD", show_widget=False)
    cluster = Cluster(n_workers=1, worker_cpu=os.cpu_count(), budget="0.065 USD", idle_timeout=None, show_widget=False)
    view = cluster.sync(cluster._session.look)
    assert view.budget is not None
    assert view.budget.burn_per_hour.amount == Decimal("3.60")
    assert view.budget.left.amount > 0
    cluster.close()


@pytest.mark.both_modes
def test_history_outlives_the_cluster_with_errors_and_without_code(home):
    with Cluster(n_workers=1, tags={"project": "sea-ice"}, show_widget=False) as cluster:
        client = cluster.get_client()
        with span("anomaly"):
            client.gather(client.map(lambda n: n + 1, range(20)))
        with span("broken"), pytest.raises(ZeroDivisionError):
            client.submit(divide, 1, 0).result()
        eventually(lambda: len(recorded(cluster)) >= 2, 10, "they are recorded")
        client.close()
    api = cluster._session.api
    found = {c.name: c for c in api.run(api.computations(cluster.cluster_id))}
    assert found["anomaly"].tasks == 20
    assert found["anomaly"].code == ()
    assert "ZeroDivisionError" in found["broken"].errors[0].exception
    assert "return a // b" in found["broken"].errors[0].traceback
    lines = {line.key: line.cost for line in api.run(api.usage(by="tag:project"))}
    assert lines["sea-ice"].instance_seconds == pytest.approx(cluster._receipt.total.instance_seconds)
    assert {line.title for line in cluster._receipt.by_computation} >= {"anomaly", "broken"}


def test_code_is_kept_when_asked_for_without_its_secrets(home):
    with Cluster(n_workers=1, record_code=True, show_widget=False) as cluster:
        client = cluster.get_client()
        password = "hunter2-hunter2"  # noqa: S105 - it must not be found again
        assert client.submit(len, password).result() == 15
        eventually(lambda: recorded(cluster), 10, "it is recorded")
        code = "\n".join(recorded(cluster)[0].code)
        client.close()
    kept = [line.split("#")[0].strip() for line in code.splitlines() if line.strip().startswith("password")]
    assert kept == ['password = "***"']


@pytest.mark.both_modes
def test_private_variables_reach_workers_and_nothing_else(home):
    # Put together here: the file of this test may travel with its code.
    secret = "-".join(("correct", "horse", "battery"))
    with Cluster(n_workers=1, environ={"PUBLIC": "yes"}, show_widget=False) as cluster:
        cluster.send_private_envs({"MY_TOKEN": secret})
        cluster.scale(2)
        cluster.wait_for_workers(2)
        client = cluster.get_client()
        seen = client.run(lambda: (os.environ["MY_TOKEN"], os.environ["PUBLIC"]))
        assert set(seen.values()) == {(secret, "yes")}
        client.close()
    eventually(lambda: not instances_of(home), 10, "nobody writes any more")
    written = [file for file in home.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]
    assert not written


def test_restart_of_all_workers_gives_fresh_ones(home):
    with Cluster(n_workers=2, show_widget=False, wait_for_workers=True) as cluster:
        client = cluster.get_client()
        before = set(client.run(os.getpid).values())
        client.restart(timeout=30)
        assert set(client.run(os.getpid).values()).isdisjoint(before)
        client.close()


def test_dry_run_says_what_where_and_at_what_price_and_starts_nothing(home, monkeypatch):
    monkeypatch.setenv("TRADEWIND_LOCAL__PRICE_PER_HOUR", "0.12")
    planned = Cluster.plan(n_workers=2)
    assert [(line.role, line.count) for line in planned.instances] == [("scheduler", 1), ("worker", 2)]
    assert str(planned.cost_per_hour.money[0]) == "0.12 USD"
    assert "process" in str(planned)
    assert not instances_of(home)


@pytest.mark.both_modes
def test_logs_of_the_dead_are_kept(home):
    with Cluster(n_workers=1, show_widget=False) as cluster:
        client = cluster.get_client()
        client.run(lambda: print("printed by the worker", flush=True))
        client.close()
    logs = cluster.sync(cluster._logs, True, True, True)
    assert any("printed by the worker" in text for text in logs.values())
    assert "Running after" in logs["Cluster"]


@pytest.mark.both_modes
def test_keywords_a_provider_ignores_are_said(home):
    planned = Cluster.plan(n_workers=1, region="us-west-2", spot_policy="spot_with_fallback")
    assert any("us-west-2" in note for note in planned.notes)


def test_without_a_dashboard_nobody_else_can_read_of_workers_and_their_logs(home):
    options = {"dashboard": False}
    with Cluster(n_workers=0, scheduler_options=options, show_widget=False) as cluster, cluster.get_client() as client:
        assert cluster.dashboard_link == ""
        port = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.http_server.port)
        for page in ("/info/main/workers.html", "/json/identity.json", "/status"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=10)


@pytest.mark.both_modes
def test_a_range_is_a_bound_and_a_number_an_order(home):
    planned = Cluster.plan()
    assert planned.instances[1].count >= 4
    assert any("room for" in note for note in planned.notes)
    with (
        Cluster(n_workers=1, worker_memory="1 GiB", show_widget=False) as cluster,
        pytest.raises(BadRequest, match="this machine has"),
    ):
        cluster.scale(10_000)
