"""A cluster: what was asked for, what is wanted now, and what is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from tradewind.model.environment import Environment, PackageChoice
from tradewind.model.instance import Contact
from tradewind.model.money import Money
from tradewind.model.offer import SpotPolicy
from tradewind.model.resources import Need


class ClusterStatus(StrEnum):
    """pending → starting → running → stopping → stopped. A failure is a :class:`StopReason`, not a status."""

    PENDING = "pending"
    """A row exists, nothing was launched."""
    STARTING = "starting"
    """Its scheduler was ordered and doesn't answer yet."""
    RUNNING = "running"
    """Its scheduler answers."""
    STOPPING = "stopping"
    """It is being taken down; billed until everything is gone."""
    STOPPED = "stopped"

    @property
    def is_live(self) -> bool:
        """Whether anything of it may still exist."""
        return self is not ClusterStatus.STOPPED

    @property
    def rank(self) -> int:
        """Position in the order of life, from 0."""
        return list(ClusterStatus).index(self)


class StopReason(StrEnum):
    """Why a cluster ended."""

    ASKED = "asked"
    IDLE = "idle"
    NO_CLIENT = "no_client"
    BUDGET = "budget"
    EXPIRED = "expired"
    START_TIMEOUT = "start_timeout"
    NO_CAPACITY = "no_capacity"
    REJECTED = "rejected"
    LOST = "lost"
    ERROR = "error"

    @property
    def is_failure(self) -> bool:
        """Whether the user would call it one."""
        return self in {
            StopReason.START_TIMEOUT,
            StopReason.NO_CAPACITY,
            StopReason.REJECTED,
            StopReason.LOST,
            StopReason.ERROR,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How many workers: a fixed number, or adaptive between two."""

    minimum: int
    initial: int
    maximum: int
    target_duration: timedelta = timedelta(minutes=3)
    """Adaptive asks for as many workers as finish the known work in about this time."""
    wait_count: int = 24
    interval: timedelta = timedelta(seconds=5)
    """A surplus must last ``wait_count * interval`` before workers are let go."""

    @property
    def is_adaptive(self) -> bool:
        """Whether the number follows the work."""
        return self.minimum != self.maximum

    @classmethod
    def fixed(cls, n: int) -> Scaling:
        """Return the scaling of exactly ``n`` workers."""
        return cls(minimum=n, initial=n, maximum=n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """When a cluster ends by itself; None switches a limit off."""

    idle: timedelta | None = timedelta(minutes=20)
    """No task for this long. Said at half when a connected client still holds results."""
    no_client: timedelta | None = timedelta(minutes=2)
    """Nobody connected for this long, counted from when somebody first was, or from when it ran."""
    total: timedelta | None = None
    """Age, from its creation (Coiled's ``cluster_timeout``)."""
    orphan: timedelta = timedelta(minutes=10)
    """Nobody has pulled its status page for this long: it ends without any help."""
    start: timedelta = timedelta(minutes=20)
    """The scheduler must answer within this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """What the user asked for; never edited by us."""

    name: str
    workspace: str
    provider: str
    scaling: Scaling
    worker: Need = field(default_factory=Need)
    scheduler: Need = field(default_factory=lambda: Need(beside=True))
    worker_threads: int | None = None
    """Dask threads of a worker; None is one per core of its offer."""
    spot_policy: SpotPolicy = SpotPolicy.ON_DEMAND
    region: str | None = None
    arm: bool = False
    software: str | None = None
    """A named environment; None runs the caller's own."""
    packages: PackageChoice = field(default_factory=PackageChoice)
    """What of the caller's own."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Public variables for the processes: they are kept in the record. Secrets go another way."""
    tags: Mapping[str, str] = field(default_factory=dict)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    budget: Money | None = None
    """Hard limit on what this cluster may cost; None is no limit of its own."""
    record_history: bool = True
    record_code: bool = False
    """Opt-in: the code of computations is kept, capped and with secrets scrubbed."""
    dask_config: Mapping[str, object] = field(default_factory=dict)
    """Dask configuration for the scheduler and the workers; a chosen set, never the caller's whole."""
    worker_options: Mapping[str, object] = field(default_factory=dict)
    """Keywords for ``distributed.Worker``; JSON values."""
    scheduler_options: Mapping[str, object] = field(default_factory=dict)
    """Keywords for ``distributed.Scheduler``; JSON values."""
    backend_options: Mapping[str, object] = field(default_factory=dict)
    """The provider's own settings, where this cluster's are other ones; JSON values."""
    working_directory: str | None = None
    """Where the caller stood; used by providers on the same file system."""
    python_path: tuple[str, ...] = ()
    """The caller's ``sys.path``; used by providers on the same file system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What people want of it now. Written by whoever may, read by the engine, which never writes it."""

    scaling: Scaling
    stop: bool = False
    stop_reason: StopReason = StopReason.ASKED
    stop_detail: str = ""
    dismiss: tuple[str, ...] = ()
    """Ids of worker instances that somebody asked to end (``scale_down``)."""
    ends_by: datetime | None = None
    """The money of a budget runs out: until then its people may save what they hold; None: it may go on."""
    ends_why: str = ""
    """Which budget, for a person; no full stop."""
    ends_for: str = ""
    """Id of that budget: no other one lets it go on."""
    equipment: str = ""
    """What all workers are to have been started with: names their software, see :func:`equipment`. Empty: anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleMemory:
    """What adaptive scaling remembers between rounds."""

    wanted: int
    surplus_since: datetime | None = None
    """Since when fewer would have done; None while there is no surplus."""
    surplus_peak: int = 0
    """The most that would have been of use since then; what lies above it is let go when the wait is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """How often newer software failed to start beside workers that go on with older one."""

    of: str = ""
    """What was tried: the software, and how many workers people wanted. For anything else, all begins anew."""
    failed: int = 0
    """Since a worker last came up with it; those that fail together are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The record. ``spec`` never changes, ``intent`` is the people's, all else is the engine's."""

    id: str
    spec: ClusterSpec
    intent: Intent
    owner: str
    """Who asked for it; pays by default."""
    created_at: datetime
    status: ClusterStatus = ClusterStatus.PENDING
    stop_reason: StopReason | None = None
    stop_detail: str = ""
    """For a person: what happened, and where one knows it, what to do."""
    scale: ScaleMemory
    contact: Contact | None = None
    started_at: datetime | None = None
    """When its scheduler first answered."""
    stopping_at: datetime | None = None
    stopped_at: datetime | None = None
    expires_at: datetime | None = None
    observed_at: datetime | None = None
    """When its provider last listed it, give or take some seconds; the bill of what vanished ends here."""
    idle_warned_at: datetime | None = None
    budget_warned: int = 0
    """The highest percentage of its budget that was already said: 0, 50, 80 or 100."""
    page_failed_at: datetime | None = None
    """Since when its status page doesn't answer; None while it does."""
    failed_launches: int = 0
    """Instances in a row that ended before they ran; a running one sets it back to 0."""
    retry_at: datetime | None = None
    """Nothing is launched before this; set when a provider was unavailable or launches failed."""
    trials: Trials = Trials()
    environment: Environment | None = None

    @property
    def name(self) -> str:
        """The name its owner gave it, unique among the live ones of a workspace."""
        return self.spec.name
