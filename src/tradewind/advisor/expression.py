"""The small language of the rules: is this so of a partner, given these answers? Yes, no, or nobody knows.

An expression is a table. ``{ fact = "hub", is = true }`` asks a fact, ``{ answer = "hub", is = "must" }`` an answer;
``all``, ``any``, ``not`` and ``unless`` join them; ``unless`` is ``not``, and so too where nobody answered. What a fact
or an answer is held against stands there (``at_most = 5``) or is an answer (``at_most_answer = "people"``). ``not`` and
``unless`` may stand around answers alone: so every fact counts one way, and a better one can't make things worse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from tradewind.advisor.fact import FEE, Fact, fee_of
from tradewind.advisor.places import Places
from tradewind.errors import ConfigError

Answers = Mapping[str, Any]
"""What was answered, by the question's id; "don't know" is not in it."""


class Expression(Protocol):
    """Something that is so, isn't, or may be."""

    @property
    def facts(self) -> frozenset[str]:
        """The fields it reads."""

    @property
    def answers(self) -> frozenset[str]:
        """The questions it reads."""

    def holds(self, facts: Mapping[str, Fact], answers: Answers) -> bool | None:
        """Return whether it is so; None where that depends on what nobody knows."""


@dataclass(frozen=True, slots=True)
class All:
    """So if every part is."""

    parts: tuple[Expression, ...]
    facts: frozenset[str]
    answers: frozenset[str]

    def holds(self, facts: Mapping[str, Fact], answers: Answers) -> bool | None:
        """Return whether it is so."""
        known: bool | None = True
        for part in self.parts:
            held = part.holds(facts, answers)
            if held is False:
                return False
            if held is None:
                known = None
        return known


@dataclass(frozen=True, slots=True)
class Any_:
    """So if any part is."""

    parts: tuple[Expression, ...]
    facts: frozenset[str]
    answers: frozenset[str]

    def holds(self, facts: Mapping[str, Fact], answers: Answers) -> bool | None:
        """Return whether it is so."""
        known: bool | None = False
        for part in self.parts:
            held = part.holds(facts, answers)
            if held is True:
                return True
            if held is None:
                known = None
        return known


@dataclass(frozen=True, slots=True)
class Not:
    """So if its part, which reads answers alone, isn't."""

    part: Expression
    answers: frozenset[str]
    facts: frozenset[str] = frozenset()

    def holds(self, facts: Mapping[str, Fact], answers: Answers) -> bool | None:
        """Return whether it is so."""
        held = self.part.holds(facts, answers)
        return None if held is None else not held


@dataclass(frozen=True, slots=True)
class Unless:
    """So unless its part, which reads answers alone, is known to be."""

    part: Expression
    answers: frozenset[str]
    facts: frozenset[str] = frozenset()

    def holds(self, facts: Mapping[str, Fact], answers: Answers) -> bool | None:
        """Return whether it is so."""
        return self.part.holds(facts, answers) is not True


@dataclass(frozen=True, slots=True)
class OfFact:
    """One fact, held against something."""

    name: str
    test: Test
    operand: Any
    by_answer: str
    facts: frozenset[str]
    answers: frozenset[str]
    order: tuple[str, ...]
    places: Places

    def holds(self, facts: Mapping[str, Fact], answers: Answers) -> bool | None:
        """Return whether it is so; what nobody knows, and what wasn't answered, is None."""
        fact = facts.get(self.name)
        operand = answers.get(self.by_answer) if self.by_answer else self.operand
        if operand is None and self.test is _met_by:
            return False
        if fact is None or operand is None:
            return None
        return self.test(fact, operand, self)


