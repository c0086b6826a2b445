"""What HTCondor is told, and how its answers are read; where the answers are from, ``cases/README.md`` says."""

import os
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.errors import NoCapacity, ProviderError, Rejected, Unavailable
from tradewind.model.resources import GIB, Need
from tradewind.providers.batch.offers import Choices, offers_for
from tradewind.providers.batch.queue import Entry, Job, Site, Stage
from tradewind.providers.htcondor.queue import HtcondorQueue, quoted

CASES = Path(__file__).parent / "cases"
CONDOR = HtcondorQueue()
NOWHERE = Site(partitions=(), part="pool")
START = datetime.fromtimestamp(1795482000, UTC)
JOB = Job(
    name="tw-0a1b2c3d",
    mark="tradewind:desk-1:feed0001:tw-0a1b2c3d",
    commands=("""exec python -c 'import os; print("x")' /home/me/order-"${TW_INDEX}".json""",),
    log="/home/me/out",
    count=64,
    cpus=2,
    memory=3 * GIB,
    queue="pool",
    walltime=timedelta(hours=4),
    waits=timedelta(minutes=10),
)


def case(name: str) -> str:
    return (CASES / f"{name}.txt").read_text()


def site() -> Site:
    return CONDOR.read_site([case("status"), "site.org\n"])


def listed() -> dict[str, Entry]:
    return {f"{e.job}.{e.index}": e for e in CONDOR.read_list(case("q"))}


def recalled() -> dict[str, Entry]:
    return {f"{e.job}.{e.index}": e for e in CONDOR.read_recalled(case("history"))}


def unquoted(text: str) -> list[str]:
    """Return the arguments of a submit description as HTCondor's manual says they are read."""
    assert text[0] == text[-1] == '"'
    assert '"' not in text[1:-1].replace('""', ""), "one alone would end the arguments"
    inside, found = text[1:-1].replace('""', '"'), []
    while inside:
        one = re.match(r"'((?:[^']|'')*)'(?: |$)", inside)
        assert one is not None
        found.append(one[1].replace("''", "'"))
        inside = inside[one.end() :]
    return found


# What it is told


def test_one_submission_asks_for_all_workers() -> None:
    lines = CONDOR.script(JOB, NOWHERE).splitlines()

    assert lines[-1] == "queue 64"
    assert "request_cpus = 2" in lines
    assert "request_memory = 3072M" in lines
    assert "output = /home/me/out-$(ProcId)" in lines
    assert 'environment = "TW_INDEX=$(ProcId)"' in lines
    assert 'MY.TradewindMark = "tradewind:desk-1:feed0001:tw-0a1b2c3d"' in lines
    assert "should_transfer_files = NO" in lines
    assert CONDOR.submit_command()[-1] == "-", "it goes by standard input"


def test_the_command_arrives_as_it_was_written() -> None:
    (line,) = [line for line in CONDOR.script(JOB, NOWHERE).splitlines() if line.startswith("arguments = ")]

    assert unquoted(line.removeprefix("arguments = ")) == ["-c", JOB.commands[0]]


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1), min_size=1))
def test_no_argument_is_ever_read_as_two_or_changed(arguments: list[str]) -> None:
    assert unquoted(quoted(*arguments)) == arguments


