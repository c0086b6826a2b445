"""The commands of PBS, built and read: OpenPBS and PBS Professional from 14 on, and Torque from 4 on."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import ClassVar

from tradewind.errors import NotSetUp, ProviderError, Unavailable
from tradewind.providers.batch.directives import COUNTED, FOUND, LOGGED, NAMED, ONCE, Own
from tradewind.providers.batch.queue import Entry, Job, Queue, Site, Stage
from tradewind.providers.pbs.reasons import NEVER, ended, waiting
from tradewind.providers.pbs.refusals import NOWHERE, UNREACHABLE, refusal
from tradewind.providers.pbs.site import read_queues, read_shapes
from tradewind.providers.pbs.text import read_duration, read_records, read_time

MIB = 1024**2
MARK = "TW_MARK"
"""Variable of the job that holds our mark: of what a user can set, all versions list the variables."""
STAGES = {
    "Q": Stage.WAITING,
    "H": Stage.WAITING,
    "W": Stage.WAITING,
    "T": Stage.WAITING,
    "R": Stage.RUNNING,
    "S": Stage.RUNNING,
    "U": Stage.RUNNING,
    "E": Stage.ENDING,
}
"""What isn't here is over: F and M (finished, moved), X (a subjob that has ended), C (Torque's)."""
ABSENT = (153, 35, 54, 55)
"""How qstat ends where one of those it was asked for is gone, or over: its code's lowest byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PbsQueue(Queue):
    """One dialect for both families; ``torque`` says where they differ."""

    account: str | None = None
    project: str | None = None
    chunk: str | None = None
    """What a job's chunk asks for besides: ``cpu_type=rome``."""
    torque: bool = False
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()

    name: ClassVar[str] = "PBS"
    programs: ClassVar[Sequence[str]] = ("qsub", "qstat", "qdel", "qselect", "pbsnodes")
    # Its times have no zone.
    prints: ClassVar[Mapping[str, str]] = MappingProxyType({"TZ": "UTC", "LC_ALL": "C"})
    part: ClassVar[str] = "queue"
    tells_within: ClassVar[timedelta] = timedelta(seconds=30)  # a server that is away for a moment tells later
    # One alone is no array, and has no index; Torque has a name of its own for it.
    index_in_shell: ClassVar[str] = "${PBS_ARRAY_INDEX:-${PBS_ARRAYID:-0}}"
    gone: ClassVar[re.Pattern[str]] = re.compile(
        r"Unknown Job Id|Job has finished|Request invalid for state of job|invalid state for job", re.IGNORECASE
    )
    own: ClassVar[Sequence[Own]] = (
        # A value may follow an option at once.
        Own(pattern="-v", why=f"{FOUND}; write variables in `prologue`, as `export NAME=value`"),
        Own(pattern="-N", why=NAMED),
        Own(pattern="-[Jt]", why=COUNTED),
        Own(pattern="-o", why=LOGGED),
        Own(pattern="-r ?y", why=ONCE),
    )

    def submit_command(self) -> list[str]:
        """See :meth:`Queue.submit_command`."""
        return ["qsub"]

    def script(self, job: Job, site: Site) -> str:
        """See :meth:`Queue.script`."""
        is_array = job.count > 1  # an array of one is refused
        shell = "/bin/bash" if self.prologue else "/bin/sh"
        options = [f"-N {job.name}", f"-S {shell}", "-j oe", f"-v {MARK}={job.mark}"]
        if is_array:
            options.append(f"{'-t' if self.torque else '-J'} 0-{job.count - 1}")
        else:
            # Of a job that ran the order is gone, so it never runs again; an array may not say so.
            options.append("-r n")
        # Torque writes the index behind by itself.
        options.append(f"-o {job.log}{'' if self.torque else '-^array_index^'}" if is_array else f"-o {job.log}-0")
        options += self._resources(job)
        if job.walltime is not None:
            options.append(f"-l walltime={spell(job.walltime)}")
        for option, value in (("q", job.queue), ("A", self.account), ("P", self.project)):
            if value is not None:
                options.append(f"-{option} {value}")
        if job.after is not None:
            options.append(f"-W depend=after:{_job_of(*job.after)}")
        lines = [f"#PBS {option}" for option in (*options, *self.directives)]
        return "\n".join([f"#!{shell}", *lines, "", *self.prologue, *job.commands, ""])

    def _resources(self, job: Job) -> list[str]:
        mib = -(-job.memory // MIB)
        gpus, more = job.gpus, f":{self.chunk}" if self.chunk else ""
        if self.torque:
            return [f"-l nodes=1:ppn={job.cpus}{f':gpus={gpus}' if gpus else ''}{more}", f"-l mem={mib}mb"]
        return [f"-l select=1:ncpus={job.cpus}:mem={mib}mb{f':ngpus={gpus}' if gpus else ''}{more}"]

    def read_submitted(self, text: str) -> str:
        """See :meth:`Queue.read_submitted`."""
        # "1234.pbs01" or "1234[].pbs01"; a site's own words may stand on lines before. Slurm's wrapper has no server.
        found = re.search(r"^(\d+(?:\[\])?(?:\.\S+)?)\s*$", text, re.MULTILINE)
        if found is None:
            raise Unavailable(f"qsub said {text.strip()[:200]!r}, in which no job id is")
        return found[1]

    def refusal(self, text: str, job: Job, site: Site) -> ProviderError:
        """See :meth:`Queue.refusal`."""
        return refusal(text, job, site, account=self.account, project=self.project)

    def list_command(self, user: str) -> list[str]:
        """See :meth:`Queue.list_command`."""
        # Whole jobs can't be listed by user, so who they are is asked first. What ended in between is no error.
        return _shell(f'ids=$(qselect -u "$(id -un)") || exit; [ -z "$ids" ] || {_tolerant("qstat -f -t $ids")}')

    def read_list(self, text: str) -> Sequence[Entry]:
        """See :meth:`Queue.read_list`."""
        return list(self._entries(text))

    def recall_command(self, jobs: Sequence[str]) -> list[str] | None:
        """See :meth:`Queue.recall_command`."""
        # Torque lists for some minutes what has ended, and then knows nothing of it.
        return None if self.torque else _shell(_tolerant(f"qstat -x -f -t {shlex.join(jobs)}"))

    def read_recalled(self, text: str) -> Sequence[Entry]:
        """See :meth:`Queue.read_recalled`."""
        return list(self._entries(text))

    def end_command(self, jobs: Sequence[tuple[str, int]]) -> list[str]:
        """See :meth:`Queue.end_command`."""
        return ["qdel", *(_job_of(job, index) for job, index in jobs)]

    def end_all_command(self, name: str, user: str) -> list[str]:
        """See :meth:`Queue.end_all_command`."""
        ours = f'qselect -N {shlex.quote(name)} -u "$(id -un)"'
        return _shell(f'ids=$({ours}) || exit; [ -z "$ids" ] || qdel $ids')

    def is_unreachable(self, text: str) -> bool:
        """See :meth:`Queue.is_unreachable`."""
        return bool(UNREACHABLE.search(text))

    def is_nowhere(self, text: str) -> bool:
        """See :meth:`Queue.is_nowhere`."""
        return bool(NOWHERE.search(text))

    def site_commands(self) -> Sequence[list[str]]:
        """See :meth:`Queue.site_commands`."""
        version = _shell("qstat --version 2>&1; exit 0")
        return (["qstat", "-Q", "-f"], ["pbsnodes", "-a"], ["qstat", "-B", "-f"], version)

    def read_site(self, texts: Sequence[str]) -> Site:
        """See :meth:`Queue.read_site`."""
        queues, nodes, server, version = texts
        if is_torque(version) is not self.torque and version.strip():
            told = "torque = true" if not self.torque else "torque = false"
            raise NotSetUp(
                f"this is {'PBS' if self.torque else 'Torque'} ({version.split()[-1]}): set `{told}` in [pbs]"
            )
        (facts, *_) = [*read_records(server).values(), {}]
        found = read_queues(queues, read_shapes(nodes), facts)
        return Site(partitions=found, part=self.part)

    def _entries(self, text: str) -> Iterator[Entry]:
        records = read_records(text)
        marks = {_base(name): mark for name, facts in records.items() if (mark := _mark(facts))}
        for name, facts in records.items():
            found = re.fullmatch(r"(\d+)(?:\[(\d*)\])?(\..+)?", name)
            if found is None or found[2] == "":
                continue  # an array as a whole is its jobs
            is_one_of_many = found[2] is not None
            yield self._entry(
                f"{found[1]}{'[]' if is_one_of_many else ''}{found[3] or ''}",
                int(found[2] or 0),
                facts,
                _mark(facts) or marks.get(_base(name), ""),
            )

    def _entry(self, job: str, index: int, facts: Mapping[str, str], mark: str) -> Entry:
        state, comment = facts.get("job_state", ""), facts.get("comment", "")
        stage = STAGES.get(state, Stage.OVER)
        waits, over = stage is Stage.WAITING, stage is Stage.OVER
        text = facts.get("Exit_status") or facts.get("exit_status") or ""
        code = int(text) if re.fullmatch(r"-?\d+", text) else None
        started_at = read_time(facts.get("stime") or facts.get("start_time", ""))
        stopped_at = None
        if over:
            ran = read_duration(facts.get("resources_used.walltime", ""))
            stopped_at = read_time(facts.get("obittime") or facts.get("comp_time", ""))
            if stopped_at is None and started_at is not None and ran is not None:
                stopped_at = started_at + ran
            stopped_at = stopped_at or read_time(facts.get("mtime", ""))
        words = ended(code, comment, torque=self.torque) if over else ""
        if over and code is None and started_at is not None:
            words = "ended; PBS doesn't say how"
        return Entry(
            job=job,
            index=index,
            mark=mark,
            stage=stage,
            words=waiting(state, comment, facts.get("Hold_Types", "")) if waits else words,
            is_hopeless=waits and comment.startswith(NEVER),
            started_at=None if waits else started_at,
            stopped_at=stopped_at,
            exit_code=code,
        )


def is_torque(version: str) -> bool:
    """Return whether ``qstat --version`` is Torque's, and not that of PBS."""
    return "pbs_version" not in version.lower() and bool(re.search(r"^\s*version:|torque", version, re.I | re.M))


def spell(time: timedelta) -> str:
    """Return a duration as PBS reads it."""
    minutes, seconds = divmod(max(1, int(time.total_seconds())), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def _job_of(job: str, index: int) -> str:
    return job.replace("[]", f"[{index}]", 1)


def _base(name: str) -> str:
    return re.sub(r"\[\d*\]", "[]", name)


def _mark(facts: Mapping[str, str]) -> str:
    found = re.search(rf"(?:^|,){MARK}=([^,\s]+)", facts.get("Variable_List", ""))
    return found[1] if found is not None else ""


def _shell(line: str) -> list[str]:
    return ["/bin/sh", "-c", line]


def _tolerant(command: str) -> str:
    codes = " ".join(f"[ $code -ne {code} ] &&" for code in ABSENT).removesuffix(" &&")
    return f"{{ {command}; code=$?; {{ {codes}; }} && exit $code; exit 0; }}"
