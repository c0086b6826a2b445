"""What Slurm is told, and how its answers are read; the answers were recorded on Slurm 22.05."""

import tomllib
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tradewind.config import SlurmSettings
from tradewind.errors import BadRequest, NoCapacity, ProviderError, Rejected, Unavailable
from tradewind.model.resources import GIB, Need, Range, Resources
from tradewind.providers.batch.offers import Choices, expected, offers_for, units_per_hour
from tradewind.providers.batch.queue import Job, Partition, Shape, Site, Stage
from tradewind.providers.batch.setup import Survey, compose
from tradewind.providers.slurm.queue import SlurmQueue, spell
from tradewind.providers.slurm.reasons import is_hopeless, waiting
from tradewind.providers.slurm.setup import findings_of, read_associations
from tradewind.providers.slurm.site import read_shapes, read_time

CASES = Path(__file__).parent / "cases"
QUEUE = SlurmQueue()
CHOICES = Choices(provider="slurm")
JOB = Job(
    name="tw-calm-tide",
    mark="tradewind:desk-1:0a1b2c3d:calm-tide",
    commands=("exec python -c pass",),
    log="/home/me/out",
    count=64,
    cpus=2,
    memory=3 * GIB,
    queue="main",
    walltime=timedelta(hours=4),
    waits=timedelta(minutes=10),
)
POLICY = (
    "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size "
    "and/or time limits)"
)


def case(name: str) -> str:
    return (CASES / f"{name}.txt").read_text()


def site() -> Site:
    return QUEUE.read_site([case("partitions"), case("sinfo"), "", ""])


def test_one_submission_asks_for_all_workers() -> None:
    script = QUEUE.script(JOB, site())

    assert "#SBATCH --array=0-63\n" in script
    assert "#SBATCH --mem=3072M\n" in script
    assert "#SBATCH --time=0-04:00:00\n" in script
    assert script.splitlines()[0] == "#!/bin/sh"
    assert script.endswith("\nexec python -c pass\n")


def test_what_waits_is_dropped_when_nobody_moves_its_last_moment() -> None:
    assert "--deadline=now+15000seconds" in QUEUE.script(JOB, site())  # 10 minutes of waiting, 4 hours of running
    assert "--deadline" not in QUEUE.script(replace(JOB, waits=None), site())


def test_workers_wait_for_their_scheduler_and_not_for_its_array() -> None:
    assert "#SBATCH --dependency=after:12_0\n" in QUEUE.script(replace(JOB, after=("12", 0)), site())


def test_a_prologue_runs_in_a_login_shell_before_the_instance() -> None:
    script = replace(QUEUE, prologue=("module load cuda",)).script(JOB, site())

    assert script.splitlines()[0] == "#!/bin/bash -l"
    assert script.index("module load cuda") < script.index("exec python")


def test_options_of_the_settings_come_after_ours_and_win() -> None:
    script = replace(QUEUE, directives=("--time=20",), account="lab", qos="low", constraint="cpu").script(JOB, site())

    assert script.index("--time=0-04:00:00") < script.index("--time=20")
    assert all(f"#SBATCH --{option}" in script for option in ("account=lab", "qos=low", "constraint=cpu"))


def test_each_job_of_the_list_stands_where_slurm_says() -> None:
    entries = {f"{e.job}_{e.index}": e for e in QUEUE.read_list(case("squeue"))}

    assert "63_0" not in entries  # no array, so not ours
    stages = {name: entry.stage for name, entry in entries.items()}
    assert stages["60_0"] is stages["60_1"] is stages["60_3"] is Stage.OVER
    assert stages["60_4"] is stages["61_0"] is Stage.RUNNING
    assert stages["61_1"] is stages["62_0"] is stages["64_1"] is Stage.WAITING
    assert entries["60_3"].words == "was cancelled"
    assert entries["60_1"].words == "ended by itself"
    assert "NonZeroExitCode" in entries["60_0"].words
    assert entries["61_0"].started_at == datetime.fromtimestamp(1795476637, UTC)
    assert entries["61_1"].started_at is None, "when it is expected is no start"
    assert entries["61_1"].words.endswith("(Slurm: Resources); Slurm expects a start at 2026-11-24 23:30 UTC")
    assert entries["61_0"].stopped_at is None, "when it is to end is no end"


