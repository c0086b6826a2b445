"""Code that is edited while a cluster runs, seen from its tasks."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client, Event

from tests.e2e.conftest import SRC, eventually
from tradewind import Cluster
from tradewind.errors import BadRequest

pytestmark = pytest.mark.timeout(120)

Write = Callable[[str, str], Path]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """A directory of one's own modules, in which Python was started."""
    directory = tmp_path / "project"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.syspath_prepend(str(directory))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    before = set(sys.modules)

    def write(name: str, text: str) -> Path:
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        importlib.invalidate_caches()
        return path

    yield write
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {"drift", "swell"}:
            del sys.modules[name]


def answer(client: Client) -> object:
    """Return what a task gets from the module, as it is imported there."""
    import drift

    return client.submit(drift.answer, pure=False).result(timeout=30)


@pytest.mark.both_modes
def test_a_task_after_a_sync_runs_the_edited_module(home, project):
    path = project("drift.py", "def answer(): return 1")
    with Cluster(n_workers=1, show_widget=False, wait_for_workers=True) as cluster, cluster.get_client() as client:
        assert answer(client) == 1
        stat = path.stat()
        project("drift.py", "def answer(): return 2")
        os.utime(path, (stat.st_atime, stat.st_mtime))  # as long as before and within a second: Python sees no change
        assert answer(client) == 1
        synced = cluster.sync_environment()
        assert synced.files == ("drift.py",)
        assert "drift" in synced.reloaded
        assert (synced.workers, synced.size, synced.restarted) == (1, 0, ())
        assert answer(client) == 2
        again = cluster.sync_environment()
        assert (again.files, again.reloaded) == ((), ())
        assert str(again).startswith("Nothing has changed")


@pytest.mark.both_modes
def test_who_imports_the_edited_module_is_loaded_anew_and_nobody_else(home, project):
    project("drift.py", "from swell.tide import height\n\ndef answer(): return height()")
    project("swell/__init__.py", "")
    project("swell/tide.py", "def height(): return 1")
    project("swell/moon.py", "phase = []")
    project("drift_apart.py", "seen = []")
    with Cluster(n_workers=1, show_widget=False, wait_for_workers=True) as cluster, cluster.get_client() as client:
        assert answer(client) == 1
        cluster.sync_environment()  # files saved in the very second of a start count as changed since
        client.run(lambda: importlib.import_module("drift_apart").seen.append("kept"))
        assert answer(client) == 1
        project("swell/tide.py", "def height(): return 2")
        synced = cluster.sync_environment()
        assert synced.files == ("swell/tide.py",)
        assert set(synced.reloaded) == {"drift", "swell", "swell.tide"}
        assert answer(client) == 2
        assert list(client.run(lambda: importlib.import_module("drift_apart").seen).values()) == [["kept"]]


def test_functions_modules_and_files_that_are_new_or_gone_are_followed(home, project):
    project("drift.py", "def answer(): return 1")
    project("swell.py", "height = 1")
    with Cluster(n_workers=1, show_widget=False, wait_for_workers=True) as cluster, cluster.get_client() as client:
        assert answer(client) == 1
        drift = project(
            "drift.py", "import drift_new\n\ndef answer(): return drift_new.more()\n\ndef other(): return 5"
        )
        project("drift_new.py", "def more(): return 3")
        (drift.parent / "swell.py").unlink()
        assert cluster.sync_environment().files == ("drift.py", "drift_new.py")
        assert answer(client) == 3
        drift.with_name("drift_new.py").unlink()
        assert cluster.sync_environment().files == ("drift_new.py",)
        # The scheduler reads graphs: it is the first to miss it.
        with pytest.raises(RuntimeError, match="deserialization of the task graph"):
            answer(client)


def test_a_function_that_is_new_can_be_submitted(home, project):
    # The scheduler reads graphs, so it must import the new code as well.
    project("drift.py", "def answer(): return 1")
    with Cluster(n_workers=1, show_widget=False, wait_for_workers=True) as cluster, cluster.get_client() as client:
        assert answer(client) == 1
        project("drift.py", "def answer(): return 1\n\ndef other(): return 7\n")
        cluster.sync_environment()
        module = importlib.reload(importlib.import_module("drift"))
        assert client.submit(module.other, pure=False).result(timeout=30) == 7


