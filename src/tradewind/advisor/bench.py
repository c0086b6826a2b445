"""What another answer would bring to the first place: judged by what it touches alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from tradewind.advisor.judge import (
    FREE_FIRST,
    Judgement,
    Outcome,
    Standing,
    first_key,
    free_by,
    judge,
    outcome,
    score,
    standing,
    worth,
)
from tradewind.advisor.pairs import fee
from tradewind.advisor.partner import Directory, Partner, PartnerKind
from tradewind.advisor.questions import Question, Questionnaire, QuestionType
from tradewind.advisor.rules import Hurdle, Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Another answer, and what would then come first."""

    question: Question
    answer: Any
    first: tuple[Partner, ...]
    """Empty where nothing would fit any more."""
    fees: tuple[Decimal | None, ...]
    """Of each, in US dollars a month, without machines; None where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Other answers to one question that bring the same to the first place."""

    question: Question
    answers: tuple[Any, ...]
    first: tuple[Partner, ...]
    """Empty where nothing would fit any more."""
    fees: tuple[Decimal | None, ...]
    """Of each, the least by any of the answers, in US dollars a month without machines; None where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """What another answer to one question can change."""

    needs: tuple[int, ...]
    """Rules by their number."""
    exclusions: tuple[int, ...]
    preferences: tuple[int, ...]
    free: bool
    may_fit: tuple[Judgement, ...]
    """Those that nothing else stands against."""


@dataclass(frozen=True, slots=True)
class Bench:
    """All judgements of one group's answers, kept so that another answer is judged by what it touches alone."""

    directory: Directory
    rules: Rules
    answers: Mapping[str, Any]
    today: date
    moved: Mapping[str, float]
    judged: dict[str, Judgement] = field(default_factory=dict)
    by_question: dict[str, Touched] = field(default_factory=dict)

    def weights(self, answers: Mapping[str, Any]) -> tuple[float, ...]:
        """Return the weight of each preference."""
        return tuple(rule.weighs(answers, self.moved) for rule in self.rules.preferences)

    def all(self) -> tuple[Judgement, ...]:
        """Return every partner's judgement."""
        weights = self.weights(self.answers)
        for partner in self.directory:
            if partner.id not in self.judged:
                self.judged[partner.id] = judge(partner, self.rules, self.answers, weights, self.today)
        return tuple(self.judged[partner.id] for partner in self.directory)

    def first_if(self, question: str, answers: Mapping[str, Any]) -> frozenset[str]:
        """Return the ids of those that come first if one question is answered otherwise."""
        touched = self.touched(question)
        weights = list(self.weights(self.answers))
        for number in touched.preferences:
            weights[number] = self.rules.preferences[number].weighs(answers, self.moved)
        found: list[tuple[tuple[bool, float], str]] = []
        for judged in touched.may_fit:
            partner = judged.partner
            needs = _renewed(judged.needs, touched.needs, self.rules.needs, partner, answers)
            exclusions = _renewed(judged.exclusions, touched.exclusions, self.rules.exclusions, partner, answers)
            if standing(needs, exclusions) is not Standing.FIT:
                continue
            values = list(judged.values)
            for number in touched.preferences:
                values[number] = worth(self.rules.preferences[number], partner.facts, answers, self.today)
            free = free_by(self.rules, partner, answers) if touched.free else judged.free
            found.append((first_key(free, score(values, weights)), partner.id))
        best = min((key for key, _ in found), default=None)
        return frozenset(name for key, name in found if key == best)

    def touched(self, question: str) -> Touched:
        """Return what another answer to a question can change."""
        if question not in self.by_question:
            needs = tuple(number for number, rule in enumerate(self.rules.needs) if question in rule.answers)
            exclusions = tuple(number for number, rule in enumerate(self.rules.exclusions) if question in rule.answers)
            preferences = tuple(
                number for number, rule in enumerate(self.rules.preferences) if question in rule.answers
            )
            self.by_question[question] = Touched(
                needs=needs,
                exclusions=exclusions,
                preferences=preferences,
                free=question == FREE_FIRST or any(question in rule.test.answers for rule in self.rules.free),
                may_fit=tuple(
                    judged
                    for judged in self.all()
                    if judged.partner.kind is not PartnerKind.PROGRAMME
                    and _fits_but_for(judged.needs, needs)
                    and _fits_but_for(judged.exclusions, exclusions)
                ),
            )
        return self.by_question[question]


def changes(bench: Bench, questionnaire: Questionnaire) -> Iterator[Change]:
    """Yield every other answer that would bring something else to the first place."""
    partners = {partner.id: partner for partner in bench.directory}
    fit = ranked(one for one in bench.all() if one.standing is Standing.FIT and one.values)
    now = frozenset(one.partner.id for rank, one in fit if rank == 1)
    for question in questionnaire.questions:
        if question.type is QuestionType.PARTNERS:
            continue
        for other in questionnaire.others(question, bench.answers.get(question.id)):
            answers = {**bench.answers, question.id: other}
            if bench.rules.check(answers, question.id):
                continue
            first = bench.first_if(question.id, answers)
            if first != now:
                names = sorted(first, key=lambda name: partners[name].name.casefold())
                best = tuple(partners[name] for name in names)
                fees = tuple(fee(partner, answers) for partner in best)
                yield Change(question=question, answer=other, first=best, fees=fees)


def turns(found: Iterable[Change]) -> tuple[Turn, ...]:
    """Return changes with those of one question and one result together, in the order they came."""
    together: dict[tuple[str, tuple[str, ...]], list[Change]] = {}
    for change in found:
        together.setdefault((change.question.id, tuple(partner.id for partner in change.first)), []).append(change)
    return tuple(
        Turn(
            question=same[0].question,
            answers=tuple(change.answer for change in same),
            first=same[0].first,
            fees=tuple(map(_least, zip(*(change.fees for change in same), strict=True))),
        )
        for same in together.values()
    )


def _least(fees: Iterable[Decimal | None]) -> Decimal | None:
    return min((one for one in fees if one is not None), default=None)


def _best(judged: Judgement) -> tuple[float, ...]:
    return judged.first_key


def ranked(
    judged: Iterable[Judgement], key: Callable[[Judgement], tuple[float, ...]] = _best
) -> list[tuple[int, Judgement]]:
    """Return judgements in order with their ranks; equal ones share a rank, and stand by name."""
    ordered = sorted(judged, key=lambda one: (key(one), one.partner.name.casefold(), one.partner.id))
    keys = [key(one) for one in ordered]
    return [(keys.index(key(one)) + 1, one) for one in ordered]


def _fits_but_for(outcomes: Sequence[Outcome], touched: tuple[int, ...]) -> bool:
    """Whether nothing stands against a partner but what is touched."""
    return all(number in touched for number, became in enumerate(outcomes) if became in {Outcome.UNMET, Outcome.ASK})


def _renewed(
    outcomes: Sequence[Outcome],
    touched: Iterable[int],
    hurdles: Sequence[Hurdle],
    partner: Partner,
    answers: Mapping[str, Any],
) -> list[Outcome]:
    renewed = list(outcomes)
    for number in touched:
        renewed[number] = outcome(hurdles[number], partner.facts, answers)
    return renewed
