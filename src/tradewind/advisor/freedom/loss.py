"""What a project loses of its freedom, bar by bar, and what of it was given up on purpose."""

from __future__ import annotations

from dataclasses import dataclass

from tradewind.advisor.fact import Fact
from tradewind.advisor.freedom.finding import Place, Unread
from tradewind.advisor.freedom.pledge import Accepted
from tradewind.advisor.freedom.rules import FULL, Bar, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One thing that ties the project."""

    rule: Rule
    what: str
    """What is found, as ``freedom.toml`` names it."""
    named: str
    """The same in a sentence."""
    places: tuple[Place, ...]
    """Where, in order; empty for what is missing from the whole."""
    points: int
    """What it takes from each of its rule's bars."""
    facts: tuple[Fact, ...] = ()
    """What the directory knows that makes it a loss."""
    accepted: Accepted | None = None

    @property
    def says(self) -> str:
        """The reason, in a sentence."""
        return self.rule.says.replace("{what}", self.named)

    @property
    def fix(self) -> str:
        """What mends it."""
        return self.rule.fix.replace("{what}", self.named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One bar."""

    bar: Bar
    lost: int
    accepted: int
    """Points given up on purpose, beside those that are lost."""

    @property
    def left(self) -> int:
        """Points of :data:`~tradewind.advisor.freedom.rules.FULL` that are left."""
        return FULL - self.lost - self.accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that can be said of a project's freedom."""

    scores: tuple[Score, ...]
    losses: tuple[Loss, ...]
    """Those nobody accepted, the dearest first."""
    accepted: tuple[Loss, ...]
    questions: tuple[str, ...]
    """What nobody knows, and what would tell."""
    faults: tuple[str, ...]
    """What of ``freedom.toml`` counts for nothing, or no more."""
    unread: tuple[Unread, ...]
    files: int

    def falls_short(self, least: int) -> tuple[Score, ...]:
        """Return the bars that lost so much, without anybody accepting it, that fewer than ``least`` points are left.

        What was given up on purpose doesn't count here: somebody answers for it.
        """
        return tuple(score for score in self.scores if FULL - score.lost < least)
