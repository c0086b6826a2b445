"""What LSF is told, and how its answers are read; where the answers are from, ``cases/README.md`` says."""

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tradewind.errors import NoCapacity, ProviderError, Rejected, Unavailable
from tradewind.model.resources import GIB, Need
from tradewind.providers.batch.offers import Choices, offers_for
from tradewind.providers.batch.queue import Entry, Job, Site, Stage
from tradewind.providers.lsf.queue import LsfQueue, read_time, spell
from tradewind.providers.lsf.reasons import waiting

CASES = Path(__file__).parent / "cases"
LSF = LsfQueue()
NOWHERE = Site(partitions=(), part="queue")
HALF = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
JOB = Job(
    name="tw-0a1b2c3d",
    mark="tradewind:desk-1:feed0001:tw-0a1b2c3d",
    commands=("exec python -c pass",),
    log="/home/me/out",
    count=64,
    cpus=2,
    memory=3 * GIB,
    queue="normal",
    walltime=timedelta(hours=4),
)


def case(name: str) -> str:
    return (CASES / f"{name}.txt").read_text()


def site() -> Site:
    return LSF.read_site([case("bqueues"), case("bhosts"), case("lshosts")])


def listed() -> dict[str, Entry]:
    return {f"{e.job}/{e.index}": e for e in LSF.read_list(case("bjobs"))}


# What it is told


def test_one_submission_asks_for_all_workers() -> None:
    lines = LSF.script(JOB, NOWHERE).splitlines()

    assert '#BSUB -J "tw-0a1b2c3d[1-64]"' in lines
    assert '#BSUB -Jd "tradewind:desk-1:feed0001:tw-0a1b2c3d"' in lines
    assert "#BSUB -n 2" in lines
    assert '#BSUB -R "span[hosts=1]"' in lines
    assert '#BSUB -R "rusage[mem=3072MB/job]"' in lines, "in a unit of its own, and whatever the site counts by"
    assert "#BSUB -M 3072MB" in lines
    assert "#BSUB -W 4:00" in lines
    assert "#BSUB -o /home/me/out-%I" in lines
    assert lines[0] == "#!/bin/sh"
    assert lines[-1] == "exec python -c pass"


def test_the_first_of_an_array_is_1_there_and_0_here() -> None:
    command = ["/bin/sh", "-c", f'echo "{LSF.index_in_shell}"']
    said = subprocess.run(command, env={"LSB_JOBINDEX": "64"}, capture_output=True, text=True, check=True)

    assert said.stdout == "63\n"
    assert LSF.log_of("/home/me/out", 63) == "/home/me/out-64"
    assert LSF.end_command([("12", 0), ("12", 63)]) == ["bkill", "12[1]", "12[64]"]


def test_workers_wait_for_their_scheduler_and_go_with_it() -> None:
    script = LSF.script(replace(JOB, after=("12", 0)), NOWHERE)

    assert '#BSUB -w "started(12[1])"\n' in script
    assert "#BSUB -ti\n" in script


def test_options_of_the_settings_come_after_ours_and_win() -> None:
    queue = replace(LSF, project="ocean", select="type==X86_64", directives=("-W 20",), prologue=("module load x",))
    script = queue.script(replace(JOB, gpus=2), NOWHERE)

    assert script.startswith("#!/bin/bash -l\n")
    assert script.index("-W 4:00") < script.index("-W 20")
    assert "#BSUB -P ocean\n" in script
    assert '#BSUB -R "select[type==X86_64]"\n' in script
    assert '#BSUB -gpu "num=2"\n' in script
    assert script.index("module load x") < script.index("exec python")


@pytest.mark.parametrize(
    ("time", "text"),
    [(timedelta(hours=100), "100:00"), (timedelta(minutes=1, seconds=1), "0:02"), (timedelta(0), "0:01")],
)
def test_a_duration_is_never_cut_short(time: timedelta, text: str) -> None:
    assert spell(time) == text


# What it answers


@pytest.mark.parametrize(
    "text",
    ["Job <1234> is submitted to queue <normal>.\n", "Welcome!\nJob <1234> is submitted to default queue <normal>.\n"],
)
def test_the_id_is_found_among_a_sites_own_words(text: str) -> None:
    assert LSF.read_submitted(text) == "1234"


def test_an_answer_without_an_id_is_no_success() -> None:
    with pytest.raises(Unavailable, match="no job id"):
        LSF.read_submitted("Job not submitted.\n")


def test_each_job_of_the_list_stands_where_lsf_says() -> None:
    assert {where: entry.stage for where, entry in listed().items()} == {
        "1200/0": Stage.OVER,
        "1200/1": Stage.OVER,
        "1200/2": Stage.RUNNING,
        "1200/3": Stage.WAITING,
        "1201/0": Stage.OVER,
        "1202/0": Stage.WAITING,
    }


def test_times_are_those_of_the_run_to_the_minute_and_durations_to_the_second() -> None:
    entries = listed()

    assert entries["1200/0"].started_at == HALF
    assert entries["1200/0"].stopped_at == HALF + timedelta(seconds=605)
    assert entries["1200/2"].started_at == HALF
    assert entries["1200/2"].stopped_at is None, "when it is to end is no end"
    assert entries["1200/3"].started_at is None


def test_how_a_job_ended_is_said_in_plain_words() -> None:
    entries = listed()

    assert (entries["1200/0"].words, entries["1200/0"].exit_code) == ("ended by itself", 0)
    assert entries["1200/1"].words == "used more memory than it had asked for, and was killed"
    assert entries["1201/0"].words == "was cancelled"
    assert entries["1201/0"].started_at is None


