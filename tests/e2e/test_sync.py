"""Code that is edited while a cluster runs, seen from its tasks."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client, Event

from tests.e2e.conftest import eventually
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
    project("drift.py", "def answer(): return 1")
    with Cluster(n_workers=1, show_widget=False, wait_for_workers=True) as cluster, cluster.get_client() as client:
        assert answer(client) == 1
        project("drift.py", "def answer(): return 2")  # as long as before, and mostly within the same second
        assert answer(client) == 1
        synced = cluster.sync_environment()
        assert synced.files == ("drift.py",)
        assert "drift" in synced.reloaded
        assert (synced.workers, synced.size, synced.restarted) == (1, 0, ())
        assert answer(client) == 2
        again = cluster.sync_environment()
        assert (again.files, again.reloaded) == ((), ())
        assert str(again).startswith("Nothing has changed")
