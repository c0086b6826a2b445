"""What becomes of each of dask-jobqueue's keywords; its list is that of version 0.9.0."""

import warnings
from dataclasses import fields
from datetime import timedelta
from typing import Any

import dask.config
import pytest

from tradewind.compat import jobqueue
from tradewind.compat.jobqueue import cluster as classes
from tradewind.compat.jobqueue.translation import Translation, walltime_from
from tradewind.compat.jobqueue.words import COMMON, NEEDLESS, REFUSED, RENAMED, SYSTEMS
from tradewind.config import Settings
from tradewind.errors import BadRequest, TradewindError, UnknownKeyword

SIZE = {"cores": 24, "memory": "120 GiB", "processes": 4}
GIB = 1024**3


@pytest.fixture(autouse=True)
def _nothing_configured() -> Any:
    with dask.config.set({"jobqueue": {}}):
        yield


def made(system: str = "slurm", **given: Any) -> Translation:
    return classes.translation(SYSTEMS[system], given)


def options(system: str = "slurm", **given: Any) -> dict[str, Any]:
    return {**made(system, **given).keywords.get("backend_options", {})}


TAKEN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("slurm", {"n_workers": 3}, {"n_workers": 3}),
    ("slurm", {"name": "calm-tide"}, {"name": "calm-tide"}),
    ("slurm", {"asynchronous": True}, {"asynchronous": True}),
    ("slurm", {"loop": "a loop"}, {"loop": "a loop"}),
    ("slurm", SIZE, {"worker_cpu": 6, "worker_memory": 30 * GIB}),
    ("slurm", {"cores": 9}, {"worker_cpu": 3}),  # of 9 cores dask-jobqueue makes 3 processes of 3
    ("slurm", {**SIZE, "job_cpu": 48}, {"worker_cpu": 12, "worker_options": {"nthreads": 6}}),
    ("slurm", {"cores": 2, "processes": 1, "memory": "4 GiB", "job_mem": "8G"}, {"worker_memory": 8 * GIB}),
    ("slurm", {"job_mem": "4000"}, {"worker_memory": 4000 * 1024**2}),
    ("lsf", {"cores": 4, "processes": 1, "ncpus": 8}, {"worker_cpu": 8}),
    ("lsf", {"mem": 8 * 10**9}, {"worker_memory": 8 * 10**9}),
    (
        "pbs",
        {"cores": 8, "processes": 1, "resource_spec": "select=1:ncpus=16:mem=64GB:ngpus=2:cpu_type=rome"},
        {"worker_cpu": 16, "worker_memory": 64 * GIB, "worker_gpu": 2},
    ),
    (
        "slurm",
        {"scheduler_options": {"host": "h", "idle_timeout": "1h"}},
        {"scheduler_options": {"idle_timeout": "1h"}},
    ),
    ("slurm", {"worker_extra_args": ["--resources GPU=1"]}, {"worker_options": {"resources": {"GPU": 1.0}}}),
    ("slurm", {"worker_extra_args": ["--preload", "a.py"]}, {"worker_options": {"preload": ["a.py"]}}),
    ("slurm", {"extra": ["--nthreads=2"]}, {"worker_options": {"nthreads": 2}}),
    ("slurm", {"budget": "5 SU", "idle_timeout": "1h"}, {"budget": "5 SU", "idle_timeout": "1h"}),
]
SET: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("slurm", {"queue": "main,short"}, {"partitions": ["main", "short"]}),
    ("pbs", {"queue": "workq"}, {"queues": ["workq"]}),
    ("slurm", {"account": "ocean", "project": "old"}, {"account": "ocean"}),
    ("pbs", {"project": "ocean"}, {"account": "ocean"}),
    ("sge", {"project": "ocean"}, {"project": "ocean"}),
    ("lsf", {"project": "ocean"}, {"project": "ocean"}),
    ("slurm", {"walltime": "02:00:00"}, {"walltime": 7200.0}),
    ("slurm", {}, {"walltime": 1800.0}),
    ("slurm", {"interface": "ib0"}, {"interface": "ib0"}),
    ("slurm", {"local_directory": "$TMPDIR"}, {"scratch": "$TMPDIR"}),
    ("slurm", {"job_script_prologue": ["module load x", None]}, {"prologue": ["module load x"]}),
    ("slurm", {"env_extra": ["module load x"]}, {"prologue": ["module load x"]}),
    ("slurm", {"env_extra": ["a"], "job_script_prologue": ["b"]}, {"prologue": ["b"]}),
    ("slurm", {"job_extra_directives": ["--qos=low", "#SBATCH -C cpu"]}, {"directives": ["--qos=low", "-C cpu"]}),
    ("slurm", {"job_extra": ["--qos=low"]}, {"directives": ["--qos=low"]}),
    ("htcondor", {"job_extra_directives": {"+Flavour": '"long"'}}, {"directives": ['+Flavour = "long"']}),
    ("htcondor", {"disk": "4 GB"}, {"disk": "4 GB"}),
    ("sge", {"resource_spec": "h_vmem=4G"}, {"directives": ["-l h_vmem=4G"]}),
    ("pbs", {"resource_spec": "select=1:ncpus=4:cpu_type=rome,place=scatter"}, {"chunk": "cpu_type=rome"}),
    ("pbs", {"resource_spec": "select=1:ncpus=4,place=scatter"}, {"directives": ["-l place=scatter"]}),
    ("pbs", {"resource_spec": "select=1:ncpus=4,walltime=01:00:00"}, {"walltime": 3600.0}),
    ("slurm", {"worker_extra_args": ["--local-directory", "/tmp"]}, {"scratch": "/tmp"}),
    ("slurm", {"account": "a", "backend_options": {"qos": "low"}}, {"account": "a", "qos": "low"}),
]
NEEDLESS_VALUES: dict[str, Any] = {
    "death_timeout": 120,
    "security": True,
    "shared_temp_directory": "/shared",
    "log_directory": "logs",
    "silence_logs": "debug",
    "job_name": "mine",
    "lsf_units": "gb",
    "use_stdin": False,
}
REFUSED_VALUES: dict[str, Any] = {
    "scheduler_cls": dict,
    "job_cls": dict,
    "dashboard_address": ":1234",
    "host": "login1",
    "python": "/opt/other/bin/python",
    "shebang": "#!/usr/bin/env zsh",
    "worker_command": "dask_cuda.cli",
    "job_script_epilogue": ["echo bye"],
    "job_directives_skip": ["--mem"],
    "header_skip": ["--mem"],
    "submit_command_extra": ["-verbose"],
    "cancel_command_extra": ["-verbose"],
    "nanny": False,
    "protocol": "ucx://",
}


