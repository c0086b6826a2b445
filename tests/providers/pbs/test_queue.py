"""What PBS is told, and how its answers are read; where the answers are from, ``cases/README.md`` says."""

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tradewind.errors import NoCapacity, NotSetUp, ProviderError, Rejected, Unavailable
from tradewind.model.resources import GIB, Need
from tradewind.providers.batch.offers import Choices, offers_for
from tradewind.providers.batch.queue import Entry, Job, Site, Stage
from tradewind.providers.pbs.queue import PbsQueue, is_torque, spell
from tradewind.providers.pbs.reasons import ended, waiting
from tradewind.providers.pbs.text import read_duration, read_records, read_size, read_time

CASES = Path(__file__).parent / "cases"
PBS = PbsQueue()
TORQUE = PbsQueue(torque=True)
NOWHERE = Site(partitions=(), part="queue")
JOB = Job(
    name="tw-0a1b2c3d",
    mark="tradewind:desk-1:feed0001:tw-0a1b2c3d",
    commands=("exec python -c pass",),
    log="/home/me/out",
    count=64,
    cpus=2,
    memory=3 * GIB,
    queue="workq",
    walltime=timedelta(hours=4),
)
AT_ONE = datetime(2026, 11, 24, 1, tzinfo=UTC)


def case(name: str) -> str:
    return (CASES / f"{name}.txt").read_text()


def site() -> Site:
    return PBS.read_site([case("qstat-Q"), case("pbsnodes"), case("qstat-B"), "pbs_version = 23.06.06\n"])


def listed(queue: PbsQueue, name: str) -> dict[str, Entry]:
    return {f"{e.job}/{e.index}": e for e in queue.read_list(case(name))}


# What it is told


def test_one_submission_asks_for_all_workers() -> None:
    lines = PBS.script(JOB, NOWHERE).splitlines()

    assert "#PBS -J 0-63" in lines
    assert "#PBS -l select=1:ncpus=2:mem=3072mb" in lines
    assert "#PBS -l walltime=04:00:00" in lines
    assert "#PBS -o /home/me/out-^array_index^" in lines
    assert "#PBS -v TW_MARK=tradewind:desk-1:feed0001:tw-0a1b2c3d" in lines
    assert "#PBS -S /bin/sh" in lines, "the shell of a script is the user's own unless it is said"
    assert "#PBS -r n" not in lines, "an array that may not run again is refused"
    assert lines[-1] == "exec python -c pass"


def test_one_alone_is_no_array_since_pbs_refuses_such() -> None:
    lines = PBS.script(replace(JOB, count=1), NOWHERE).splitlines()

    assert not [line for line in lines if line.startswith("#PBS -J")]
    assert "#PBS -o /home/me/out-0" in lines
    assert "#PBS -r n" in lines


def test_the_index_of_one_alone_is_0_and_that_of_many_is_their_own() -> None:
    def index(**variables: str) -> str:
        command = ["/bin/sh", "-c", f'echo "{PBS.index_in_shell}"']
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout.strip()

    assert index() == "0"
    assert index(PBS_ARRAY_INDEX="7") == "7"
    assert index(PBS_ARRAYID="3") == "3"


def test_torque_is_asked_in_its_own_way() -> None:
    lines = replace(TORQUE, chunk="fast").script(replace(JOB, gpus=1), NOWHERE).splitlines()

    assert "#PBS -t 0-63" in lines
    assert "#PBS -l nodes=1:ppn=2:gpus=1:fast" in lines
    assert "#PBS -l mem=3072mb" in lines
    assert "#PBS -o /home/me/out" in lines


def test_workers_wait_for_their_scheduler() -> None:
    assert "#PBS -W depend=after:12.pbs01\n" in PBS.script(replace(JOB, after=("12.pbs01", 0)), NOWHERE)
    assert "#PBS -W depend=after:12[3].pbs01\n" in PBS.script(replace(JOB, after=("12[].pbs01", 3)), NOWHERE)


def test_options_of_the_settings_come_after_ours_and_win() -> None:
    queue = replace(PBS, account="lab", project="p", chunk="cpu_type=rome", directives=("-l place=scatter",))
    script = queue.script(replace(JOB, gpus=2), NOWHERE)

    assert script.index("walltime") < script.index("place=scatter")
    assert "#PBS -l select=1:ncpus=2:mem=3072mb:ngpus=2:cpu_type=rome\n" in script
    assert "#PBS -A lab\n" in script
    assert "#PBS -P p\n" in script


