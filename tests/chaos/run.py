"""What a chaos run is made from, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from tests.chaos.bill import Stage
from tests.chaos.witness import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run is made from; the same seed makes the same trouble, though not at the same microsecond."""

    seed: int
    duration_s: float
    provider: str = "fake"
    """Or local: real processes, and the machine itself is the witness."""
    replicas: int = 3
    clusters: int = 8
    """That live at a time."""
    workers: int = 4
    """The most that a user asks for at first."""
    pause_s: float = 0.3
    """Between two faults of the harness's own, on average."""
    clock_spread_s: float = 3.0
    """Clocks of replicas are ahead or behind by up to half of this."""
    faults: tuple[str, ...] = ()
    """Only these kinds; none named is all."""
    keeps_s: float = 4.0
    """The longest that a user leaves a cluster alone."""
    has_limits: bool = False
    """Whether workspace, a user and a tag have hard limits, which are used up and raised, again and again."""
    minute_s: float = 60.0
    """How long a minute is when money is planned: what people are promised is 60, and a test sees more in less."""


@dataclass(slots=True, kw_only=True)
class Findings:
    """What came of it."""

    struck: Counter[str] = field(default_factory=Counter)
    """Faults that came to pass, by kind."""
    created: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    """What users were told, by the number of HTTP."""
    seconds: Seconds | None = None
    refused: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    """Creates that weren't paid for, by their key: when they were told, and why."""
    stages: list[Stage] = field(default_factory=list)
    """What came of each limit."""
    ended_alone: int = 0
    """Clusters that ended by themselves, because what was set aside for them was spent and nobody looked."""
    faults: list[str] = field(default_factory=list)
    """What must not be; empty is what a run is for."""
    late_acts: list[str] = field(default_factory=list)
    settled_within_s: float = 0.0
    worst_overdue_s: float = 0.0