def of_system(keyword: str) -> str:
    return next((one.name for one in SYSTEMS.values() if keyword in one.own), "slurm")


@pytest.mark.parametrize(("system", "given", "asked"), TAKEN)
def test_a_keyword_becomes_one_of_the_clusters(system: str, given: dict[str, Any], asked: dict[str, Any]) -> None:
    keywords = made(system, **given).keywords

    assert {name: keywords[name] for name in asked} == asked
    assert keywords["provider"] == system


@pytest.mark.parametrize(("system", "given", "asked"), SET)
def test_a_keyword_becomes_a_setting_of_the_provider(system: str, given: dict[str, Any], asked: dict[str, Any]) -> None:
    found = options(system, **given)

    assert {name: found[name] for name in asked} == asked


@pytest.mark.parametrize(("keyword", "value"), NEEDLESS_VALUES.items())
def test_what_means_nothing_here_is_said_by_name(keyword: str, value: Any) -> None:
    notes = made(of_system(keyword), **{keyword: value}).notes

    assert [note for note in notes if note.startswith(f"{keyword}: ")]


@pytest.mark.parametrize(("keyword", "value"), REFUSED_VALUES.items())
def test_what_would_change_what_runs_is_refused_by_name(keyword: str, value: Any) -> None:
    with pytest.raises(BadRequest, match=RENAMED.get(keyword, keyword)):
        made(of_system(keyword), **{keyword: value})


