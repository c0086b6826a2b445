"""What Grid Engine is told, and how its answers are read.

The answers were recorded on Son of Grid Engine 8.1.9 as Debian has it; two hosts of ``qhost`` were added by hand.
"""

import tomllib
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tradewind.config import SgeSettings
from tradewind.errors import BadRequest, NoCapacity, ProviderError, Rejected, Unavailable
from tradewind.model.resources import GIB, Need, Range, Resources
from tradewind.providers.batch.offers import Choices, offers_for
from tradewind.providers.batch.queue import Job, Site, Stage
from tradewind.providers.batch.setup import Survey, compose
from tradewind.providers.batch.sight import mark_of, read_mark
from tradewind.providers.sge.queue import SPARE, SgeQueue
from tradewind.providers.sge.reasons import ended, waiting
from tradewind.providers.sge.setup import findings_of
from tradewind.providers.sge.site import memory_of, read_queues, read_resources, read_size, read_time

CASES = Path(__file__).parent / "cases"
QUEUE = SgeQueue()
JOB = Job(
    name="tw-calm-tide",
    mark=mark_of("desk-1", "0a1b2c3d", "calm-tide"),
    commands=("exec python -c pass",),
    log="/home/me/out",
    count=64,
    cpus=2,
    memory=3 * GIB,
    queue="main.q",
    walltime=timedelta(hours=4),
)


def case(name: str) -> str:
    return (CASES / name).read_text()


def site(queue: SgeQueue = QUEUE) -> Site:
    names = ("resources.txt", "queues.txt", "environments.txt", "hosts.txt", "qhost.xml")
    return queue.read_site([case(name) for name in names])


def asked(script: str) -> str:
    """Return what a script asks for with -l."""
    return next(line.removeprefix("#$ -l ") for line in script.splitlines() if line.startswith("#$ -l "))


def test_one_submission_asks_for_all_workers() -> None:
    script = QUEUE.script(JOB, site())

    assert "#$ -t 1-64\n" in script
    assert "#$ -pe smp 2\n" in script
    assert "#$ -q main.q\n" in script
    assert asked(script) == "mem_free=1536M,h_rt=14400"
    assert script.endswith("\nexec python -c pass\n")


def test_what_no_queue_could_start_is_refused_at_once_and_what_is_ended_is_warned() -> None:
    lines = QUEUE.script(JOB, site()).splitlines()

    assert {"#$ -w e", "#$ -notify", "#$ -r n"} <= set(lines)


def test_a_job_of_one_core_needs_no_parallel_environment() -> None:
    assert "-pe" not in QUEUE.script(replace(JOB, cpus=1), site())


def test_memory_is_asked_for_by_slot_where_it_is_counted_so() -> None:
    per_job = replace(site(), ways={"memory": "mem_free", "memory is per slot": "no"})

    assert asked(QUEUE.script(replace(JOB, walltime=None), per_job)) == "mem_free=3072M"


def test_address_space_is_asked_for_with_room_for_what_is_never_used() -> None:
    queue = replace(QUEUE, memory_resource="h_vmem")

    assert asked(queue.script(JOB, replace(site(), ways={}))).startswith(f"h_vmem={(3 * GIB + SPARE) // 1024**2}M")


def test_memory_that_nothing_counts_is_not_asked_for() -> None:
    assert asked(QUEUE.script(JOB, Site(partitions=()))) == "h_rt=14400"


def test_gpus_of_each_slot_have_to_come_out_even() -> None:
    assert "gpu=1," in asked(QUEUE.script(replace(JOB, gpus=2), site()))

    with pytest.raises(Rejected, match="set worker_cpu to the number of GPUs"):
        QUEUE.script(replace(JOB, gpus=1), site())


def test_options_of_the_settings_come_after_ours_and_win() -> None:
    script = replace(QUEUE, directives=("-l h_rt=20",), project="tides").script(JOB, site())

    assert script.index("h_rt=14400") < script.index("#$ -l h_rt=20")
    assert "#$ -P tides\n" in script


def test_a_prologue_runs_in_a_login_shell_before_the_instance() -> None:
    script = replace(QUEUE, prologue=("module load cuda",)).script(JOB, site())

    assert script.splitlines()[0] == "#!/bin/bash -l"
    assert script.index("module load cuda") < script.index("exec python")


