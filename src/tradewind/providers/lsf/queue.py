"""The commands of IBM Spectrum LSF, built and read: 10.1.0.9 and newer."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import ClassVar

from tradewind.errors import ProviderError, Unavailable
from tradewind.providers.batch.directives import COUNTED, FOUND, LOGGED, NAMED, ONCE, Own
from tradewind.providers.batch.queue import Entry, Job, Queue, Site, Stage
from tradewind.providers.lsf.reasons import NEVER, ended, waiting
from tradewind.providers.lsf.refusals import NOWHERE, UNREACHABLE, refusal
from tradewind.providers.lsf.site import read_hosts, read_queues

FIELDS = "jobid jobindex stat exit_code exit_reason start_time finish_time run_time job_description pend_reason"
MIB = 1024**2
STAGES = {
    "PEND": Stage.WAITING,
    "PSUSP": Stage.WAITING,
    "WAIT": Stage.WAITING,
    "FWD_PEND": Stage.WAITING,
    "PROV": Stage.READYING,
    "RUN": Stage.RUNNING,
    "USUSP": Stage.RUNNING,
    "SSUSP": Stage.RUNNING,
    "UNKWN": Stage.RUNNING,
    "ZOMBI": Stage.ENDING,
}
"""What isn't here is over; what its node is silent of still runs as far as anybody knows."""
TIMES = ("%b %d %H:%M:%S %Y", "%b %d %H:%M %Y")


