"""The commands of HTCondor, built and read: 9.0 and newer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from tradewind.errors import ProviderError, Unavailable
from tradewind.providers.batch.directives import COUNTED, FOUND, LOGGED, NAMED, ONCE, Own
from tradewind.providers.batch.queue import Entry, Job, Partition, Queue, Shape, Site, Stage
from tradewind.providers.htcondor.words import ASKED, NOWHERE, UNREACHABLE, ended, refusal, waiting

MARK, UNTIL = "TradewindMark", "TradewindUntil"
"""Attributes of our jobs: whose it is, and until when it may wait."""
ATTRIBUTES = ",".join(
    [
        *("ClusterId", "ProcId", "JobStatus", MARK, "JobStartDate", "JobCurrentStartDate", "CompletionDate"),
        *("EnteredCurrentStatus", "ExitCode", "ExitBySignal", "ExitSignal", "NumJobStarts", "HoldReason"),
        *("HoldReasonCode", "RemoveReason", "LastRejMatchReason"),
    ]
)
SLOT_ATTRIBUTES = ",".join(
    [
        *("Machine", "FileSystemDomain", "PartitionableSlot", "State", "Cpus", "Memory", "GPUs"),
        *("TotalSlotCpus", "TotalSlotMemory", "TotalSlotGPUs"),
    ]
)
MIB = 1024**2
POOL = "pool"
SCANNED = 20_000
"""Ended jobs that are looked through for ours, the last first: a history may be of years."""
STAGES = {1: Stage.WAITING, 2: Stage.RUNNING, 3: Stage.ENDING, 4: Stage.OVER, 6: Stage.ENDING, 7: Stage.RUNNING}
HELD = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HtcondorQueue(Queue):
    """A submission is one of HTCondor's clusters; the index is its process."""

    accounting_group: str | None = None
    requirements: str | None = None
    disk: int | None = None
    """Bytes."""
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()

    name: ClassVar[str] = "HTCondor"
    programs: ClassVar[Sequence[str]] = ("condor_submit", "condor_q", "condor_rm", "condor_status", "condor_history")
    part: ClassVar[str] = POOL
    index_in_shell: ClassVar[str] = "${TW_INDEX}"
    waits_for_starts: ClassVar[bool] = False
    tells_within: ClassVar[timedelta] = timedelta(seconds=30)
    gone: ClassVar[re.Pattern[str]] = re.compile(
        r"not found$|marked for removal|already|^Couldn't find/remove all jobs", re.IGNORECASE
    )
    own: ClassVar[Sequence[Own]] = (
        Own(pattern="my.tradewind", why=FOUND),
        Own(pattern="my.jobbatchname$|batch_name$", why=NAMED),
        Own(pattern="queue\\b", why=COUNTED),
        Own(pattern="output$|error$", why=LOGGED),
        Own(pattern="environment$|env$", why="a job's index is among its variables; write yours in `prologue`"),
        Own(
            pattern="executable$|arguments$", why="it is what starts the instance; write what goes before in `prologue`"
        ),
        Own(pattern="periodic_remove$", why=f"what nobody waits for is dropped by it, and {ONCE}"),
    )

    def words_of(self, directive: str) -> Sequence[str]:
        """See :meth:`Queue.words_of`: a line sets one attribute, whose name has no capitals of its own."""
        name = directive.partition("=")[0].strip().lower()
        return [f"my.{name[1:]}" if name.startswith("+") else name]

    def submit_command(self) -> list[str]:
        """See :meth:`Queue.submit_command`."""
        return ["condor_submit", "-terse", "-"]

    def script(self, job: Job, site: Site) -> str:
        """See :meth:`Queue.script`."""
        line = "; ".join(job.commands)
        if self.prologue:
            line = f"eval {spelled_out(chr(10).join((*self.prologue, *job.commands)))}"
        facts: dict[str, object] = {
            "universe": "vanilla",
            "executable": "/bin/bash" if self.prologue else "/bin/sh",
            "transfer_executable": "false",
            "arguments": quoted("-lc" if self.prologue else "-c", line),
            "environment": '"TW_INDEX=$(ProcId)"',
            "getenv": "false",
            # Files are seen where they are; the pool's own requirement then leaves out nodes that don't see them.
            "should_transfer_files": "NO",
            "output": f"{job.log}-$(ProcId)",
            "error": f"{job.log}-$(ProcId)",
            "request_cpus": job.cpus,
            "request_memory": f"{-(-job.memory // MIB)}M",
            "notification": "never",
            "MY.JobBatchName": f'"{job.name}"',
            f"MY.{MARK}": f'"{job.mark}"',
            "periodic_remove": self._removal(job),
        }
        for key, value in (
            ("request_gpus", job.gpus or None),
            ("request_disk", f"{-(-self.disk // MIB)}M" if self.disk else None),
            ("accounting_group", self.accounting_group),
            ("requirements", self.requirements),
        ):
            if value is not None:
                facts[key] = value
        lines = [f"{key} = {value}" for key, value in facts.items()]
        return "\n".join([*lines, *self.directives, f"queue {job.count}", ""])

    def _removal(self, job: Job) -> str:
        rules = [
            # Of a job that ran the order is gone, so it never runs again: not when it lost its slot, nor when it was
            # stopped for what it took.
            "(JobStatus == 1 && NumJobStarts > 0)",
            f"(JobStatus == {HELD} && NumJobStarts > 0 && HoldReasonCode =!= {ASKED})",
        ]
        if job.walltime is not None:
            rules.append(f"(JobStatus == 2 && time() - EnteredCurrentStatus > {_seconds(job.walltime)})")
        if job.waits is not None:
            # The dead man's handle of what waits: somebody moves the moment on, or it is dropped.
            until = f"ifThenElse(isUndefined({UNTIL}), QDate + {_seconds(job.waits)}, {UNTIL})"
            rules.append(f"(JobStatus == 1 && time() > {until})")
        return " || ".join(rules)

    def read_submitted(self, text: str) -> str:
        """See :meth:`Queue.read_submitted`."""
        found = re.search(r"^(\d+)\.\d+(?: - \1\.\d+)?\s*$", text, re.MULTILINE)
        if found is None:
            raise Unavailable(f"condor_submit said {text.strip()[:200]!r}, in which no job id is")
        return found[1]

    def refusal(self, text: str, job: Job, site: Site) -> ProviderError:
        """See :meth:`Queue.refusal`."""
        return refusal(text, job)

    def list_command(self, user: str) -> list[str]:
        """See :meth:`Queue.list_command`."""
        return ["condor_q", "-json", "-attributes", ATTRIBUTES, "-constraint", f"{MARK} =!= undefined"]

    def read_list(self, text: str) -> Sequence[Entry]:
        """See :meth:`Queue.read_list`."""
        return [entry for record in read_ads(text) if (entry := _entry(record, is_history=False)) is not None]

    def recall_command(self, jobs: Sequence[str]) -> list[str] | None:
        """See :meth:`Queue.recall_command`."""
        return ["condor_history", "-json", "-attributes", ATTRIBUTES, "-scanlimit", str(SCANNED), *jobs]

    def read_recalled(self, text: str) -> Sequence[Entry]:
        """See :meth:`Queue.read_recalled`."""
        return [entry for record in read_ads(text) if (entry := _entry(record, is_history=True)) is not None]

    def end_command(self, jobs: Sequence[tuple[str, int]]) -> list[str]:
        """See :meth:`Queue.end_command`."""
        return ["condor_rm", *(f"{job}.{index}" for job, index in jobs)]

    def end_all_command(self, name: str, user: str) -> list[str]:
        """See :meth:`Queue.end_all_command`."""
        return ["condor_rm", "-constraint", f'JobBatchName == "{name}"']

    def is_unreachable(self, text: str) -> bool:
        """See :meth:`Queue.is_unreachable`."""
        return bool(UNREACHABLE.search(text))

    def is_nowhere(self, text: str) -> bool:
        """See :meth:`Queue.is_nowhere`."""
        return bool(NOWHERE.search(text))

    def wait_on_commands(self, jobs: Sequence[str], until: timedelta) -> Sequence[list[str]]:
        """See :meth:`Queue.wait_on_commands`."""
        # A moment, and no expression: one with time() in it would be worked out anew whenever somebody looks.
        line = f'at=$(( $(date +%s) + {_seconds(until)} )); for job in "$@"; do condor_qedit "$job" {UNTIL} $at; done'
        return [["/bin/sh", "-c", line, "sh", *jobs]] if jobs else []

    def site_commands(self) -> Sequence[list[str]]:
        """See :meth:`Queue.site_commands`."""
        slots = ["condor_status", "-json", "-attributes", SLOT_ATTRIBUTES, "-constraint", 'SlotType =!= "Dynamic"']
        return (slots, ["/bin/sh", "-c", "condor_config_val FILESYSTEM_DOMAIN; exit 0"])

    def read_site(self, texts: Sequence[str]) -> Site:
        """See :meth:`Queue.read_site`."""
        slots, domain = texts
        ours = domain.strip().lower()
        kinds: list[Shape] = []
        for slot in read_ads(slots):
            if ours and str(slot.get("FileSystemDomain", ours)).lower() != ours:
                continue  # it doesn't see our files
            _add(kinds, _shape(slot))
        shapes = tuple(kind for kind in kinds if kind.cpus and kind.memory)
        return Site(partitions=[Partition(name=POOL, is_default=True, shapes=shapes)], part=self.part)