def test_every_keyword_of_dask_jobqueue_has_its_line_in_these_tables() -> None:
    tried = {name for _, given, _ in [*TAKEN, *SET] for name in given} | set(NEEDLESS_VALUES) | set(REFUSED_VALUES)
    every = COMMON.union(*(one.own for one in SYSTEMS.values()))

    assert every - tried == {"config_name"}
    assert set(NEEDLESS) <= set(NEEDLESS_VALUES)
    assert set(REFUSED) <= set(REFUSED_VALUES)


@pytest.mark.parametrize(
    "given",
    [
        {"death_timeout": 60, "nanny": True, "silence_logs": "error", "job_name": "dask-worker"},
        {"python": "python", "shebang": "#!/usr/bin/env bash", "protocol": "tls://", "job_script_epilogue": []},
        {"job_directives_skip": (), "worker_extra_args": [], "scheduler_options": {}, "security": None},
    ],
)
def test_what_is_as_usual_makes_no_noise(given: dict[str, Any]) -> None:
    assert made(**given).notes == []


def test_all_that_is_refused_is_named_at_once() -> None:
    with pytest.raises(BadRequest, match=r"nanny=False.*python='/opt/py'|python='/opt/py'.*nanny=False"):
        made(nanny=False, python="/opt/py")


def test_processes_with_nodes_of_their_own_are_refused_before_they_are_paid_for() -> None:
    with pytest.raises(BadRequest, match="set processes=1"):
        made(**SIZE, job_extra_directives=["--exclusive"])

    assert made(cores=24, processes=1, job_extra_directives=["--exclusive"]).keywords["worker_cpu"] == 24


def test_a_chunk_of_several_nodes_is_no_worker() -> None:
    with pytest.raises(BadRequest, match="select=1"):
        made("pbs", resource_spec="select=2:ncpus=4")


def test_a_word_that_nobody_knows_is_no_keyword() -> None:
    with pytest.raises(UnknownKeyword, match="did you mean 'walltime'"):
        made(waltime="1:00:00")
    with pytest.raises(UnknownKeyword, match="one of PBSCluster, SGECluster"):
        made(resource_spec="select=1")


@pytest.mark.parametrize(
    ("system", "text", "time"),
    [
        ("slurm", "30", timedelta(minutes=30)),
        ("slurm", "30:00", timedelta(minutes=30)),
        ("slurm", "02:00:00", timedelta(hours=2)),
        ("slurm", "1-12", timedelta(hours=36)),
        ("slurm", "1-12:30:00", timedelta(hours=36, minutes=30)),
        ("pbs", "7200", timedelta(hours=2)),
        ("pbs", "02:00:00", timedelta(hours=2)),
        ("lsf", "02:30", timedelta(hours=2, minutes=30)),
        ("lsf", "90", timedelta(minutes=90)),
        ("lsf", "02:00:00", timedelta(hours=2)),
        ("lsf", "00:30:00", timedelta(minutes=30)),
        ("lsf", "00:30", timedelta(minutes=30)),
        ("sge", "00:30:00", timedelta(minutes=30)),
        ("pbs", "00:30:00", timedelta(minutes=30)),
        ("sge", "100:00:00", timedelta(hours=100)),
    ],
)
def test_a_walltime_is_read_as_its_system_writes_it(system: str, text: str, time: timedelta) -> None:
    assert walltime_from(text, SYSTEMS[system]) == time


def test_a_walltime_that_cant_be_read_is_refused() -> None:
    with pytest.raises(BadRequest, match="02:00:00"):
        walltime_from("two hours", SYSTEMS["slurm"])


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("text", ["0", "00:00", "00:00:00"])
def test_a_walltime_of_nothing_is_refused(system: str, text: str) -> None:
    with pytest.raises(BadRequest, match="no time at all"):
        walltime_from(text, SYSTEMS[system])


def test_who_gives_no_walltime_has_half_an_hour_on_every_system_that_has_one() -> None:
    asked = {name: options(name).get("walltime") for name, system in SYSTEMS.items() if "walltime" in system.own}

    assert asked == dict.fromkeys(("slurm", "pbs", "sge", "lsf"), 1800.0)