@pytest.mark.parametrize(
    "prologue",
    [
        ('module() { export GREETING="it\'s on"; }', "module load x"),
        ("# the site's modules", "export GREETING='it'\"'\"'s on'"),
        ("if true; then", '\texport GREETING="it\'s on"', "fi"),
        ('export GREETING=$(echo "it\'s on")',),
        ('export GREETING="it\'s "', "GREETING=$GREETING`printf '\\\\x6fn\\n'`"),
    ],
)
def test_a_prologue_of_any_form_runs_in_a_login_bash_before_the_instance(prologue: tuple[str, ...]) -> None:
    job = replace(JOB, commands=("""exec echo "$GREETING, ${TW_INDEX}\"""",))
    script = replace(CONDOR, prologue=prologue).script(job, NOWHERE)
    (line,) = [line for line in script.splitlines() if line.startswith("arguments = ")]

    assert "$(" not in line, "HTCondor would put something of its own in its place"
    assert "executable = /bin/bash\n" in script
    arguments = unquoted(line.removeprefix("arguments = "))
    said = subprocess.run(
        ["/bin/bash", *arguments], env={**os.environ, "TW_INDEX": "3"}, capture_output=True, text=True, check=True
    )
    assert arguments[0] == "-lc"
    assert said.stdout.splitlines()[-1] == "it's on, 3"


def test_options_of_the_settings_come_after_ours_and_win() -> None:
    queue = replace(CONDOR, accounting_group="ocean", requirements="HasX", disk=4 * GIB, directives=("rank = Mips",))
    lines = queue.script(replace(JOB, gpus=1), NOWHERE).splitlines()

    assert "accounting_group = ocean" in lines
    assert "requirements = HasX" in lines
    assert "request_disk = 4096M" in lines
    assert "request_gpus = 1" in lines
    assert lines[-2:] == ["rank = Mips", "queue 64"]


def test_a_job_never_runs_twice_nor_longer_than_its_walltime_nor_waits_for_nobody() -> None:
    (rule,) = [line for line in CONDOR.script(JOB, NOWHERE).splitlines() if line.startswith("periodic_remove = ")]

    assert "(JobStatus == 1 && NumJobStarts > 0)" in rule
    assert "(JobStatus == 2 && time() - EnteredCurrentStatus > 14400)" in rule
    assert "isUndefined(TradewindUntil), QDate + 600, TradewindUntil" in rule
    assert "time() >" not in CONDOR.script(replace(JOB, waits=None, walltime=None), NOWHERE)