@dataclass(frozen=True, slots=True)
class OfAnswer:
    """One answer, held against something."""

    name: str
    test: AnswerTest
    operand: Any
    by_answer: str
    answers: frozenset[str]
    order: tuple[str, ...]
    facts: frozenset[str] = frozenset()

    def holds(self, facts: Mapping[str, Fact], answers: Answers) -> bool | None:
        """Return whether it is so; None where it wasn't answered."""
        value = answers.get(self.name)
        operand = answers.get(self.by_answer) if self.by_answer else self.operand
        if self.test in TOLERANT:
            return self.test(value, operand, self.order)
        return None if value is None or operand is None else self.test(value, operand, self.order)


@dataclass(frozen=True, slots=True)
class OfFee:
    """The fee alone, for as many people as were named, held against something."""

    people: str
    test: Callable[[Decimal, Decimal], bool]
    operand: Any
    by_answer: str
    answers: frozenset[str]
    facts: frozenset[str] = frozenset({FEE})

    def holds(self, facts: Mapping[str, Fact], answers: Answers) -> bool | None:
        """Return whether it is so; None where nobody knows the fee for so many."""
        operand = answers.get(self.by_answer) if self.by_answer else self.operand
        fee = fee_of(facts, answers.get(self.people))
        return None if operand is None or fee is None else self.test(fee, operand)


@dataclass(frozen=True, slots=True)
class Enough:
    """What can be spent is no less than a sum for all, and one for each person."""

    budget: str
    people: str
    base: Decimal
    each: Decimal
    answers: frozenset[str]
    facts: frozenset[str] = frozenset()

    def holds(self, facts: Mapping[str, Fact], answers: Answers) -> bool | None:
        """Return whether it is so; None where nobody said what can be spent. Who named no number is one."""
        budget = answers.get(self.budget)
        return None if budget is None else bool(budget >= self.base + self.each * answers.get(self.people, Decimal(1)))


Test = Callable[[Fact, Any, OfFact], bool | None]
AnswerTest = Callable[[Any, Any, tuple[str, ...]], bool]


def _listed(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _place(value: Any, order: tuple[str, ...]) -> Any:
    """Return what can be compared: the place in an order of words, or the value itself."""
    return order.index(value) if isinstance(value, str) and value in order else value


def _meets(fact: Fact, operand: Any, leaf: OfFact) -> bool | None:
    held = [fact.holds(word) for word in _listed(operand)]
    return True if True in held else None if None in held else False


def _met_by(fact: Fact, operand: Any, leaf: OfFact) -> bool | None:
    """Return as :func:`_meets`; what wasn't answered meets nothing."""
    return _meets(fact, operand, leaf)


def _covers(fact: Fact, operand: Any, leaf: OfFact) -> bool | None:
    held = [fact.holds(word) for word in _listed(operand)]
    return False if False in held else None if None in held else True


def _includes(fact: Fact, operand: Any, leaf: OfFact) -> bool | None:
    words = leaf.places.around(operand)
    assert isinstance(fact.value, tuple)
    if operand in fact.never:
        return False
    if "any" in fact.value or words & set(fact.value):
        return True
    return None if "any" in fact.unsure or words & set(fact.unsure) else False


FACT_TESTS: dict[str, Test] = {
    "is": lambda fact, operand, leaf: fact.value == operand,
    "in": lambda fact, operand, leaf: fact.value in _listed(operand),
    "meets": _meets,
    "met_by": _met_by,
    "covers": _covers,
    "empty": lambda fact, operand, leaf: (fact.value == ()) is operand,
    "includes_place": _includes,
    "at_most": lambda fact, operand, leaf: _place(fact.value, leaf.order) <= _place(operand, leaf.order),
    "at_least": lambda fact, operand, leaf: _place(fact.value, leaf.order) >= _place(operand, leaf.order),
    # The answer is a step below what is needed, and no further.
    "one_above": lambda fact, operand, leaf: _place(fact.value, leaf.order) <= _place(operand, leaf.order) + 1,
}

FEE_TESTS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "at_most": lambda fee, operand: fee <= operand,
    "at_least": lambda fee, operand: fee >= operand,
}