@pytest.mark.parametrize(
    ("system", "line"),
    [
        ("slurm", "--job-name=mine"),
        ("slurm", "-J mine"),
        ("slurm", "--output=/logs/%j.out"),
        ("pbs", "-N mine"),
        ("sge", "-o /logs"),
        ("lsf", '-J "my work"'),
        ("lsf", "-oo /logs/%J"),
        ("htcondor", "output = /logs"),
    ],
)
def test_names_and_logs_of_jobs_are_needless_as_directives_too(system: str, line: str) -> None:
    found = made(system, job_extra_directives=[line])

    assert [note for note in found.notes if line in note]
    assert "directives" not in found.keywords.get("backend_options", {})


# jobqueue.yaml


def test_what_isnt_given_is_read_from_the_configuration() -> None:
    with dask.config.set(
        {"jobqueue": {"slurm": {"queue": "main", "cores": 4, "processes": 1, "walltime": "01:00:00"}}}
    ):
        found = made(walltime="02:00:00").keywords

    assert found["worker_cpu"] == 4
    assert found["backend_options"] == {"partitions": ["main"], "walltime": 7200.0}


def test_another_section_is_taken_when_it_is_named() -> None:
    with dask.config.set({"jobqueue": {"big": {"queue": "gpu"}}}):
        assert options(config_name="big")["partitions"] == ["gpu"]


def test_dask_jobqueues_own_defaults_make_no_noise_and_change_nothing() -> None:
    section = {
        "name": "dask-worker",
        "cores": None,
        "death-timeout": 60,
        "extra": None,
        "worker-command": "distributed.cli.dask_worker",
        "worker-extra-args": [],
        "shebang": "#!/usr/bin/env bash",
        "walltime": "00:30:00",
        "job-script-prologue": [],
        "job-directives-skip": [],
        "scheduler-options": {},
    }
    with dask.config.set({"jobqueue": {"slurm": section}}):
        found = made()

    assert found.notes == []
    assert found.keywords["backend_options"] == {"walltime": 1800.0}


def test_a_word_in_the_file_that_nobody_knows_is_said_by_name() -> None:
    with dask.config.set({"jobqueue": {"slurm": {"quue": "main"}}}), pytest.raises(BadRequest, match="quue"):
        made()


def test_every_setting_that_is_made_is_one_of_the_providers() -> None:
    for name in SYSTEMS:
        table = getattr(Settings(), name, None)
        if table is None:
            continue
        known = {field.name for field in fields(table)}
        asked = {key for system, given, _ in SET if system == name for key in options(system, **given)}
        assert asked <= known, f"[{name}] lacks {asked - known}"


# The classes


@pytest.mark.parametrize("name", ["OARCluster", "MoabCluster", "LocalCluster", "SLURMRunner"])
def test_what_there_isnt_says_what_would_do(name: str) -> None:
    with pytest.raises(BadRequest, match=name):
        getattr(jobqueue, name)(cores=1)


def test_what_is_refused_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TradewindError, match="SLURMCluster here can't take nanny=False"):
        jobqueue.SLURMCluster(cores=1, nanny=False)


def workers_of(**counted: Any) -> int | None:
    cluster = object.__new__(jobqueue.SLURMCluster)
    cluster._translated = made(**SIZE)
    return cluster._workers_of(**counted)


@pytest.mark.parametrize(
    ("counted", "workers"),
    [
        ({"jobs": 3}, 12),
        ({"cores": 13}, 3),
        ({"memory": "31 GiB"}, 2),
        ({"cores": 13, "at_most": True}, 2),
        ({}, None),
    ],
)
def test_jobs_are_counted_as_dask_jobqueue_counts_them(counted: dict[str, Any], workers: int | None) -> None:
    assert workers_of(**counted) == workers


def test_cores_can_only_be_counted_where_a_worker_has_a_number_of_them() -> None:
    cluster = object.__new__(jobqueue.SLURMCluster)
    cluster._translated = made()
    with pytest.raises(BadRequest, match="give cores="):
        cluster._workers_of(cores=4)


def test_notes_are_one_warning() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(TradewindError):
            jobqueue.SLURMCluster(cores=1, log_directory="logs", death_timeout=5, name="no/name")

    (one,) = [w for w in caught if w.category is jobqueue.NotTaken]
    assert "log_directory" in str(one.message)
    assert "death_timeout" in str(one.message)