def test_a_mark_in_a_name_is_read_as_it_was_written() -> None:
    listed = QUEUE.read_list(case("qstat.xml"))

    assert {read_mark(one.mark) for one in listed if one.job == "83"} == {("desk-1", "0a1b2c3d", "calm-tide")}


def test_no_letter_of_a_job_name_is_one_that_grid_engine_refuses() -> None:
    (name,) = [line for line in QUEUE.script(JOB, site()).splitlines() if line.startswith("#$ -N ")]

    assert not set(name.removeprefix("#$ -N ")) & set("\n\t\r/:@\\*? ")


def test_each_task_of_the_list_stands_where_grid_engine_says() -> None:
    entries = {(e.job, e.index): e for e in QUEUE.read_list(case("qstat.xml"))}

    assert {where: e.stage for where, e in entries.items() if where[0] == "83"} == {
        ("83", 3): Stage.RUNNING,
        ("83", 4): Stage.RUNNING,
        ("83", 5): Stage.RUNNING,
    }
    assert entries["83", 3].started_at == datetime(2026, 11, 24, 2, 13, 31, tzinfo=UTC)
    assert [index for job, index in entries if job == "86"] == [0, 1, 2]
    assert entries["86", 0].started_at is None
    assert "qrls" in entries["86", 0].words
    assert not [job for job, _ in entries if job == "87"], "no array, so not ours"


def test_what_will_never_start_is_told_from_what_waits() -> None:
    hopeless = {(e.job, e.index) for e in QUEUE.read_list(case("qstat.xml")) if e.is_hopeless}

    assert hopeless == {("85", 0), ("85", 1)}
    assert QUEUE.read_explained(case("qstat-j.txt")) == "can't chdir to /nowhere: No such file or directory"


@pytest.mark.parametrize(
    ("state", "stage"),
    [
        ("qw", Stage.WAITING),
        ("hqw", Stage.WAITING),
        ("Eqw", Stage.WAITING),
        ("Rq", Stage.WAITING),
        ("t", Stage.READYING),
        ("r", Stage.RUNNING),
        ("Rr", Stage.RUNNING),
        ("S", Stage.RUNNING),
        ("dr", Stage.ENDING),
        ("dt", Stage.ENDING),
        ("z", Stage.OVER),
    ],
)
def test_letters_of_a_state_are_read(state: str, stage: Stage) -> None:
    text = f"<j><job_list><JB_job_number>1</JB_job_number><state>{state}</state><tasks>2</tasks></job_list></j>"

    assert [entry.stage for entry in QUEUE.read_list(text)] == [stage]


@pytest.mark.parametrize(
    ("tasks", "indices"),
    [("4-9:1", [3, 4, 5, 6, 7, 8]), ("1,2", [0, 1]), ("1,4-8:2", [0, 3, 5, 7]), ("3", [2]), ("", []), ("-", [])],
)
def test_a_row_is_as_many_tasks_as_it_names(tasks: str, indices: list[int]) -> None:
    text = f"<j><job_list><JB_job_number>1</JB_job_number><state>qw</state><tasks>{tasks}</tasks></job_list></j>"

    assert [entry.index for entry in QUEUE.read_list(text)] == indices


def test_a_list_that_breaks_off_is_no_empty_list() -> None:
    with pytest.raises(Unavailable, match="can't be read"):
        QUEUE.read_list(case("qstat.xml")[:900])


def test_the_accounts_tell_how_each_task_ended() -> None:
    entries = {e.index: e for e in QUEUE.read_recalled(case("qacct.txt")) if e.job == "83"}

    assert {index: entry.words for index, entry in entries.items()} == {
        0: "ended by itself",
        1: "failed with exit code 3; its log says more",
        2: "was cancelled, or killed for a limit",
        3: "its walltime was over",
        4: "was cancelled",
        5: "its walltime was over",
    }
    assert entries[3].started_at == datetime(2026, 11, 24, 2, 13, 31, tzinfo=UTC)
    assert entries[3].stopped_at == datetime(2026, 11, 24, 2, 13, 40, tzinfo=UTC)
    assert entries[1].exit_code == 3