@pytest.mark.both_modes
def test_a_module_that_python_cannot_read_is_told_before_anything_is_sent(home, project):
    path = project("drift.py", "def answer(): return 1")
    with Cluster(n_workers=1, show_widget=False, wait_for_workers=True) as cluster, cluster.get_client() as client:
        assert answer(client) == 1
        project("drift.py", "def answer():\n    return 2 +\n")
        with pytest.raises(BadRequest) as caught:
            cluster.sync_environment()
        assert f"{path}, line 2: invalid syntax: 'return 2 +'" in str(caught.value)
        assert answer(client) == 1
        project("drift.py", "def answer():\n    return 3\n")
        cluster.sync_environment()
        assert answer(client) == 3


def test_what_runs_goes_on_with_the_code_that_it_has(home, project):
    project("drift.py", "def answer(wait):\n    wait()\n    return later()\n\ndef later(): return 1\n")
    with Cluster(n_workers=1, show_widget=False, wait_for_workers=True) as cluster, cluster.get_client() as client:
        import drift

        began, may_end = Event("began", client), Event("may-end", client)

        def wait() -> None:
            Event("began").set()
            Event("may-end").wait(30)

        running = client.submit(drift.answer, wait, pure=False)
        assert began.wait(30)
        pids = client.run(os.getpid)
        project("drift.py", "def answer(wait): return 2\n\ndef later(): return 2\n")
        cluster.sync_environment()
        may_end.set()
        assert running.result(timeout=30) == 1
        assert client.submit(drift.answer, None, pure=False).result(timeout=30) == 2
        assert client.run(os.getpid) == pids


@pytest.mark.both_modes
def test_workers_that_join_later_run_the_edited_module_too(home, project):
    project("drift.py", "import os\n\ndef answer(): return 1\n\ndef where(*_): return os.getpid(), answer()")
    with Cluster(n_workers=1, show_widget=False, wait_for_workers=True) as cluster, cluster.get_client() as client:
        assert answer(client) == 1
        project("drift.py", "import os\n\ndef answer(): return 2\n\ndef where(*_): return os.getpid(), answer()")
        cluster.sync_environment()
        cluster.scale(3)
        cluster.wait_for_workers(3, timeout=30)
        import drift

        assert set(client.run(drift.answer).values()) == {2}
        assert len(client.run(drift.answer)) == 3


def test_workers_of_an_adaptive_cluster_run_the_edited_module(home, project):
    project(
        "drift.py",
        "import os, time\n\ndef answer(): return 1\n\ndef slow(n):\n    time.sleep(0.3)\n    return answer()",
    )
    with (
        Cluster(n_workers=[1, 3], worker_memory="500 MiB", show_widget=False, wait_for_workers=True) as cluster,
        cluster.get_client() as client,
    ):
        cluster.adapt(minimum=1, maximum=3, target_duration="1s", wait_count=2, interval="500ms")
        assert answer(client) == 1
        project(
            "drift.py",
            "import os, time\n\ndef answer(): return 2\n\ndef slow(n):\n    time.sleep(0.3)\n    return answer()",
        )
        cluster.sync_environment()
        import drift

        futures = client.map(drift.slow, range(40), pure=False)
        eventually(lambda: len(cluster.observed) == 3, 30, "it grows with the work")
        assert set(client.gather(futures)) == {2}


