"""What a queue's entry and an instance's own notes mean together."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tradewind.host.records import Exit, Records, Run
from tradewind.model.instance import Contact, InstanceStatus, Marks, Role
from tradewind.providers.batch.queue import Entry, Stage
from tradewind.providers.batch.sight import from_data, handle_of, mark_of, observed, read_handle, read_mark, to_data

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MARKS = Marks(
    installation="desk", workspace="lab", cluster="tide", instance="worker-1", order="order-1", role=Role.WORKER
)
SCHEDULER = replace(MARKS, role=Role.SCHEDULER)
RUNS = Entry(job="12", index=3, mark="m", stage=Stage.RUNNING, started_at=NOW)
WAITS = replace(RUNS, stage=Stage.WAITING, started_at=None, words="jobs of others go first")
OVER = replace(RUNS, stage=Stage.OVER, stopped_at=NOW + timedelta(hours=1), words="was cancelled")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Records(tmp_path).run("order-1")
    made.directory.mkdir(parents=True)
    return made


def test_what_waits_is_not_billed_and_says_why(run: Run) -> None:
    seen = observed(WAITS, MARKS, run)

    assert (seen.status, seen.started_at, seen.detail) == (InstanceStatus.PENDING, None, "jobs of others go first")


def test_what_has_its_node_is_billed_from_when_the_queue_says(run: Run) -> None:
    seen = observed(RUNS, MARKS, run)

    assert (seen.status, seen.started_at) == (InstanceStatus.STARTING, NOW)
    run.note("ready")
    assert observed(RUNS, MARKS, run).status is InstanceStatus.RUNNING


def test_a_scheduler_runs_once_it_can_be_reached(run: Run) -> None:
    run.note("ready")
    assert observed(RUNS, SCHEDULER, run).status is InstanceStatus.STARTING

    run.note("contact.json", '{"scheduler": "tls://a:1", "agent": "https://a:2", "dashboard": null}')

    seen = observed(RUNS, SCHEDULER, run)
    assert (seen.status, seen.contact) == (
        InstanceStatus.RUNNING,
        Contact(scheduler="tls://a:1", agent="https://a:2"),
    )


def test_notes_of_a_life_do_not_outlive_it(run: Run) -> None:
    run.note("ready")

    assert observed(OVER, MARKS, run).status is InstanceStatus.STOPPED


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("used 2.1 GiB of its 2 GiB and was killed", "used 2.1 GiB of its 2 GiB and was killed"),
        ("was asked to end", "was cancelled"),
        ("", "was cancelled"),
    ],
)
def test_the_instance_says_why_it_ended_unless_somebody_ended_it(run: Run, said: str, words: str) -> None:
    run.write_exit(Exit(stopped_at=NOW, exit_code=0, detail=said))

    assert observed(OVER, MARKS, run).detail == words


def test_who_was_asked_to_end_didnt_end_by_itself_whatever_the_queue_makes_of_it(run: Run) -> None:
    run.write_exit(Exit(stopped_at=NOW, exit_code=0, detail="was asked to end"))

    assert observed(replace(OVER, words="ended by itself"), MARKS, run).detail == "was asked to end"


def test_what_was_cancelled_while_it_waited_was_never_billed(run: Run) -> None:
    never_ran = replace(OVER, started_at=NOW, stopped_at=NOW)

    assert observed(never_ran, MARKS, run).started_at is None
    run.note("instance.json", "{}")
    assert observed(never_ran, MARKS, run).started_at == NOW


def test_the_dead_are_read_as_they_were_written(run: Run) -> None:
    seen = observed(OVER, MARKS, run)

    assert from_data(to_data(seen)) == seen


@pytest.mark.parametrize("text", ["", "(null)", "my comment", "other:desk:batch:tide", "tradewind:desk:batch"])
def test_a_comment_of_somebody_else_is_no_mark(text: str) -> None:
    assert read_mark(text) is None


def test_marks_and_handles_are_read_as_they_were_written() -> None:
    assert read_mark(mark_of("desk", "batch", "tide")) == ("desk", "batch", "tide")
    assert read_handle(handle_of("12", 3, "order-1")) == ("12", 3, "order-1")
    assert read_handle("12") is None
