"""Code that comes to a cluster over Dask's own line, since who runs the cluster can't read the caller's files."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client

from tests.e2e.conftest import instances_of
from tests.served import Served, end_server, first_user, meet_server, start_server
from tradewind import Cluster
from tradewind.client import door
from tradewind.errors import BadRequest

pytestmark = pytest.mark.timeout(120)

ELSEWHERE = "127.0.0.2"
"""Loopback too, but not by a name that a client takes for its own machine."""


@pytest.fixture(scope="module")
def afar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that clients take for one on another machine."""
    import asyncio

    directory = tmp_path_factory.mktemp("afar")
    process, url = start_server(directory, words=["--host", ELSEWHERE, "--provider", "local"])
    try:
        yield meet_server(directory, process, url, asyncio.run(first_user(directory)))
    finally:
        end_server(process)


@pytest.fixture
def project(afar: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """A directory of one's own modules, and settings that lead to the server."""
    settings = tmp_path / "settings"
    settings.mkdir()
    for name in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"TRADEWIND_{name}_DIR", str(settings))
    # As where PyPI is all there is: what other indexes have would travel too.
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    afar.sign_in(settings)
    directory = tmp_path / "project"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.syspath_prepend(str(directory))
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
    for engine in [engine for key, engine in door._open.items() if str(settings) in key]:
        door.close(engine)
    assert not instances_of(afar.directory)


def answer(client: Client) -> object:
    import drift

    return client.submit(drift.answer, pure=False).result(timeout=30)


def test_modules_come_with_the_start_and_follow_when_edited(afar, project):
    project("drift.py", "from swell import height\n\ndef answer(): return height(), __file__")
    project("swell/__init__.py", "from swell.tide import height")
    project("swell/tide.py", "def height(): return 1")
    with Cluster(n_workers=2, show_widget=False, wait_for_workers=True) as cluster, cluster.get_client() as client:
        height, file = answer(client)
        assert height == 1
        assert str(afar.directory / "luggage") in file
        project("swell/tide.py", "def height(): return 2")
        synced = cluster.sync_environment()
        assert synced.files == ("swell/tide.py",)
        assert synced.size > 0
        assert {"drift", "swell", "swell.tide"} <= set(synced.reloaded)
        assert answer(client)[0] == 2
        assert cluster.sync_environment().size == 0
        project("swell/tide.py", "def height(): return 1")
        assert cluster.sync_environment().size == 0, "what was there before is there still"
        assert answer(client)[0] == 1
        cluster.scale(3)
        cluster.wait_for_workers(3, timeout=30)
        import drift

        assert [height for height, _ in client.run(drift.answer).values()] == [1, 1, 1]


def test_who_has_no_room_is_told_with_the_file_and_nothing_changes(afar, project):
    path = project("drift.py", "def answer(): return 1")
    with Cluster(n_workers=1, show_widget=False, wait_for_workers=True) as cluster, cluster.get_client() as client:
        assert answer(client) == 1
        project("drift.py", "def answer(): return 2")
        # What a full disk says can be had without one: a limit on the size of files that the scheduler writes.
        client.run_on_scheduler(lambda: __import__("resource").setrlimit(1, (16, 16)))
        client.run_on_scheduler(lambda: __import__("signal").signal(25, 1))
        with pytest.raises(
            BadRequest, match=r"modules-\w+\.zip has .* MiB packed, and there is no room for it"
        ) as caught:
            cluster.sync_environment()
        assert str(afar.directory / "luggage") in str(caught.value)
        assert answer(client) == 1
        assert path.read_text().endswith("2")


def test_what_is_too_big_is_refused_with_its_biggest_files(afar, project):
    project("drift.py", "def answer(): return 1")
    with Cluster(n_workers=0, show_widget=False) as cluster:
        path = project("swell/__init__.py", "")
        path.with_name("tides.bin").write_bytes(os.urandom(101 * 2**20))
        with pytest.raises(BadRequest, match=r"101.0 MiB  swell/tides.bin"):
            cluster.sync_environment()
