"""What is said of a job that its queue lists no more: its accounts' word, its own, or for a while none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tradewind.errors import ConfigError, Unavailable
from tradewind.host.records import Exit
from tradewind.model.instance import Marks, Role
from tradewind.providers.batch.books import Batch, Books
from tradewind.providers.batch.queue import Entry, Queue, Stage
from tradewind.providers.batch.recall import Recall
from tradewind.providers.batch.runner import PATIENCE_S, Said
from tradewind.providers.lsf.queue import LsfQueue
from tradewind.providers.sge.queue import SgeQueue
from tradewind.providers.slurm.queue import SlurmQueue

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MARKS = Marks(
    installation="desk", workspace="lab", cluster="tide", instance="worker-1", order="order-1", role=Role.WORKER
)
BATCH = Batch(id="0a1b", marks=(MARKS,), submitted_at=NOW, job="12")
TOLD = """jobnumber 12
taskid 1
start_time Tue Nov 24 12:00:00 2026
end_time Tue Nov 24 12:05:00 2026
slots 1
failed 100
exit_status 140
"""
HOPELESS = Entry(job="12", index=0, mark="tradewind:desk:0a1b:tide", stage=Stage.WAITING, is_hopeless=True, words="no")


@dataclass
class Answers:
    """What answers in the place of the system's commands."""

    said: str = ""
    asked: list[Sequence[str]] = field(default_factory=list)
    is_away: bool = False
    away: Exception = field(default_factory=lambda: Unavailable("it is away"))

    async def run(
        self, command: Sequence[str], *, text: str = "", keeps: Sequence[int] = (), patience_s: float = PATIENCE_S
    ) -> Said:
        self.asked.append(command)
        if self.is_away:
            raise self.away
        return Said(code=0, out=self.said, error="")


class Desk:
    def __init__(self, root: Path, queue: Queue) -> None:
        self.books = Books(root)
        self.run = self.books.records.run(MARKS.order)
        self.run.directory.mkdir(parents=True)
        self.answers = Answers()
        self.at_s = 100.0
        self.now = NOW + timedelta(hours=1)
        self.recall = Recall(queue, self.answers, self.books, "desk", clock=lambda: self.at_s, now=lambda: self.now)

    async def entry(self) -> Entry:
        return (await self.recall.recalled([(BATCH, 0)]))["12", 0]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, SgeQueue())


async def test_what_was_killed_without_a_word_has_not_ended_before_the_accounts_say_how(desk: Desk) -> None:
    desk.run.note("instance.json", "{}")

    assert (await desk.entry()).stage is Stage.ENDING
    desk.at_s += 10
    desk.answers.said = TOLD
    after = await desk.entry()

    assert (after.stage, after.words) == (Stage.OVER, "was cancelled")
    assert after.mark == "tradewind:desk:0a1b:tide"


async def test_accounts_that_never_come_are_not_waited_for_for_ever(desk: Desk) -> None:
    desk.run.note("instance.json", "{}")
    await desk.entry()

    desk.at_s += 26

    assert "it left no word of its end" in (await desk.entry()).words


async def test_who_said_how_it_ended_has_ended_at_once(desk: Desk) -> None:
    desk.run.note("instance.json", "{}")
    desk.run.write_exit(Exit(stopped_at=NOW, exit_code=0, detail="was asked to end"))

    after = await desk.entry()

    assert (after.stage, after.words) == (Stage.OVER, "")


async def test_what_never_began_was_cancelled_while_it_waited(desk: Desk) -> None:
    assert (await desk.entry()).words == "was cancelled while it waited"


async def test_what_a_list_that_lags_doesn_t_show_yet_waits(tmp_path: Path) -> None:
    desk = Desk(tmp_path, LsfQueue())

    desk.now = NOW + timedelta(seconds=25)
    early = await desk.entry()
    desk.now = NOW + timedelta(seconds=61)
    late = await desk.entry()

    assert (early.stage, early.words) == (Stage.WAITING, "the queue doesn't list it yet")
    assert (late.stage, late.words) == (Stage.OVER, "was cancelled while it waited")


async def test_a_queue_whose_accounts_are_prompt_is_believed_at_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, SlurmQueue())
    desk.run.note("instance.json", "{}")

    assert (await desk.entry()).stage is Stage.OVER


async def test_accounts_that_are_away_lose_nobody(desk: Desk) -> None:
    desk.answers.is_away = True

    assert (await desk.entry()).stage is Stage.OVER


async def test_a_login_node_without_accounts_loses_nobody(tmp_path: Path) -> None:
    desk = Desk(tmp_path, SgeQueue())
    desk.answers.away = ConfigError("login.example.org has no qacct on its PATH")
    desk.answers.is_away = True

    assert (await desk.entry()).stage is Stage.OVER


async def test_why_a_job_cant_start_is_asked_once(desk: Desk) -> None:
    desk.answers.said = "error reason    1:   11/24/2026 02:13:31 [0:1]: error: can't chdir to /nowhere: No such file"

    (first,) = await desk.recall.explained([HOPELESS])
    await desk.recall.explained([HOPELESS])

    assert first.words == "no: can't chdir to /nowhere: No such file"
    assert len(desk.answers.asked) == 1
