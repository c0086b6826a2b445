"""What of the user's cache goes, and what never does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.boot.environment.unused import KEPT_DAYS, MARKED_DAYS, RECENT_DAYS, mark, prune, used

NOW = 2_000_000_000.0


def put(cache: Path, name: str, days: float, size: int = 10) -> Path:
    path = cache / name
    file = path if path.suffix else path / "mine-1.0-py3-none-any.whl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)
    for one in {file, path}:
        os.utime(one, (NOW - days * 86400, NOW - days * 86400))
    return path


def test_what_nobody_used_for_long_goes_unless_somebody_needs_it(tmp_path: Path) -> None:
    old = {put(tmp_path, name, 50) for name in ("artifacts/aa", "built/n.json", "known/n.json", "translations/n.json")}
    put(tmp_path, "artifacts/needed", 50)
    put(tmp_path, "artifacts/young", 30)
    put(tmp_path, "what_others_keep/x.json", 500)

    assert set(prune(tmp_path, needed={"needed"}, now=NOW)) == old
    assert not any(path.exists() for path in old)
    assert (tmp_path / "artifacts" / "needed" / "mine-1.0-py3-none-any.whl").exists()
    assert (tmp_path / "what_others_keep" / "x.json").exists()


def test_what_is_used_stays(tmp_path: Path) -> None:
    used(put(tmp_path, "artifacts/aa", 50) / "mine-1.0-py3-none-any.whl")

    assert (
        prune(tmp_path, needed=(), now=(tmp_path / "artifacts" / "aa" / "mine-1.0-py3-none-any.whl").stat().st_mtime)
        == []
    )
    used(tmp_path / "nothing")


def stamp(cache: Path, days: float) -> None:
    for file in (cache / "needed").iterdir():
        os.utime(file, (NOW - days * 86400, NOW - days * 86400))


def test_what_another_store_needs_stays_beyond_the_limits_of_time_and_size(tmp_path: Path) -> None:
    kept = [put(tmp_path, "artifacts/aa", RECENT_DAYS + 1), put(tmp_path, "artifacts/bb", KEPT_DAYS + 1)]
    gone = [put(tmp_path, "artifacts/cc", RECENT_DAYS + 1)]
    mark(tmp_path, "theirs", {"aa", "bb"})
    mark(tmp_path, "mine", {"dd"})
    stamp(tmp_path, 0)

    assert prune(tmp_path, needed={"dd"}, now=NOW, kept_bytes=1) == gone
    assert all(path.exists() for path in kept)


def test_what_a_store_does_not_need_any_more_goes(tmp_path: Path) -> None:
    old = [put(tmp_path, "artifacts/aa", KEPT_DAYS + 1)]
    mark(tmp_path, "theirs", {"aa"})
    mark(tmp_path, "theirs", {"bb"})
    mark(tmp_path, "theirs", ())
    mark(tmp_path, "theirs", ())

    assert prune(tmp_path, needed=(), now=NOW) == old


def test_a_store_that_nobody_opens_any_more_keeps_nothing(tmp_path: Path) -> None:
    old = [put(tmp_path, "artifacts/aa", MARKED_DAYS + 2)]
    mark(tmp_path, "theirs", {"aa"})
    stamp(tmp_path, MARKED_DAYS - 1)
    assert prune(tmp_path, needed=(), now=NOW) == []
    stamp(tmp_path, MARKED_DAYS + 1)

    assert prune(tmp_path, needed=(), now=NOW) == old
    assert not any((tmp_path / "needed").iterdir())


def test_nothing_goes_where_it_can_not_be_known_what_others_need(tmp_path: Path) -> None:
    old = put(tmp_path, "artifacts/aa", KEPT_DAYS + 1)
    (tmp_path / "needed" / "no file").mkdir(parents=True)
    stamp(tmp_path, 0)

    with pytest.raises(OSError, match="no file"):
        prune(tmp_path, needed=(), now=NOW)
    assert old.exists()


def test_a_cache_that_is_not_there_is_no_trouble(tmp_path: Path) -> None:
    assert prune(tmp_path / "none", needed=(), now=NOW) == []


@given(
    things=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 1000)), max_size=8),
    limit=st.integers(0, 3000),
    needed=st.sets(st.integers(0, 7)),
)
def test_what_is_needed_or_recent_stays_and_the_rest_fits(
    tmp_path_factory: pytest.TempPathFactory, things: list[tuple[int, int]], limit: int, needed: set[int]
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    for number, (days, size) in enumerate(things):
        put(cache, f"artifacts/{number}", days, size)

    prune(cache, needed={str(number) for number in needed}, now=NOW, kept_bytes=limit)

    left = {int(path.name) for path in (cache / "artifacts").glob("*")} if things else set()
    must = {number for number, (days, _) in enumerate(things) if number in needed or days <= RECENT_DAYS}
    assert must <= left
    assert sum(things[number][1] for number in left - must) <= limit
