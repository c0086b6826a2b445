"""dask-jobqueue's keywords: what becomes of each. Data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One of dask-jobqueue's systems."""

    name: str
    """Section of ``jobqueue.yaml``, and the provider."""
    title: str
    """Its class."""
    part: str
    """Setting that ``queue`` becomes."""
    charge: str
    """Setting that ``account`` or ``project`` becomes."""
    own: frozenset[str]
    """Its keywords beside those of all."""


COMMON = frozenset(
    {
        *("n_workers", "name", "asynchronous", "loop", "security", "shared_temp_directory", "silence_logs"),
        *("scheduler_options", "scheduler_cls", "job_cls", "dashboard_address", "host", "interface", "protocol"),
        *("config_name", "cores", "memory", "processes", "nanny", "death_timeout", "local_directory", "extra"),
        *("worker_command", "worker_extra_args", "job_extra", "job_extra_directives", "env_extra"),
        *("job_script_prologue", "job_script_epilogue", "header_skip", "job_directives_skip", "log_directory"),
        *("shebang", "python", "job_name"),
    }
)
"""Keywords of all its classes."""

SYSTEMS: Mapping[str, System] = {
    one.name: one
    for one in (
        System(
            name="slurm",
            title="SLURMCluster",
            part="partitions",
            charge="account",
            own=frozenset({"queue", "project", "account", "walltime", "job_cpu", "job_mem"}),
        ),
        System(
            name="pbs",
            title="PBSCluster",
            part="queues",
            charge="account",
            own=frozenset({"queue", "project", "account", "walltime", "resource_spec"}),
        ),
        System(
            name="sge",
            title="SGECluster",
            part="queues",
            charge="project",
            own=frozenset({"queue", "project", "walltime", "resource_spec"}),
        ),
        System(
            name="lsf",
            title="LSFCluster",
            part="queues",
            charge="project",
            own=frozenset({"queue", "project", "walltime", "ncpus", "mem", "lsf_units", "use_stdin"}),
        ),
        System(
            name="htcondor",
            title="HTCondorCluster",
            part="",
            charge="",
            own=frozenset({"disk", "submit_command_extra", "cancel_command_extra"}),
        ),
    )
}

RENAMED: Mapping[str, str] = {
    "extra": "worker_extra_args",
    "env_extra": "job_script_prologue",
    "job_extra": "job_extra_directives",
    "header_skip": "job_directives_skip",
}
"""Its older words; the newer one wins where both are given."""

USUAL: Mapping[str, Any] = {
    "death_timeout": 60,
    "walltime": "00:30:00",
    "worker_command": "distributed.cli.dask_worker",
    "use_stdin": True,
    "silence_logs": "error",
    "job_name": "dask-worker",
    "nanny": True,
}
"""Its own defaults, of which nobody need be told."""
USUAL_SHELLS = frozenset({"bash", "sh", "condor_submit"})

NEEDLESS: Mapping[str, str] = {
    "death_timeout": "workers end when their scheduler has, and all when nobody looks after them for `orphan_timeout`",
    "security": "connections are always TLS, with keys of this cluster alone",
    "shared_temp_directory": "keys go along in private files below the setting `directory`",
    "log_directory": "logs are kept below the setting `directory`; `tradewind cluster logs NAME` shows them",
    "silence_logs": "the scheduler isn't in this process",
    "job_name": "jobs have their cluster's name",
    "lsf_units": "LSF is asked for its units",
    "use_stdin": "jobs always go by standard input",
}
"""What means nothing here, and why nothing is lost."""

REFUSED: Mapping[str, str] = {
    "scheduler_cls": "the scheduler is a job of its own, with Dask's own class: leave it out",
    "job_cls": "leave it out, and write what differs in job_extra_directives",
    "dashboard_address": "the dashboard takes a free port; cluster.dashboard_link has it",
    "host": "the scheduler is a job on a node: leave it out, or name the network with interface=",
    "python": "jobs run the Python that you are in: start that one instead",
    "shebang": "jobs are scripts of sh, or of a login bash where there is a prologue: leave it out",
    "worker_command": "workers are Dask's own: leave it out",
    "job_script_epilogue": "a job ends with its worker: write it as a task, or in worker_options={'preload': …}",
    "job_directives_skip": "write in job_extra_directives what is to stand in its place: the last one wins",
    "submit_command_extra": "write it as an attribute in job_extra_directives",
    "cancel_command_extra": "leave it out",
    "nanny": "what a nanny does is done by the job's own keeper: leave it out",
    "protocol": "connections are always TLS: leave it out",
}
"""What would change what runs, and what to write instead."""

NEEDLESS_DIRECTIVES: Mapping[str, Mapping[str, str]] = {
    "slurm": {"job_name": r"(-J|--job-name)", "log_directory": r"(-[oe]|--output|--error)"},
    "pbs": {"job_name": "-N", "log_directory": "-[oe]"},
    "sge": {"job_name": "-N", "log_directory": "-[oe]"},
    "lsf": {"job_name": "-J", "log_directory": "-(oo?|eo?)"},
    "htcondor": {"job_name": "batch_name", "log_directory": "(output|error)"},
}
"""Directives of a system that mean what a needless keyword means, which says why nothing is lost."""

SCHEDULER_NEEDLESS = frozenset({"host", "port", "interface", "dashboard_address", "protocol", "security", "dashboard"})
"""Of ``scheduler_options``: where it listens is its node's affair."""
