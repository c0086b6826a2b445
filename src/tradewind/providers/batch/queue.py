"""What a batch system is to us: commands to run, and texts to read. Pure."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import ClassVar

from tradewind.errors import ProviderError
from tradewind.providers.batch.directives import Own, undone, words_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is asked of a queue in one submission: ``count`` times the same, told apart by their index from 0."""

    name: str
    """The same for all jobs of a cluster, so that they can be ended by it."""
    mark: str
    """What tells our jobs from others' and one submission from another; everybody can read it."""
    commands: Sequence[str]
    """Lines of the shell, the last of which becomes the instance."""
    log: str
    """File for what is written before the instance has its own, without its index."""
    count: int
    cpus: int
    memory: int
    """Bytes."""
    gpus: int = 0
    queue: str | None = None
    """Partition, queue; None is the system's own choice."""
    walltime: timedelta | None = None
    """None is the queue's own default."""
    walltime_setting: str = "walltime"
    """What sets it."""
    waits: timedelta | None = None
    """How long it may wait in the queue unless somebody says that it may wait on; None is for ever."""
    after: tuple[str, int] | None = None
    """Job and index of what must have started before, or be gone."""


class Stage(Enum):
    """Where a job stands in the queue's own order of life."""

    WAITING = "waiting"
    READYING = "readying"
    """It has its nodes, which are made ready: billed."""
    RUNNING = "running"
    ENDING = "ending"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a job that ended took, by the queue's accounts. None: they don't say."""

    units: Decimal | None = None
    """Service units that an hour of it was charged."""
    cpus: int = 0
    """How many it had; 0 where that isn't known, as for ``memory``."""
    memory: int = 0
    """Bytes that it had."""
    ran: timedelta | None = None
    """How long it ran, without the times that it was suspended, which aren't charged; None: from start to end."""
    cpu_time: timedelta | None = None
    peak_memory: int | None = None
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One job, as a queue lists it."""

    job: str
    """Id of its submission."""
    index: int
    mark: str
    stage: Stage
    words: str = ""
    """Why it waits, or how it ended: the queue's reason in plain words."""
    is_hopeless: bool = False
    """Whether it waits for what will never be."""
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    ends_at: datetime | None = None
    """When the queue ends what runs."""
    exit_code: int | None = None
    account: Account | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Nodes of one kind in a partition."""

    cpus: int
    memory: int
    """Bytes."""
    gpus: Mapping[str, int] = field(default_factory=dict)
    """How many of each type; the type is empty where nobody named it."""
    count: int = 1
    idle_cpus: int = 0
    """Of all of them together, now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A part of the machine with its own limits; elsewhere called a queue."""

    name: str
    is_default: bool = False
    is_up: bool = True
    shapes: Sequence[Shape] = ()
    default_time: timedelta | None = None
    """None: the same as the longest."""
    longest_time: timedelta | None = None
    """None: no limit."""
    limited_by: str = ""
    """What sets ``longest_time``, where that isn't the partition itself: "QoS normal"."""
    per_cpu: Decimal = Decimal(1)
    """Service units of an hour of one core."""
    per_gib: Decimal = Decimal(0)
    per_gpu: Decimal = Decimal(0)
    takes_largest: bool = False
    """Whether only the dearest of cores, memory and GPUs counts, not their sum."""
    note: str = ""
    """How it charges, as it says itself."""
    makes_room: bool = False
    """Whether what runs there is ended when others need the place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What there is."""

    partitions: Sequence[Partition]
    part: str = "partition"
    """What the system calls a part of the machine: partition, queue."""
    ways: Mapping[str, str] = field(default_factory=dict)
    """How things are asked for there, where that differs from site to site; for the dialect alone."""