def test_a_prologue_runs_in_a_login_bash_before_the_instance() -> None:
    script = replace(PBS, prologue=("module load x",)).script(JOB, NOWHERE)

    assert "#PBS -S /bin/bash\n" in script
    assert script.index("module load x") < script.index("exec python")


def test_jobs_are_ended_by_their_own_ids() -> None:
    assert PBS.end_command([("12[].pbs01", 3), ("13.pbs01", 0)]) == ["qdel", "12[3].pbs01", "13.pbs01"]


@pytest.mark.parametrize(
    ("time", "text"),
    [(timedelta(hours=100), "100:00:00"), (timedelta(seconds=61), "00:01:01"), (timedelta(0), "00:00:01")],
)
def test_a_duration_is_written_as_pbs_reads_it(time: timedelta, text: str) -> None:
    assert spell(time) == text


# What it answers


@pytest.mark.parametrize(
    ("text", "job"),
    [("1234.pbs01\n", "1234.pbs01"), ("Welcome!\n1234[].pbs01.site.org\n", "1234[].pbs01.site.org"), ("77\n", "77")],
)
def test_the_id_is_found_among_a_sites_own_words(text: str, job: str) -> None:
    assert PBS.read_submitted(text) == job


def test_an_answer_without_an_id_is_no_success() -> None:
    with pytest.raises(Unavailable, match="no job id"):
        PBS.read_submitted("qsub: waiting for job 12.pbs01 to start\n")


def test_each_job_of_the_list_stands_where_pbs_says() -> None:
    entries = listed(PBS, "qstat")

    assert {where: entry.stage for where, entry in entries.items()} == {
        "1200[].pbs01/0": Stage.OVER,
        "1200[].pbs01/1": Stage.OVER,
        "1200[].pbs01/2": Stage.RUNNING,
        "1200[].pbs01/3": Stage.WAITING,
        "1201.pbs01/0": Stage.ENDING,
        "1202.pbs01/0": Stage.WAITING,
        "1203.pbs01/0": Stage.WAITING,
        "1204.pbs01/0": Stage.WAITING,
    }


def test_a_mark_is_read_wherever_the_line_was_broken_and_is_that_of_the_array() -> None:
    entries = listed(PBS, "qstat")

    assert entries["1200[].pbs01/2"].mark == "tradewind:desk-1:feed0001:tw-0a1b2c3d"
    assert entries["1200[].pbs01/3"].mark == "tradewind:desk-1:feed0001:tw-0a1b2c3d", "its own lists no variables"
    assert entries["1204.pbs01/0"].mark == "", "it isn't ours"


def test_a_line_that_goes_on_is_no_attribute_however_it_looks() -> None:
    text = "Job Id: 12.pbs01\n    job_state = R\n    comment = held by\n\tjob_state = Q\n    queue = workq\n"

    assert read_records(text)["12.pbs01"] == {
        "job_state": "R",
        "comment": "held byjob_state = Q",
        "queue": "workq",
    }


def test_times_are_those_of_the_run() -> None:
    entries = listed(PBS, "qstat")

    assert entries["1200[].pbs01/0"].started_at == AT_ONE
    assert entries["1200[].pbs01/0"].stopped_at == AT_ONE + timedelta(minutes=10), "not when its entry last changed"
    assert entries["1200[].pbs01/1"].stopped_at == AT_ONE + timedelta(minutes=5, seconds=2)
    assert entries["1200[].pbs01/3"].started_at is None


def test_how_a_job_ended_is_said_in_plain_words() -> None:
    entries, over = listed(PBS, "qstat"), listed(PBS, "qstat-x")

    assert entries["1200[].pbs01/0"].words == "ended by itself"
    assert entries["1200[].pbs01/1"].words == "used more memory than it had asked for, and was killed"
    assert over["1190.pbs01/0"].words == "its walltime was over"
    assert over["1191.pbs01/0"].words == "was cancelled while it waited"
    assert over["1191.pbs01/0"].started_at is None
    assert over["1192.pbs01/0"].words == "was cancelled"


