"""A provider's answer to a need."""

from dataclasses import dataclass
from enum import StrEnum

from tradewind.model.environment import Target
from tradewind.model.money import Price
from tradewind.model.resources import Resources


class SpotPolicy(StrEnum):
    """Whether the infrastructure may take an instance back, in Coiled's three words."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"
    SPOT_WITH_FALLBACK = "spot_with_fallback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """These resources, there, at this price."""

    provider: str
    vm_type: str
    """The infrastructure's own name for the size; "process" for a process of this machine."""
    resources: Resources
    price: Price | None = None
    """Per hour of one instance; None is unpriced, which sorts after every price and is never shown as free."""
    region: str | None = None
    zone: str | None = None
    spot: bool = False
    room: int | None = None
    """How many of these can exist at the same time; None where nobody knows."""
    target: Target | None = None
    """What runs there; None: nobody knows, or the same as here."""
    note: str = ""
    """Why it looks as it does, for ``plan()``: what was rounded, shared or assumed."""