def test_what_will_never_start_is_told_from_what_waits() -> None:
    hopeless = {f"{e.job}_{e.index}" for e in QUEUE.read_list(case("squeue")) if e.is_hopeless}

    assert hopeless == {"62_0"}


@pytest.mark.parametrize(
    ("line", "indices"),
    [
        ("15_[0-3]|CANCELLED|0|0|None|m", [0, 1, 2, 3]),
        ("15_[0-1,4,6-7%2]|PENDING|N/A|N/A|Priority|m", [0, 1, 4, 6, 7]),
        ("15_9|RUNNING|1|N/A|None|m", [9]),
        ("15|RUNNING|1|N/A|None|m", []),
        ("slurm_load_jobs error: Socket timed out", []),
        ("", []),
    ],
)
def test_a_line_is_as_many_jobs_as_its_id_names(line: str, indices: list[int]) -> None:
    assert [entry.index for entry in QUEUE.read_list(line)] == indices


def test_the_accounts_tell_of_what_the_list_has_forgotten() -> None:
    entries = {f"{e.job}_{e.index}": e for e in QUEUE.read_recalled(case("sacct"))}

    assert entries["60_0"].exit_code == 3
    assert entries["60_1"].words == "ended by itself"
    assert entries["60_3"].words == "was cancelled"


@pytest.mark.parametrize("text", ["1234\n", "1234;rig\n", "You have 3 SU left.\n1234\n"])
def test_the_id_is_found_among_a_sites_own_words(text: str) -> None:
    assert QUEUE.read_submitted(text) == "1234"


def test_an_answer_without_an_id_is_no_success() -> None:
    with pytest.raises(Unavailable, match="no job id"):
        QUEUE.read_submitted("Welcome!\n")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (
            "sbatch: error: invalid partition specified: nope\n",
            Rejected,
            "`partitions` in [slurm] to some of: main, short",
        ),
        (
            "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
            Rejected,
            "sacctmgr show assoc",
        ),
        ("sbatch: error: Batch job submission failed: Invalid qos specification", Rejected, "`qos`"),
        (
            "sbatch: error: Memory specification can not be satisfied\n"
            "sbatch: error: Batch job submission failed: Requested node configuration is not available",
            Rejected,
            "ask for less per worker",
        ),
        ("sbatch: error: Batch job submission failed: Invalid feature specification", Rejected, "`constraint`"),
        (
            "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job violates "
            "accounting/QOS policy (job submit limit, user's size and/or time limits)",
            NoCapacity,
            "as many jobs as you may have",
        ),
        (f"sbatch: error: QOSGrpSubmitJobsLimit\n{POLICY}", NoCapacity, "as many jobs as you may have"),
        (f"sbatch: error: QOSMaxJobsPerUserLimit\n{POLICY}", NoCapacity, "as many jobs as you may have"),
        (f"sbatch: error: QOSMaxWallDurationPerJobLimit\n{POLICY}", Rejected, "it asked for 4:00:00: set a shorter"),
        (f"sbatch: error: AssocMaxWallDurationPerJobLimit\n{POLICY}", Rejected, "set a shorter `walltime`"),
        (f"sbatch: error: AssocMaxGRESPerJob\n{POLICY}", Rejected, "2 cores and 3 GiB of one node: ask for less"),
        (f"sbatch: error: QOSMaxCpuPerNode\n{POLICY}", Rejected, "ask for less per worker"),
        (f"sbatch: error: QOSMinCpuNotSatisfied\n{POLICY}", Rejected, "ask for more per worker"),
        (f"sbatch: error: AssocMaxCpuMinutesPerJobLimit\n{POLICY}", Rejected, "ask for less per worker"),
        (f"sbatch: error: AssocGrpBillingMinutes\n{POLICY}", Rejected, "what is left of the allocation isn't enough"),
        (POLICY, Rejected, "`sacctmgr show qos"),
        (
            "sbatch: error: Batch job submission failed: Requested time limit is invalid "
            "(missing or exceeds some limit)",
            Rejected,
            "set a shorter `walltime`",
        ),
        ("sbatch: error: Unable to contact slurm controller (connect failure)", Unavailable, "doesn't answer"),
    ],
)
def test_a_refusal_says_what_slurm_said_and_what_to_do(text: str, kind: type[ProviderError], words: str) -> None:
    refusal = QUEUE.refusal(text, JOB, site())

    assert type(refusal) is kind
    assert words in str(refusal)
    assert "sbatch: error" not in str(refusal)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Priority", "higher priority"),
        ("AssocGrpBillingMinutes", "what is left of the allocation isn't enough for it, by the limits of your account"),
        ("QOSMaxJobsPerUserLimit", "as many jobs as are allowed run already, by the limits of the QoS"),
        (
            "QOSMaxGRESPerJob",
            "it asks for more GPUs than one job may have, by the limits of the QoS (Slurm: QOSMaxGRESPerJob)",
        ),
        ("AssocMaxCpuMinutesPerJobLimit", "more cores for all of its walltime than one job may have"),
        (
            "QOSMaxWallDurationPerJobLimit",
            "longer than one job may have, by the limits of the QoS: set a shorter `walltime`, or `sched",
        ),
        ("QOSMaxCpuPerNode", "it asks for more cores than one job may have of one node, by the limits of the QoS"),
        ("QOSMaxMemoryPerNode", "more memory than one job may have of one node"),
        ("QOSMaxGRESPerUser", "as many GPUs as are allowed are in use, by the limits of the QoS"),
        ("AccountNotAllowed", "doesn't take jobs of the account"),
        ("QOSNotAllowed", "doesn't take jobs of the QoS"),
        ("SomethingNew", "Slurm says SomethingNew"),
        ("None", "hasn't looked at it yet"),
    ],
)
def test_a_reason_is_said_in_plain_words(reason: str, words: str) -> None:
    assert words in waiting(reason)


