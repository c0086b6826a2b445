"""From dask-jobqueue's keywords and configuration to those of ``Cluster``. Pure."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dask.utils import parse_bytes
from distributed.deploy.utils import nprocesses_nthreads

from tradewind.compat.jobqueue.words import (
    COMMON,
    NEEDLESS,
    NEEDLESS_DIRECTIVES,
    REFUSED,
    RENAMED,
    SCHEDULER_NEEDLESS,
    SYSTEMS,
    USUAL,
    USUAL_SHELLS,
    System,
)
from tradewind.errors import BadRequest, UnknownKeyword

TAKES_NODES = re.compile(r"^(--exclusive|-x\b|-l\s+(exclusive|.*place=excl))")
"""Directives that give each job nodes of its own."""


@dataclass(slots=True, kw_only=True)
class Translation:
    """What is asked of ``Cluster``, and what has to be said of the rest."""

    keywords: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Of what means nothing here."""
    refusals: list[str] = field(default_factory=list)
    """Of what would change what runs."""
    processes: int = 1
    """Workers of one of dask-jobqueue's jobs."""
    cpus: float | None = None
    """Cores of one worker."""
    threads: int | None = None
    memory: int | None = None
    """Bytes of one worker."""

    def option(self, name: str, value: Any) -> None:
        """Set one of the provider's own settings."""
        self.keywords.setdefault("backend_options", {})[name] = value

    def worker(self, name: str, value: Any) -> None:
        """Set a keyword of ``distributed.Worker``."""
        self.keywords.setdefault("worker_options", {})[name] = value


def translate(
    system: System,
    given: Mapping[str, Any],
    configured: Mapping[str, Any],
    *,
    ours: Collection[str],
    python: str,
) -> Translation:
    """Return what a call of one of dask-jobqueue's classes means here.

    Parameters
    ----------
    system : System
        Whose class.
    given : mapping
        Keywords of the call; None is as not given.
    configured : mapping
        Its section of ``jobqueue.yaml``.
    ours : collection of str
        Keywords of ``Cluster``, which may be given beside.
    python : str
        The interpreter that runs.

    Raises
    ------
    UnknownKeyword
        Neither dask-jobqueue nor Tradewind knows it.
    BadRequest
        It can't be had here; names each, and what to write instead.
    """
    known = COMMON | system.own
    theirs = {name: value for name, value in given.items() if name in known}
    further = {name: value for name, value in given.items() if name not in known}
    _refuse_unknown(system, further, known | set(ours))
    values = _merged(system, theirs, configured, known)
    made = Translation()
    made.keywords = {"provider": system.name, "wait_for_workers": 0, "n_workers": 0}
    for name in ("n_workers", "name", "asynchronous", "loop"):
        if name in values:
            made.keywords[name] = values[name]
    _judge(values, made, python)
    _queue(system, values, made)
    _size(system, values, made)
    _directives(system, values, made)
    _scheduler(values, made)
    _worker_arguments(values, made)
    if made.refusals:
        raise BadRequest(f"{system.title} here can't take " + "; ".join(made.refusals) + ".")
    for name, value in further.items():
        old = made.keywords.get(name)
        made.keywords[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, Mapping) else value
    return made


def walltime_from(value: Any, system: System) -> timedelta:
    """Return a duration as a system's own directive has it, such as "02:00:00" or "1-12:00:00".

    Raises
    ------
    BadRequest
        It can't be read, or is no time at all.
    """
    text = str(value).strip()
    days, _, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdigit() for part in (*parts, *([days] if days else []))) or len(parts) > 3:
        raise BadRequest(f"walltime={value!r} can't be read: write hours, minutes and seconds, such as '02:00:00'")
    numbers = [int(part) for part in parts]
    if days:  # Slurm's days-hours[:minutes[:seconds]]
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) < 3 and system.name == "lsf":  # [hours:]minutes; three parts are what all others write
        hours, minutes, seconds = [0, *numbers][-2:] + [0]
    elif len(numbers) == 1 and system.name == "slurm":  # minutes
        hours, minutes, seconds = 0, numbers[0], 0
    else:
        hours, minutes, seconds = [0, 0, *numbers][-3:]
    found = timedelta(days=int(days or 0), hours=hours, minutes=minutes, seconds=seconds)
    if not found:
        raise BadRequest(f"walltime={value!r} is no time at all: write how long a worker may run, such as '02:00:00'")
    return found


