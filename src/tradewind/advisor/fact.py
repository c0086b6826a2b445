"""What is known of a partner: one value, where it is from, how old it is, and who has an interest in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from tradewind.advisor.fee import Fee

Value = bool | int | Decimal | str | date | tuple[str, ...] | Fee

OLD = timedelta(days=730)
"""What a source said longer ago than this may have changed since, however lately it was read."""
OLD_TRUST = 0.85
STALE_TRUST = 0.7
UNDATED_TRUST = 0.95


class Kind(StrEnum):
    """Who says it."""

    VENDOR = "vendor-claim"
    THIRD_PARTY = "third-party"
    OWN_TEST = "own-test"
    COMMUNITY = "community-report"


class Confidence(StrEnum):
    """How sure it is."""

    VERIFIED = "verified"
    """Read where the partner itself says it."""
    SECONDARY = "secondary"
    """Read where somebody else repeats it."""
    UNVERIFIED = "unverified"
    """Remembered or judged, and not looked up."""


TRUST = {Confidence.VERIFIED: 1.0, Confidence.SECONDARY: 0.85, Confidence.UNVERIFIED: 0.6}
"""How much of a fact counts in a preference; the rest counts as if nobody knew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where facts are from."""

    code: str
    """What the files call it."""
    title: str
    url: str
    """Where it can be read again; empty for what nobody has looked up."""
    date: date | None
    """What the source itself says of its age; None where it says nothing."""
    kind: Kind
    confidence: Confidence
    interest: tuple[str, ...] = ()
    """What its writers have to gain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One value of one field of one partner.

    A field without a fact is *unknown*, which is neither yes nor no.
    """

    field: str
    value: Value
    source: Source
    read_date: date
    valid_until: date
    """After this it is stale: still shown, marked, and counted less."""
    unit: str = ""
    confidence: Confidence = Confidence.VERIFIED
    kind: Kind = Kind.VENDOR
    interest: tuple[str, ...] = ()
    """What those have to gain who said it and who entered it."""
    since: date | None = None
    """From when it is so, where that is known."""
    unsure: tuple[str, ...] = ()
    """Of a list: what nobody knows whether it belongs to it; "any" for all that isn't named."""
    never: tuple[str, ...] = ()
    """Of a list: what doesn't belong to it, even where "any" does."""
    note: str = ""

    def is_stale(self, today: date) -> bool:
        """Whether it should have been read again by now."""
        return today > self.valid_until

    def is_old(self, today: date) -> bool:
        """Whether its source is years old."""
        return self.source.date is not None and today - self.source.date > OLD

    def trust(self, today: date) -> float:
        """Return how much of it counts, between 0 and 1."""
        trust = TRUST[self.confidence]
        if self.is_stale(today):
            trust *= STALE_TRUST
        if self.source.date is None:
            trust *= UNDATED_TRUST
        elif self.is_old(today):
            trust *= OLD_TRUST
        return trust

    def holds(self, word: str) -> bool | None:
        """Return whether a list holds ``word``; None where nobody knows."""
        assert isinstance(self.value, tuple)
        if word in self.value:
            return True
        if word in self.never:
            return False
        if word in self.unsure:
            return None
        if "any" in self.value:
            return True
        return None if "any" in self.unsure else False

    @property
    def shown(self) -> str:
        """The value, for a person."""
        match self.value:
            case bool():
                text = "yes" if self.value else "no"
            case tuple():
                text = ", ".join(self.value) or "none"
                if self.unsure:
                    text += f"; unknown: {', '.join(self.unsure)}"
            case Decimal():
                text = f"{self.value:f}"
            case _:
                text = str(self.value)
        since = f", since {self.since}" if self.since else ""
        return f"{text}{f' {self.unit}' if self.unit else ''}{since}"

    def cited(self, today: date) -> str:
        """Return where it is from and how old it is, in few words."""
        words = [self.source.code]
        if self.source.code:
            words.append(str(self.source.date) if self.source.date else "undated")
        if self.confidence is not Confidence.VERIFIED:
            words.append(self.confidence.value)
        if self.is_stale(today):
            words.append(f"stale since {self.valid_until}")
        elif self.is_old(today):
            words.append("old source")
        return ", ".join(words)


class FieldType(StrEnum):
    """What a value must be."""

    BOOL = "bool"
    NUMBER = "number"
    WORD = "word"
    WORDS = "words"
    TEXT = "text"
    DATE = "date"
    PLACES = "places"
    """Countries by their ISO code, groups of countries, or "any"."""
    FEE = "fee"
    """A number for everybody, or a list of steps by the number of people."""


class Better(StrEnum):
    """Which way a value is better for somebody who chooses."""

    MORE = "more"
    """Yes rather than no, more rather than less, a longer list."""
    LESS = "less"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What may be known of a partner, and how long that stays good."""

    name: str
    meaning: str
    type: FieldType
    shelf: timedelta
    """How long after it was read it must be read again."""
    unit: str = ""
    words: tuple[str, ...] = ()
    """What it may say; empty where anything goes. In this order where the order means something."""
    better: Better = Better.NEITHER
    most: Decimal | None = None
    """Of a number; None where it has no end."""


FEE = "fee_per_month"
"""The field that says what so many people pay."""


def fee_of(facts: Mapping[str, Fact], people: Decimal | float | None) -> Decimal | None:
    """Return the least fee in US dollars a month for so many people, without machines; None where nobody knows.

    Where nobody said how many there are, it is what one pays: no group pays less.
    """
    fact = facts.get(FEE)
    if fact is None or not isinstance(fact.value, Fee):
        return None
    return fact.value.of(1 if people is None else people)
