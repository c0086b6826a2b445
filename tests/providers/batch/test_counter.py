"""What a site says of itself is asked early, and once; a shell's commands stand in for a system's."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tradewind.errors import Unavailable
from tradewind.providers.batch.books import Books
from tradewind.providers.batch.counter import Survey
from tradewind.providers.batch.place import Here
from tradewind.providers.batch.runner import Runner
from tradewind.providers.slurm.queue import SlurmQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(SlurmQueue):
    """One that says what a shell does."""

    line: str

    def site_commands(self) -> Sequence[list[str]]:
        return (["/bin/sh", "-c", self.line],)


def survey(directory: Path, line: str) -> Survey:
    return Survey(Shell(line=line), Here(Books(directory / "books"), Runner({})))


def calls(directory: Path) -> int:
    return len((directory / "calls").read_text())


async def test_what_was_begun_is_not_asked_again(tmp_path: Path) -> None:
    found = survey(tmp_path, f"printf x >> {tmp_path}/calls; echo said")

    found.begin()
    found.begin()

    assert await found.texts() == ["said\n"]
    assert await found.texts() is await found.texts()
    assert calls(tmp_path) == 1


async def test_a_begin_that_failed_is_asked_again_and_then_told(tmp_path: Path) -> None:
    found = survey(tmp_path, f"printf x >> {tmp_path}/calls; echo no controller >&2; exit 1")

    found.begin()

    with pytest.raises(Unavailable, match="no controller"):
        await found.texts()
    with pytest.raises(Unavailable, match="no controller"):
        await found.texts()
    assert calls(tmp_path) == 2


async def test_what_was_begun_long_ago_counts_no_more(tmp_path: Path) -> None:
    found = survey(tmp_path, f"printf x >> {tmp_path}/calls; cat {tmp_path}/calls")
    found.begin()
    began = found._begun
    assert began is not None
    began.result(timeout=10)
    found._clock = lambda: time.monotonic() + 60

    assert await found.texts() == ["xx"]
