"""Grid Engine's commands, built and read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from xml.etree import ElementTree

from tradewind.errors import ProviderError, Rejected, Unavailable
from tradewind.providers.batch.directives import COUNTED, FOUND, LOGGED, ONCE, Own
from tradewind.providers.batch.ledger import is_over
from tradewind.providers.batch.queue import Entry, Job, Queue, Site, Stage
from tradewind.providers.sge.accounts import FIRST, MARK, mark_in, read_moment, recalled
from tradewind.providers.sge.reasons import reason, waiting
from tradewind.providers.sge.refusals import NOWHERE, UNREACHABLE, refusal
from tradewind.providers.sge.site import (
    Resource,
    gpu_of,
    memory_of,
    read_capacities,
    read_environments,
    read_partitions,
    read_queues,
    read_resources,
)

MIB = 1024**2
ADDRESS_SPACE = frozenset({"h_vmem", "s_vmem"})
SPARE = 2 * 1024**3
"""Bytes of address space that Python and its threads take and never use."""
NOW = datetime(1970, 1, 1, tzinfo=UTC)
"""Of what would start at once: Grid Engine says that it would, and no time."""
SAMPLE = 100
"""Hosts that are asked what they have of what is counted: others of the same size have the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SgeQueue(Queue):
    """Grid Engine 8.1 (Son of Grid Engine), and what is near to it."""

    project: str | None = None
    parallel_environment: str | None = None
    memory_resource: str | None = None
    gpu_resource: str | None = None
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()

    name: ClassVar[str] = "Grid Engine"
    programs: ClassVar[Sequence[str]] = ("qsub", "qstat", "qdel", "qhost", "qconf")
    """Without ``qacct`` less is known of what has ended."""
    # Its times have no zone, and its lines are broken at 80 letters.
    prints: ClassVar[Mapping[str, str]] = {"TZ": "UTC", "SGE_SINGLE_LINE": "1", "SGE_LONG_QNAMES": "-1"}
    part: ClassVar[str] = "queue"
    index_in_shell: ClassVar[str] = "$((SGE_TASK_ID - 1))"
    first_index: ClassVar[int] = FIRST
    waits_for_starts: ClassVar[bool] = False  # it knows waiting for an end alone
    tells_within: ClassVar[timedelta] = timedelta(seconds=25)  # accounts are written every 15 s, unless a site says
    gone: ClassVar[re.Pattern[str]] = re.compile(
        r"does not exist|already in deletion|has registered the job|has deleted job", re.IGNORECASE
    )
    own: ClassVar[Sequence[Own]] = (
        Own(pattern="-N$", why=f"{FOUND}, and ended by it"),
        Own(pattern="-t$", why=COUNTED),
        Own(pattern="-o$", why=LOGGED),
        Own(pattern="-r y", why=ONCE),
    )

    def submit_command(self) -> list[str]:
        """See :meth:`Queue.submit_command`."""
        return ["qsub"]

    def script(self, job: Job, site: Site) -> str:
        """See :meth:`Queue.script`."""
        options = [
            f"-N {job.name}{MARK}{job.mark.replace(':', MARK)}" if job.mark else f"-N {job.name}",
            f"-t 1-{job.count}",
            f"-o {job.log}-$TASK_ID" if job.mark else f"-o {job.log}",
            "-j y",
            "-m n",
            "-terse",
            # What no queue could ever start would wait in silence for ever.
            "-w e",
            # A warning (SIGUSR2) before the kill, so that it can say how it ended and leave nothing behind.
            "-notify",
            # A job that ran and runs again would have no order any more: what is wanted still, is ordered anew.
            "-r n",
            "-S /bin/bash" if self.prologue else "-S /bin/sh",
        ]
        if job.queue is not None:
            options.append(f"-q {job.queue}")
        environment = self.parallel_environment or site.ways.get(f"environment of {job.queue}")
        if job.cpus > 1 and environment is not None:
            options.append(f"-pe {environment} {job.cpus}")
        if self.project is not None:
            options.append(f"-P {self.project}")
        wishes = [*self._memory(job, site), *self._gpus(job, site)]
        if job.walltime is not None:
            wishes.append(f"h_rt={_seconds(job.walltime)}")
        if wishes:
            options.append(f"-l {','.join(wishes)}")
        lines = [f"#$ {option}" for option in (*options, *self.directives)]
        shell = "#!/bin/bash -l" if self.prologue else "#!/bin/sh"
        return "\n".join([shell, *lines, "", *self.prologue, *job.commands, ""])

    def _memory(self, job: Job, site: Site) -> Iterator[str]:
        name = self.memory_resource or site.ways.get("memory")
        if name is None:
            return
        size = job.memory + (SPARE if name in ADDRESS_SPACE else 0)
        slots = job.cpus if site.ways.get("memory is per slot") == "yes" else 1
        yield f"{name}={-(-size // (MIB * slots))}M"

    def _gpus(self, job: Job, site: Site) -> Iterator[str]:
        name = self.gpu_resource or site.ways.get("gpu")
        if not job.gpus or name is None:
            return
        slots = job.cpus if site.ways.get("gpu is per slot") == "yes" else 1
        if job.gpus % slots:
            raise Rejected(
                f"{name} counts GPUs for each slot here, so {job.cpus} cores with {job.gpus} GPUs can't be asked for: "
                "set worker_cpu to the number of GPUs"
            )
        yield f"{name}={job.gpus // slots}"

    def read_submitted(self, text: str) -> str:
        """See :meth:`Queue.read_submitted`."""
        # "12.1-64:1"; a site's own words may stand on lines before.
        found = re.search(r"^(\d+)(?:\.\S+)?\s*$", text, re.MULTILINE)
        if found is None:
            raise Unavailable(f"qsub said {text.strip()[:200]!r}, in which no job id is")
        return found[1]

    def refusal(self, text: str, job: Job, site: Site) -> ProviderError:
        """See :meth:`Queue.refusal`."""
        return refusal(text, job, site, project=self.project)

    def list_command(self, user: str) -> list[str]:
        """See :meth:`Queue.list_command`; ``$user`` is Grid Engine's own word for whoever asks."""
        # All states are named: a user's own defaults may leave some out, and what isn't listed is taken to be gone.
        return ["qstat", "-u", "$user", "-s", "prs", "-xml"]

    def read_list(self, text: str) -> Sequence[Entry]:
        """See :meth:`Queue.read_list`."""
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise Unavailable(f"qstat said {text.strip()[:200]!r}, which can't be read: {error}") from None
        return [entry for element in root.iter("job_list") for entry in _listed(element)]

    def recall_command(self, jobs: Sequence[str]) -> list[str] | None:
        """See :meth:`Queue.recall_command`."""
        # One job a call is all that qacct knows, and one that it doesn't know is an error.
        return ["sh", "-c", 'for job in "$@"; do qacct -j "$job"; done 2>/dev/null; true', "qacct", *jobs]

    def read_recalled(self, text: str) -> Sequence[Entry]:
        """See :meth:`Queue.read_recalled`."""
        return [entry for block in re.split(r"^=+\s*$", text, flags=re.MULTILINE) for entry in recalled(block)]

    def account_command(self, jobs: Sequence[str]) -> list[str] | None:
        """See :meth:`Queue.account_command`."""
        return self.recall_command(jobs)

    def read_accounts(self, text: str) -> Sequence[Entry]:
        """See :meth:`Queue.read_accounts`."""
        return [entry for entry in self.read_recalled(text) if is_over(entry)]

    def explain_command(self, job: str) -> list[str] | None:
        """See :meth:`Queue.explain_command`."""
        return ["qstat", "-j", job]

    def read_explained(self, text: str) -> str:
        """See :meth:`Queue.read_explained`."""
        return reason(text)

    def end_command(self, jobs: Sequence[tuple[str, int]]) -> list[str]:
        """See :meth:`Queue.end_command`."""
        return ["qdel", *(f"{job}.{index + self.first_index}" for job, index in jobs)]

    def end_all_command(self, name: str, user: str) -> list[str]:
        """See :meth:`Queue.end_all_command`."""
        # A manager's qdel takes others' jobs too, if nobody says whose.
        return ["sh", "-c", f'qdel -u "$(id -un)" {shlex.quote(name + MARK + "*")}']

    def is_unreachable(self, text: str) -> bool:
        """See :meth:`Queue.is_unreachable`."""
        return bool(UNREACHABLE.search(text))

    def is_nowhere(self, text: str) -> bool:
        """See :meth:`Queue.is_nowhere`."""
        return bool(NOWHERE.search(text))

    def forecast_command(self) -> list[str] | None:
        """See :meth:`Queue.forecast_command`."""
        # Whether it could ever start, and then whether it could now.
        both = 'job=$(cat); printf "%s\\n" "$job" | qsub -w v || exit; printf "%s\\n" "$job" | qsub -w p 2>&1; true'
        return ["sh", "-c", both]

    def read_forecast(self, text: str) -> datetime | None:
        """See :meth:`Queue.read_forecast`."""
        return NOW if text.count("found suitable queue") == 2 else None

    def site_commands(self) -> Sequence[list[str]]:
        """See :meth:`Queue.site_commands`."""
        hosts = f"qconf -sobjl exechost complex_values '*=*' | head -n {SAMPLE}"
        return (
            ["qconf", "-sc"],
            ["qconf", "-sq", "*"],
            ["sh", "-c", 'for one in $(qconf -spl); do qconf -sp "$one"; done'],
            ["sh", "-c", f'for one in $({hosts}); do qconf -se "$one"; done 2>/dev/null; true'],
            ["qhost", "-F", "-q", "-xml"],
        )

    def read_site(self, texts: Sequence[str]) -> Site:
        """See :meth:`Queue.read_site`."""
        resources, queues, environments, capacities, hosts = texts
        known = read_resources(resources)
        memory = known.get(self.memory_resource) if self.memory_resource is not None else memory_of(known)
        gpu = known.get(self.gpu_resource) if self.gpu_resource is not None else gpu_of(known)
        together = read_environments(environments)
        if self.parallel_environment is not None:
            together = (self.parallel_environment,)
        facts = read_queues(queues)
        partitions = read_partitions(
            hosts,
            facts,
            read_capacities(capacities),
            memory=memory.name if memory is not None else None,
            gpu=gpu.name if gpu is not None else None,
            environments=together,
        )
        ways = {**_way("memory", memory), **_way("gpu", gpu)}
        for queue in facts:
            usable = [name for name in queue.environments if name in together]
            if usable:
                ways[f"environment of {queue.name}"] = usable[0]
        return Site(partitions=partitions, part=self.part, ways=ways)