def test_what_will_never_start_is_told_from_what_waits() -> None:
    entries = listed(PBS, "qstat")

    assert [where for where, entry in entries.items() if entry.is_hopeless] == ["1202.pbs01/0"]
    assert "(PBS: Insufficient amount of resource: mem (R: 900gb A: 128gb T: 128gb))" in entries["1202.pbs01/0"].words
    assert entries["1203.pbs01/0"].words == "it is held: release it with `qrls`"


@pytest.mark.parametrize(
    ("comment", "words"),
    [
        ("Not Running: Queue workq per-user job limit reached", "as much as is allowed runs already"),
        ("Not Running: Job would conflict with reservation or top job", "jobs that go first would be delayed"),
        ("Not Running: Something new", "PBS says Something new"),
        ("", "PBS hasn't looked at it yet"),
    ],
)
def test_a_comment_is_said_in_plain_words(comment: str, words: str) -> None:
    assert words in waiting("Q", comment, "n")


def test_torques_codes_have_meanings_of_their_own() -> None:
    assert ended(-11, "", torque=True) == "its walltime was over"
    entry = listed(TORQUE, "torque-qstat")["77[].torque.site.org/0"]
    assert (entry.stage, entry.words, entry.exit_code) == (Stage.OVER, "its walltime was over", -11)
    assert entry.stopped_at == AT_ONE + timedelta(seconds=101)
    assert listed(TORQUE, "torque-qstat")["77[].torque.site.org/1"].stage is Stage.RUNNING


@pytest.mark.parametrize(
    "text", ["", "qstat: cannot connect to server pbs01 (errno=111)\n", "Job Id: \n    job_state = R\n"]
)
def test_what_is_no_list_lists_nothing(text: str) -> None:
    assert PBS.read_list(text) == []


# The commands' own way through a shell


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """Have a qselect and a qstat that answer what a test says."""
    for name in ("qselect", "qstat", "qdel"):
        program = tmp_path / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/asked\n'
            f"cat {tmp_path}/{name}.out 2>/dev/null\ncat {tmp_path}/{name}.err >&2 2>/dev/null\n"
            f"exit $(cat {tmp_path}/{name}.code 2>/dev/null || echo 0)\n"
        )
        program.chmod(0o755)
    return tmp_path