def _given(value: Any, operand: Any, order: tuple[str, ...]) -> bool:
    return (value is not None) is operand


def _may_be(value: Any, operand: Any, order: tuple[str, ...]) -> bool:
    return value is None or value == operand


def _may_meet(value: Any, operand: Any, order: tuple[str, ...]) -> bool:
    return value is None or bool(set(_listed(value)) & set(_listed(operand)))


ANSWER_TESTS: dict[str, AnswerTest] = {
    "is": lambda value, operand, order: value == operand,
    "in": lambda value, operand, order: value in _listed(operand),
    "meets": lambda value, operand, order: bool(set(_listed(value)) & set(_listed(operand))),
    "within": lambda value, operand, order: set(_listed(value)) <= set(_listed(operand)),
    "at_most": lambda value, operand, order: _place(value, order) <= _place(operand, order),
    "at_least": lambda value, operand, order: _place(value, order) >= _place(operand, order),
    "given": _given,
    # So unless the answer says otherwise: nobody is shut out for a question left open.
    "may_be": _may_be,
    "may_meet": _may_meet,
    "above": lambda value, operand, order: value > operand,
    "misses": lambda value, operand, order: operand not in _listed(value),
}
TOLERANT = frozenset({_given, _may_be, _may_meet})
"""The tests that have a word to say of what wasn't answered."""

