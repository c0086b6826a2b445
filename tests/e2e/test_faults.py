"""What a user's own machine does to a cluster: each test is named after its fault."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.conftest import eventually, instances_of
from tradewind import Cluster
from tradewind.errors import ClusterStartError

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
import ast
import json
from tradewind.client.door import open_api
api = open_api(looks_after=False)
api.run(api.settle(20.0))
views = api.run(api.list_clusters())
print(json.dumps([[v.cluster.status, v.cluster.stop_reason, v.cluster.stop_detail] for v in views]))
"""


PEEK = """
from tradewind.client.door import open_api
api = open_api(looks_after=False)
api.run(api.settle(20.0))
found = api.run(api.find("seen"))
page = api.run(api.view(found.id)).page
print(page and [worker.name for worker in page.workers])
"""


LOOK_ON_AND_ON = """
import time
from tradewind.client.door import open_api
api = open_api(looks_after=False)
found = api.run(api.find("victim"))
began, pages, view = time.monotonic(), 0, None
while view is None or (view.cluster.status.is_live and time.monotonic() < began + 30):
    api.run(api.settle(20.0))
    view = api.run(api.view(found.id))
    pages += view.page is not None
    time.sleep(0.3)
print(view.cluster.status, pages, time.monotonic() - began)
"""


def ledger(home: Path) -> list[tuple[str, str, str | None]]:
    """Read instance, start and stop of every usage straight from the file."""
    with sqlite3.connect(home / "tradewind.db") as connection:
        return list(connection.execute("select instance_id, started_at, stopped_at from usages"))


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def settled(caller, home: Path) -> list[list[str]]:
    """Let fresh processes look once each at what is left, as any next command does."""
    until = time.monotonic() + 40  # an order that was never given counts as one for 20 s
    while time.monotonic() < until:
        asked = caller(ASK, TRADEWIND_DATA_DIR=str(home), TRADEWIND_CONFIG_DIR=str(home))
        out, err = asked.communicate(timeout=60)
        assert asked.returncode == 0, err
        views = json.loads(out)
        if all(status == "stopped" for status, _, _ in views):
            return views
        time.sleep(1)
    raise AssertionError(views)


def test_another_program_sees_what_the_workers_of_a_cluster_do(caller, home: Path) -> None:
    with Cluster(name="seen", n_workers=2, wait_for_workers=True, show_widget=False) as cluster:
        out, err = caller(PEEK).communicate(timeout=60)
        assert sorted(ast.literal_eval(out)) == sorted(cluster.observed), err


def test_an_orphan_ends_however_often_it_is_looked_at(caller, home: Path) -> None:
    victim = caller(LAUNCH_AND_WAIT)
    assert victim.stdout is not None
    assert victim.stdout.readline().strip(), victim.communicate()[1]
    victim.kill()
    out, err = caller(LOOK_ON_AND_ON).communicate(timeout=60)
    status, pages, took_s = out.split()

    assert status == "stopped", err
    assert int(pages) > 2, "nobody looked while it was up"
    assert float(took_s) < 25, "its ten minutes are three seconds here; a dead engine's lease lasts fifteen"
    assert not instances_of(home)


@pytest.fixture
def killed_at(caller, tmp_path_factory):
    """Kill callers at these steps of their launch, one after another, and look at what is left of each."""

    def launch(name: str, fatal_step: int) -> tuple[Path, str]:
        home = tmp_path_factory.mktemp(name)
        place = {"TRADEWIND_DATA_DIR": str(home), "TRADEWIND_CONFIG_DIR": str(home)}
        out, _ = caller(DIES_AT_STEP, str(fatal_step), **place).communicate(timeout=60)
        return home, out

    def check(steps_of: Callable[[int], Iterable[int]]) -> None:
        counted, out = launch("counted", -1)
        homes = [counted, *(launch(f"step-{step}", step)[0] for step in steps_of(int(out)))]
        for home in homes:
            eventually(lambda home=home: not instances_of(home), 40, f"nothing is left running of {home.name}")
        for home in homes:
            if (home / "tradewind.db").exists():
                settled(caller, home)
                assert all(stop is not None for _, _, stop in ledger(home)), home

    return check


def test_caller_killed_at_any_step_of_a_launch(killed_at):
    killed_at(lambda steps: (max(1, steps * share // 100) for share in range(5, 101, 30)))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_caller_killed_at_every_third_step_of_a_launch(killed_at):
    killed_at(lambda steps: range(1, steps + 1, 3))


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
    cluster = Cluster(name="shared", n_workers=1, show_widget=False)
    other = caller(
        "from tradewind import Cluster; cluster = Cluster(name='shared', show_widget=False);"
        "print('attached', flush=True); cluster.shutdown()"
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "attached\n"
    cluster.close()
    _, err = other.communicate(timeout=40)
    assert other.returncode == 0, err
    view = cluster._session.view
    assert view is not None
    assert not view.cluster.status.is_live
    assert all(i.stopped_at is not None for i in view.instances)


def test_port_taken_is_named_and_leaves_nothing(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ClusterStartError, match="port.*already in use"):
            Cluster(n_workers=1, scheduler_options={"port": port}, show_widget=False)
    eventually(lambda: not instances_of(home), 10, "nothing is left of it")


def test_a_start_that_fails_shows_who_called_and_why_and_none_of_our_frames(caller, home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        options = {"port": taken.getsockname()[1]}
        program = caller(
            f"from tradewind import Cluster\nCluster(n_workers=1, scheduler_options={options}, show_widget=False)"
        )
        _, shown = program.communicate(timeout=60)
    assert shown.count('  File "') <= 3, shown
    assert "During handling" not in shown
    assert "direct cause" not in shown
    assert "already in use" in shown.splitlines()[-1]
    eventually(lambda: not instances_of(home), 10, "nothing is left of it")
