"""One thing a provider launched and can stop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tradewind.model.money import Price
from tradewind.model.offer import Offer


class Role(StrEnum):
    """What an instance does in its cluster."""

    SCHEDULER = "scheduler"
    WORKER = "worker"


class InstanceStatus(StrEnum):
    """requested → pending → starting → running → stopping → stopped; steps may be left out, never taken back."""

    REQUESTED = "requested"
    """A row exists; the provider may or may not have been called."""
    PENDING = "pending"
    """The provider has it and it waits (a queue, a boot); not billed."""
    STARTING = "starting"
    """It exists and is billed; Dask isn't up yet."""
    RUNNING = "running"
    """Dask is up in it."""
    STOPPING = "stopping"
    """It was told to end; billed until it's gone."""
    STOPPED = "stopped"

    @property
    def rank(self) -> int:
        """Position in the order of life, from 0."""
        return list(InstanceStatus).index(self)

    @property
    def is_live(self) -> bool:
        """Whether it may still exist at the provider."""
        return self is not InstanceStatus.STOPPED

    @property
    def is_billed(self) -> bool:
        """Whether its seconds cost money."""
        return self in {InstanceStatus.STARTING, InstanceStatus.RUNNING, InstanceStatus.STOPPING}


class InstanceEnd(StrEnum):
    """Why an instance ended."""

    ASKED = "asked"
    """We ended it: fewer workers were wanted, or its cluster stopped."""
    DIED = "died"
    """It ended by itself while it was wanted."""
    VANISHED = "vanished"
    """The provider doesn't list it any more and says nothing of its end."""
    NO_CAPACITY = "no_capacity"
    REJECTED = "rejected"
    NEVER_LAUNCHED = "never_launched"
    """Its cluster stopped before the order was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What every launched thing carries, so that it can be found without our store."""

    installation: str
    workspace: str
    cluster: str
    instance: str
    order: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Where a scheduler can be reached."""

    scheduler: str
    """Dask comm address, ``tls://127.0.0.1:38573``."""
    agent: str
    """Base URL of the agent's JSON pages, ``https://127.0.0.1:40001``."""
    dashboard: str | None = None
    """URL of Dask's own pages; None where there are none (bokeh isn't installed)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedInstance:
    """What the provider says of one thing that carries our mark. The provider is right, the store is memory."""

    marks: Marks
    handle: str
    """What ``terminate`` takes: the provider's own name for it."""
    status: InstanceStatus
    """PENDING, STARTING, RUNNING, STOPPING; STOPPED where the infrastructure remembers its dead."""
    started_at: datetime | None = None
    """When billing began, by the infrastructure's clock; aware UTC."""
    stopped_at: datetime | None = None
    ends_at: datetime | None = None
    """When the infrastructure ends it, where it says so beforehand, as a queue does."""
    exit_code: int | None = None
    """Of its main process; negative is the number of the signal that ended it."""
    detail: str = ""
    """The infrastructure's own words on its state."""
    contact: Contact | None = None
    """Of a scheduler, once it listens."""
    charged: Price | None = None
    """What an hour of it was charged, by the infrastructure's accounts; None: as its offer says, as far as is known."""
    refused: bool = False
    """Whether it ended because it could never have started as it was asked for: ``detail`` says why. A queue takes
    what it then lets wait for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """The row: what we asked for and what became of it."""

    id: str
    cluster_id: str
    role: Role
    order_id: str
    offer: Offer
    """With the price that was frozen when the order was written."""
    status: InstanceStatus
    requested_at: datetime
    expires_at: datetime | None
    """Hard end, kept on the machine itself; None for no limit."""
    handle: str | None = None
    started_at: datetime | None = None
    """When billing began; None as long as it isn't billed."""
    running_at: datetime | None = None
    stopped_at: datetime | None = None
    exit_code: int | None = None
    end: InstanceEnd | None = None
    """Set with ``stopped_at``; a row doesn't change after it, but for times that its provider later shows to differ."""
    detail: str = ""
    """Why it ended or what it waits for, for a person."""
    wanted: bool = True
    """False once we decided to end it; what ends unwanted is no failure."""
    unwanted_at: datetime | None = None
    """When we decided to end it."""
    equipment: str = ""
    """What it was started with, as its cluster's intent named it then; it may be older than that, never newer."""
