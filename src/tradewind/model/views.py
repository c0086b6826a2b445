"""What is shown to people: put together from other nouns, stored nowhere."""

from __future__ import annotations

from dataclasses import dataclass

from tradewind.model.budget import BudgetState
from tradewind.model.cluster import Cluster
from tradewind.model.instance import Instance, Role
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB
from tradewind.model.status import StatusPage
from tradewind.model.usage import Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """All there is to show of one cluster at one moment."""

    cluster: Cluster
    instances: tuple[Instance, ...]
    cost: Cost
    budget: BudgetState | None
    """None where nothing limits it."""
    page: StatusPage | None
    """What its scheduler says; None where it doesn't answer, where whoever asks may not look into it, and in lists."""
    revision: int
    """Grows with every change of the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedInstances:
    """One line of a dry run."""

    role: Role
    count: int
    offer: Offer
    why: str
    """Why this offer was chosen over the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What would be launched, where, at what price, and why."""

    instances: tuple[PlannedInstances, ...]
    cost_per_hour: Cost
    """Of all of them for one hour."""
    notes: tuple[str, ...]
    """What is worth knowing before it starts."""

    def __str__(self) -> str:
        lines = []
        for planned in self.instances:
            has, price = planned.offer.resources, planned.offer.price
            cores = "core" if has.cpus == 1 else "cores"
            size = f"{planned.offer.vm_type}, {has.cpus:g} {cores}, {has.memory / GIB:.1f} GiB"
            each = "unpriced" if price is None else str(price)
            plural = "" if planned.count == 1 else "s"
            lines.append(f"{planned.count} {planned.role}{plural} ({size}, {each}): {planned.why}")
        return "\n".join([*lines, f"An hour of all this: {self.cost_per_hour}.", *self.notes])

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        # What IPython shows as the value of a cell: the words, not the fields.
        return {"text/plain": str(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing the doctor looked at."""

    name: str
    ok: bool
    fact: str
    advice: str = ""
    """What to do; empty where all is well."""
