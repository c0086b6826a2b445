"""What was used, at what price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tradewind.model.instance import Role
from tradewind.model.money import Money, Price
from tradewind.model.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """An interval of an instance at a price. Intervals of one instance never overlap and leave no gap."""

    instance_id: str
    sequence: int
    """0 for the first interval of an instance; a moving price closes one and opens the next."""
    cluster_id: str
    cluster_name: str
    workspace: str
    owner: str
    provider: str
    region: str | None
    vm_type: str
    role: Role
    resources: Resources
    price: Price | None
    """None is unpriced."""
    started_at: datetime
    stopped_at: datetime | None = None
    """None while it runs."""
    tags: Mapping[str, str] = field(default_factory=dict)

    def duration(self, now: datetime) -> timedelta:
        """Return how long it has lasted at ``now``; never negative."""
        return max(timedelta(0), (self.stopped_at or now) - self.started_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A sum over usages. Free and unpriced time are kept apart from what costs money."""

    money: tuple[Money, ...] = ()
    """One per currency, sorted by currency; empty where nothing had a price above 0."""
    instance_seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_byte_seconds: float = 0.0
    free_seconds: float = 0.0
    """Instance-seconds whose price is 0."""
    unpriced_seconds: float = 0.0
    """Instance-seconds nobody put a price on."""

    def __str__(self) -> str:
        parts = [str(money) for money in self.money]
        if self.free_seconds and not parts:
            parts.append("free")
        if self.unpriced_seconds:
            parts.append(f"{_hours(self.unpriced_seconds)} without a price")
        if parts:
            return " + ".join(parts)
        return "less than can be shown" if self.instance_seconds else "nothing used"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        # What IPython shows as the value of a cell: the words, not the fields.
        return {"text/plain": str(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """One row of a cost table."""

    key: str
    """What it was grouped by: a cluster's name, a tag's value, a day, a computation's id; of several, all of them."""
    cost: Cost
    keys: tuple[str, ...] = ()
    """The same apart: one for each of what it was grouped by, in the order asked for."""
    name: str = ""
    """What to call it for a person, where ``key`` is an id; else empty."""

    @property
    def title(self) -> str:
        """Its name, or what it was grouped by."""
        return self.name or self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What one cluster cost, shown when it closes."""

    cluster_id: str
    cluster_name: str
    started_at: datetime | None
    stopped_at: datetime | None
    total: Cost
    by_role: tuple[CostLine, ...]
    by_computation: tuple[CostLine, ...]
    """Keys are computation ids; the rest of ``total`` was start-up and waiting, in ``not_computing``."""
    not_computing: Cost

    def __str__(self) -> str:
        rows = [(line.title, line.cost) for line in self.by_computation]
        rows.append(("start-up and waiting", self.not_computing))
        rows.append(("total", self.total))
        width = max(len(title) for title, _ in rows)
        lines = [f"  {title:<{width}}  {cost.cpu_seconds:>10.1f} core-s  {cost}" for title, cost in rows]
        return "\n".join([f"Receipt of {self.cluster_name}", *lines])

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        # What IPython shows as the value of a cell: the words, not the fields.
        return {"text/plain": str(self)}


def _hours(instance_seconds: float) -> str:
    if instance_seconds < 3600:
        return f"{instance_seconds / 60:.1f} instance-minutes"
    return f"{instance_seconds / 3600:.1f} instance-hours"