async def test_a_sync_can_be_awaited(home, project):
    project("drift.py", "def answer(): return 1")
    async with (
        Cluster(n_workers=1, asynchronous=True, show_widget=False, wait_for_workers=True) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        import drift

        assert await client.submit(drift.answer, pure=False) == 1
        project("drift.py", "def answer(): return 2")
        await cluster.sync_environment()
        assert await client.submit(drift.answer, pure=False) == 2


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Install a version of a package, as an installer leaves it."""
    directory = tmp_path / "site-packages"
    directory.mkdir()
    monkeypatch.syspath_prepend(str(directory))

    def install(name: str, version: str) -> None:
        for old in directory.glob(f"{name}-*.dist-info"):
            shutil.rmtree(old)
        metadata = directory / f"{name}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (directory / f"{name}.py").write_text(f"def version(): return {version!r}\n")

    yield install
    sys.modules.pop("wavelet", None)


@pytest.mark.both_modes
def test_changed_packages_are_named_and_workers_replaced_without_losing_results(home, project, install):
    install("wavelet", "1.0")
    project("drift.py", "import wavelet\n\ndef answer(): return wavelet.version()")
    with Cluster(n_workers=2, show_widget=False, wait_for_workers=True) as cluster, cluster.get_client() as client:
        assert answer(client) == "1.0"
        held = client.map(lambda n: n + 1, range(20))
        client.gather(held)
        before = set(cluster.observed)
        install("wavelet", "1.10")
        synced = cluster.sync_environment()
        (difference,) = synced.differences
        assert (difference.package, difference.there, difference.here) == ("wavelet", "1.0", "1.10")
        assert set(synced.restarted) == before
        eventually(lambda: len(cluster.observed) == 2, 20, "as many as before")
        assert not before & set(cluster.observed)
        assert answer(client) == "1.10"
        assert client.gather(held) == list(range(1, 21))
        assert {future.status for future in held} == {"finished"}
        assert cluster.sync_environment().differences == ()
        assert "wavelet 1.0 → 1.10" in str(synced)


DIES = """
import os, sys, threading, time
from tradewind import Cluster
cluster = Cluster.from_name(sys.argv[1], show_widget=False)
before = set(cluster.observed)

def die():
    while not set(cluster.observed) - before:
        time.sleep(0.02)
    os._exit(9)

threading.Thread(target=die, daemon=True).start()
cluster.sync_environment()
"""


def there(client: Client) -> set[object]:
    """Return the names of the workers, as the scheduler says: it tells the last Cluster that came, and no other."""
    return set(client.run_on_scheduler(lambda dask_scheduler: [w.name for w in dask_scheduler.workers.values()]))


@pytest.mark.both_modes
def test_workers_are_replaced_to_the_last_though_who_asked_for_it_was_killed(home, project, install, tmp_path):
    install("wavelet", "1.0")
    project("drift.py", "import wavelet\n\ndef answer(): return wavelet.version()")
    with (
        Cluster(name="left", n_workers=3, show_widget=False, wait_for_workers=True) as cluster,
        cluster.get_client() as client,
    ):
        assert answer(client) == "1.0"
        before = set(cluster.observed)
        install("wavelet", "1.10")
        killed = subprocess.run(
            [sys.executable, "-c", DIES, "left"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SRC), str(tmp_path / "site-packages")])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert killed.returncode == 9, killed.stderr
        assert before & there(client), "it died in the middle"
        eventually(lambda: not before & there(client), 30, "all old ones are gone")
        eventually(lambda: len(there(client)) == 3, 20, "as many as before")
        assert answer(client) == "1.10"
        assert cluster.sync_environment().differences == ()


def test_a_change_that_the_scheduler_needs_too_is_refused_before_anything_happens(home, project, install):
    install("cloudpickle", "0.1")
    project("drift.py", "def answer(): return 1")
    with Cluster(n_workers=1, show_widget=False, wait_for_workers=True) as cluster, cluster.get_client() as client:
        assert answer(client) == 1
        workers = set(cluster.observed)
        project("drift.py", "def answer(): return 2")
        install("cloudpickle", "0.2")
        with pytest.raises(BadRequest, match="cloudpickle is 0.1 on the cluster and 0.2 here, and its scheduler"):
            cluster.sync_environment()
        assert answer(client) == 1
        assert set(cluster.observed) == workers


OTHER = """
import sys
from tradewind import Cluster
cluster = Cluster.from_name(sys.argv[1], show_widget=False)
print(cluster.sync_environment())
cluster.close()
"""


def test_of_two_programs_with_other_code_the_last_one_wins_and_the_first_is_told(home, project, tmp_path):
    project("drift.py", "def answer(): return 'first'")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "drift.py").write_text("def answer(): return 'second'")
    with (
        Cluster(name="both", n_workers=1, show_widget=False, wait_for_workers=True) as cluster,
        cluster.get_client() as client,
    ):
        assert answer(client) == "first"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            other = subprocess.run(
                [sys.executable, "-c", OTHER, "both"],
                cwd=elsewhere,
                env={**os.environ, "PYTHONPATH": str(SRC)},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert "drift.py" in other.stdout, other.stderr
            assert answer(client) == "second"
            said = "The last one who syncs wins"
            eventually(lambda: any(said in str(w.message) for w in caught), 10, "the first is told")
        assert "drift.py" in cluster.sync_environment().files
        assert answer(client) == "first"