def quoted(*arguments: str) -> str:
    """Return arguments as a submit description has them: in double quotes, each in single ones, and both doubled."""
    each = ("'{}'".format(one.replace("'", "''").replace('"', '""')) for one in arguments)
    return f'"{" ".join(each)}"'


def spelled_out(text: str) -> str:
    """Return lines of the shell as one word of bash, on one line and without a dollar.

    A value of a submit description ends with its line, and ``$(`` in it is HTCondor's own.
    """
    special = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t", "'": r"\047", '"': r"\042", "$": r"\044"}
    return "$'{}'".format("".join(special.get(one, one) for one in text))


def read_ads(text: str) -> list[Mapping[str, Any]]:
    """Return what ``-json`` lists; nothing at all is printed where there is nothing. Raises Unavailable otherwise."""
    if not text.strip():
        return []
    try:
        found = json.JSONDecoder(strict=False).raw_decode(text, text.index("["))[0]
    except ValueError:  # or no list at all
        raise Unavailable(f"HTCondor said {text.strip()[:200]!r}, which is no list") from None
    return [one for one in found if isinstance(one, Mapping)]


def _shape(slot: Mapping[str, Any]) -> Shape:
    is_partitionable = slot.get("PartitionableSlot") is True
    cpus = int(slot.get("TotalSlotCpus") or slot.get("Cpus") or 0)
    gpus = int(slot.get("TotalSlotGPUs") or slot.get("GPUs") or 0)
    free = int(slot.get("Cpus") or 0) if is_partitionable or slot.get("State") == "Unclaimed" else 0
    memory = int(slot.get("TotalSlotMemory") or slot.get("Memory") or 0) * MIB
    return Shape(cpus=cpus, memory=memory, gpus={"": gpus} if gpus else {}, idle_cpus=free)