def _refuse_unknown(system: System, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name in known:
            continue
        whose = sorted(one.title for one in SYSTEMS.values() if name in one.own)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"it is one of {', '.join(whose)}" if whose else f"did you mean {near[0]!r}?" if near else "leave it out"
        raise UnknownKeyword(f"{system.title}() got an unexpected keyword argument {name!r}: {hint}")


def _merged(
    system: System, given: Mapping[str, Any], configured: Mapping[str, Any], known: Collection[str]
) -> dict[str, Any]:
    """Return what is said, by its newer names; what was given wins over what is configured."""
    file = {name.replace("-", "_"): value for name, value in configured.items()}
    file["job_name"] = file.pop("name", None)
    strange = sorted(name for name, value in file.items() if name not in known and value not in (None, [], {}, ""))
    if strange:
        raise BadRequest(
            f"jobqueue.yaml: the section {system.name!r} has {', '.join(strange)}, which {system.title} doesn't know: "
            "take it out"
        )
    merged: dict[str, Any] = {}
    for source in (file, given):
        said = {name: value for name, value in source.items() if value is not None}
        newer = {name: value for name, value in said.items() if name not in RENAMED}
        older = {RENAMED[name]: value for name, value in said.items() if name in RENAMED}
        merged |= {**older, **{n: v for n, v in newer.items() if v not in ([], ()) or n not in older}}
    return {"walltime": USUAL["walltime"], **merged} if "walltime" in known else merged


def _judge(values: Mapping[str, Any], made: Translation, python: str) -> None:
    for name, value in values.items():
        if value in ([], {}, ()) or USUAL.get(name) == value:
            continue
        if name in NEEDLESS and not (name == "security" and value is False):
            made.notes.append(f"{name}: {NEEDLESS[name]}")
        elif name in REFUSED and not _is_as_here(name, value, python):
            made.refusals.append(f"{name}={value!r}: {REFUSED[name]}")


def _is_as_here(name: str, value: Any, python: str) -> bool:
    if name == "protocol":
        return str(value).rstrip(":/") == "tls"
    if name == "shebang":
        words = str(value).split()
        return bool(words) and words[-1].rpartition("/")[2] in USUAL_SHELLS
    if name == "python":
        return value in (python, "python", "python3", "{sys.executable}")
    if name == "scheduler_cls":
        return getattr(value, "__module__", "") == "distributed.scheduler" and value.__name__ == "Scheduler"
    return False


def _queue(system: System, values: Mapping[str, Any], made: Translation) -> None:
    if values.get("queue"):
        made.option(system.part, [part.strip() for part in str(values["queue"]).split(",")])
    # "project" is the older word of "account" where there are both.
    charged = values.get("account") or values.get("project")
    if charged:
        made.option(system.charge, str(charged))
    if "walltime" in values:
        made.option("walltime", walltime_from(values["walltime"], system).total_seconds())
    for theirs, option in (("interface", "interface"), ("local_directory", "scratch"), ("disk", "disk")):
        if values.get(theirs):
            made.option(option, str(values[theirs]))
    if values.get("job_script_prologue"):
        made.option("prologue", [line for line in values["job_script_prologue"] if line])


def _size(system: System, values: Mapping[str, Any], made: Translation) -> None:
    cores, memory = values.get("cores"), values.get("memory")
    spec = _chunk(system, values, made)
    asked_cpus = values.get("job_cpu") or values.get("ncpus") or spec.get("ncpus")
    asked_memory = values.get("job_mem") or values.get("mem") or spec.get("mem")
    if values.get("processes"):
        made.processes = int(values["processes"])
    elif cores:
        made.processes = int(nprocesses_nthreads(int(cores))[0])
    if made.processes > 1:
        made.notes.append(
            f"processes: each of the {made.processes} workers of a job is a job of its own here, so that "
            f"scale(jobs=1) is {made.processes} workers; where whole nodes are given, write processes=1"
        )
    if cores:
        made.threads = max(1, int(cores) // made.processes)
        made.cpus = max(made.threads, -(-int(asked_cpus or cores) // made.processes))
        made.keywords["worker_cpu"] = made.cpus
        if made.cpus != made.threads:
            made.worker("nthreads", made.threads)
    if memory or asked_memory:
        # What the queue is asked for is what a worker may have: the larger, where both are said.
        sizes = [_bytes(system, size, whose) for size, whose in ((memory, "dask"), (asked_memory, "queue")) if size]
        made.memory = max(sizes) // made.processes
        made.keywords["worker_memory"] = made.memory
        if len(set(sizes)) > 1:
            made.notes.append("memory: a worker may use all that its job is given, so the larger of the two is taken")
    if spec.get("ngpus"):
        made.keywords["worker_gpu"] = int(spec["ngpus"])


def _chunk(system: System, values: Mapping[str, Any], made: Translation) -> dict[str, str]:
    """Return what a resource specification of PBS says of one job, and hand on the rest of it."""
    spec = values.get("resource_spec")
    if not spec:
        return {}
    if system.name != "pbs":
        made.keywords.setdefault("backend_options", {}).setdefault("directives", []).append(f"-l {spec}")
        return {}
    parts: list[str] = []
    others = re.split(r",(?=\w+=)", str(spec).strip())
    if others[0].startswith("select="):
        parts = others.pop(0).removeprefix("select=").removeprefix("1:").split(":")
    if any(one.startswith("nodes=") for one in others) or parts[:1] != [] and ("+" in spec or "=" not in parts[0]):
        made.refusals.append(f"resource_spec={spec!r}: a worker is one chunk of one node, so write select=1:ncpus=…")
        return {}
    facts = dict(part.partition("=")[::2] for part in (*parts, *others) if "=" in part)
    ours = {"ncpus", "mem", "ngpus"}
    rest = [part for part in parts if part.partition("=")[0] not in ours]
    if "walltime" in facts:
        made.option("walltime", walltime_from(facts["walltime"], system).total_seconds())
    if rest:
        made.option("chunk", ":".join(rest))
    left = [one for one in others if one.partition("=")[0] not in ours | {"walltime"}]
    if left:
        made.keywords.setdefault("backend_options", {}).setdefault("directives", []).extend(f"-l {one}" for one in left)
    return facts


def _bytes(system: System, value: Any, whose: str) -> int:
    """Return a size; what queues call GB is a GiB, and Slurm's numbers without a unit are MiB."""
    text = str(value).strip()
    if whose == "queue":
        if system.name == "slurm" and text.isdigit():
            return int(text) * 1024**2
        found = re.fullmatch(r"([\d.]+)\s*([kKmMgGtT])[bB]?", text)
        if found is not None:
            return int(float(found[1]) * 1024 ** (" kmgt".index(found[2].lower())))
    try:
        return int(parse_bytes(value))
    except (ValueError, TypeError):
        raise BadRequest(f"{value!r} isn't an amount of memory: write text like '16 GB'") from None


def _directives(system: System, values: Mapping[str, Any], made: Translation) -> None:
    extra = values.get("job_extra_directives")
    if not extra:
        return
    lines = [f"{name} = {value}" for name, value in extra.items()] if isinstance(extra, Mapping) else list(extra)
    # Some write the whole line.
    lines = [re.sub(r"^#(SBATCH|PBS|BSUB|\$)\s+", "", str(line)) for line in lines]
    if made.processes > 1 and any(TAKES_NODES.match(line) for line in lines):
        made.refusals.append(
            "job_extra_directives: with nodes of its own for each job, each of the "
            f"{made.processes} processes would take one: set processes=1"
        )
    kept = [line for line in lines if not _is_needless(system, line, made)]
    if kept:
        made.keywords.setdefault("backend_options", {}).setdefault("directives", []).extend(kept)


def _is_needless(system: System, line: str, made: Translation) -> bool:
    """Whether a directive, alone on its line, means nothing here; then that is noted."""
    for keyword, option in NEEDLESS_DIRECTIVES[system.name].items():
        if re.fullmatch(rf"{option}(\s*[\s=]\s*(\S+|\"[^\"]*\"|'[^']*'))", line.strip()):
            made.notes.append(f"job_extra_directives: {line} left out: {NEEDLESS[keyword]}")
            return True
    return False


def _scheduler(values: Mapping[str, Any], made: Translation) -> None:
    options = dict(values.get("scheduler_options") or {})
    left_out = sorted(SCHEDULER_NEEDLESS & set(options))
    if left_out:
        made.notes.append(
            f"scheduler_options: {', '.join(left_out)} left out, since the scheduler is a job on a node; "
            "interface= names its network, and cluster.dashboard_link has its dashboard"
        )
    kept = {name: value for name, value in options.items() if name not in SCHEDULER_NEEDLESS}
    if kept:
        made.keywords["scheduler_options"] = kept


def _worker_arguments(values: Mapping[str, Any], made: Translation) -> None:
    words = shlex.split(" ".join(map(str, values.get("worker_extra_args") or ())))
    words = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    while words:
        name = words.pop(0)
        arguments = []
        while words and not words[0].startswith("--"):
            arguments.append(words.pop(0))
        text = " ".join(arguments)
        if name in {"--lifetime", "--lifetime-stagger", "--lifetime-restart", "--no-lifetime-restart"}:
            made.notes.append(f"{name}: workers hand over and leave before their walltime is over, one after the other")
        elif name in {"--nanny", "--dashboard", "--no-dashboard", "--death-timeout", "--no-bokeh"}:
            made.notes.append(f"{name}: is Tradewind's own affair")
        elif name == "--resources":
            pairs = [pair.partition("=") for pair in text.replace(",", " ").split()]
            made.worker("resources", {key: float(value) for key, _, value in pairs})
        elif name == "--nthreads":
            made.threads = int(text)
            made.worker("nthreads", made.threads)
        elif name == "--local-directory":
            made.option("scratch", text)
        elif name == "--interface":
            made.option("interface", text)
        elif name == "--preload":
            made.worker("preload", arguments)
        else:
            made.refusals.append(f"worker_extra_args: {name} {text}".rstrip() + ": write it in worker_options={…}")
