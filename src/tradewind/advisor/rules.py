"""The rules, as they were read: what is needed, what excludes, what is free, what is preferred."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from tradewind.advisor.expression import ALWAYS, Expression, Grammar
from tradewind.advisor.fact import FEE, Fact
from tradewind.errors import BadRequest, ConfigError

R = TypeVar("R")

DAYS_PER_TB = Decimal(8 * 10**12) / Decimal(86400 * 10**9)
"""Over a line of 1 Gbit/s that nobody else uses."""


class Doubt(StrEnum):
    """What follows where nobody knows whether a rule is met."""

    ASK = "ask"
    """It isn't recommended before somebody has asked."""
    WARN = "warn"
    """It is, with a warning."""
    PASS = "pass"
    """It is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Answers that can't both be so."""

    of: tuple[str, ...]
    when: Expression
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hurdle:
    """Something a partner must have, or must not be: a need, or a reason to exclude."""

    id: str
    label: str
    """What is there where it is met."""
    when: Expression
    keep: Expression
    says: str
    """What is told where it isn't met."""
    doubt: Doubt
    sure_if: Expression | None = None
    """Where nobody knows whether it is met, it is taken as met where this holds."""
    strict: bool = False
    """Whether a question left open is a doubt too; else the rule waits for the answer."""
    eligibility: bool = False
    """Whether it says who may use it; programmes that give money are held to these alone."""

    @property
    def answers(self) -> frozenset[str]:
        """The questions it reads."""
        return self.when.answers | self.keep.answers | (self.sure_if.answers if self.sure_if else frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """Why an offer counts as free."""

    id: str
    label: str
    test: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What something is worth, between 0 and 1, if it is so."""

    worth: float
    test: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A number of a fact, from the worst to the best."""

    fact: str
    people: str
    """Of a fee: the question how many pay it; empty for other facts."""
    worst: Decimal
    best: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Something that makes a partner better for this group."""

    id: str
    label: str
    weight: float
    """Where no answer says otherwise."""
    question: str
    """The question whose answer sets the weight; empty where none does."""
    weights: Mapping[str, float]
    when: Expression
    points: tuple[Point, ...] = ()
    scale: Scale | None = None

    @property
    def answers(self) -> frozenset[str]:
        """The questions it reads."""
        read = frozenset().union(*(point.test.answers for point in self.points))
        people = self.scale.people if self.scale else ""
        return self.when.answers | read | (frozenset({self.question, people}) - {""})

    @property
    def facts(self) -> frozenset[str]:
        """The fields it reads."""
        read = frozenset().union(*(point.test.facts for point in self.points))
        return read | ({self.scale.fact} if self.scale else frozenset())

    def weighs(self, answers: Mapping[str, Any], moved: Mapping[str, float]) -> float:
        """Return its weight for these answers; 0 where it isn't asked about."""
        if self.when.holds({}, answers) is not True:
            return 0.0
        if self.id in moved:
            return moved[self.id]
        return self.weights.get(answers.get(self.question, ""), self.weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What must come with a partner, or be known of it, if it is chosen."""

    id: str
    when: Expression
    unless: Expression
    says: str
    """Where nobody knows, and where ``says_no`` says nothing else."""
    says_no: str = ""
    """Where it is known not to be so."""

    def told(self, facts: Mapping[str, Fact], answers: Mapping[str, Any]) -> str:
        """Return what is to be told; empty where nothing is."""
        if self.when.holds({}, answers) is not True:
            return ""
        held = self.unless.holds(facts, answers)
        words = "" if held is True else (self.says_no or self.says) if held is False else self.says
        return (
            words.replace("{data_tb}", f"{answers['data_tb']:f}").replace(
                "{days_at_1_gbit}", f"{answers['data_tb'] * DAYS_PER_TB:,.1f}"
            )
            if "data_tb" in answers
            else words
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All of them, in the order they are applied."""

    contradictions: tuple[Contradiction, ...]
    needs: tuple[Hurdle, ...]
    exclusions: tuple[Hurdle, ...]
    free: tuple[Free, ...]
    preferences: tuple[Preference, ...]
    conditions: tuple[Condition, ...]

    def contradicted(self, answers: Mapping[str, Any], of: str = "") -> tuple[Contradiction, ...]:
        """Return which rules say that answers can't both be so. With ``of``, those about that question alone."""
        return tuple(
            rule for rule in self.contradictions if (not of or of in rule.of) and rule.when.holds({}, answers) is True
        )

    def check(self, answers: Mapping[str, Any], of: str = "") -> tuple[str, ...]:
        """Return what of the answers can't both be so, in words; empty where all can. With ``of``, of that alone."""
        return tuple(
            f"{' and '.join(rule.of)} contradict each other: {rule.says}"
            if len(rule.of) > 1
            else f"{rule.of[0]} contradicts itself: {rule.says}"
            for rule in self.contradicted(answers, of)
        )

    def moved(self, weights: Mapping[str, Any]) -> dict[str, float]:
        """Return weights that somebody moved.

        Raises
        ------
        BadRequest
            There is no such preference, or the weight is no number from 0 to 10.
        """
        ids = [preference.id for preference in self.preferences]
        moved = {}
        for name, weight in weights.items():
            if name not in ids:
                raise BadRequest(f"there is no preference {name!r} to weigh; there are {', '.join(ids)}.")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 10:
                raise BadRequest(f"the weight of {name!r} is {weight!r}; give a number from 0 to 10.")
            moved[name] = float(weight)
        return moved


def read_rules(tables: Mapping[str, Any], grammar: Grammar) -> Rules:
    """Return the rules of a file.

    Raises
    ------
    ConfigError
        A rule says what can't be said; names it.
    """
    unknown = set(tables) - {"contradiction", "need", "exclusion", "free", "preference", "condition"}
    if unknown:
        raise ConfigError(f"rules.toml: there are no rules of the kind {sorted(unknown)[0]!r}.")

    def hurdle(table: dict[str, Any], where: str) -> Hurdle:
        return Hurdle(
            id=table.pop("id"),
            label=table.pop("label"),
            when=grammar.read(when, where) if (when := table.pop("when", None)) else ALWAYS,
            keep=grammar.read(table.pop("keep"), where),
            says=table.pop("says", ""),
            doubt=Doubt(table.pop("doubt", "ask")),
            sure_if=grammar.read(sure, where) if (sure := table.pop("sure_if", None)) else None,
            strict=table.pop("strict", False),
            eligibility=table.pop("eligibility", False),
        )

    def contradiction(table: dict[str, Any], where: str) -> Contradiction:
        when = grammar.read(table.pop("when"), where)
        return Contradiction(of=tuple(table.pop("of")), when=when, says=table.pop("says"))

    def free(table: dict[str, Any], where: str) -> Free:
        return Free(id=table.pop("id"), label=table.pop("label"), test=grammar.read(table.pop("if"), where))

    def condition(table: dict[str, Any], where: str) -> Condition:
        return Condition(
            id=table.pop("id"),
            when=grammar.read(when, where) if (when := table.pop("when", None)) else ALWAYS,
            unless=grammar.read(table.pop("unless"), where),
            says=table.pop("says"),
            says_no=table.pop("says_no", ""),
        )

    def preference(table: dict[str, Any], where: str) -> Preference:
        by = dict(table.pop("weight_by", {}))
        question = by.pop("question", "")
        if question and set(by) - set(grammar.questions.get(question, ())):
            raise ConfigError(f"{where}: {question!r} isn't answered with {sorted(by)}.")
        scale = table.pop("scale", None)
        people = str(scale.get("fee_for", "")) if scale else ""
        fact = FEE if people else str(scale["fact"]) if scale else ""
        if scale and fact not in grammar.fields:
            raise ConfigError(f"{where}: there is no field {fact!r}.")
        if people and people not in grammar.questions:
            raise ConfigError(f"{where}: there is no question {people!r}.")
        return Preference(
            id=table.pop("id"),
            label=table.pop("label"),
            weight=float(table.pop("weight")),
            question=question,
            weights={word: float(weight) for word, weight in by.items()},
            when=grammar.read(when, where) if (when := table.pop("when", None)) else ALWAYS,
            points=tuple(
                Point(worth=float(point["worth"]), test=grammar.read(point["if"], where))
                for point in table.pop("points", [])
            ),
            scale=Scale(fact=fact, people=people, worst=Decimal(scale["worst"]), best=Decimal(scale["best"]))
            if scale
            else None,
        )

    return Rules(
        contradictions=_each(tables, "contradiction", contradiction),
        needs=_each(tables, "need", hurdle),
        exclusions=_each(tables, "exclusion", hurdle),
        free=_each(tables, "free", free),
        preferences=_each(tables, "preference", preference),
        conditions=_each(tables, "condition", condition),
    )


def _each(tables: Mapping[str, Any], kind: str, read: Callable[[dict[str, Any], str], R]) -> tuple[R, ...]:
    """Return the rules of one kind; what is left of a table after it was read is a slip."""
    found: list[R] = []
    seen: set[str] = set()
    for number, table in enumerate(_tables(tables.get(kind, ())), start=1):
        name = table.get("id", str(number))
        where = f"rules.toml, {kind} {name}"
        left = dict(table)
        try:
            found.append(read(left, where))
        except (KeyError, ValueError) as error:
            raise ConfigError(f"{where}: {error} is missing or can't be read.") from error
        if left:
            raise ConfigError(f"{where}: nobody knows what {sorted(left)[0]!r} means.")
        if name in seen:
            raise ConfigError(f"{where}: it stands there twice.")
        seen.add(name)
    return tuple(found)


def _tables(value: Any) -> Iterable[Mapping[str, Any]]:
    return value if isinstance(value, list) else ()
