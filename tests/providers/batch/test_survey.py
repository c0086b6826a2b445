"""What a site says of itself is asked early, and once; a shell's commands stand in for a system's."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tradewind.errors import BadRequest, Unavailable
from tradewind.model.resources import Need
from tradewind.providers.batch.books import Books
from tradewind.providers.batch.counter import Counter
from tradewind.providers.batch.letters import habits_of
from tradewind.providers.batch.offers import choices_of
from tradewind.providers.batch.place import Here
from tradewind.providers.batch.queue import Entry, Site
from tradewind.providers.batch.runner import Runner
from tradewind.providers.batch.survey import Memory, Survey
from tradewind.providers.slurm.queue import SlurmQueue

NOW = datetime(2031, 5, 4, 12, tzinfo=UTC)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(Shell):
    """One whose answer hardly changes."""

    def changes_seldom(self, command: Sequence[str]) -> bool:
        return True


def another_program(directory: Path, line: str) -> Survey:
    (directory / "books").mkdir(exist_ok=True)
    return Survey(Slow(line=line), Here(Books(directory / "books"), Runner({})))


async def test_what_seldom_changes_is_known_to_the_next_program(tmp_path: Path) -> None:
    line = f"printf x >> {tmp_path}/calls; cat {tmp_path}/calls"

    first = await another_program(tmp_path, line).texts()
    second = await another_program(tmp_path, line).texts()

    assert first == second == ["x"]


@pytest.mark.parametrize("harm", ["", "{half"])
async def test_what_was_not_said_or_can_not_be_read_is_asked_again(tmp_path: Path, harm: str) -> None:
    line = f"printf x >> {tmp_path}/calls; " + (f"cat {tmp_path}/calls" if harm else "exit 0")

    await another_program(tmp_path, line).texts()
    for file in (tmp_path / "books").glob("said-*"):
        file.write_text(harm)
    await another_program(tmp_path, line).texts()

    assert calls(tmp_path) == 2


async def test_what_was_remembered_can_be_forgotten_once(tmp_path: Path) -> None:
    line = f"printf x >> {tmp_path}/calls; cat {tmp_path}/calls"
    await another_program(tmp_path, line).texts()
    found = another_program(tmp_path, line)
    before = await found.texts()

    forgot, after, again = await found.forget(), await found.texts(), await found.forget()

    assert (before, forgot, after, again) == (["x"], True, ["xx"], False)


@pytest.mark.parametrize(
    ("age", "known"), [(timedelta(minutes=59), "said"), (timedelta(hours=1), None), (timedelta(seconds=-1), None)]
)
def test_memory_holds_for_an_hour_and_knows_no_future(tmp_path: Path, age: timedelta, known: str | None) -> None:
    memory = Memory(tmp_path)

    memory.keep(["ask"], "said", NOW - age)

    assert memory.recall(["ask"], NOW) == known
    assert memory.recall(["ask", "other"], NOW) is None


async def test_nobody_is_refused_by_a_limit_that_was_raised_meanwhile(tmp_path: Path) -> None:
    partition = "PartitionName=main Default=YES MaxTime={} State=UP TotalCPUs=4"
    (tmp_path / "books").mkdir()
    (tmp_path / "limit").write_text(partition.format("1:00:00"))
    line = f"cat {tmp_path}/limit"

    def counter() -> Counter:
        place = Here(Books(tmp_path / "books"), Runner({}))
        queue = Raised(line=line)
        choices = choices_of({}, provider="slurm", part="partition")
        habits = habits_of({"walltime": timedelta(hours=2)})
        return Counter(queue, place, Survey(queue, place), choices=choices, habits=habits, listed=nothing)

    with pytest.raises(BadRequest, match="main"):
        await counter().offers(Need())
    (tmp_path / "limit").write_text(partition.format("4:00:00"))

    assert [offer.vm_type for offer in await counter().offers(Need())] == ["main"]
    (tmp_path / "limit").write_text(partition.format("1:00:00"))
    assert [offer.vm_type for offer in await counter().offers(Need())] == ["main"], "from memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised(Slow):
    """One partition of a node of four cores."""

    def read_site(self, texts: Sequence[str]) -> Site:
        shapes = "main|1|4|8000|(null)|0/4/0/4|idle\n"
        return SlurmQueue.read_site(self, [texts[0], shapes, "", ""])


async def nothing() -> Sequence[Entry]:
    return ()
