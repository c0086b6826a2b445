"""What of a cache goes, and what never does."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tradewind.boot.restore import place, prune
from tradewind.boot.restore.report import CantRestore, Report
from tradewind.host import in_use
from tradewind.host.bare.ground import birth_of, machine_boot

DAY = 86400.0


def put(path: Path, days: float, size: int = 100) -> Path:
    """Make a thing of the cache that was used so many days ago."""
    path.mkdir(parents=True)
    (path / "file").write_bytes(b"x" * size)
    return aged(path, days)


def environment(cache: Path, name: str, days: float, size: int = 100) -> Path:
    path = put(cache / "environments" / name, days, size)
    (path / place.MARKER).write_text("{}")
    return aged(path, days)


def complete(cache: Path, name: str, days: float) -> Path:
    """Make an environment that whoever asks is told of."""
    path = environment(cache, name, days)
    (path / place.MARKER).write_text(json.dumps({"content_hash": name}))
    return aged(path, days)


def aged(path: Path, days: float) -> Path:
    then = time.time() - days * DAY
    for one in (path, *path.iterdir()):
        os.utime(one, (then, then))
    return path


def mark(path: Path, *, days: float = 0.0, **changed: object) -> Path:
    boot = machine_boot()
    birth = (birth_of(os.getpid(), boot) or "").rpartition(":")[2]
    home = path.with_name(path.name + prune.USERS)
    home.mkdir()
    (home / "one").write_text(json.dumps({"host": "a", "boot": boot, "pid": os.getpid(), "birth": birth, **changed}))
    aged(home, days)
    return path


def pruned(cache: Path, *, days: float = 14, size: float = 1e9, keep: str = "") -> set[str]:
    return {
        str(Path(path).relative_to(cache))
        for path in prune.prune(str(cache), keep_days=days, keep_bytes=size, keep=keep)
    }


def test_what_nobody_used_goes_whatever_it_is(tmp_path: Path) -> None:
    environment(tmp_path, "old", 20)
    for kind in ("artifacts/a", "packed/p", "conda/c", "conda/unpacked/u", "tools/conda", "uv"):
        put(tmp_path / kind, 20)
    environment(tmp_path, "new", 1)
    put(tmp_path / "artifacts" / "new", 1)

    gone = pruned(tmp_path)

    assert gone == {
        "environments/old", "artifacts/a", "packed/p", "conda/c", "conda/unpacked/u", "tools/conda", "uv",
    }  # fmt: skip
    assert sorted(path.name for path in tmp_path.rglob("new")) == ["new", "new"]
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".making")]


def test_beyond_the_limit_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    for days, name in enumerate(("now", "one", "two", "three")):
        environment(tmp_path, name, days, size=1000)

    assert pruned(tmp_path, size=2500) == {"environments/two", "environments/three"}


def test_files_with_two_names_count_once(tmp_path: Path) -> None:
    (tmp_path / "uv").mkdir()
    made = environment(tmp_path, "one", 1, size=1000)
    os.link(made / "file", tmp_path / "uv" / "file")
    aged(tmp_path / "uv", 1)

    assert pruned(tmp_path, size=1500) == set()


@pytest.mark.parametrize(
    ("told", "days", "stays"),
    [
        ({}, 30, True),  # alive here, whenever it was renewed
        ({"pid": 1, "birth": "0"}, 30, False),  # this boot, another process
        ({"boot": "another", "host": "elsewhere"}, 0, True),
        ({"boot": "another", "host": "elsewhere"}, 30, False),
    ],
)
def test_an_environment_that_a_process_of_any_host_marked_stays(
    tmp_path: Path, told: dict[str, object], days: float, stays: bool
) -> None:
    mark(environment(tmp_path, "marked", 30), days=days, **told)

    assert pruned(tmp_path, size=0) == (set() if stays else {"environments/marked"})
    assert (tmp_path / f"environments/marked{prune.USERS}").exists() is stays


def test_what_was_asked_for_just_now_and_what_was_just_made_stay(tmp_path: Path) -> None:
    environment(tmp_path, "recent", 0.01)
    environment(tmp_path, "kept", 30)

    assert pruned(tmp_path, size=0, keep="kept") == set()


def test_nothing_that_making_reads_goes_while_somebody_makes(tmp_path: Path) -> None:
    put(tmp_path / "uv", 30)
    put(tmp_path / "conda" / "unpacked" / "sea", 30)
    environment(tmp_path, "old", 30)
    with (tmp_path / "environments" / "other.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        while_made = pruned(tmp_path)

    assert while_made == {"environments/old"}
    assert pruned(tmp_path) == {"uv", "conda/unpacked/sea"}


def test_what_the_killed_left_goes_after_a_day(tmp_path: Path) -> None:
    put(tmp_path / "environments" / "one.host-1.making", 2)
    put(tmp_path / "environments" / "two.host-2.making", 0.5)

    assert pruned(tmp_path) == {"environments/one.host-1.making"}


@pytest.mark.parametrize("how", ["asked", "started"])
def test_what_is_used_while_the_cache_is_gone_through_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    made = complete(tmp_path, "old", 30)
    real = prune._size
    started: list[subprocess.Popen[bytes]] = []

    def use(path: str, seen: set[tuple[int, int]]) -> int:
        if how == "asked":
            assert place.Place(str(tmp_path), "old").is_complete()
        else:
            started.append(subprocess.Popen([sys.executable, "-c", "input()", made], stdin=subprocess.PIPE))
        return real(path, seen)

    monkeypatch.setattr(prune, "_size", use)
    try:
        assert pruned(tmp_path) == set()
    finally:
        for process in started:
            process.communicate()
    assert (made / "file").exists()


def test_what_somebody_was_told_of_in_the_very_moment_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = complete(tmp_path, "old", 30)
    real = os.rename

    def rename(old: str, new: str) -> None:
        if old == str(made):
            assert place.Place(str(tmp_path), "old").is_complete()
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)
    assert pruned(tmp_path) == set()
    assert (made / "file").exists()


def test_nobody_is_told_of_what_was_removed_in_the_very_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = complete(tmp_path, "old", 30)
    real = os.utime

    def utime(path: str) -> None:
        made.rename(tmp_path / "aside")
        real(path)

    monkeypatch.setattr(os, "utime", utime)
    assert not place.Place(str(tmp_path), "old").is_complete()


def test_nobody_waits_while_files_are_counted_or_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complete(tmp_path, "old", 30)
    other = place.Place(str(tmp_path), "other")
    Path(other.lock).touch()
    done = []

    def meanwhile(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def make(*words: Any, **more: Any) -> Any:
            if not str(words[0]).endswith(prune.USERS):  # a few marks go at once
                with other.held(Report(), 0.0):
                    done.append(name)
            return real(*words, **more)

        return make

    monkeypatch.setattr(prune, "_size", meanwhile("count", prune._size))
    monkeypatch.setattr(shutil, "rmtree", meanwhile("remove", shutil.rmtree))
    assert pruned(tmp_path) == {"environments/old"}
    assert set(done) == {"count", "remove"}


def test_an_environment_that_somebody_makes_stays_and_so_does_its_lock(tmp_path: Path) -> None:
    made = complete(tmp_path, "old", 30)
    with place.Place(str(tmp_path), "old").held(Report(), 0.0):
        assert pruned(tmp_path) == set()
        assert made.with_name("old.lock").exists()
    assert pruned(tmp_path) == {"environments/old"}
    assert not made.with_name("old.lock").exists()


def test_who_waited_for_a_lock_that_was_removed_takes_the_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "environments").mkdir()
    here = place.Place(str(tmp_path), "old")
    real = fcntl.flock
    removed = []

    def flock(number: int, how: int) -> None:
        real(number, how)
        if not removed:
            removed.append(os.unlink(here.lock))

    monkeypatch.setattr(fcntl, "flock", flock)
    with here.held(Report(), 0.0), pytest.raises(CantRestore, match="Another process"):  # noqa: SIM117
        with place.Place(str(tmp_path), "old").held(Report(), 0.0):
            pass


def test_a_cache_is_gone_through_once_a_day(tmp_path: Path) -> None:
    assert prune.is_due(str(tmp_path))
    assert not prune.is_due(str(tmp_path))
    os.utime(tmp_path / prune.STAMP, (0, 0))
    assert prune.is_due(str(tmp_path))


def test_a_running_process_marks_its_environment_until_it_ends(tmp_path: Path) -> None:
    made = environment(tmp_path, "mine", 30)
    ours = in_use.InUse(made)

    ours.renew()

    assert pruned(tmp_path, size=0) == set()
    (one,) = (tmp_path / "environments" / f"mine{prune.USERS}").iterdir()
    assert json.loads(one.read_text())["pid"] == os.getpid()
    ours.end()
    assert pruned(tmp_path, size=0) == {"environments/mine"}


def test_a_python_that_was_not_made_for_clusters_is_not_marked(tmp_path: Path) -> None:
    ours = in_use.InUse(put(tmp_path / "own", 1))

    ours.renew()
    ours.end()

    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_both_sides_call_a_mark_alike() -> None:
    assert (in_use.MARKER, in_use.USERS) == (place.MARKER, prune.USERS)
    assert in_use.RENEWED_S * 5 < prune.RECENT_S
