"""Who is dead, and what is said where nothing can be kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tradewind.engine.access.identity import installation, is_dead, this_process
from tradewind.errors import StoreError

SAY_WHO = "from tradewind.engine.access.identity import this_process; print(this_process())"


def test_a_process_is_dead_once_it_has_ended() -> None:
    assert not is_dead(this_process())
    done = subprocess.run([sys.executable, "-c", SAY_WHO], capture_output=True, text=True, check=True, timeout=30)
    assert is_dead(done.stdout.strip())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a birth is told by the wall clock alone")
def test_a_clock_that_is_set_makes_nobody_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    before = this_process()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: 12345.0)
    assert not is_dead(before)


@pytest.mark.parametrize("holder", ["", "x", "elsewhere/1/2", "a/b/c/d"])
def test_who_can_not_be_judged_from_here_counts_as_alive(holder: str) -> None:
    assert not is_dead(holder)


def test_a_place_where_nothing_can_be_kept_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file/data: nothing can be kept there: Not a directory.*TRADEWIND_DATA_DIR"):
        installation(tmp_path / "file" / "data", None)
