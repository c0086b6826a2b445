"""A partner, and the directory of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from tradewind.advisor.fact import Fact, Field, Source
from tradewind.errors import NotFound


class PartnerKind(StrEnum):
    """What one gets of it."""

    PLATFORM = "platform"
    """A running service."""
    SOFTWARE = "software"
    """Something to run oneself."""
    PROGRAMME = "programme"
    """Money, credits or hours for what runs elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A fact that no rule reads, and a person should."""

    text: str
    fact: Fact
    against: bool
    """Whether it speaks against the partner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """An organisation or a system that a group may choose."""

    id: str
    name: str
    kind: PartnerKind
    operator: str
    """Who runs it; what one operator runs may fail together."""
    what: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()
    also: tuple[str, ...] = ()
    """Other names people call it by."""

    def stale(self, today: date) -> tuple[Fact, ...]:
        """Return what should be read again."""
        return tuple(fact for fact in self.facts.values() if fact.is_stale(today))

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where all that is known of it is from."""
        facts = [*self.facts.values(), *(remark.fact for remark in self.remarks)]
        return tuple({fact.source.code: fact.source for fact in facts}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """All partners, with what may be known of them."""

    fields: Mapping[str, Field]
    partners: tuple[Partner, ...]

    def __iter__(self) -> Iterator[Partner]:
        return iter(self.partners)

    def siblings(self, partner: Partner) -> tuple[Partner, ...]:
        """Return the other partners that are of the same operator."""
        return tuple(one for one in self.partners if one.operator == partner.operator and one.id != partner.id)

    def find(self, name: str) -> Partner:
        """Return the partner of this id or name, in any case.

        Raises
        ------
        NotFound
            There is none; names the nearest.
        """
        wanted = name.strip().casefold()
        known: dict[str, Partner] = {}
        for partner in self.partners:
            for word in (partner.id, partner.name, *partner.also):
                known.setdefault(word.casefold(), partner)
        if wanted in known:
            return known[wanted]
        near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
        hint = f"did you mean {known[near[0]].id!r}?" if near else "`tradewind partner list` shows those there are."
        raise NotFound(f"the directory has no partner {name!r}; {hint}")
