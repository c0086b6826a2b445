"""What a user's own machine does to a cluster: each test is named after its fault."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import eventually, instances_of

pytestmark = pytest.mark.timeout(240)

LAUNCH_AND_WAIT = """
import sys, time
from tradewind import Cluster
cluster = Cluster(name="victim", n_workers=2, orphan_timeout="3 s", show_widget=False)
print(cluster.cluster_id, flush=True)
time.sleep(60)
"""

DIES_AT_STEP = """
import asyncio, os, signal, sys, threading
steps, fatal = 0, int(sys.argv[1])
run = asyncio.events.Handle._run
def counted(handle):
    global steps
    if threading.current_thread().name == "tradewind engine":
        steps += 1
        if steps == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
    return run(handle)
asyncio.events.Handle._run = counted
from tradewind import Cluster
cluster = Cluster(name="victim", n_workers=2, orphan_timeout="3 s", show_widget=False)
print(steps, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

ASK = """
import json
from tradewind.client.door import open_api
api = open_api(looks_after=False)
api.run(api.settle(20.0))
views = api.run(api.list_clusters())
print(json.dumps([[v.cluster.status, v.cluster.stop_reason, v.cluster.stop_detail] for v in views]))
"""


def ledger(home: Path) -> list[tuple[str, str, str | None]]:
    """Read instance, start and stop of every usage straight from the file."""
    with sqlite3.connect(home / "tradewind.db") as connection:
        return list(connection.execute("select instance_id, started_at, stopped_at from usages"))


def seconds(text: str) -> float:
    from datetime import UTC, datetime

    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def settled(caller, home: Path) -> list[list[str]]:
    """Let a fresh process look once at what is left, as any next command does."""
    for _ in range(4):
        asked = caller(ASK)
        out, err = asked.communicate(timeout=60)
        assert asked.returncode == 0, err
        views = json.loads(out)
        if all(status == "stopped" for status, _, _ in views):
            return views
    raise AssertionError(views)


@pytest.fixture(scope="module")
def steps_of_a_launch(tmp_path_factory) -> int:
    """How many steps the engine takes from nothing to a running cluster."""
    import sys

    from tests.e2e.conftest import SRC

    home = tmp_path_factory.mktemp("count")
    environ = {**os.environ, "PYTHONPATH": str(SRC), "TRADEWIND_DATA_DIR": str(home), "TRADEWIND_CONFIG_DIR": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", DIES_AT_STEP, "-1"], capture_output=True, text=True, env=environ, timeout=60, check=False
    )
    eventually(lambda: not instances_of(home), 30, "the counted launch ends")
    return int(done.stdout)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
def test_caller_killed_while_it_launches(caller, home, steps_of_a_launch, share):
    killed = caller(DIES_AT_STEP, str(max(1, int(steps_of_a_launch * share))))
    killed.wait(60)
    eventually(lambda: not instances_of(home), 40, "nothing is left running within the orphan time")
    if (home / "tradewind.db").exists():
        settled(caller, home)
        assert all(stop is not None for _, _, stop in ledger(home))


def test_caller_killed_at_rest_ends_the_ledger_at_the_right_second(caller, home):
    victim = caller(LAUNCH_AND_WAIT)
    assert victim.stdout is not None
    victim.stdout.readline()
    assert len(instances_of(home)) >= 3
    victim.kill()
    eventually(lambda: not instances_of(home), 30, "nothing is left running within the orphan time")
    died_at = time.time()
    views = settled(caller, home)
    assert [(status, reason) for status, reason, _ in views] == [("stopped", "lost")]
    rows = ledger(home)
    assert len(rows) == 3
    assert all(died_at - 4 < seconds(stop) <= died_at for _, _, stop in rows)


def test_interrupted_at_any_moment_of_start_up(caller, home):
    for delay in (0.2, 0.8, 1.2, 1.6, 2.0):
        victim = caller(LAUNCH_AND_WAIT.replace("victim", f"victim-{delay}"))
        time.sleep(delay)
        victim.send_signal(signal.SIGINT)
        _, err = victim.communicate(timeout=60)
        assert "KeyboardInterrupt" in err
        eventually(lambda: not instances_of(home), 10, f"all has ended after Ctrl-C at {delay} s")
    if (home / "tradewind.db").exists():
        assert all(status == "stopped" for status, _, _ in settled(caller, home))


def test_worker_killed_is_replaced_and_said(home):
    from tradewind import Cluster

    with Cluster(n_workers=2, show_widget=False, wait_for_workers=True) as cluster:
        before = set(cluster.observed)
        client = cluster.get_client()
        pids = client.run(os.getpid)
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        eventually(lambda: len(set(cluster.observed) - before) == 1 and len(cluster.observed) == 2, 20, "a new worker")
        assert client.submit(sum, [1, 2]).result(timeout=20) == 3
        journal = cluster.get_logs()["Cluster"]
        client.close()
    assert "ended" in journal
    assert "replaced" in journal


def test_scheduler_killed_stops_the_cluster_as_lost(home, caplog):
    from tradewind import Cluster

    cluster = Cluster(n_workers=2, show_widget=False, wait_for_workers=True)
    client = cluster.get_client()
    os.kill(client.run_on_scheduler(os.getpid), signal.SIGKILL)
    eventually(lambda: not instances_of(home), 20, "workers end with their scheduler")
    api, cluster_id = cluster._session.api, cluster.cluster_id
    eventually(lambda: not api.run(api.view(cluster_id)).cluster.status.is_live, 20, "the record ends")
    assert api.run(api.view(cluster_id)).cluster.stop_reason == "lost"
    client.close()
    cluster.close()


def test_two_processes_close_the_same_cluster_at_once(caller, home):
    from tradewind import Cluster

    cluster = Cluster(name="shared", n_workers=1, show_widget=False)
    close = "from tradewind import Cluster; c = Cluster(name='shared', show_widget=False); print('in', flush=True); input(); c.shutdown()"
    others = [subprocess.Popen] and [caller(close)]
    others[0].stdout.readline()
    cluster_id = cluster.cluster_id
    others[0].stdin and others[0].stdin.write("\n")
    cluster.close()
    others[0].communicate(timeout=40)
    api = cluster._session.api
    view = api.run(api.view(cluster_id))
    assert not view.cluster.status.is_live
    assert all(i.stopped_at is not None for i in view.instances)