def test_the_accounts_tell_what_each_task_took() -> None:
    block = "jobnumber 9\ntaskid 2\nstart_time Tue Nov 24 02:00:00 2026\nend_time Tue Nov 24 03:00:00 2026\nslots 4\n"
    text = block + "failed 0\nexit_status 0\nru_maxrss 1.572MB\ncpu 7200.5s\n"

    (entry,) = QUEUE.read_accounts(text)

    assert entry.account is not None
    assert (entry.account.cpus, entry.account.cpu_time) == (4, timedelta(seconds=7200.5))
    assert entry.account.peak_memory == 1_572_000 * 1024, "qacct shows KiB as if they were bytes"
    assert QUEUE.read_accounts(text.replace("Tue Nov 24 02:00:00 2026", "-/-")) == [], "it never ran"


@pytest.mark.parametrize(
    ("failed", "code", "words"),
    [
        (37, 137, "passed a limit of its queue"),
        (19, 0, "its node failed"),
        (26, 0, "can't write where its log is to be"),
        (99, 0, "failed with code 99"),
        (100, 139, "was killed (Grid Engine: exit 139)"),
    ],
)
def test_a_code_of_failure_is_said_in_plain_words(failed: int, code: int, words: str) -> None:
    assert words in ended(failed, code, lasted=timedelta(minutes=5), walltime=timedelta(hours=1))


def test_every_reason_to_wait_names_grid_engines_own_word() -> None:
    assert all(f"Grid Engine: {state}" in waiting(state) for state in ("qw", "hqw", "Eqw"))


@pytest.mark.parametrize("text", ["1234.1-64:1\n", "1234\n", "Your share is used up soon.\n1234.1-2:1\n"])
def test_the_id_is_found_among_a_sites_own_words(text: str) -> None:
    assert QUEUE.read_submitted(text) == "1234"


def test_an_answer_without_an_id_is_no_success() -> None:
    with pytest.raises(Unavailable, match="no job id"):
        QUEUE.read_submitted("Welcome!\n")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (
            'Unable to run job: Job was rejected because job requests unknown queue "nope.q".\nExiting.',
            Rejected,
            "some of: main.q, short.q",
        ),
        ("Unable to run job: error: no suitable queues.\nExiting.", Rejected, "3 GiB of one node of main.q, 4:00:00"),
        (
            'Unable to run job: job rejected: the requested parallel environment "nope" does not exist.\nExiting.',
            Rejected,
            "`parallel_environment`",
        ),
        (
            'Unable to run job: job rejected: the requested project "tides" does not exist.\nExiting.',
            Rejected,
            "`qconf -sprjl`",
        ),
        ('Unable to run job: unknown resource "mem".\nExiting.', Rejected, "`qconf -sc`"),
        ('Unable to run job: denied: host "n1" is no submit host.\nExiting.', Rejected, "login node"),
        (
            "Unable to run job: job rejected: only 10 jobs are allowed per user (current job count: 10).\nExiting.",
            NoCapacity,
            "as many jobs as you may have",
        ),
        (
            "error: commlib error: got select error (Connection refused)\nUnable to run job: unable to send message to "
            'qmaster using port 6444 on host "n0": got send error.\nExiting.',
            Unavailable,
            "doesn't answer",
        ),
    ],
)
def test_a_refusal_says_what_grid_engine_said_and_what_to_do(text: str, kind: type[ProviderError], words: str) -> None:
    refusal = QUEUE.refusal(text, JOB, site())

    assert type(refusal) is kind
    assert words in str(refusal)
    assert "Exiting" not in str(refusal)


def test_a_queue_is_what_its_hosts_that_answer_have() -> None:
    main, short = site().partitions

    (shape,) = main.shapes
    assert (shape.cpus, shape.memory, shape.count, shape.idle_cpus) == (8, 12 * GIB, 2, 8)
    assert shape.gpus == {"": 2}
    assert (main.longest_time, short.longest_time) == (timedelta(days=1), timedelta(minutes=5))
    assert (main.is_default, short.is_default) == (True, False)


def test_a_host_with_too_much_load_counts_and_has_no_room_now() -> None:
    loaded = case("qhost.xml").replace("name='state_string'></", "name='state_string'>a</")
    there = QUEUE.read_site(
        [case(f"{name}.txt") for name in ("resources", "queues", "environments", "hosts")] + [loaded]
    )

    (shape,) = there.partitions[0].shapes
    assert (shape.count, shape.idle_cpus) == (2, 0)