def test_what_will_never_start_is_told_from_what_waits() -> None:
    entries = listed()

    assert [where for where, entry in entries.items() if entry.is_hopeless] == ["1202/0"]
    assert entries["1200/3"].words.startswith(
        "as much as is allowed runs already (LSF: Job slot limit reached: 2 hosts"
    )


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        ("PSUSP", "", "`bresume`"),
        ("PEND", "New job is waiting for scheduling;", "hasn't looked at it yet"),
        ("PEND", "Job dependency condition not satisfied;", "until the cluster's scheduler has started"),
        ("PEND", "Something new;", "LSF says Something new"),
    ],
)
def test_a_reason_is_said_in_plain_words(state: str, reason: str, words: str) -> None:
    assert words in waiting(state, reason)


def test_a_time_without_a_year_is_the_last_one() -> None:
    new_year = datetime(2027, 1, 1, 0, 10, tzinfo=UTC)

    assert read_time("Dec 31 23:59", new_year) == datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    assert read_time("Jan  1 00:05:07 2027", new_year) == datetime(2027, 1, 1, 0, 5, 7, tzinfo=UTC)
    assert read_time("-", new_year) is None


@pytest.fixture
def bjobs(tmp_path: Path) -> Path:
    """Have a bjobs that answers what a test says."""
    program = tmp_path / "bjobs"
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/out\ncat {tmp_path}/err >&2\nexit $(cat {tmp_path}/code)\n")
    program.chmod(0o755)
    for name, text in (("out", ""), ("err", ""), ("code", "0")):
        (tmp_path / name).write_text(text)
    return tmp_path


def run(there: Path) -> "subprocess.CompletedProcess[str]":
    environ = {"PATH": f"{there}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    return subprocess.run(LSF.list_command("0"), env=environ, capture_output=True, text=True, check=False)


def test_that_there_is_no_job_is_no_error(bjobs: Path) -> None:
    (bjobs / "err").write_text("No job found\n")
    (bjobs / "code").write_text("255")

    said = run(bjobs)

    assert said.returncode == 0
    assert LSF.read_list(said.stdout) == []


def test_a_system_that_is_away_has_no_empty_list(bjobs: Path) -> None:
    (bjobs / "err").write_text("LSF is down. Please wait ...\n")
    (bjobs / "code").write_text("255")

    said = run(bjobs)

    assert said.returncode == 255
    assert LSF.is_unreachable(said.stderr)


def test_a_list_is_read_from_what_the_command_printed(bjobs: Path) -> None:
    (bjobs / "out").write_text(case("bjobs").partition("\n")[2])
    (bjobs / "err").write_text("a site's own words\n")

    assert len(LSF.read_list(run(bjobs).stdout)) == 6


# What there is


def test_queues_have_their_limits_and_the_nodes_that_are_theirs() -> None:
    normal, small = site().partitions

    assert normal.is_default
    assert (normal.default_time, normal.longest_time) == (timedelta(hours=1), timedelta(days=1))
    big, little = normal.shapes
    assert (big.count, big.cpus, big.idle_cpus, big.memory // GIB) == (2, 32, 28, 125)
    assert (little.count, little.cpus) == (1, 8), "what is down or closed by an administrator isn't counted on"
    assert not small.is_up
    assert [shape.cpus for shape in small.shapes] == [8]
    assert small.longest_time is None


def test_a_worker_of_which_nothing_is_said_has_its_share_of_a_node() -> None:
    (offer,) = offers_for(Need(), site(), Choices(provider="lsf"))

    assert (offer.vm_type, offer.resources.cpus) == ("normal", 4)


# Refusals


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("nope: No such queue. Job not submitted.\n", Rejected, "some of: normal, small"),
        ("Job array index too large. Job not submitted.\n", Rejected, "64 jobs at a time"),
        ("RUNLIMIT: Cannot exceed queue's hard limit(s). Job not submitted.\n", Rejected, "a shorter `walltime`"),
        ("MEMLIMIT: Bad memory limit. Job not submitted.\n", Rejected, "Bad memory limit"),
        ("Too many processors requested. Job not submitted.\n", Rejected, "2 cores and 3 GiB"),
        ("User has reached the pending job threshold.\n", NoCapacity, "as many jobs as you may have"),
        ("Failed in an LSF library call: LIM is down. Job not submitted.\n", Unavailable, "doesn't answer"),
    ],
)
def test_a_refusal_says_what_lsf_said_and_what_to_do(text: str, kind: type[ProviderError], words: str) -> None:
    refusal = LSF.refusal(text, JOB, site())

    assert type(refusal) is kind
    assert words in str(refusal)
    assert "Job not submitted" not in str(refusal)


def test_commands_that_were_never_set_up_are_told_from_a_system_that_is_away() -> None:
    nowhere = "bqueues: Bad configuration environment, something missing in lsf.conf?\n"
    away = "Cannot connect to LSF. Please wait ...\n"

    assert (LSF.is_nowhere(nowhere), LSF.is_unreachable(nowhere)) == (True, False)
    assert (LSF.is_nowhere(away), LSF.is_unreachable(away)) == (False, True)


@pytest.mark.parametrize(
    "said", ["", "1795482000\nbatch system daemon not responding\n", "a site's own greeting\n1795482000\n"]
)
def test_what_is_no_list_is_not_taken_for_an_empty_one(said: str) -> None:
    with pytest.raises(Unavailable, match="no list"):
        LSF.read_list(said)
