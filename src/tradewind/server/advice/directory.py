"""The directory as pages: all partners, one, and two or three side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from tradewind.advisor.fact import Confidence, Fact, Field, FieldType
from tradewind.advisor.partner import Directory, Partner, PartnerKind
from tradewind.advisor.shelf import open_shelf
from tradewind.errors import BadRequest
from tradewind.server.advice.sheet import Fields, Sheet

MOST_COMPARED = 3
LIVES = frozenset({"active", "preview", "limited"})
STATES = {"": "any", "usable": "can be used", "over": "ended, or is ending"}
DOUBTS = {"": "any", "stale": "has stale facts", "unverified": "has unverified facts"}
FILTERS = frozenset({"words", "kind", "state", "has", "doubt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which partners somebody wants to see; what is empty is all the same to them."""

    words: str = ""
    kind: str = ""
    state: str = ""
    has: str = ""
    """A field that says yes or no."""
    doubt: str = ""

    def takes(self, partner: Partner, today: date) -> bool:
        """Whether a partner is among them."""
        return all(
            (
                all(word in _text(partner) for word in self.words.casefold().split()),
                self.kind in {"", partner.kind.value},
                self.state == "" or (self.state == "usable") == is_alive(partner),
                self.has == "" or (self.has in partner.facts and partner.facts[self.has].value is True),
                self.doubt == "" or any(is_doubted(fact, self.doubt, today) for fact in partner.facts.values()),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One field of partners that stand side by side."""

    field: Field
    facts: tuple[Fact | None, ...]

    @property
    def differs(self) -> bool:
        """Whether they don't all say the same."""
        return len({fact.shown if fact else None for fact in self.facts}) > 1


def listed(fields: Fields, today: date) -> Sheet:
    """Return the page of all partners, or of those that somebody wants to see.

    Raises
    ------
    BadRequest
        It is filtered by what there isn't.
    """
    directory = open_shelf().directory
    wanted = _wanted(fields, directory)
    partners = [partner for partner in directory if wanted.takes(partner, today)]
    return Sheet(
        template="partners.html",
        values={
            "partners": sorted(partners, key=lambda one: one.name.casefold()),
            "all": len(directory.partners),
            "facts": sum(len(one.facts) for one in directory),
            "wanted": wanted,
            "kinds": {"": "any", **{kind.value: kind.value for kind in PartnerKind}},
            "states": STATES,
            "abilities": {"": "anything", **{field.name: field.meaning for field in _yes_or_no(directory)}},
            "doubts": DOUBTS,
            "read": newest(directory),
            **_around(directory, today),
        },
    )


def one(name: str, today: date) -> Sheet:
    """Return the page of one partner. Raises NotFound."""
    directory = open_shelf().directory
    partner = directory.find(name)
    return Sheet(template="partner.html", values={"one": partner, **_around(directory, today)})


def compared(fields: Fields, today: date) -> Sheet:
    """Return the page of partners side by side.

    Raises
    ------
    BadRequest
        There are less than two, or more than stand beside each other.
    NotFound
        There is no such partner.
    """
    directory = open_shelf().directory
    chosen = list({one.id: one for one in (directory.find(name) for name in fields.get("partner", ()))}.values())
    if not 2 <= len(chosen) <= MOST_COMPARED:
        raise BadRequest(f"choose two or three partners to stand side by side; these are {len(chosen)}")
    rows = [
        Row(field=field, facts=facts)
        for key, field in directory.fields.items()
        if any(facts := tuple(one.facts.get(key) for one in chosen))
    ]
    return Sheet(
        template="compared.html",
        values={
            "chosen": chosen,
            "different": [row for row in rows if row.differs],
            "same": [row for row in rows if not row.differs],
            **_around(directory, today),
        },
    )


def is_alive(partner: Partner) -> bool:
    """Whether it is there, and not ending."""
    return partner.facts["status"].value in LIVES


def is_doubted(fact: Fact, doubt: str, today: date) -> bool:
    """Whether a fact is stale, or nobody has looked it up."""
    return fact.is_stale(today) if doubt == "stale" else fact.confidence is Confidence.UNVERIFIED


def newest(directory: Directory) -> date:
    """Return when a fact was last read: that is how old this directory is."""
    return max(fact.read_date for partner in directory for fact in partner.facts.values())


def _around(directory: Directory, today: date) -> dict[str, object]:
    """Return what the words around a fact are made of."""
    return {"fields": directory.fields, "today": today, "is_alive": is_alive, "tab": "partners"}


def _wanted(fields: Fields, directory: Directory) -> Wanted:
    given = {name: fields[name][0].strip() for name in FILTERS if fields.get(name)}
    choices = {
        "kind": {"", *(kind.value for kind in PartnerKind)},
        "state": set(STATES),
        "has": {"", *(field.name for field in _yes_or_no(directory))},
        "doubt": set(DOUBTS),
    }
    for name, known in choices.items():
        if given.get(name, "") not in known:
            raise BadRequest(f"{name} is {given[name][:60]!r}; choose it from the list")
    return Wanted(**given)


def _yes_or_no(directory: Directory) -> Iterator[Field]:
    return (field for field in directory.fields.values() if field.type is FieldType.BOOL)


def _text(partner: Partner) -> str:
    facts = " ".join(fact.shown for fact in partner.facts.values())
    return " ".join((partner.id, partner.name, partner.operator, partner.what, *partner.also, facts)).casefold()