def test_a_host_has_what_others_of_its_size_are_said_to_have() -> None:
    assert "hostname              n1" in case("hosts.txt")
    assert "n2" not in case("hosts.txt")

    (shape,) = site().partitions[0].shapes
    assert shape.count == 2, "n2, which nobody asked, and n1 are one kind"


def test_without_an_environment_that_keeps_a_job_together_a_worker_has_one_slot() -> None:
    alone = QUEUE.read_site([case("resources.txt"), case("queues.txt"), "", case("hosts.txt"), case("qhost.xml")])

    with pytest.raises(BadRequest, match="no node has 2 cores"):
        offers_for(Need(cpus=Range(minimum=2)), alone, Choices(provider="sge"))
    (offer,) = offers_for(Need(), alone, Choices(provider="sge"))
    assert offer.resources == Resources(cpus=1, memory=12 * GIB // 8)


def test_memory_is_asked_by_what_each_job_has_to_ask_for_or_else_by_what_is_counted() -> None:
    table = "mem_free mf MEMORY <= YES {} 0 0\nh_vmem h_vmem MEMORY <= {} {} 1G 0\n"

    def name(counted: str, requestable: str, limits: str) -> str | None:
        found = memory_of(read_resources(table.format(counted, requestable, limits)))
        return found.name if found is not None else None

    assert name("YES", "YES", "YES") == "mem_free"
    assert name("NO", "YES", "YES") == "h_vmem"
    assert name("YES", "FORCED", "YES") == "h_vmem"
    assert name("NO", "YES", "NO") is None


def test_a_list_of_environments_with_exceptions_is_read() -> None:
    (queue,) = read_queues("qname all.q\npe_list make smp,[@big=smp mpi],[n7=openmp]\nh_rt 12:00:00,[@long=INFINITY]")

    assert set(queue.environments) == {"make", "smp", "mpi", "openmp"}
    assert queue.longest_time == timedelta(hours=12)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("24:00:00", timedelta(days=1)),
        ("0:5:0", timedelta(minutes=5)),
        ("300", timedelta(seconds=300)),
        ("INFINITY", None),
    ],
)
def test_a_duration_is_read_as_grid_engine_writes_it(text: str, time: timedelta | None) -> None:
    assert read_time(text) == time


@pytest.mark.parametrize(
    ("text", "size"), [("12G", 12 * GIB), ("23.5G", int(23.5 * GIB)), ("100m", 10**8), ("-", 0), ("512", 512)]
)
def test_a_size_is_read_as_grid_engine_writes_it(text: str, size: int) -> None:
    assert read_size(text) == size


def test_whether_it_would_start_now_is_read() -> None:
    found = "verification: found suitable queue(s)\n"

    at = QUEUE.read_forecast(found * 2)
    assert at is not None
    assert at < datetime(2026, 1, 1, tzinfo=UTC)
    assert QUEUE.read_forecast(found + "verification: no suitable queues\n") is None


def test_what_a_site_has_is_written_as_settings_that_are_read() -> None:
    there = site()
    text = compose(Survey(table="sge", site=there, findings=findings_of(there), interfaces=("ib0",), scratch=("/tmp",)))

    assert tomllib.loads(text)["sge"] == {"queues": ["main.q"], "interface": "ib0"}
    assert "# Memory is counted by mem_free, for each slot." in text
    every_line = "\n".join(line.removeprefix("# ") for line in text.splitlines() if " = " in line)
    assert set(tomllib.loads(every_line)) <= {field.name for field in fields(SgeSettings)}


@pytest.mark.parametrize(
    ("text", "nowhere", "unreachable"),
    [
        ("error: Please set the environment variable SGE_ROOT.", True, False),
        ('error: cell directory "/opt/sge/nope" doesn\'t exist', True, False),
        ('critical error: unable to open "/opt/sge/default/common/bootstrap": No such file', True, False),
        ('error: unable to send message to qmaster using port 6444 on host "n0": got send error', False, True),
        ("error: commlib error: got select error (Connection refused)", False, True),
        ('denied: job "99" does not exist', False, False),
    ],
)
def test_commands_that_were_never_set_up_are_told_from_a_master_that_is_away(
    text: str, nowhere: bool, unreachable: bool
) -> None:
    assert (QUEUE.is_nowhere(text), QUEUE.is_unreachable(text)) == (nowhere, unreachable)
