"""A home of its own for each test, and witnesses that look at the machine, not at our records."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.served import Served
from tradewind.client import door

SRC = Path(__file__).parents[2] / "src"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let a test that is marked ``both_modes`` run with an engine of its own, and again with a server."""
    if "home" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_modes"):
        metafunc.parametrize("home", ["solo", "server"], indirect=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Settings that nobody else uses, and the data directory of what runs clusters: of this process, or of a server.

    Whatever still runs from it afterwards is a failure.
    """
    monkeypatch.setenv("TRADEWIND_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TRADEWIND_CONFIG_DIR", str(tmp_path))
    home = tmp_path
    if getattr(request, "param", "solo") == "server":
        server: Served = request.getfixturevalue("served")
        server.sign_in(tmp_path)
        home = server.directory
    yield home
    # Only the engine of this home: a fixture of a wider scope may still use another.
    for engine in [engine for key, engine in door._open.items() if str(tmp_path) in key]:
        door.close(engine)
    until = time.monotonic() + 5
    while (left := instances_of(home)) and time.monotonic() < until:
        time.sleep(0.05)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert not left, f"still alive after the test: {left}"


def instances_of(home: Path) -> list[psutil.Process]:
    """Return the processes of every scheduler and worker launched from ``home``, by the files they hold open."""
    mark = str(home / "local" / "runs")
    found = []
    for process in psutil.process_iter():
        try:
            files = _open_files(process.pid)
            if any(file.startswith(mark) for file in files) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return found


def _open_files(pid: int) -> list[str]:
    fds = f"/proc/{pid}/fd"
    links = []
    for fd in os.listdir(fds):
        try:
            links.append(os.readlink(f"{fds}/{fd}"))
        except OSError:
            continue
    return links


def eventually(true: Callable[[], object], within_s: float, what: str) -> None:
    """Wait until ``true()``; the only waiting there is, since real processes take real time."""
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, f"{what}: not within {within_s} s"
        time.sleep(0.05)


@pytest.fixture
def caller(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a program that uses Tradewind, as a user's own process."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SRC), **environ},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