@pytest.mark.parametrize(
    "reason",
    [
        *("None", "Priority", "Resources", "Dependency", "ReqNodeNotAvail", "AssocGrpCpuLimit", "QOSMaxGRESPerUser"),
        *("QOSMaxJobsPerUserLimit", "AssocMaxJobsLimit", "QOSMaxCpuPerUserLimit", "QOSMaxMemoryPerAccount"),
        *("AssocGrpCPURunMinutesLimit", "QOSGrpGRES", "QOSMaxWallDuration", "MaxGRESPerAccount", "Licenses"),
    ],
)
def test_what_passes_by_waiting_is_never_given_up(reason: str) -> None:
    assert not is_hopeless(reason)


@pytest.mark.parametrize(
    "reason",
    [
        *("PartitionTimeLimit", "InvalidAccount", "AccountNotAllowed", "QOSNotAllowed", "BadConstraints"),
        *("AssocMaxWallDurationPerJobLimit", "QOSMaxWallDurationPerJobLimit", "QOSMaxCpuPerJobLimit"),
        *("AssocMaxMemPerJob", "QOSMaxMemoryPerJob", "AssocMaxGRESPerJob", "QOSMaxGRESPerJob", "QOSMaxBillingPerJob"),
        *("AssocMaxBBPerJob", "QOSMaxLicensePerJob", "QOSMaxNodePerJobLimit", "QOSMaxCpuPerNode", "MaxMemPerLimit"),
        *("QOSMaxMemoryPerNode", "AssocMaxGRESPerNode", "AssocMaxNodePerNode", "AssocMaxCpuMinutesPerJobLimit"),
        *("QOSMaxGRESMinutesPerJob", "AssocMaxMemMinutesPerJob", "QOSGrpBillingMinutes", "AssocGrpCPUMinutesLimit"),
    ],
)
def test_what_no_waiting_makes_room_for_is_given_up(reason: str) -> None:
    assert is_hopeless(reason)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1-00:00:00", timedelta(days=1)),
        ("05:00", timedelta(minutes=5)),
        ("2:30:00", timedelta(hours=2, minutes=30)),
        ("UNLIMITED", None),
        ("NONE", None),
    ],
)
def test_a_duration_is_read_as_slurm_writes_it(text: str, time: timedelta | None) -> None:
    assert read_time(text) == time