def test_a_last_moment_is_moved_on_to_a_moment_and_not_to_an_expression(tmp_path: Path) -> None:
    program = tmp_path / "condor_qedit"
    program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n')
    program.chmod(0o755)
    (command,) = CONDOR.wait_on_commands(["12", "13"], timedelta(minutes=10))
    environ = {"PATH": f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    before = datetime.now(UTC).timestamp()

    subprocess.run(command, env=environ, check=True)

    first, second = (tmp_path / "asked").read_text().splitlines()
    job, name, at = first.split()
    assert (job, name, second.split()[0]) == ("12", "TradewindUntil", "13")
    assert 598 <= float(at) - before <= 630
    assert not CONDOR.wait_on_commands([], timedelta(minutes=10))


def test_jobs_are_ended_by_their_own_ids_or_all_of_a_cluster_by_its_name() -> None:
    assert CONDOR.end_command([("12", 3), ("13", 0)]) == ["condor_rm", "12.3", "13.0"]
    assert CONDOR.end_all_command("tw-0a1b2c3d", "0")[-1] == 'JobBatchName == "tw-0a1b2c3d"'


# What it answers


@pytest.mark.parametrize("text", ["1234.0 - 1234.63\n", "1234.0\n", "a site's own words\n1234.0 - 1234.7\n"])
def test_the_id_is_found(text: str) -> None:
    assert CONDOR.read_submitted(text) == "1234"


def test_an_answer_without_an_id_is_no_success() -> None:
    with pytest.raises(Unavailable, match="no job id"):
        CONDOR.read_submitted("Submitting job(s)\n")


def test_each_job_of_the_list_stands_where_htcondor_says() -> None:
    assert {where: entry.stage for where, entry in listed().items()} == {
        "1200.0": Stage.RUNNING,
        "1200.1": Stage.WAITING,
        "1201.0": Stage.WAITING,
        "1202.0": Stage.WAITING,
        "1203.0": Stage.ENDING,
    }
    assert listed()["1200.0"].started_at == START


def test_what_will_never_start_is_told_from_what_waits() -> None:
    entries = listed()

    assert [where for where, entry in entries.items() if entry.is_hopeless] == ["1201.0"]
    assert "Permission denied" in entries["1201.0"].words
    assert entries["1202.0"].words == "it is held: release it with `condor_release`"
    assert entries["1200.1"].words == "no slot is free for it yet (HTCondor: no match found)"


def test_how_a_job_ended_is_said_in_plain_words_and_with_its_own_times() -> None:
    entries = recalled()

    assert (entries["1190.0"].words, entries["1190.0"].exit_code) == ("ended by itself", 0)
    assert entries["1190.0"].started_at == START
    assert entries["1190.0"].stopped_at == START + timedelta(seconds=605)
    assert entries["1190.1"].words == "was cancelled"
    assert entries["1190.1"].stopped_at == START + timedelta(seconds=300)
    assert entries["1190.2"].words == "it could no longer start in time"
    assert entries["1190.2"].started_at is None
    assert entries["1203.0"].words.startswith("used more memory than it had asked for, and was stopped")
    assert all(entry.stage is Stage.OVER for entry in entries.values())


def test_nothing_at_all_is_an_empty_list_and_half_a_list_is_none() -> None:
    assert CONDOR.read_list("") == []
    assert CONDOR.read_list("[\n]\n") == []
    with pytest.raises(Unavailable):
        CONDOR.read_list(case("q")[:300])


# What there is


def test_a_pool_is_its_nodes_that_see_our_files() -> None:
    (pool,) = site().partitions

    big, old = pool.shapes
    assert (big.count, big.cpus, big.idle_cpus, big.memory) == (2, 64, 60, 256900 * 1024**2)
    assert (old.count, old.cpus, old.idle_cpus) == (1, 1, 0)


def test_a_worker_of_which_nothing_is_said_has_its_share_of_the_smallest_node_that_will_do() -> None:
    (offer,) = offers_for(Need(), site(), Choices(provider="htcondor"))

    assert offer.vm_type == "pool"
    assert offer.resources.cpus >= 1


# Refusals


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("\nERROR: Number of submitted jobs would exceed MAX_JOBS_PER_OWNER\n", NoCapacity, "as many jobs as you may"),
        ("ERROR: Number of submitted jobs would exceed MAX_JOBS_PER_SUBMISSION\n", Rejected, "64 jobs at a time"),
        ("ERROR: Parse error in expression: \n\tRequirements = ((\n", Rejected, "`requirements`"),
        ("ERROR: Invalid accounting_group\n", Rejected, "`accounting_group`"),
        ("ERROR: Can't find address of local schedd\n", Unavailable, "doesn't answer"),
        ("ERROR: Failed to connect to local queue manager\nSECMAN:2007: …\n", Unavailable, "doesn't answer"),
    ],
)
def test_a_refusal_says_what_htcondor_said_and_what_to_do(text: str, kind: type[ProviderError], words: str) -> None:
    refusal = CONDOR.refusal(text, JOB, site())

    assert type(refusal) is kind
    assert words in str(refusal)
    assert "ERROR" not in str(refusal)


def test_commands_that_were_never_set_up_are_told_from_a_pool_that_is_away() -> None:
    nowhere = "/etc/condor/, /usr/local/etc/, nor ~condor/ contain a condor_config source.\n"
    away = "Error: Couldn't contact the condor_collector on cm.site.org\n"

    assert (CONDOR.is_nowhere(nowhere), CONDOR.is_unreachable(nowhere)) == (True, False)
    assert (CONDOR.is_nowhere(away), CONDOR.is_unreachable(away)) == (False, True)


def test_what_is_no_list_is_not_taken_for_an_empty_one() -> None:
    with pytest.raises(Unavailable, match="no list"):
        CONDOR.read_list("-- Failed to fetch ads from: <10.0.0.1:9618> : submit.site.org\n")
