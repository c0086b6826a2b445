"""One thing that exists in the fake infrastructure, and the times of its life."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tradewind.boot.process import Boot
from tradewind.model.instance import Contact, InstanceStatus, Marks, ObservedInstance, Role
from tradewind.model.money import Price
from tradewind.model.offer import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How and when a machine ended, or will."""

    at: datetime
    exit_code: int | None
    detail: str
    remembered: bool = True
    """Whether the infrastructure still lists it afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One thing that was launched. Its status at a moment is derived from the times it carries."""

    marks: Marks
    handle: str
    offer: Offer
    boot: Boot
    """What runs in it."""
    launched_at: datetime
    billed_from: datetime | None
    """When its bill begins; None is never, it waits."""
    up_at: datetime | None
    """When its Dask process is there; None is never."""
    listed_from: datetime
    ends: tuple[End, ...] = ()
    """What will end it, unless something else does before."""
    asked_at: datetime | None = None
    """When somebody asked for its end."""
    retired_at: datetime | None = None
    """When a worker handed over its results and left its scheduler."""
    stopped: End | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it still exists."""
        return self.stopped is None

    @property
    def contact(self) -> Contact | None:
        """Where it would be reached; ``.invalid`` is a name that never resolves (RFC 2606)."""
        if self.marks.role is not Role.SCHEDULER:
            return None
        host = f"{self.handle}.invalid"
        return Contact(scheduler=f"tls://{host}:8786", agent=f"https://{host}:8788")

    @property
    def exposed(self) -> tuple[str, ...]:
        """What others on the infrastructure can see of it: its tags, and the title of its process."""
        marks = self.marks
        title = f"fake {self.boot.role} {self.boot.cluster_id} {self.boot.instance_id}"
        return (self.handle, repr(marks), title)

    def status(self, now: datetime, running_at: datetime | None) -> InstanceStatus:
        """Return its status at ``now``, where Dask counts it in from ``running_at``."""
        if self.stopped is not None:
            return InstanceStatus.STOPPED
        if self.asked_at is not None:
            return InstanceStatus.STOPPING
        if self.billed_from is None or now < self.billed_from:
            return InstanceStatus.PENDING
        is_up = running_at is not None and now >= running_at
        return InstanceStatus.RUNNING if is_up else InstanceStatus.STARTING

    def observed(self, now: datetime, running_at: datetime | None) -> ObservedInstance:
        """Return what the infrastructure says of it."""
        status = self.status(now, running_at)
        billed = self.billed(now)
        is_up = status in {InstanceStatus.RUNNING, InstanceStatus.STOPPING}
        has_contact = is_up and running_at is not None and now >= running_at
        return ObservedInstance(
            marks=self.marks,
            handle=self.handle,
            status=status,
            started_at=billed.started_at if billed is not None else None,
            stopped_at=self.stopped.at if self.stopped is not None else None,
            exit_code=self.stopped.exit_code if self.stopped is not None else None,
            detail=self.stopped.detail if self.stopped is not None else "",
            contact=self.contact if has_contact else None,
        )

    def billed(self, now: datetime) -> Billed | None:
        """Return the interval it is billed for, as the infrastructure knows it; None while and where there is none."""
        end = self.stopped.at if self.stopped is not None else None
        if self.billed_from is None or self.billed_from > now or (end is not None and end <= self.billed_from):
            return None
        return Billed(
            instance=self.marks.instance,
            cluster=self.marks.cluster,
            price=self.offer.price,
            started_at=self.billed_from,
            stopped_at=end,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """One line of the infrastructure's own ledger: the truth that our bill is held against."""

    instance: str
    cluster: str
    price: Price | None
    started_at: datetime
    stopped_at: datetime | None
    """None while it runs."""

    def microseconds(self, now: datetime) -> int:
        """Return how long it has been billed at ``now``."""
        return ((self.stopped_at or now) - self.started_at) // timedelta(microseconds=1)

    def amount(self, now: datetime) -> Decimal | None:
        """Return what that costs, in the currency of its price; None where it has none."""
        if self.price is None:
            return None
        return self.price.per_hour * self.microseconds(now) / Decimal(3_600_000_000)