def test_a_duration_is_never_cut_short() -> None:
    assert spell(timedelta(minutes=61, seconds=1)) == "0-01:02:00"
    assert spell(timedelta(seconds=1)) == "0-00:01:00"


def test_nodes_of_one_kind_are_one_kind_whatever_they_do() -> None:
    (main,) = read_shapes(case("sinfo"))["main"]

    assert (main.count, main.cpus, main.idle_cpus) == (3, 2, 1)


def test_nodes_that_run_nothing_are_not_counted_on() -> None:
    text = (
        "main|2|2|4000|(null)|0/0/4/4|drained\nmain|1|2|4000|(null)|0/0/2/2|down*\nmain|1|2|4000|(null)|0/2/0/2|idle*"
    )

    assert read_shapes(text) == {}


def test_gpus_are_counted_by_their_type() -> None:
    (shape,) = read_shapes("gpu|1|64|512000|gpu:a100:4(S:0-1),nvme:1|0/64/0/64|idle")["gpu"]

    assert shape.gpus == {"a100": 4}


# Prices


def test_service_units_are_what_the_weights_of_a_partition_say() -> None:
    main = site().partitions[0]

    assert units_per_hour(main, Resources(cpus=2, memory=4 * GIB)) == Decimal(3)
    dearest = replace(main, takes_largest=True)
    assert units_per_hour(dearest, Resources(cpus=2, memory=4 * GIB)) == Decimal(2)


def test_a_partition_without_weights_counts_core_hours() -> None:
    (offer,) = offers_for(Need(cpus=Range(minimum=3)), _one(Partition(name="p", shapes=(NODE,))), CHOICES)

    assert offer.price is not None
    assert str(offer.price) == "3.00 SU/h"


def test_a_rate_turns_service_units_into_money() -> None:
    choices = replace(CHOICES, price_per_su=Decimal("0.02"), currency="EUR")
    (offer,) = offers_for(Need(cpus=Range(minimum=3)), _one(Partition(name="p", shapes=(NODE,))), choices)

    assert offer.price is not None
    assert (offer.price.per_hour, offer.price.currency) == (Decimal("0.06"), "EUR")


# Sizes

NODE = Shape(cpus=64, memory=256 * GIB, count=10, idle_cpus=64)


def _one(*partitions: Partition) -> Site:
    return Site(partitions=partitions)


def test_a_worker_of_which_nothing_is_said_has_its_share_of_a_node() -> None:
    (offer,) = offers_for(Need(), _one(Partition(name="p", shapes=(NODE,))), CHOICES)

    assert offer.resources == Resources(cpus=4, memory=16 * GIB)
    assert offer.room == 160


def test_memory_that_was_asked_for_is_given_whole() -> None:
    need = Need(memory=Range(minimum=GIB + 1))
    (offer,) = offers_for(need, _one(Partition(name="p", shapes=(NODE,))), CHOICES)

    assert GIB + 1 <= offer.resources.memory <= GIB + 1024**2


def test_only_the_default_partition_is_used_unless_others_are_named() -> None:
    there = _one(Partition(name="a", shapes=(NODE,)), Partition(name="b", shapes=(NODE,), is_default=True))

    assert [o.vm_type for o in offers_for(Need(), there, CHOICES)] == ["b"]
    assert [o.vm_type for o in offers_for(Need(vm_types=("a",)), there, CHOICES)] == ["a"]
    assert {o.vm_type for o in offers_for(Need(), there, replace(CHOICES, partitions=("a", "b")))} == {"a", "b"}


def test_what_no_node_has_is_refused_with_what_there_is() -> None:
    with pytest.raises(BadRequest, match=r"no node has 300 GiB: p has 10 nodes of 64 cores and 256 GiB"):
        offers_for(Need(memory=Range(minimum=300 * GIB)), _one(Partition(name="p", shapes=(NODE,))), CHOICES)


