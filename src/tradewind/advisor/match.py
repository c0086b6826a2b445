"""Which partners fit a group, in order, with the reasons; and what answer would change that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from tradewind.advisor.fact import Fact
from tradewind.advisor.judge import (
    FREE_FIRST,
    Judgement,
    Outcome,
    Reason,
    Standing,
    cited,
    first_key,
    free_by,
    judge,
    outcome,
    score,
    standing,
    worth,
)
from tradewind.advisor.pairs import Pair, fee, pairs
from tradewind.advisor.partner import Directory, Partner, PartnerKind
from tradewind.advisor.questions import Question, Questionnaire, QuestionType
from tradewind.advisor.rules import Hurdle, Rules
from tradewind.errors import BadRequest

GOOD = 0.6
POOR = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """A partner in its place, and all there is to say of it."""

    rank: int
    """Equal ones share it."""
    judgement: Judgement
    reasons: tuple[Reason, ...]
    against: tuple[Reason, ...]
    conditions: tuple[str, ...]
    to_ask: tuple[Reason, ...]
    fee_per_month: Decimal | None
    """In US dollars, for as many people as were named, without machines; None where nobody knows."""

    @property
    def partner(self) -> Partner:
        """The partner."""
        return self.judgement.partner


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """A partner that is left out, and why."""

    partner: Partner
    because: tuple[Reason, ...]
    otherwise: int | None
    """The rank it would have if not for the one reason; None where there are more, or it would still not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Another answer, and what would then come first."""

    question: Question
    answer: Any
    first: tuple[Partner, ...]
    """Empty where nothing would fit any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """What the group uses now, and what is known of its future."""

    partner: Partner
    status: Fact | None
    move_to: Fact | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The whole answer."""

    today: date
    answers: Mapping[str, Any]
    weights: Mapping[str, float]
    """Of each preference that counts here."""
    needs: tuple[str, ...]
    ranked: tuple[Recommendation, ...]
    ask_first: tuple[Recommendation, ...]
    pairs: tuple[Pair, ...]
    excluded: tuple[Excluded, ...]
    changes: tuple[Change, ...]
    in_use: tuple[InUse, ...]
    programmes: tuple[Recommendation, ...]

    @property
    def found(self) -> bool:
        """Whether there is an honest offer: one partner, or two together."""
        return bool(self.ranked or self.pairs)


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


def advise(
    questionnaire: Questionnaire,
    rules: Rules,
    answers: Mapping[str, Any],
    *,
    today: date,
    weights: Mapping[str, float] | None = None,
) -> Advice:
    """Return which partners fit, in order, and why.

    Parameters
    ----------
    questionnaire : Questionnaire
        The questions, with the directory they are asked of.
    rules : Rules
        What excludes and what is preferred.
    answers : mapping
        As :meth:`Questionnaire.read` returns them.
    today : date
        Facts are as old as on this day.
    weights : mapping, optional
        Weights of preferences that somebody moved.

    Raises
    ------
    BadRequest
        Answers contradict each other; says which.
    """
    if faults := rules.check(answers):
        raise BadRequest(f'{"; ".join(faults)}. Change one of them, or answer it with "don\'t know".')
    bench = Bench(questionnaire.directory, rules, answers, today, weights or {})
    judged = bench.all()
    systems = [one for one in judged if one.partner.kind is not PartnerKind.PROGRAMME]
    fit = ranked(one for one in systems if one.standing is Standing.FIT)
    teller = _Teller(rules, answers, bench.weights(answers), today)
    return Advice(
        today=today,
        answers=answers,
        weights={
            rule.id: weight
            for rule, weight in zip(rules.preferences, bench.weights(answers), strict=True)
            if weight > 0
        },
        needs=tuple(rule.label for rule in rules.needs if rule.when.holds({}, answers) is True),
        ranked=tuple(teller.recommendation(rank, one) for rank, one in fit),
        ask_first=tuple(
            teller.recommendation(rank, one)
            for rank, one in ranked((one for one in systems if one.standing is Standing.ASK), key=_fewest_doubts)
        ),
        pairs=pairs(systems, rules, answers, bench.weights(answers), today),
        excluded=tuple(_excluded(systems, rules, answers, [one for _, one in fit])),
        changes=tuple(_changes(bench, questionnaire)),
        in_use=tuple(_in_use(questionnaire.directory, answers)),
        programmes=tuple(
            teller.recommendation(1, one)
            for one in judged
            if one.partner.kind is PartnerKind.PROGRAMME and one.standing is not Standing.OUT
        ),
    )


def _best(judged: Judgement) -> tuple[float, ...]:
    return judged.first_key


def _fewest_doubts(judged: Judgement) -> tuple[float, ...]:
    """Return what those are ranked by that somebody has to ask first: the fewest questions, then as the others."""
    return ((*judged.needs, *judged.exclusions).count(Outcome.ASK), *judged.first_key)


def ranked(
    judged: Iterable[Judgement], key: Callable[[Judgement], tuple[float, ...]] = _best
) -> list[tuple[int, Judgement]]:
    """Return judgements in order with their ranks; equal ones share a rank, and stand by name."""
    ordered = sorted(judged, key=lambda one: (key(one), one.partner.name.casefold(), one.partner.id))
    keys = [key(one) for one in ordered]
    return [(keys.index(key(one)) + 1, one) for one in ordered]


@dataclass(frozen=True, slots=True)
class _Teller:
    """Says of a judgement why it is so."""

    rules: Rules
    answers: Mapping[str, Any]
    weights: Sequence[float]
    today: date

    def recommendation(self, rank: int, judged: Judgement) -> Recommendation:
        """Return a partner in its place, with the reasons."""
        partner = judged.partner
        hurdles = list(self._hurdles(judged))
        return Recommendation(
            rank=rank,
            judgement=judged,
            reasons=tuple(self._reasons(judged, hurdles)),
            against=tuple(self._against(judged, hurdles)),
            conditions=()
            if partner.kind is PartnerKind.PROGRAMME
            else tuple(
                rule.says
                for rule in self.rules.conditions
                if rule.when.holds({}, self.answers) is True
                and rule.unless.holds(partner.facts, self.answers) is not True
            ),
            to_ask=tuple(
                cited(rule.id, f"Ask: {rule.label}?", rule.keep, partner)
                for rule, became in hurdles
                if became in {Outcome.ASK, Outcome.WARN}
            ),
            fee_per_month=fee(partner, self.answers),
        )

    def _hurdles(self, judged: Judgement) -> Iterator[tuple[Hurdle, Outcome]]:
        programme = judged.partner.kind is PartnerKind.PROGRAMME
        if not programme:
            yield from zip(self.rules.needs, judged.needs, strict=True)
        asked = [rule for rule in self.rules.exclusions if rule.eligibility or not programme]
        yield from zip(asked, judged.exclusions, strict=True)

    def _reasons(self, judged: Judgement, hurdles: Sequence[tuple[Hurdle, Outcome]]) -> Iterator[Reason]:
        partner = judged.partner
        for rule in self.rules.free:
            if rule.id == judged.free:
                yield cited(rule.id, rule.label, rule.test, partner)
        needs = {rule.id for rule in self.rules.needs}
        met = [hurdle for hurdle, became in hurdles if became is Outcome.MET]
        for hurdle in met:
            if hurdle.id in needs:
                yield cited(hurdle.id, hurdle.label, hurdle.keep, partner)
        for hurdle in met:
            reason = cited(hurdle.id, hurdle.label, hurdle.keep, partner)
            if hurdle.eligibility and any(fact.value not in {(), ("any",)} for fact in reason.facts):
                yield reason
        for number in self._by_weight(judged):
            if judged.values[number] >= GOOD:
                yield self._told(number, partner, "")

    def _against(self, judged: Judgement, hurdles: Sequence[tuple[Hurdle, Outcome]]) -> Iterator[Reason]:
        partner = judged.partner
        for remark in partner.remarks:
            if remark.against:
                yield Reason(rule="remark", says=remark.text, facts=(remark.fact,))
        for number in self._by_weight(judged):
            rule = self.rules.preferences[number]
            if judged.values[number] < POOR:
                known = any(name in partner.facts for name in rule.facts)
                yield self._told(number, partner, "not so: " if known else "nobody knows: ")

    def _by_weight(self, judged: Judgement) -> list[int]:
        if not judged.values:
            return []
        counted = [number for number, weight in enumerate(self.weights) if weight > 0]
        return sorted(counted, key=lambda number: -self.weights[number])

    def _told(self, number: int, partner: Partner, before: str) -> Reason:
        rule = self.rules.preferences[number]
        return Reason(
            rule=rule.id,
            says=f"{before}{rule.label}",
            facts=tuple(partner.facts[name] for name in sorted(rule.facts) if name in partner.facts),
            unknown=tuple(name for name in sorted(rule.facts) if name not in partner.facts),
        )


def _excluded(
    systems: Sequence[Judgement], rules: Rules, answers: Mapping[str, Any], fit: Sequence[Judgement]
) -> Iterator[Excluded]:
    needs_asked = any(rule.when.holds({}, answers) is True for rule in rules.needs)
    for judged in systems:
        if judged.standing not in {Standing.OUT, Standing.PART}:
            continue
        unmet = [
            (rule, rule.says)
            for rule, became in zip(rules.exclusions, judged.exclusions, strict=True)
            if became is Outcome.UNMET
        ]
        missing = [
            (rule, f"It doesn't have what you need: {rule.label}")
            for rule, became in zip(rules.needs, judged.needs, strict=True)
            if became is Outcome.UNMET
        ]
        because = [*unmet, *(missing if needs_asked else [])]
        doubtful = Outcome.ASK in judged.needs or Outcome.ASK in judged.exclusions
        otherwise = None
        if len(because) == 1 and not doubtful:
            otherwise = 1 + sum(one.first_key < judged.first_key for one in fit)
        yield Excluded(
            partner=judged.partner,
            because=tuple(cited(rule.id, says, rule.keep, judged.partner) for rule, says in because),
            otherwise=otherwise,
        )


def _changes(bench: Bench, questionnaire: Questionnaire) -> Iterator[Change]:
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
                yield Change(question=question, answer=other, first=tuple(partners[name] for name in names))


def _in_use(directory: Directory, answers: Mapping[str, Any]) -> Iterator[InUse]:
    for name in answers.get("uses_now", ()):
        partner = directory.find(name)
        yield InUse(partner=partner, status=partner.facts.get("status"), move_to=partner.facts.get("move_to"))