NOTHING: frozenset[str] = frozenset()
ALWAYS = All(parts=(), facts=NOTHING, answers=NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """What expressions may name."""

    fields: Mapping[str, tuple[str, ...]]
    """Each field, with the order of its words."""
    questions: Mapping[str, tuple[str, ...]]
    """Each question, with the order of its words."""
    places: Places

    def read(self, table: Mapping[str, Any], where: str) -> Expression:
        """Return the expression a table stands for.

        Raises
        ------
        ConfigError
            It names a field or question there isn't, or a test there isn't; ``where`` says in which rule.
        """
        keys = set(table)
        if keys == {"all"} or keys == {"any"}:
            (word,) = keys
            parts = tuple(self.read(part, where) for part in table[word])
            facts, answers = _union(part.facts for part in parts), _union(part.answers for part in parts)
            return (All if word == "all" else Any_)(parts, facts, answers)
        if keys == {"not"} or keys == {"unless"}:
            (word,) = keys
            part = self.read(table[word], where)
            if part.facts:
                raise ConfigError(f"{where}: `{word}` stands around a fact; say it the other way round.")
            return (Not if word == "not" else Unless)(part, part.answers)
        if keys == {"enough", "people", "base", "each"}:
            names = frozenset({str(table["enough"]), str(table["people"])})
            for name in sorted(names - set(self.questions)):
                raise ConfigError(f"{where}: there is no question {name!r}.")
            base, each = (Decimal(str(table[name])) for name in ("base", "each"))
            return Enough(str(table["enough"]), str(table["people"]), base, each, names)
        if "fee_for" in keys and len(keys) == 2:
            return self._of_fee(table, where)
        if "fact" in keys and len(keys) == 2:
            return self._of_fact(table, where)
        if "answer" in keys and len(keys) == 2:
            return self._of_answer(table, where)
        raise ConfigError(
            f"{where}: {sorted(keys)} is no expression; it is fact, answer or fee_for and one test, or all, any, not."
        )

    def _of_fee(self, table: Mapping[str, Any], where: str) -> OfFee:
        (key,) = set(table) - {"fee_for"}
        word = key.removesuffix("_answer")
        if word not in FEE_TESTS:
            raise ConfigError(f"{where}: {word!r} is no test of a fee; there are {', '.join(FEE_TESTS)}.")
        by_answer = str(table[key]) if word != key else ""
        names = frozenset({str(table["fee_for"]), by_answer} - {""})
        for name in sorted(names - set(self.questions)):
            raise ConfigError(f"{where}: there is no question {name!r}.")
        operand = None if by_answer else value(table[key])
        return OfFee(str(table["fee_for"]), FEE_TESTS[word], operand, by_answer, names)

    def _of_fact(self, table: Mapping[str, Any], where: str) -> OfFact:
        name = str(table["fact"])
        if name == FEE:
            raise ConfigError(f"{where}: what {name} is depends on the people; ask it as fee_for.")
        if name not in self.fields:
            raise ConfigError(f"{where}: there is no field {name!r}; fields.toml names those there are.")
        (word,) = set(table) - {"fact"}
        by_answer = ""
        if word.endswith("_answer"):
            word, by_answer = word.removesuffix("_answer"), str(table[word])
            if by_answer not in self.questions:
                raise ConfigError(f"{where}: there is no question {by_answer!r}.")
        if word not in FACT_TESTS:
            raise ConfigError(f"{where}: {word!r} is no test of a fact; there are {', '.join(FACT_TESTS)}.")
        return OfFact(
            name=name,
            test=FACT_TESTS[word],
            operand=None if by_answer else value(table.get(word)),
            by_answer=by_answer,
            facts=frozenset({name}),
            answers=frozenset({by_answer}) if by_answer else NOTHING,
            order=self.fields[name],
            places=self.places,
        )

    def _of_answer(self, table: Mapping[str, Any], where: str) -> OfAnswer:
        name = str(table["answer"])
        if name not in self.questions:
            raise ConfigError(f"{where}: there is no question {name!r}.")
        (key,) = set(table) - {"answer"}
        word = key.removesuffix("_answer")
        by_answer = str(table[key]) if word != key else ""
        if by_answer and by_answer not in self.questions:
            raise ConfigError(f"{where}: there is no question {by_answer!r}.")
        if word not in ANSWER_TESTS:
            raise ConfigError(f"{where}: {word!r} is no test of an answer; there are {', '.join(ANSWER_TESTS)}.")
        operand = None if by_answer else value(table[key])
        order = self.questions[name]
        for said in _listed(operand):
            if order and isinstance(said, str) and said not in order:
                raise ConfigError(f"{where}: {name!r} is never answered with {said!r}, but with {', '.join(order)}.")
        return OfAnswer(
            name=name,
            test=ANSWER_TESTS[word],
            operand=operand,
            by_answer=by_answer,
            answers=frozenset({name, by_answer} - {""}),
            order=order,
        )


def backing(expression: Expression, facts: Mapping[str, Fact], answers: Answers) -> frozenset[str]:
    """Return the fields that make it so: of ways to be so, those of the first that is. All it reads where it isn't."""
    if expression.holds(facts, answers) is not True:
        return expression.facts
    match expression:
        case Any_():
            first = next(part for part in expression.parts if part.holds(facts, answers) is True)
            return backing(first, facts, answers)
        case All():
            return _union(backing(part, facts, answers) for part in expression.parts)
        case _:
            return expression.facts


def open_questions(expression: Expression, facts: Mapping[str, Fact], answers: Answers) -> frozenset[str]:
    """Return the questions left open whose answer might yet make it so."""
    match expression:
        case Any_():
            return _union(open_questions(part, facts, answers) for part in expression.parts)
        case All():
            waiting = [open_questions(part, facts, answers) for part in expression.parts]
            held = [part.holds(facts, answers) for part in expression.parts]
            settled = any(one is False and not asks for one, asks in zip(held, waiting, strict=True))
            return NOTHING if settled else _union(waiting)
        case OfFact() if (fact := facts.get(expression.name)) is not None and fact.value == () and not fact.unsure:
            return NOTHING
        case _:
            return expression.answers - answers.keys()


def value(read: Any) -> Any:
    """Return a value of a TOML file as facts and answers hold it."""
    match read:
        case list():
            return tuple(read)
        case float():
            return Decimal(str(read))
        case int() if not isinstance(read, bool):
            return Decimal(read)
        case date():
            return read
        case _:
            return read


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)
