"""What happened, for the journal of a cluster."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

BUDGET_STEP = "budget.step_passed"
"""The kind of what says that a budget that pays for the cluster is half spent, or nearly all, or all."""


class Level(StrEnum):
    """How much an event matters to the user."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the journal."""

    at: datetime
    cluster_id: str
    kind: str
    """Past tense, dotted: ``instance.stopped``, ``cluster.idle_warned``."""
    message: str
    """A sentence for a person."""
    level: Level = Level.INFO
    instance_id: str | None = None