@dataclass(frozen=True, slots=True, kw_only=True)
class LsfQueue(Queue):
    """Arrays count from 1, so index 0 is the first element."""

    project: str | None = None
    select: str | None = None
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()

    name: ClassVar[str] = "LSF"
    programs: ClassVar[Sequence[str]] = ("bsub", "bjobs", "bkill", "bqueues", "bhosts", "lshosts")
    # Its times have no zone; and where LSF is away or one's jobs are too many, commands would try again without end.
    prints: ClassVar[Mapping[str, str]] = MappingProxyType({"TZ": "UTC", "LC_ALL": "C", "LSB_NTRIES": "1"})
    part: ClassVar[str] = "queue"
    index_in_shell: ClassVar[str] = "$((LSB_JOBINDEX - 1))"
    first_index: ClassVar[int] = 1
    # Busy sites answer from a copy that is refreshed every 5 to 10 s (LSB_QUERY_PORT); and bsub may take its time.
    lists_within: ClassVar[timedelta] = timedelta(seconds=60)
    gone: ClassVar[re.Pattern[str]] = re.compile(
        r"No matching job found|already finished|is being terminated|will be terminated", re.IGNORECASE
    )
    own: ClassVar[Sequence[Own]] = (
        Own(pattern="-Jd", why=FOUND),
        Own(pattern="-J", why=f"{NAMED}, and {COUNTED}"),
        Own(pattern="-oo?($|[/.])", why=LOGGED),
        Own(pattern="-r$", why=ONCE),
    )

    def submit_command(self) -> list[str]:
        """See :meth:`Queue.submit_command`."""
        return ["bsub"]

    def script(self, job: Job, site: Site) -> str:
        """See :meth:`Queue.script`."""
        mib = -(-job.memory // MIB)
        options = [
            f'-J "{job.name}[1-{job.count}]"',
            f'-Jd "{job.mark}"',
            f"-o {job.log}-%I",
            f"-n {job.cpus}",
            '-R "span[hosts=1]"',
            # Whatever a site counts by: this is what the job has as a whole, in a unit that isn't the site's own.
            f'-R "rusage[mem={mib}MB/job]"',
            f"-M {mib}MB",
            # Of a job that ran the order is gone, so it never runs again.
            "-rn",
        ]
        if job.walltime is not None:
            options.append(f"-W {spell(job.walltime)}")
        if job.gpus:
            options.append(f'-gpu "num={job.gpus}"')
        if self.select is not None:
            options.append(f'-R "select[{self.select}]"')
        for option, value in (("q", job.queue), ("P", self.project)):
            if value is not None:
                options.append(f"-{option} {value}")
        if job.after is not None:
            # And what waits for a job that was taken back goes with it.
            options += [f'-w "started({job.after[0]}[{job.after[1] + 1}])"', "-ti"]
        shell = "#!/bin/bash -l" if self.prologue else "#!/bin/sh"
        lines = [f"#BSUB {option}" for option in (*options, *self.directives)]
        return "\n".join([shell, *lines, "", *self.prologue, *job.commands, ""])

    def read_submitted(self, text: str) -> str:
        """See :meth:`Queue.read_submitted`."""
        found = re.search(r"^Job <(\d+)> is submitted", text, re.MULTILINE)
        if found is None:
            raise Unavailable(f"bsub said {text.strip()[:200]!r}, in which no job id is")
        return found[1]

    def refusal(self, text: str, job: Job, site: Site) -> ProviderError:
        """See :meth:`Queue.refusal`."""
        return refusal(text, job, site, project=self.project)

    def list_command(self, user: str) -> list[str]:
        """See :meth:`Queue.list_command`."""
        # Its times have no year, so today's stands before them. That there is no job is no error.
        line = (
            f"date +%s; said=$(bjobs -a -json -o {shlex.quote(FIELDS)} 2>&1); code=$?; "
            'case $said in *"No "*"job found"*) exit 0;; esac; '
            '[ $code -eq 0 ] && printf "%s\\n" "$said" || { printf "%s\\n" "$said" >&2; exit $code; }'
        )
        return ["/bin/sh", "-c", line]

    def read_list(self, text: str) -> Sequence[Entry]:
        """See :meth:`Queue.read_list`."""
        first, _, rest = text.partition("\n")
        start = rest.find("{")
        if not first.strip().isdigit() or (start < 0 and rest.strip()):
            raise Unavailable(f"bjobs said {text.strip()[:200]!r}, which is no list")
        if start < 0:
            return []
        now = datetime.fromtimestamp(int(first), UTC)
        try:
            records = json.JSONDecoder(strict=False).raw_decode(rest, start)[0]["RECORDS"]
        except (ValueError, KeyError):
            raise Unavailable(f"bjobs said {rest[:200]!r}, which is no list") from None
        return [entry for record in records if (entry := _entry(record, now)) is not None]

    def recall_command(self, jobs: Sequence[str]) -> list[str] | None:
        """See :meth:`Queue.recall_command`."""
        return None  # the list has what ended in the last hour

    def read_recalled(self, text: str) -> Sequence[Entry]:
        """See :meth:`Queue.read_recalled`."""
        return []

    def end_command(self, jobs: Sequence[tuple[str, int]]) -> list[str]:
        """See :meth:`Queue.end_command`."""
        return ["bkill", *(f"{job}[{index + 1}]" for job, index in jobs)]

    def end_all_command(self, name: str, user: str) -> list[str]:
        """See :meth:`Queue.end_all_command`."""
        return ["bkill", "-J", name, "0"]

    def is_unreachable(self, text: str) -> bool:
        """See :meth:`Queue.is_unreachable`."""
        return bool(UNREACHABLE.search(text))

    def is_nowhere(self, text: str) -> bool:
        """See :meth:`Queue.is_nowhere`."""
        return bool(NOWHERE.search(text))

    def site_commands(self) -> Sequence[list[str]]:
        """See :meth:`Queue.site_commands`."""
        return (["bqueues", "-l"], ["bhosts", "-w"], ["lshosts", "-w"])

    def read_site(self, texts: Sequence[str]) -> Site:
        """See :meth:`Queue.read_site`."""
        queues, slots, sizes = texts
        return Site(partitions=read_queues(queues, read_hosts(slots, sizes)), part=self.part)


def spell(time: timedelta) -> str:
    """Return a duration as LSF reads it, to the next minute."""
    hours, minutes = divmod(max(1, -(-int(time.total_seconds()) // 60)), 60)
    return f"{hours}:{minutes:02}"


def read_time(text: str, now: datetime) -> datetime | None:
    """Return a time as bjobs writes it, ``Nov 24 01:00`` with marks behind; without a year the last before now."""
    said = re.match(r"([A-Z][a-z]{2}) +(\d+) (\d\d:\d\d(?::\d\d)?)(?: (\d{4}))?", text.strip())
    if said is None:
        return None
    words = f"{said[1]} {int(said[2]):02} {said[3]}"
    for year in [int(said[4])] if said[4] else [now.year, now.year - 1]:
        for form in TIMES:
            try:
                found = datetime.strptime(f"{words} {year}", form).replace(tzinfo=UTC)
            except ValueError:
                continue
            if said[4] or found <= now + timedelta(days=1):
                return found
    return None


def _entry(record: Mapping[str, str], now: datetime) -> Entry | None:
    job, index = record.get("JOBID", ""), record.get("JOBINDEX", "")
    # With LSB_BJOBS_DISPLAY_ENH the index stands in the id as well.
    job = job.partition("[")[0]
    if not job.isdigit() or not index.isdigit() or int(index) == 0:
        return None  # no array, so not ours
    state, reason = record.get("STAT", ""), record.get("PEND_REASON", "")
    stage = STAGES.get(state, Stage.OVER)
    waits, over = stage is Stage.WAITING, stage is Stage.OVER
    code = record.get("EXIT_CODE", "")
    started_at = None if waits else read_time(record.get("START_TIME", ""), now)
    stopped_at = read_time(record.get("FINISH_TIME", ""), now) if over else None
    ran = re.match(r"(\d+)", record.get("RUN_TIME", ""))
    if over and started_at is not None and ran is not None:
        # Its times have no seconds, and its durations have.
        stopped_at = started_at + timedelta(seconds=int(ran[1]))
    exit_code = int(code) if code.isdigit() else 0 if state == "DONE" else None
    told = ended(state, exit_code, record.get("EXIT_REASON", ""), ran=started_at is not None) if over else ""
    return Entry(
        job=job,
        index=int(index) - 1,
        mark=record.get("JOB_DESCRIPTION", ""),
        stage=stage,
        words=waiting(state, reason) if waits else told,
        is_hopeless=waits and bool(NEVER.search(reason)),
        started_at=started_at,
        stopped_at=stopped_at,
        exit_code=exit_code,
    )