def _way(what: str, resource: Resource | None) -> dict[str, str]:
    if resource is None:
        return {}
    return {what: resource.name, f"{what} is per slot": "yes" if resource.is_per_slot else "no"}


def _seconds(time: timedelta) -> int:
    return int(time.total_seconds())


def _listed(element: ElementTree.Element) -> Iterator[Entry]:
    facts = {child.tag: (child.text or "").strip() for child in element}
    state = facts.get("state", "")
    stage = _stage(state)
    waits = stage is Stage.WAITING
    words = waiting(state) if waits else "it is suspended" if set(state) & set("sST") else ""
    for index in _indices(facts.get("tasks", "")):
        yield Entry(
            job=facts.get("JB_job_number", ""),
            index=index,
            mark=mark_in(facts.get("JB_name", "")),
            stage=stage,
            words=words,
            is_hopeless=waits and "E" in state,
            started_at=None if waits else read_moment(facts.get("JAT_start_time", "")),
        )


def _stage(state: str) -> Stage:
    if "z" in state:
        return Stage.OVER
    if "q" in state or "w" in state:
        return Stage.WAITING
    if "d" in state:
        return Stage.ENDING
    return Stage.READYING if "t" in state else Stage.RUNNING


def _indices(text: str) -> Iterator[int]:
    """Return the index of each task that ``4-9:1``, ``1,2`` or ``3`` names; none for what is no array, so not ours."""
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part.strip())
        if found is not None:
            first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
            yield from (task - FIRST for task in range(first, last + 1, step))
