"""Two partners that do together what neither does alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import combinations
from typing import Any

from tradewind.advisor.fact import fee_of
from tradewind.advisor.judge import CLOSE, Judgement, Outcome, Standing, cut, judge
from tradewind.advisor.partner import Partner, PartnerKind
from tradewind.advisor.rules import Rules

MOST_PAIRS = 3
PAIR_COSTS = 0.95
"""Two services are more to learn and look after than one of the same worth."""
CLOUDS = frozenset({"aws", "google", "azure", "openstack", "other-cloud"})
NOT_NAMED = "unnamed"
"""Where a partner runs that doesn't say where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two partners that together do what neither does alone."""

    parts: tuple[Judgement, Judgement]
    """The better one first."""
    answers: Mapping[str, Any]
    """What they were judged by: with the machines that one gives the other, where it does."""
    score: float
    does: tuple[tuple[str, tuple[str, ...]], ...]
    """For each partner's name, the needs it meets."""
    why: str
    fee_per_month: Decimal | None
    """Of both, in US dollars, without machines; None where nobody knows that of one of them."""
    key: tuple[bool, float]
    """What pairs are told by: those that are known to be within a budget first, then the score."""


def pairs(
    systems: Sequence[Judgement], rules: Rules, answers: Mapping[str, Any], weights: Sequence[float], today: date
) -> tuple[Pair, ...]:
    """Return the best pairs: of parts, of software on machines that a platform gives, and of two ways to work.

    Where a partner fits alone, a pair is told only if it is better.

    Parameters
    ----------
    systems : sequence of Judgement
        Of every platform and software.
    rules : Rules
        For what the needs are called, and for judging software on machines that are given.
    answers : mapping
        What is open is not in it.
    weights : sequence of float
        Of each preference.
    today : date
        For the age of facts.
    """
    fit = [one for one in systems if one.standing is Standing.FIT]
    best = max((one.score for one in fit), default=0.0)
    found = [*_of_parts(systems, rules, answers), *_on_given_machines(systems, rules, answers, weights, today)]
    found = [pair for pair in found if pair.score > best]
    if answers.get("uptime") == "always":
        found.extend(_second_paths(fit, rules, answers))
    found.sort(key=lambda pair: (pair.key, *(judged.partner.name for judged in pair.parts)))
    return cut(found, MOST_PAIRS, lambda pair: pair.key)


def _of_parts(systems: Sequence[Judgement], rules: Rules, answers: Mapping[str, Any]) -> Iterator[Pair]:
    budget = answers.get("budget_per_month")
    willing = [one for one in systems if one.standing is Standing.PART and Outcome.ASK not in one.exclusions]
    for one, other in combinations(willing, 2):
        if not all(_is_met(both) for both in zip(one.needs, other.needs, strict=True)):
            continue
        if not any(_is_anywhere(judged.partner) for judged in (one, other)):
            continue
        fees = [fee(judged.partner, answers) for judged in (one, other)]
        if budget is not None and sum(known for known in fees if known is not None) > budget:
            continue
        yield _pair(one, other, rules, answers, "together they do all you need; neither does alone")


def _is_met(both: tuple[Outcome, Outcome]) -> bool:
    """Whether a need is met by one of two; one that isn't asked for is."""
    return Outcome.MET in both or set(both) == {Outcome.NOT_ASKED}


def _on_given_machines(
    systems: Sequence[Judgement], rules: Rules, answers: Mapping[str, Any], weights: Sequence[float], today: date
) -> Iterator[Pair]:
    for platform in systems:
        gives = platform.partner.facts.get("gives")
        if gives is None or Outcome.UNMET in platform.exclusions or Outcome.ASK in platform.exclusions:
            continue
        assert isinstance(gives.value, tuple)
        have = tuple(dict.fromkeys((*answers.get("own_machines", ()), *gives.value)))
        with_them = {**answers, "own_machines": tuple(word for word in have if word != "none")}
        for one in systems:
            software = one.partner
            if software.kind is not PartnerKind.SOFTWARE or one.standing is Standing.FIT:
                continue
            runs_on = software.facts.get("runs_on")
            if runs_on is None or not any(runs_on.holds(word) for word in gives.value):
                continue
            judged = judge(software, rules, with_them, weights, today)
            if judged.standing is Standing.FIT:
                why = f"{software.name} runs on machines that {platform.partner.name} gives"
                yield _pair(judged, platform, rules, with_them, why)


def _second_paths(fit: Sequence[Judgement], rules: Rules, answers: Mapping[str, Any]) -> Iterator[Pair]:
    """Yield two ways to work that share neither who runs them nor the machines they run on."""
    where = {one.partner.id: _may_run_on(one.partner, answers) for one in fit}
    for one, other in combinations(fit, 2):
        here, there = where[one.partner.id], where[other.partner.id]
        if one.partner.operator == other.partner.operator or not here or not there or len(here | there) == 1:
            continue
        why = "one to work with, the other for when it is down: they share neither an operator nor machines"
        if here & there:
            why += f", as long as they don't both stand on {_either(here & there)}"
        yield _pair(one, other, rules, answers, why)


def _either(words: frozenset[str]) -> str:
    return " or both on ".join(sorted(words))


def _may_run_on(partner: Partner, answers: Mapping[str, Any]) -> frozenset[str]:
    """Return on what it would run for this group, beside the data where it can; empty where nobody knows."""
    hosted, runs = (_words(partner, name) for name in ("hosted_on", "runs_on"))
    if hosted is None or runs is None or NOT_NAMED in hosted:
        return frozenset()
    allowed = frozenset(answers.get("clouds_allowed", ("any",)))
    rented = CLOUDS if "any" in allowed else CLOUDS & allowed
    pays = set(answers.get("pay", ("money",))) & {"money", "credits"}
    kept_in = answers.get("data_rules") in {"in-country", "institution"}
    if not pays or kept_in or answers.get("cloud_account") == "no":
        rented = frozenset()
    places = hosted | (runs & (rented | frozenset(answers.get("own_machines", ()))))
    return places & frozenset(answers.get("data_at", ())) or places


def _words(partner: Partner, name: str) -> frozenset[str] | None:
    fact = partner.facts.get(name)
    return frozenset(fact.value) if fact is not None and isinstance(fact.value, tuple) else None


def _pair(one: Judgement, other: Judgement, rules: Rules, answers: Mapping[str, Any], why: str) -> Pair:
    one, other = sorted((one, other), key=lambda judged: (judged.first_key, judged.partner.name))
    does = tuple(
        (
            judged.partner.name,
            tuple(rule.label for rule, became in zip(rules.needs, judged.needs, strict=True) if became is Outcome.MET),
        )
        for judged in (one, other)
    )
    fees = [fee(judged.partner, answers) for judged in (one, other)]
    known = [amount for amount in fees if amount is not None]
    both = sum(known, Decimal(0)) if len(known) == len(fees) else None
    score = (one.score + other.score) / 2 * PAIR_COSTS
    return Pair(
        parts=(one, other),
        answers=answers,
        score=score,
        does=does,
        why=why,
        fee_per_month=both,
        key=(both is None and "budget_per_month" in answers, -round(score, CLOSE)),
    )


def _is_anywhere(partner: Partner) -> bool:
    fact = partner.facts.get("anywhere")
    return fact is not None and fact.value is True


def fee(partner: Partner, answers: Mapping[str, Any]) -> Decimal | None:
    """Return the least fee in US dollars a month for as many people as were named; None where nobody knows."""
    return fee_of(partner.facts, answers.get("people"))
