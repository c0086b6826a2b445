"""What people say of partners: structured, signed, with their interests declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from tradewind.model.money import Money

CRITERIA: Mapping[str, str] = {
    "fit": "It did what I needed",
    "ease": "It was easy to begin and to use",
    "reliability": "It was up, and gave right results",
    "cost": "It cost what I had expected",
    "help": "Somebody helped when I asked",
    "leaving": "I could leave, and take everything along",
}
"""What a review gives points for, 1 (not at all) to 5 (fully); what nobody can say is left out."""
LOWEST, HIGHEST = 1, 5


class Interest(StrEnum):
    """What a reviewer has to do with a partner, beside using it."""

    NONE = "none"
    """Nothing."""
    WORKS = "works-for-it"
    """Is paid by it, or owns part of it."""
    GIVEN = "given-by-it"
    """Had money, credits or travel of it."""
    COMPETES = "competes"
    """Works for, or on, another partner."""


class ReviewStatus(StrEnum):
    """How far a review has come."""

    PENDING = "pending"
    """Nobody but its writer and the operators has seen it."""
    PUBLISHED = "published"
    REFUSED = "refused"
    """With a reason, which its writer sees."""


class PartnerUse(StrEnum):
    """What for."""

    RESEARCH = "research"
    TEACHING = "teaching"
    OPERATIONS = "operations"
    EVENT = "event"
    TRIAL = "trial"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReview:
    """What somebody writes."""

    used_for: PartnerUse
    used_from: date
    used_until: date | None = None
    """None: still used."""
    interest: Interest
    interest_note: str = ""
    """What that interest is, in words; must be there where there is one."""
    points: Mapping[str, int]
    """By criterion, see :data:`CRITERIA`."""
    text: str = ""
    proof_of: str | None = None
    """The workspace of this server in which its use was metered; None brings no proof."""
    proves_cost: bool = False
    """Whether the proof also says what it cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UseProof:
    """What the server itself metered of a reviewer's use."""

    providers: tuple[str, ...]
    clusters: int
    instance_hours: float
    since: date
    until: date
    cost: tuple[Money, ...] = ()
    """Empty where the reviewer didn't want to show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewAnswer:
    """What a partner has to say to a review."""

    by: str
    at: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review, as it is kept."""

    id: str
    partner: str
    by: str
    """Name of the user who wrote it."""
    written_at: datetime
    said: NewReview
    status: ReviewStatus = ReviewStatus.PENDING
    proof: UseProof | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str = ""
    """Why it was refused."""
    answer: ReviewAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDecision:
    """What a moderator decides."""

    publish: bool
    reason: str = ""
    """Must be there for a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAnswer:
    """What a partner writes."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who may answer for a partner."""

    partner: str
    user: str
    appointed_by: str
    appointed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionSummary:
    """What all say of one criterion; never a bare average."""

    criterion: str
    count: int
    """How many gave points."""
    shrunk: float
    """The average, drawn towards the middle of the scale by some reviews that nobody wrote: few reviews say little."""
    spread: float | None
    """The standard deviation; None below two reviews."""
    counts: tuple[int, ...]
    """How many gave 1, 2, … 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSummary:
    """What all say of one partner."""

    partner: str
    reviews: int
    """Published, of people without an interest: these are counted."""
    interested: int
    """Published, of people with an interest: shown, and not counted."""
    proved: int
    """Counted ones with a proof of use; it gives no more weight, since only some partners' use is metered here."""
    is_few: bool
    """Whether there are too few to say anything."""
    newest: datetime | None
    criteria: tuple[CriterionSummary, ...] = field(default=())
