"""Advice and facts as plain data, for ``--json``, pages and whoever builds on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from tradewind.advisor.fact import Fact, Value
from tradewind.advisor.fee import Fee
from tradewind.advisor.judge import Reason
from tradewind.advisor.match import Advice
from tradewind.advisor.partner import Partner
from tradewind.advisor.questions import Question, Questionnaire, QuestionType
from tradewind.advisor.recommendation import Recommendation, Together

PLACES = 4
"""Decimal places of a score."""
NAMED = 3
"""Names that stand in a line."""


def told_value(value: Value | None) -> Any:
    """Return a value as JSON has it; money and other decimals as text, so that no digit is lost."""
    match value:
        case tuple():
            return list(value)
        case Fee():
            return told_value(value.steps[0].fixed) if value.is_flat else value.tables()
        case Decimal():
            return int(value) if value == value.to_integral_value() else f"{value:f}"
        case date():
            return value.isoformat()
        case _:
            return value


def told_fact(fact: Fact, today: date) -> dict[str, Any]:
    """Return a fact with all that is known of it."""
    told: dict[str, Any] = {
        "field": fact.field,
        "value": told_value(fact.value),
        "unit": fact.unit,
        "source": {
            "code": fact.source.code,
            "title": fact.source.title,
            "url": fact.source.url,
            "date": told_value(fact.source.date),
        },
        "read_date": fact.read_date.isoformat(),
        "valid_until": fact.valid_until.isoformat(),
        "stale": fact.is_stale(today),
        "kind": fact.kind.value,
        "confidence": fact.confidence.value,
        "interest": list(fact.interest),
    }
    if fact.since:
        told["since"] = fact.since.isoformat()
    for name in ("unsure", "never"):
        if words := getattr(fact, name):
            told[name] = list(words)
    if fact.note:
        told["note"] = fact.note
    return told


def told_partner(partner: Partner, today: date) -> dict[str, Any]:
    """Return a partner with every fact."""
    return {
        "id": partner.id,
        "name": partner.name,
        "kind": partner.kind.value,
        "operator": partner.operator,
        "what": partner.what,
        "facts": [told_fact(fact, today) for fact in partner.facts.values()],
        "remarks": [
            {"text": remark.text, "against": remark.against, "fact": told_fact(remark.fact, today)}
            for remark in partner.remarks
        ],
    }


def told_advice(advice: Advice, questionnaire: Questionnaire) -> dict[str, Any]:
    """Return the whole answer."""
    today = advice.today
    return {
        "today": today.isoformat(),
        "verdict": "found" if advice.ranked else "together" if advice.pairs else "no honest offer found",
        "answers": {name: _answer(answer) for name, answer in advice.answers.items()},
        "needs": list(advice.needs),
        "weights": dict(advice.weights),
        "ranked": [_recommendation(one, today) for one in advice.ranked],
        "ask_first": [_recommendation(one, today) for one in advice.ask_first],
        "combinations": [_pair(both, today) for both in advice.pairs],
        "nearest": [one.partner.id for one in advice.near],
        "excluded": [
            {
                "id": one.partner.id,
                "name": one.partner.name,
                "because": [_reason(reason, today) for reason in one.because],
                "rank_otherwise": one.otherwise,
            }
            for one in advice.excluded
        ],
        "would_change": [
            {
                "question": change.question.id,
                "answer": _answer(change.answer),
                "answer_text": questionnaire.shown(change.question, change.answer),
                "first": [partner.id for partner in change.first],
                "first_fees_usd_per_month": [told_value(fee) for fee in change.fees],
            }
            for change in advice.changes
        ],
        "in_use": [
            {
                "id": one.partner.id,
                "name": one.partner.name,
                "status": told_fact(one.status, today) if one.status else None,
                "move_to": told_fact(one.move_to, today) if one.move_to else None,
            }
            for one in advice.in_use
        ],
        "programmes": [_recommendation(one, today) for one in advice.programmes],
    }


def told_questions(questionnaire: Questionnaire) -> list[dict[str, Any]]:
    """Return every question, with what it may be answered."""
    return [
        {
            "id": question.id,
            "part": question.part,
            "asks": question.asks,
            "why": question.why,
            "type": question.type.value,
            "options": dict(question.options) or {tie: tie for tie in _ties(questionnaire, question)},
            "unit": question.unit,
        }
        for question in questionnaire.questions
    ]


def _ties(questionnaire: Questionnaire, question: Question) -> tuple[str, ...]:
    return questionnaire.ties() if question.type is QuestionType.TIES else ()


def named(names: Sequence[str]) -> str:
    """Return names in few words: three, and how many more; empty where there are none."""
    shown = ", ".join(names[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown


def with_fee(partner: Partner, fee: Decimal | None) -> str:
    """Return a partner's name, with its fee where it has one or nobody knows."""
    if fee == 0:
        return partner.name
    return f"{partner.name} ({'fee unknown' if fee is None else f'{fee:,.0f} USD a month at least'})"


def interests(partner: Partner) -> Mapping[str, int]:
    """Return who has something to gain from what is said of a partner, with the number of facts."""
    counted: dict[str, int] = {}
    for fact in partner.facts.values():
        for interest in fact.interest:
            counted[interest] = counted.get(interest, 0) + 1
    return counted


def _answer(answer: Any) -> Any:
    return told_value(answer)


def _recommendation(one: Recommendation, today: date) -> dict[str, Any]:
    return {
        "rank": one.rank,
        "id": one.partner.id,
        "name": one.partner.name,
        "kind": one.partner.kind.value,
        "what": one.partner.what,
        "score": round(one.judgement.score, PLACES),
        "free_offer": bool(one.judgement.free),
        "fee_usd_per_month": told_value(one.fee_per_month),
        "reasons": [_reason(reason, today) for reason in one.reasons],
        "against": [_reason(reason, today) for reason in one.against],
        "conditions": list(one.conditions),
        "to_ask": [_reason(reason, today) for reason in one.to_ask],
        "how_to_ask": told_value(one.partner.facts["apply"].value) if "apply" in one.partner.facts else None,
        "stale_facts": [fact.field for fact in one.partner.stale(today)],
        "interests": dict(interests(one.partner)),
    }


def _reason(reason: Reason, today: date) -> dict[str, Any]:
    return {
        "rule": reason.rule,
        "says": reason.says,
        "facts": [told_fact(fact, today) for fact in reason.facts],
        "unknown": list(reason.unknown),
        **({"unanswered": list(reason.unanswered)} if reason.unanswered else {}),
    }


def _pair(both: Together, today: date) -> dict[str, Any]:
    return {
        "ids": [one.partner.id for one in both.told],
        "names": [one.partner.name for one in both.told],
        "score": round(both.pair.score, PLACES),
        "why": both.why,
        "does": {name: list(does) for name, does in both.pair.does},
        "fee_usd_per_month": told_value(both.pair.fee_per_month),
        "partners": [_recommendation(one, today) for one in both.told],
    }
