"""The questionnaire as a form: what was filled in, and what is wrong with it, beside each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from tradewind.advisor.link import SIZE, SIZES, WEIGHT, Shared, read_link, read_size
from tradewind.advisor.questions import Question, Questionnaire, QuestionType
from tradewind.advisor.rules import Contradiction, Preference, Rules
from tradewind.advisor.shelf import Shelf, open_shelf
from tradewind.errors import BadRequest
from tradewind.server.advice.sheet import Fields, Sheet

LINK = "a"
"""The field that holds the text of a link."""
SEVERAL = frozenset({QuestionType.CHOICES, QuestionType.TIES, QuestionType.PARTNERS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A form that was sent, or one made from a link."""

    shared: Shared
    given: Mapping[str, Sequence[str]]
    """What stands in it, as it was written."""
    faults: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What is wrong, by the question or the weight that it is said of."""
    contradictions: tuple[Contradiction, ...] = ()
    """What can't both be so."""

    @property
    def is_wrong(self) -> bool:
        """Whether something must be mended before there is an answer."""
        return bool(self.faults or self.contradictions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A preference with its weight."""

    preference: Preference
    usual: float
    """What it weighs by the answers."""
    weight: float
    """What it weighs now."""


def asked(fields: Fields, today: date) -> Sheet:
    """Return the page with all questions: empty, or as a link has them. Raises BadRequest for a bad link."""
    shelf = open_shelf()
    return form(shelf, filled(shelf, fields, today), today)


def filled(shelf: Shelf, fields: Fields, today: date) -> Filled:
    """Return the form that an address describes: a link, and what was filled in over it.

    Raises
    ------
    BadRequest
        The link is none, or a field has a name that no form of ours gives one.
    """
    questionnaire, rules = shelf.questionnaire, shelf.rules
    base = Shared(day=today, answers={})
    if LINK in fields:
        base = read_link(fields[LINK][0], questionnaire, rules, today=today)
    given = _written(base)
    answers, weights, sizes = dict(base.answers), dict(base.weights), dict(base.sizes)
    faults: dict[str, list[str]] = {}
    for name, said in fields.items():
        if name == LINK:
            continue
        given[name] = list(said)
        kind, dot, rest = name.partition(".")
        try:
            if dot and kind == SIZE:
                _size(rest, said[-1], sizes)
            elif dot and kind == WEIGHT:
                weights.update(rules.moved({rest: _weight(said[-1])}))
            else:
                _answer(questionnaire, questionnaire.find(name), said, answers, today)
        except BadRequest as error:
            faults.setdefault(name, []).append(str(error).removeprefix(f"{name}: "))
    usual = {one.preference.id: one.usual for one in weighed(rules, answers, {})}
    weights = {name: weight for name, weight in weights.items() if usual[name] != weight}
    # A link that nothing was filled in over keeps its day: it says how old the answer is.
    day = base.day if set(fields) == {LINK} else today
    shared = Shared(day=day, answers=answers, weights=weights, sizes=sizes, left_out=base.left_out)
    return Filled(shared=shared, given=given, faults=faults, contradictions=rules.contradicted(answers))


def form(shelf: Shelf, filled: Filled, today: date) -> Sheet:
    """Return the page of a form, with its faults beside the questions."""
    questionnaire = shelf.questionnaire
    first = [question for question in questionnaire.questions if question.part == 1]
    more = [question for question in questionnaire.questions if question.part != 1]
    beside = {name: list(words) for name, words in filled.faults.items()}
    for rule in filled.contradictions:
        for name in rule.of:
            others = [f"“{questionnaire.find(other).asks}”" for other in rule.of if other != name]
            with_what = f" with what you answered to {', '.join(others)}" if others else ""
            beside.setdefault(name, []).append(f"This can't be so{with_what}: {rule.says}.")
    named = {question.id: question.asks for question in questionnaire.questions}
    named |= {f"{WEIGHT}.{one.id}": one.label for one in shelf.rules.preferences}
    return Sheet(
        template="advise.html",
        status=400 if filled.is_wrong else 200,
        values={
            "first": first,
            "more": more,
            "is_open": any(question.id in filled.given or question.id in beside for question in more),
            "given": filled.given,
            "faults": beside,
            "slips": filled.faults,
            "contradictions": filled.contradictions,
            "named": named,
            "options": {question.id: options(questionnaire, question) for question in questionnaire.questions},
            "several": SEVERAL,
            "weights": weighed(shelf.rules, filled.shared.answers, filled.shared.weights),
            "moved": filled.shared.weights,
            "sizes": filled.shared.sizes,
            "left_out": filled.shared.left_out,
            "today": today,
            "tab": "advise",
        },
    )


def options(questionnaire: Questionnaire, question: Question) -> Mapping[str, str]:
    """Return what a question may be answered with, and the words for it; empty where one writes."""
    match question.type:
        case QuestionType.TIES:
            return {tie: tie.replace("-", " ") for tie in questionnaire.ties()}
        case QuestionType.PARTNERS:
            partners = sorted(questionnaire.directory, key=lambda one: one.name.casefold())
            return {partner.id: partner.name for partner in partners}
        case QuestionType.COUNTRY:
            names = {code: names[0] for code, names in questionnaire.places.names.items()}
            return dict(sorted(names.items(), key=lambda item: item[1]))
        case _:
            return question.options


def weighed(rules: Rules, answers: Mapping[str, Any], moved: Mapping[str, float]) -> list[Weighed]:
    """Return every preference with its weight; those that don't count for these answers weigh nothing."""
    return [
        Weighed(preference=one, usual=one.weighs(answers, {}), weight=one.weighs(answers, moved))
        for one in rules.preferences
    ]


def _answer(
    questionnaire: Questionnaire, question: Question, said: Sequence[str], answers: dict[str, Any], today: date
) -> None:
    answers.pop(question.id, None)
    answer = questionnaire.answer(question, list(said) if question.type in SEVERAL else said[-1], today=today)
    if answer is not None:
        answers[question.id] = answer


def _size(name: str, said: str, sizes: dict[str, Decimal]) -> None:
    if name not in SIZES:
        raise BadRequest(f"there is no size {name!r} to estimate with; there are {', '.join(SIZES)}")
    sizes[name] = read_size(name, said)


def _weight(said: str) -> Any:
    try:
        return float(said.strip())
    except ValueError:
        return said


def _written(shared: Shared) -> dict[str, list[str]]:
    """Return a link's answers as a form has them."""
    given: dict[str, list[str]] = {}
    for name, answer in shared.answers.items():
        match answer:
            case tuple():
                given[name] = list(answer)
            case Decimal():
                given[name] = [f"{answer:f}"]
            case _:
                given[name] = [str(answer)]
    return given