def _add(shapes: list[Shape], one: Shape) -> None:
    """Add a slot to those of the same kind; of the same kind is what differs by less than a hundredth of memory."""
    for place, other in enumerate(shapes):
        near = abs(other.memory - one.memory) * 100 < other.memory
        if (other.cpus, other.gpus) == (one.cpus, one.gpus) and near:
            count, idle = other.count + 1, other.idle_cpus + one.idle_cpus
            shapes[place] = replace(other, memory=min(other.memory, one.memory), count=count, idle_cpus=idle)
            return
    shapes.append(one)


def _entry(record: Mapping[str, Any], *, is_history: bool) -> Entry | None:
    job, index, state = record.get("ClusterId"), record.get("ProcId"), record.get("JobStatus")
    if not isinstance(job, int) or not isinstance(index, int):
        return None
    ran = bool(record.get("NumJobStarts")) or record.get("JobStartDate") is not None
    stage = Stage.OVER if is_history else STAGES.get(state if isinstance(state, int) else 0, Stage.WAITING)
    if state == HELD and not is_history:
        # What ran and is held will be taken away by its own rule; what never ran waits.
        is_kept = not ran or record.get("HoldReasonCode") == ASKED
        stage = Stage.WAITING if is_kept else Stage.ENDING
    waits, over = stage is Stage.WAITING, stage is Stage.OVER
    code = record.get("ExitCode")
    stopped_at = _time(record.get("CompletionDate")) or _time(record.get("EnteredCurrentStatus"))
    return Entry(
        job=str(job),
        index=index,
        mark=str(record.get(MARK, "")),
        stage=stage,
        words=waiting(record) if waits else ended(record, ran=ran) if over else "",
        is_hopeless=waits and state == HELD and record.get("HoldReasonCode") != ASKED,
        started_at=None if waits else _time(record.get("JobCurrentStartDate") or record.get("JobStartDate")),
        stopped_at=stopped_at if over else None,
        exit_code=code if isinstance(code, int) and over else None,
    )


def _time(value: object) -> datetime | None:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) and value > 0 else None


def _seconds(time: timedelta) -> int:
    return int(time.total_seconds())