class Queue(ABC):
    """A batch system: builds its commands and reads its answers; runs nothing.

    A new system is a folder with one of these, a provider that makes it from its table of the settings, and a ``setup``
    that looks around.
    """

    name: ClassVar[str]
    programs: ClassVar[Sequence[str]]
    """Commands without which nothing works."""
    prints: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Variables for every command, so that it answers in a form that can be read."""
    part: ClassVar[str] = "partition"
    """What it calls a part of the machine; its plural is the key of the settings that names those to use."""
    index_in_shell: ClassVar[str]
    """What a job's shell makes its index of, counted from 0."""
    first_index: ClassVar[int] = 0
    """What the system itself calls the first of several."""
    waits_for_starts: ClassVar[bool] = True
    """Whether a job can wait for another's start; where it can't, ``Job.after`` is None."""
    tells_within: ClassVar[timedelta] = timedelta(0)
    """How late its accounts may be: what is listed no more and left no word isn't said to have ended before."""
    lists_within: ClassVar[timedelta] = timedelta(0)
    """How far its list may lag, from before a submission: what isn't listed until then may be listed yet."""
    own: ClassVar[Sequence[Own]] = ()
    """Options that submissions set themselves, and ``directives`` may not."""
    gone: ClassVar[re.Pattern[str]]
    """A line of what ends jobs, about one that has ended already, ends, or isn't known any more."""
    directives: tuple[str, ...]
    """A site's own options, which come after ours and win."""

    def words_of(self, directive: str) -> Sequence[str]:
        """Return what of a directive may name an option."""
        return words_of(directive)

    def undone(self) -> str:
        """Return a sentence on the first directive that would undo what jobs are found by; empty where none does."""
        directive, why = undone(self.directives, self.words_of, self.own)
        return f"the directive {directive!r} can't be set for {self.name}: {why}; leave it out" if directive else ""

    def log_of(self, log: str, index: int) -> str:
        """Return the file of ``Job.log`` that a job of this index writes."""
        return f"{log}-{index + self.first_index}"

    @abstractmethod
    def submit_command(self) -> list[str]:
        """Return the command that takes a script on its standard input."""

    @abstractmethod
    def script(self, job: Job, site: Site) -> str:
        """Return the script of a submission; it holds no secret. Raises Rejected for what can't be asked for."""

    @abstractmethod
    def read_submitted(self, text: str) -> str:
        """Return the id of what was submitted. Raises Unavailable where the answer makes no sense."""

    @abstractmethod
    def refusal(self, text: str, job: Job, site: Site) -> ProviderError:
        """Return what a refused submission means, in the queue's own words and with what to do instead."""

    @abstractmethod
    def list_command(self, user: str) -> list[str]:
        """Return the command that lists all jobs of ``user``, those that ended lately too."""

    @abstractmethod
    def read_list(self, text: str) -> Sequence[Entry]:
        """Return what it lists of ours."""

    @abstractmethod
    def recall_command(self, jobs: Sequence[str]) -> list[str] | None:
        """Return the command that tells of submissions long over; None where nothing remembers them."""

    @abstractmethod
    def read_recalled(self, text: str) -> Sequence[Entry]:
        """Return what it tells."""

    def explain_command(self, job: str) -> list[str] | None:
        """Return the command that tells why a hopeless job can't start; None where the list has told already."""
        return None

    def read_explained(self, text: str) -> str:
        """Return what it tells; empty where it says nothing."""
        return ""

    def account_command(self, jobs: Sequence[str]) -> list[str] | None:
        """Return the command that tells what submissions took that are over; None where nobody keeps accounts."""
        return None

    def read_accounts(self, text: str) -> Sequence[Entry]:
        """Return each job that the accounts know to be over, with its times and what it took."""
        return ()

    def standing_command(self, user: str) -> list[str] | None:
        """Return the command that tells what ``user`` may still spend, and with which priority; None: nothing does."""
        return None

    def read_standing(self, text: str) -> str:
        """Return what it tells, in words; empty where nothing is limited and nothing reckoned."""
        return ""

    @abstractmethod
    def end_command(self, jobs: Sequence[tuple[str, int]]) -> list[str]:
        """Return the command that ends these."""

    def kept(self, text: str) -> str:
        """Return what a command that ends jobs says against it; empty where it only says that they have ended."""
        lines = dict.fromkeys(line.strip() for line in text.splitlines())
        return "; ".join(line for line in lines if line and not self.gone.search(line))

    @abstractmethod
    def end_all_command(self, name: str, user: str) -> list[str]:
        """Return the command that ends every job of this name."""

    @abstractmethod
    def is_unreachable(self, text: str) -> bool:
        """Whether an error is not about what was asked, but says that nobody answered."""

    @abstractmethod
    def is_nowhere(self, text: str) -> bool:
        """Whether an error says that the commands know of no cluster: installed, and never set up."""

    def wait_on_commands(self, jobs: Sequence[str], until: timedelta) -> Sequence[list[str]]:
        """Return the commands that let waiting submissions wait for so long from now; none where nothing ends them."""
        return ()

    def forecast_command(self) -> list[str] | None:
        """Return the command that tells when a script on its standard input would start; None where nothing does."""
        return None

    def read_forecast(self, text: str) -> datetime | None:
        """Return what it tells; None where the system doesn't know."""
        return None

    @abstractmethod
    def site_commands(self) -> Sequence[list[str]]:
        """Return the commands that describe the machine."""

    def changes_seldom(self, command: Sequence[str]) -> bool:
        """Whether the answer to one of these holds for an hour: of accounts, say, which a database is slow to tell."""
        return False

    @abstractmethod
    def read_site(self, texts: Sequence[str]) -> Site:
        """Return what they say, in their order."""
