"""Slurm's commands, built and read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from tradewind.errors import ProviderError, Unavailable
from tradewind.providers.batch.directives import COUNTED, FOUND, LOGGED, NAMED, ONCE, Own
from tradewind.providers.batch.offers import awaited
from tradewind.providers.batch.queue import Entry, Job, Partition, Queue, Site, Stage
from tradewind.providers.slurm import accounts, limits
from tradewind.providers.slurm.reasons import ended, is_hopeless, waiting
from tradewind.providers.slurm.refusals import NOWHERE, UNREACHABLE, refusal
from tradewind.providers.slurm.site import read_partitions, read_shapes

LIST_FORMAT = "%i|%T|%S|%e|%r|%k"
RECALL_FORMAT = "JobID,State,ExitCode,Start,End,Comment"
MIB = 1024**2
STAGES = {
    "PENDING": Stage.WAITING,
    "REQUEUED": Stage.WAITING,
    "REQUEUE_HOLD": Stage.WAITING,
    "REQUEUE_FED": Stage.WAITING,
    "SPECIAL_EXIT": Stage.WAITING,
    "RESV_DEL_HOLD": Stage.WAITING,
    "CONFIGURING": Stage.READYING,
    "RUNNING": Stage.RUNNING,
    "RESIZING": Stage.RUNNING,
    "SIGNALING": Stage.RUNNING,
    "SUSPENDED": Stage.RUNNING,
    "STOPPED": Stage.RUNNING,
    "STAGE_OUT": Stage.ENDING,
    "COMPLETING": Stage.ENDING,
}
"""What isn't here is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmQueue(Queue):
    """Slurm 20.11 and newer."""

    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()

    name: ClassVar[str] = "Slurm"
    programs: ClassVar[Sequence[str]] = ("sbatch", "squeue", "scancel", "sinfo", "scontrol")
    """Without ``sacct`` less is known of what ended long ago."""
    # Times as seconds since 1970, since Slurm's own form has no zone; and no list of array indices cut short.
    prints: ClassVar[Mapping[str, str]] = {"SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}
    index_in_shell: ClassVar[str] = "${SLURM_ARRAY_TASK_ID}"
    gone: ClassVar[re.Pattern[str]] = re.compile(
        r"already completing or completed|Invalid job id specified|job termination signal", re.IGNORECASE
    )
    own: ClassVar[Sequence[Own]] = (
        # Slurm takes the beginning of a long option for the whole of it, and a value behind a short one.
        Own(pattern=r"--com\w*(=|$)", why=FOUND),
        Own(pattern=r"-J|--job?(-\w*)?(=|$)", why=NAMED),
        Own(pattern=r"-a|--arr\w*(=|$)", why=COUNTED),
        Own(pattern=r"-o|--out\w*(=|$)|--open-\w*(=|$)", why=LOGGED),
        Own(pattern=r"--requ\w*$", why=ONCE),
        Own(
            pattern=r"-M|--clusters?(=|$)",
            why="the list is of one cluster of Slurm, and what runs elsewhere isn't seen",
        ),
    )

    def submit_command(self) -> list[str]:
        """See :meth:`Queue.submit_command`."""
        return ["sbatch", "--parsable"]

    def script(self, job: Job, site: Site) -> str:
        """See :meth:`Queue.script`."""
        options = [
            f"--job-name={job.name}",
            f"--comment={job.mark}",
            f"--array=0-{job.count - 1}",
            f"--output={job.log}-%a",
            "--open-mode=append",
            "--nodes=1",
            "--ntasks=1",
            f"--cpus-per-task={job.cpus}",
            f"--mem={-(-job.memory // MIB)}M",
            # A job that ran and runs again would have no order any more: what is wanted still, is ordered anew.
            "--no-requeue",
        ]
        if job.walltime is not None:
            options.append(f"--time={spell(job.walltime)}")
        if job.waits is not None:
            # The dead man's handle of what waits: unless somebody moves it, Slurm drops what can't be over by then.
            options.append(f"--deadline=now+{_seconds(job.waits + (job.walltime or timedelta(0)))}seconds")
        if job.gpus:
            options.append(f"--gres=gpu:{job.gpus}")
        for option, value in (("partition", job.queue), ("account", self.account), ("qos", self.qos)):
            if value is not None:
                options.append(f"--{option}={value}")
        if self.constraint is not None:
            options.append(f"--constraint={self.constraint}")
        if job.after is not None:
            # Its element, not its array: an array that Slurm drops leaves who waits for it waiting for ever.
            options.append("--dependency=after:{}_{}".format(*job.after))
        lines = [f"#SBATCH {option}" for option in (*options, *self.directives)]
        shell = "#!/bin/bash -l" if self.prologue else "#!/bin/sh"
        return "\n".join([shell, *lines, "", *self.prologue, *job.commands, ""])

    def read_submitted(self, text: str) -> str:
        """See :meth:`Queue.read_submitted`."""
        # "1234", or "1234;cluster" where several are federated; a site's own words may stand on lines before.
        found = re.search(r"^(\d+)(?:;\S+)?\s*$", text, re.MULTILINE)
        if found is None:
            raise Unavailable(f"sbatch said {text.strip()[:200]!r}, in which no job id is")
        return found[1]

    def refusal(self, text: str, job: Job, site: Site) -> ProviderError:
        """See :meth:`Queue.refusal`."""
        return refusal(text, job, site, account=self.account, qos=self.qos)

    def list_command(self, user: str) -> list[str]:
        """See :meth:`Queue.list_command`."""
        return ["squeue", "--noheader", "--array", "--states=all", f"--user={user}", f"--format={LIST_FORMAT}"]

    def read_list(self, text: str) -> Sequence[Entry]:
        """See :meth:`Queue.read_list`."""
        return [entry for line in text.splitlines() for entry in _listed(line)]

    def recall_command(self, jobs: Sequence[str]) -> list[str] | None:
        """See :meth:`Queue.recall_command`."""
        ids = ",".join(jobs)
        return [
            "sacct",
            "--noheader",
            "--parsable2",
            "--allocations",
            f"--jobs={ids}",
            f"--format={RECALL_FORMAT}",
        ]

    def read_recalled(self, text: str) -> Sequence[Entry]:
        """See :meth:`Queue.read_recalled`."""
        return [entry for line in text.splitlines() for entry in _recalled(line)]

    def account_command(self, jobs: Sequence[str]) -> list[str] | None:
        """See :meth:`Queue.account_command`."""
        return accounts.command(jobs)

    def read_accounts(self, text: str) -> Sequence[Entry]:
        """See :meth:`Queue.read_accounts`."""
        return accounts.read_accounts(text)

    def standing_command(self, user: str) -> list[str] | None:
        """See :meth:`Queue.standing_command`."""
        return accounts.standing_command(user)

    def read_standing(self, text: str) -> str:
        """See :meth:`Queue.read_standing`."""
        return accounts.told(accounts.read_standings(text), self.account)

    def end_command(self, jobs: Sequence[tuple[str, int]]) -> list[str]:
        """See :meth:`Queue.end_command`."""
        return ["scancel", "--quiet", *(f"{job}_{index}" for job, index in jobs)]

    def end_all_command(self, name: str, user: str) -> list[str]:
        """See :meth:`Queue.end_all_command`."""
        return ["scancel", "--quiet", f"--name={name}", f"--user={user}"]

    def is_unreachable(self, text: str) -> bool:
        """See :meth:`Queue.is_unreachable`."""
        return bool(UNREACHABLE.search(text))

    def is_nowhere(self, text: str) -> bool:
        """See :meth:`Queue.is_nowhere`."""
        return bool(NOWHERE.search(text))

    def wait_on_commands(self, jobs: Sequence[str], until: timedelta) -> Sequence[list[str]]:
        """See :meth:`Queue.wait_on_commands`."""
        at = f"Deadline=now+{_seconds(until)}seconds"
        return [["scontrol", "update", f"JobId={','.join(jobs)}", at]] if jobs else []

    def forecast_command(self) -> list[str] | None:
        """See :meth:`Queue.forecast_command`."""
        return ["sbatch", "--test-only"]

    def read_forecast(self, text: str) -> datetime | None:
        """See :meth:`Queue.read_forecast`."""
        found = re.search(r"to start at (\d+) ", text)
        return _time(found[1]) if found is not None else None

    def site_commands(self) -> Sequence[list[str]]:
        """See :meth:`Queue.site_commands`."""
        return (
            ["scontrol", "--oneliner", "show", "partition"],
            ["sinfo", "--noheader", "--exact", "--format=%R|%D|%c|%m|%G|%C|%T"],
            ["scontrol", "show", "config"],
            [*limits.COMMAND],
        )

    def changes_seldom(self, command: Sequence[str]) -> bool:
        """See :meth:`Queue.changes_seldom`."""
        return tuple(command) == limits.COMMAND

    def read_site(self, texts: Sequence[str]) -> Site:
        """See :meth:`Queue.read_site`."""
        partitions, nodes, config, allowed = texts
        takes_largest = bool(re.search(r"^PriorityFlags\s*=.*MAX_TRES", config, re.MULTILINE))
        shapes = read_shapes(nodes)
        found: list[Partition] = read_partitions(partitions, shapes, takes_largest=takes_largest)
        found = limits.limited(
            found,
            limits.read_limits(allowed),
            cluster=limits.read_cluster(config),
            own_qos=limits.read_own_qos(partitions),
            account=self.account,
            qos=self.qos,
        )
        return Site(partitions=found)


def spell(time: timedelta) -> str:
    """Return a duration as Slurm reads it, to the next minute: what is shorter is no time to Slurm."""
    minutes = max(1, -(-_seconds(time) // 60))
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    return f"{days}-{hours:02}:{minutes:02}:00"


def _seconds(time: timedelta) -> int:
    return int(time.total_seconds())


def _listed(line: str) -> Iterator[Entry]:
    # The mark comes last: it alone could hold a bar.
    parts = line.strip().split("|", 5)
    if len(parts) != 6:
        return
    where, state, started, stopped, reason, mark = parts
    stage = STAGES.get(state, Stage.OVER)
    waits = stage is Stage.WAITING
    hopeless = waits and is_hopeless(reason)
    # Of what waits, Slurm shows when it is expected to start.
    why = awaited(waiting(reason), None if hopeless else _time(started), "Slurm") if waits else ""
    for job, index in _ids(where):
        yield Entry(
            job=job,
            index=index,
            mark=mark,
            stage=stage,
            words=ended(state, reason) if stage is Stage.OVER else why,
            is_hopeless=hopeless,
            started_at=None if waits else _time(started),
            stopped_at=_time(stopped) if stage is Stage.OVER else None,
            ends_at=_time(stopped) if stage is Stage.RUNNING else None,
        )


def _recalled(line: str) -> Iterator[Entry]:
    parts = line.strip().split("|", 5)
    if len(parts) != 6:
        return
    where, state, code, started, stopped, mark = parts
    word = state.split()[0] if state else ""
    stage = STAGES.get(word, Stage.OVER)
    exit_code = code.partition(":")[0]
    for job, index in _ids(where):
        yield Entry(
            job=job,
            index=index,
            mark=mark,
            stage=stage,
            words=ended(word, "") if stage is Stage.OVER else "",
            started_at=_time(started),
            stopped_at=_time(stopped) if stage is Stage.OVER else None,
            exit_code=int(exit_code) if exit_code.isdigit() else None,
        )


def _ids(text: str) -> Iterator[tuple[str, int]]:
    """Return job and index of each that an id names: ``12_3``, or ``12_[0-3,7%2]``, as what never ran is listed."""
    found = re.fullmatch(r"(\d+)_(?:(\d+)|\[([\d,-]+)(?:%\d+)?\])", text)
    if found is None:
        return
    for part in (found[2] or found[3]).split(","):
        first, _, last = part.partition("-")
        yield from ((found[1], index) for index in range(int(first), int(last or first) + 1))


def _time(text: str) -> datetime | None:
    # Seconds since 1970, as SLURM_TIME_FORMAT asks; "N/A", "Unknown" or "None" where there is none.
    return datetime.fromtimestamp(int(text), UTC) if text.isdigit() and int(text) else None
