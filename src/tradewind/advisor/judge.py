"""How one partner stands to one group's answers: never in comparison with another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any, TypeVar

from tradewind.advisor.fact import Fact, fee_of
from tradewind.advisor.partner import Partner, PartnerKind
from tradewind.advisor.rules import Doubt, Hurdle, Preference, Rules

T = TypeVar("T")

UNKNOWN_WORTH = 0.25
"""What a preference is worth where nobody knows: less than half, so that silence is no merit."""
FREE_FIRST = "prefer_free"
"""The question whether free offers stand first."""
CLOSE = 9
"""Decimal places to which two scores are compared; what differs less is the same."""


class Outcome(IntEnum):
    """What became of one hurdle."""

    NOT_ASKED = 0
    MET = 1
    UNMET = 2
    ASK = 3
    WARN = 4


class Standing(StrEnum):
    """Where a partner stands."""

    FIT = "fit"
    """It does what is needed, and nothing known excludes it."""
    ASK = "ask"
    """It might; somebody has to ask first."""
    PART = "part"
    """It does some of what is needed, and nothing excludes it."""
    OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why, with the facts that say so."""

    rule: str
    says: str
    facts: tuple[Fact, ...] = ()
    unknown: tuple[str, ...] = ()
    """The fields nobody knows that it also depends on."""
    unanswered: tuple[str, ...] = ()
    """Of a doubt: the questions that were left open, and whose answer may end it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A partner, and how it stands."""

    partner: Partner
    needs: tuple[Outcome, ...]
    exclusions: tuple[Outcome, ...]
    values: tuple[float, ...]
    """What each preference is worth here, between 0 and 1."""
    standing: Standing
    score: float
    """The weighted mean of the preferences, between 0 and 1."""
    free: str
    """The rule by which it is a free offer; empty where it is none."""

    @property
    def first_key(self) -> tuple[bool, float]:
        """What it is ranked by among those that fit: free offers first, then the score."""
        return first_key(self.free, self.score)


def first_key(free: str, score: float) -> tuple[bool, float]:
    """Return what is ranked by: free offers first, then the score; what differs by nothing is the same."""
    return (not free, -round(score, CLOSE))


def cut(ordered: Sequence[T], most: int, key: Callable[[T], Any]) -> tuple[T, ...]:
    """Return the first ones of what is in order, about ``most``: of equal ones all or none, so that no name decides."""
    if len(ordered) <= most:
        return tuple(ordered)
    last = key(ordered[most - 1])
    return tuple(one for number, one in enumerate(ordered) if number < most or key(one) == last)


def outcome(hurdle: Hurdle, facts: Mapping[str, Fact], answers: Mapping[str, Any]) -> Outcome:
    """Return what becomes of one hurdle."""
    if hurdle.when.holds({}, answers) is not True:
        return Outcome.NOT_ASKED
    kept = hurdle.keep.holds(facts, answers)
    if kept is not None:
        return Outcome.MET if kept else Outcome.UNMET
    if hurdle.sure_if is not None and hurdle.sure_if.holds(facts, answers) is True:
        return Outcome.NOT_ASKED
    if not hurdle.strict and not hurdle.keep.answers <= answers.keys():
        return Outcome.NOT_ASKED
    match hurdle.doubt:
        case Doubt.ASK:
            return Outcome.ASK
        case Doubt.WARN:
            return Outcome.WARN
        case Doubt.PASS:
            return Outcome.NOT_ASKED


def worth(preference: Preference, facts: Mapping[str, Fact], answers: Mapping[str, Any], today: date) -> float:
    """Return what one preference is worth, between 0 and 1; a fact that is unsure or stale counts in part."""
    if preference.scale is not None:
        fact = facts.get(preference.scale.fact)
        people = preference.scale.people
        number = fee_of(facts, answers.get(people)) if people else fact.value if fact is not None else None
        if fact is None or not isinstance(number, Decimal):
            return UNKNOWN_WORTH
        span = preference.scale.best - preference.scale.worst
        share = float(min(Decimal(1), max(Decimal(0), (number - preference.scale.worst) / span)))
        return _trusted(share, 1.0, fact.trust(today))
    best = 0.0
    for point in preference.points:
        held = point.test.holds(facts, answers)
        value = {True: 1.0, None: UNKNOWN_WORTH, False: 0.0}[held] * point.worth
        trust = min((facts[name].trust(today) for name in point.test.facts if name in facts), default=1.0)
        best = max(best, _trusted(value, point.worth, trust))
    return best


def _trusted(value: float, most: float, trust: float) -> float:
    return trust * value + (1 - trust) * UNKNOWN_WORTH * most


def standing(needs: Sequence[Outcome], exclusions: Sequence[Outcome]) -> Standing:
    """Return where a partner stands, by what became of each hurdle."""
    if Outcome.UNMET in exclusions:
        return Standing.OUT
    if Outcome.UNMET in needs:
        return Standing.PART if Outcome.MET in needs else Standing.OUT
    return Standing.ASK if Outcome.ASK in needs or Outcome.ASK in exclusions else Standing.FIT


def score(values: Sequence[float], weights: Sequence[float]) -> float:
    """Return the weighted mean; 0 where nothing is preferred."""
    total = sum(weights)
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / total if total else 0.0


def free_by(rules: Rules, partner: Partner, answers: Mapping[str, Any]) -> str:
    """Return the rule by which it is a free offer; empty where it is none, or nobody wants those first."""
    if answers.get(FREE_FIRST) == "no":
        return ""
    return next((rule.id for rule in rules.free if rule.test.holds(partner.facts, answers) is True), "")


def judge(
    partner: Partner, rules: Rules, answers: Mapping[str, Any], weights: Sequence[float], today: date
) -> Judgement:
    """Return how a partner stands.

    Parameters
    ----------
    partner : Partner
        Nothing but its facts counts: not its name, and no other partner.
    rules : Rules
        The rules.
    answers : mapping
        What is open is not in it.
    weights : sequence of float
        Of each preference.
    today : date
        For the age of facts.
    """
    facts = partner.facts
    programme = partner.kind is PartnerKind.PROGRAMME
    needs = () if programme else tuple(outcome(rule, facts, answers) for rule in rules.needs)
    exclusions = tuple(outcome(rule, facts, answers) for rule in rules.exclusions if rule.eligibility or not programme)
    values = () if programme else tuple(worth(rule, facts, answers, today) for rule in rules.preferences)
    return Judgement(
        partner=partner,
        needs=needs,
        exclusions=exclusions,
        values=values,
        standing=standing(needs, exclusions),
        score=0.0 if programme else score(values, weights),
        free="" if programme else free_by(rules, partner, answers),
    )


def cited(rule: str, says: str, fields: Iterable[str], partner: Partner) -> Reason:
    """Return a reason with the facts of these fields."""
    names = sorted(fields)
    return Reason(
        rule=rule,
        says=says,
        facts=tuple(partner.facts[name] for name in names if name in partner.facts),
        unknown=tuple(name for name in names if name not in partner.facts),
    )