def test_a_partition_that_there_isnt_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadRequest, match="there are: main, short"):
        offers_for(Need(vm_types=("nope",)), site(), CHOICES)


# When it would start


@pytest.mark.parametrize(
    ("wait", "count", "words"),
    [
        (timedelta(seconds=5), 4, "Slurm would start one now."),
        (timedelta(hours=3, seconds=1), 4, "Slurm expects to start one at 2026-11-23 15:00 UTC, in about 3 h 1 min."),
        (timedelta(0), 200, "Slurm would start one now; p has room for 160 of the 200 at a time, and"),
    ],
)
def test_what_a_queue_expects_is_said_in_words(wait: timedelta, count: int, words: str) -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    (offer,) = offers_for(Need(), _one(Partition(name="p", shapes=(NODE,))), CHOICES)

    assert words in expected(now + wait, now, offer, count, "Slurm")


def test_slurms_forecast_is_read() -> None:
    text = "sbatch: Job 237 to start at 1795477243 using 2 processors on nodes n3 in partition main\n"

    assert QUEUE.read_forecast(text) == datetime.fromtimestamp(1795477243, UTC)
    assert QUEUE.read_forecast("allocation failure: Unable to contact slurm controller") is None


@pytest.mark.parametrize(
    "line",
    [
        "15_0|PENDING|N/A|N/A|Priority|m",
        "15_0|PENDING|1795563038|1795649438|PartitionTimeLimit|m",
        "15_0|RUNNING|1795563038|1795649438|None|m",
        "15_0|COMPLETED|1795563038|1795649438|None|m",
    ],
)
def test_no_start_is_expected_where_slurm_names_none_and_of_what_never_waits_for_one(line: str) -> None:
    (entry,) = QUEUE.read_list(line)

    assert "expects" not in entry.words


# What a site is found to have


def test_what_a_site_has_is_written_as_settings_that_are_read() -> None:
    findings = findings_of(("lab", "root"), ("normal", "high"))
    found = Survey(table="slurm", site=site(), findings=findings, interfaces=("ib0",), scratch=("/tmp",))

    text = compose(found)

    table = tomllib.loads(text)["slurm"]
    assert table == {"partitions": ["main"], "interface": "ib0"}
    assert "# main (the default): 3 nodes of 2 cores, 3.906 GiB; at most 1 day, 0:00:00; charges CPU=1.0" in text
    assert '# account = "lab"' in text, "of two accounts nobody knows which is meant"
    every_line = "\n".join(line.removeprefix("# ") for line in text.splitlines() if " = " in line)
    assert set(tomllib.loads(every_line)) <= {field.name for field in fields(SlurmSettings)}


def test_the_only_account_is_taken() -> None:
    text = compose(Survey(table="slurm", site=site(), findings=findings_of(("lab",), ()), interfaces=(), scratch=()))

    assert tomllib.loads(text)["slurm"]["account"] == "lab"


def test_accounts_and_qualities_of_service_are_named_once() -> None:
    assert read_associations("lab|normal,high\nlab|normal\nocean|\n") == (("lab", "ocean"), ("normal", "high"))


@pytest.mark.parametrize(
    ("text", "nowhere", "unreachable"),
    [
        (
            "scontrol: error: fetch_config: DNS SRV lookup failed\n"
            "scontrol: fatal: Could not establish a configuration source\n",
            True,
            False,
        ),
        ("sinfo: error: s_p_parse_file: unable to status file /etc/slurm/slurm.conf: No such file", True, False),
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", False, True),
        ("sbatch: error: invalid partition specified: gpu", False, False),
    ],
)
def test_commands_that_were_never_set_up_are_told_from_a_controller_that_is_away(
    text: str, nowhere: bool, unreachable: bool
) -> None:
    queue = SlurmQueue()
    assert (queue.is_nowhere(text), queue.is_unreachable(text)) == (nowhere, unreachable)
