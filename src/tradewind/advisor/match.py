"""Which partners fit a group, in order, with the reasons; and what answer would change that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from tradewind.advisor.bench import Bench, Change, changes, ranked
from tradewind.advisor.fact import Fact
from tradewind.advisor.judge import Judgement, Outcome, Standing, cut
from tradewind.advisor.pairs import pairs
from tradewind.advisor.partner import Directory, Partner, PartnerKind
from tradewind.advisor.questions import Questionnaire
from tradewind.advisor.recommendation import Excluded, Recommendation, Teller, Together, excluded
from tradewind.advisor.rules import Rules
from tradewind.errors import BadRequest

MOST_NEAR = 5
"""Of those that lack one thing; of equal ones all."""


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
    pairs: tuple[Together, ...]
    excluded: tuple[Excluded, ...]
    changes: tuple[Change, ...]
    in_use: tuple[InUse, ...]
    programmes: tuple[Recommendation, ...]

    @property
    def found(self) -> bool:
        """Whether there is an honest offer: one partner, or two together."""
        return bool(self.ranked or self.pairs)

    @property
    def near(self) -> tuple[Excluded, ...]:
        """Those that would stand first if not for one thing, the best first; what is over isn't near to anything."""
        near = [one for one in self.excluded if one.otherwise == 1 and not one.has_ended]
        near.sort(key=lambda one: (one.key, one.partner.name.casefold()))
        return cut(near, MOST_NEAR, lambda one: one.key)


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
    teller = Teller(rules, answers, bench.weights(answers), today)
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
        pairs=tuple(teller.together(pair) for pair in pairs(systems, rules, answers, bench.weights(answers), today)),
        excluded=tuple(excluded(systems, rules, answers, [one for _, one in fit])),
        changes=tuple(changes(bench, questionnaire)),
        in_use=tuple(_in_use(questionnaire.directory, answers)),
        programmes=tuple(
            teller.recommendation(1, one)
            for one in judged
            if one.partner.kind is PartnerKind.PROGRAMME and one.standing is not Standing.OUT
        ),
    )


def _fewest_doubts(judged: Judgement) -> tuple[float, ...]:
    """Return what those are ranked by that somebody has to ask first: the fewest questions, then as the others."""
    return ((*judged.needs, *judged.exclusions).count(Outcome.ASK), *judged.first_key)


def _in_use(directory: Directory, answers: Mapping[str, Any]) -> Iterator[InUse]:
    for name in answers.get("uses_now", ()):
        partner = directory.find(name)
        yield InUse(partner=partner, status=partner.facts.get("status"), move_to=partner.facts.get("move_to"))