def run(command: list[str], there: Path) -> "subprocess.CompletedProcess[str]":
    environ = {"PATH": f"{there}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_who_has_no_jobs_asks_for_none_and_has_an_empty_list(commands: Path) -> None:
    said = run(PBS.list_command("0"), commands)

    assert (said.returncode, said.stdout) == (0, "")
    assert "qstat" not in (commands / "asked").read_text()


@pytest.mark.parametrize(("code", "passed"), [(0, 0), (153, 0), (35, 0), (111, 111), (2, 2)])
def test_a_job_that_ended_between_two_questions_is_no_error_and_a_server_that_is_away_is(
    commands: Path, code: int, passed: int
) -> None:
    (commands / "qselect.out").write_text("12[].pbs01\n13.pbs01\n")
    (commands / "qstat.code").write_text(str(code))

    assert run(PBS.list_command("0"), commands).returncode == passed
    assert "qstat -f -t 12[].pbs01 13.pbs01" in (commands / "asked").read_text()


def test_a_server_that_doesnt_say_whose_jobs_there_are_is_away(commands: Path) -> None:
    (commands / "qselect.code").write_text("111")

    assert run(PBS.list_command("0"), commands).returncode == 111


def test_all_jobs_of_a_cluster_are_ended_by_their_name(commands: Path) -> None:
    (commands / "qselect.out").write_text("12[].pbs01\n13.pbs01\n")

    assert run(PBS.end_all_command("tw-0a1b2c3d", "0"), commands).returncode == 0

    asked = (commands / "asked").read_text()
    assert "qselect -N tw-0a1b2c3d -u" in asked
    assert "qdel 12[].pbs01 13.pbs01" in asked


# What there is


def test_queues_have_their_limits_and_the_nodes_that_are_theirs() -> None:
    queues = {one.name: one for one in site().partitions}

    assert set(queues) == {"workq", "gpu"}, "nobody can submit to what others route to"
    assert queues["workq"].is_default
    assert queues["workq"].longest_time == timedelta(days=1)
    assert queues["workq"].default_time == timedelta(hours=1)
    (shape,) = queues["workq"].shapes
    assert (shape.count, shape.cpus, shape.idle_cpus) == (2, 64, 62), "what is down isn't counted on"
    assert not queues["gpu"].is_up
    assert queues["gpu"].default_time == timedelta(minutes=30), "what a queue doesn't say its server does"
    assert queues["gpu"].longest_time == timedelta(hours=12)
    assert queues["gpu"].shapes[0].gpus == {"": 4}


def test_a_worker_of_which_nothing_is_said_has_its_share_of_a_node() -> None:
    (offer,) = offers_for(Need(), site(), Choices(provider="pbs"))

    assert (offer.vm_type, offer.resources.cpus, offer.resources.memory // GIB) == ("workq", 4, 7)


def test_torques_nodes_are_read_with_what_is_taken() -> None:
    texts = ["Queue: batch\n    enabled = True\n    started = True\n", case("torque-pbsnodes"), "", "Version: 6.1.1\n"]
    (queue,) = TORQUE.read_site(texts).partitions

    assert (queue.shapes[0].cpus, queue.shapes[0].idle_cpus) == (16, 13)
    assert queue.shapes[0].memory // GIB == 62


def test_the_wrong_dialect_is_said_before_anything_is_submitted() -> None:
    with pytest.raises(NotSetUp, match="torque = true"):
        PBS.read_site(["", "", "", "Version: 6.1.1\nCommit: abc\n"])
    with pytest.raises(NotSetUp, match="torque = false"):
        TORQUE.read_site(["", "", "", "pbs_version = 23.06.06\n"])
    assert not is_torque("pbs_version = 14.1.0\n")


@pytest.mark.parametrize(
    ("text", "size"), [("131072kb", 128 * 1024**2), ("512gb", 512 * GIB), ("10", 10), ("2mw", 16 * 1024**2), ("x", 0)]
)
def test_a_size_is_read_in_its_unit(text: str, size: int) -> None:
    assert read_size(text) == size


def test_durations_and_times_are_read_as_pbs_writes_them() -> None:
    assert read_duration("100:30:00") == timedelta(hours=100, minutes=30)
    assert read_duration("3600") == timedelta(hours=1)
    assert read_duration("") is None
    assert read_time("Tue Nov  3 01:02:03 2026") == datetime(2026, 11, 3, 1, 2, 3, tzinfo=UTC)
    assert read_time("nonsense") is None


# Refusals


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("qsub: Unknown queue\n", Rejected, "some of: workq, gpu"),
        ("qsub: Access to queue is denied\n", Rejected, "some of: workq, gpu"),
        ("qsub: Invalid Account\n", Rejected, "no `account` and no `project` is set"),
        (
            "qsub: Job violates queue and/or server resource limits\n",
            Rejected,
            "2 cores and 3 GiB of one node for 4:00:00",
        ),
        ("qsub: Illegal attribute or resource value Resource_List.select\n", Rejected, "torque = true"),
        ("qsub: Maximum number of jobs already in queue workq\n", NoCapacity, "as many jobs as you may have"),
        ("qsub: would exceed queue workq's per-user limit\n", NoCapacity, "as many jobs as you may have"),
        ("qsub: would exceed per-user limit on resource ncpus in queue workq\n", Rejected, "ask for less per worker"),
        ("qsub: cannot connect to server pbs01 (errno=15010)\n", Unavailable, "doesn't answer"),
    ],
)
def test_a_refusal_says_what_pbs_said_and_what_to_do(text: str, kind: type[ProviderError], words: str) -> None:
    refusal = PBS.refusal(text, JOB, site())

    assert type(refusal) is kind
    assert words in str(refusal)
    assert "qsub:" not in str(refusal)


def test_commands_that_were_never_set_up_are_told_from_a_server_that_is_away() -> None:
    nowhere = "pbsconf error: pbs conf variables not found: PBS_HOME PBS_EXEC\n"
    away = "qstat: cannot connect to server pbs01 (errno=111)\n"

    assert (PBS.is_nowhere(nowhere), PBS.is_unreachable(nowhere)) == (True, False)
    assert (PBS.is_nowhere(away), PBS.is_unreachable(away)) == (False, True)
