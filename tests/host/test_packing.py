"""Packing waits until the instance is up, is nice to it, and ends with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tradewind.boot.restore import program

KEEPER = """
import json, sys, time
from tradewind.host.bare import packing
packing.SETTLED_S = packing.LOOK_EVERY_S = 0.05
directory, work = json.load(sys.stdin)
packing.pack_later(directory, work)
print("kept", flush=True)
time.sleep(60)
"""
SLOW = "import os, time; open({!r}, 'w').write(str(os.nice(0))); time.sleep(60)"


@pytest.fixture
def keepers() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def keeper(started: list[subprocess.Popen[str]], directory: Path, work: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", KEEPER]
    pipe = subprocess.PIPE
    made = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=(directory / "log").open("w"), text=True)
    started.append(made)
    assert made.stdin is not None
    assert made.stdout is not None
    made.stdin.write(json.dumps([str(directory), work]))
    made.stdin.close()
    assert made.stdout.readline() == "kept\n"
    return made


def until(is_so: object, within_s: float = 15.0) -> None:
    end = time.monotonic() + within_s
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def order(directory: Path, publish: str) -> dict[str, object]:
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    wanted = {"python": f"{minor}.0", "content_hash": "a" * 64, "packages": [], "artifacts": []}
    made = directory / "cache" / "environments" / ("a" * 64)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    (made / "environment.json").write_text(json.dumps({"content_hash": "a" * 64}))
    return {"environment": wanted, "files": {}, "cache": str(directory / "cache"), "publish": publish}


def test_what_was_made_is_packed_once_the_instance_is_up(keepers: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    published = tmp_path / "one.tar.gz"
    keeper(keepers, tmp_path, {"program": program(), "order": order(tmp_path, str(published))})
    time.sleep(0.5)
    assert not published.exists()

    (tmp_path / "contact.json").write_text("{}")

    until(published.exists)
    until(lambda: "packed for other machines" in (tmp_path / "log").read_text())


def test_why_nothing_was_packed_is_in_the_log(keepers: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    (tmp_path / "ready").touch()

    keeper(keepers, tmp_path, {"program": program(), "order": order(tmp_path, "file:///not/mounted/one.tar.gz")})

    until(lambda: "doesn't see /not/mounted" in (tmp_path / "log").read_text())


@pytest.mark.skipif(sys.platform != "linux", reason="ends with its parent by Linux's own means")
def test_packing_is_nice_and_ends_with_a_killed_keeper(keepers: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    (tmp_path / "ready").touch()
    told = tmp_path / "nice"
    running = keeper(keepers, tmp_path, {"program": SLOW.format(str(told)), "order": {"publish": "/x"}})
    until(lambda: told.exists() and told.read_text())
    left = psutil.Process(running.pid).children(recursive=True)
    assert len(left) == 2
    assert told.read_text() == "19"

    os.kill(running.pid, signal.SIGKILL)
    running.wait()

    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in left))


@pytest.mark.parametrize("work", [None, {"program": "", "order": {}}, {"program": "", "order": {"publish": ""}}])
def test_nothing_is_forked_where_nobody_asked(
    keepers: list[subprocess.Popen[str]], tmp_path: Path, work: object
) -> None:
    running = keeper(keepers, tmp_path, work)

    assert not psutil.Process(running.pid).children()
