"""The answer as a page: what to do first, then the reasons, the costs, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import quote

from tradewind.advisor.bench import Turn, turns
from tradewind.advisor.fact import Fact
from tradewind.advisor.judge import cut
from tradewind.advisor.link import Shared, write_link
from tradewind.advisor.match import Advice, advise
from tradewind.advisor.questions import Question, QuestionType
from tradewind.advisor.recommendation import Recommendation
from tradewind.advisor.shelf import Shelf, open_shelf
from tradewind.advisor.told import interests, named, with_fee
from tradewind.server.advice.asking import LINK, SEVERAL, Weighed, filled, form, options, weighed
from tradewind.server.advice.costs import ASKS, costs, meter
from tradewind.server.advice.directory import is_alive, newest
from tradewind.server.advice.sheet import Fields, Leads, Sheet

ANSWER = "/advise/answer"
CARDS = 3
"""Partners that are told in full; the others in a line."""
REASONS = 5
ASKED = 6
QUIET = frozenset({"uses_now"})
"""Questions whose answer changes what is told, and no place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Another answer, with the link to what it would bring."""

    says: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Other answers to one question, and what each brings to the first place."""

    question: Question
    is_open: bool
    """Whether the question was left open."""
    results: tuple[tuple[tuple[Other, ...], Turn], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer that was given."""

    question: Question
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """What isn't known of a partner: what the group may say itself, and what it must ask the partner."""

    to_answer: tuple[Question, ...]
    """Questions left open."""
    to_ask: tuple[str, ...]


def answered(fields: Fields, today: date) -> Sheet | Leads:
    """Return the answer to what an address says; the form, where that has faults; its link, where it is a form.

    Raises
    ------
    BadRequest
        The link is none.
    """
    shelf = open_shelf()
    if not fields:
        return Leads(to="/advise")
    sent = filled(shelf, fields, today)
    if sent.is_wrong:
        return form(shelf, sent, today)
    if set(fields) != {LINK}:
        return Leads(to=link_to(sent.shared))
    return _answer(shelf, sent.shared, today)


def link_to(shared: Shared) -> str:
    """Return the address of an answer."""
    return f"{ANSWER}?{LINK}={quote(write_link(shared), safe='')}"


def _answer(shelf: Shelf, shared: Shared, today: date) -> Sheet:
    questionnaire = shelf.questionnaire
    advice = advise(questionnaire, shelf.rules, shared.answers, today=today, weights=shared.weights)
    together = [partner for pair in advice.pairs for partner in (pair.first, pair.second)]
    partners = [*(one.partner for one in (*advice.ranked, *advice.ask_first)), *together]
    shifts = tuple(_shifts(shelf, shared, advice, today))
    following = _next(shifts)
    cards = cut(advice.ranked, CARDS, lambda one: one.rank)
    return Sheet(
        template="answer.html",
        values={
            "advice": advice,
            "firsts": [one for one in advice.ranked if one.rank == 1],
            "cards": cards,
            "others": advice.ranked[len(cards) :],
            "meter": meter,
            "most_reasons": REASONS,
            "asked": cut(advice.ask_first, ASKED, lambda one: one.rank),
            "interests": interests,
            "shifts": shifts,
            "following": following,
            "following_options": options(questionnaire, following.question) if following else {},
            "several": SEVERAL,
            "near": advice.near,
            "over": [one for one in advice.excluded if one.has_ended],
            "costs": costs(shelf, shared.answers, shared.sizes, partners),
            "size_asks": ASKS,
            "said": [
                Said(question=question, says=questionnaire.shown(question, shared.answers[question.id]))
                for question in questionnaire.questions
                if question.id in shared.answers
            ],
            "open": sum(question.id not in shared.answers for question in questionnaire.questions),
            "weights": _by_weight(weighed(shelf.rules, shared.answers, shared.weights)),
            "moved": shared.weights,
            "shared": shared,
            "link_text": write_link(shared),
            "address": link_to(shared),
            "fresh": link_to(replace(shared, day=today)),
            "read": newest(shelf.directory),
            "fields": shelf.directory.fields,
            "is_alive": is_alive,
            "first_source": first_source,
            "firsts_named": lambda turn: named([with_fee(*one) for one in zip(turn.first, turn.fees, strict=True)]),
            "doubts": lambda one: _doubts(one, shelf, shared.answers),
            "given": {},
            "faults": {},
            "today": today,
            "tab": "advise",
        },
    )


def first_source(one: Recommendation) -> Fact | None:
    """Return the fact whose source is the first to read: its price, or that it is there."""
    facts = (one.partner.facts.get(name) for name in ("price", "status", "hub"))
    return next((fact for fact in facts if fact is not None and fact.source.url), None)


def _doubts(one: Recommendation, shelf: Shelf, answers: Mapping[str, Any]) -> Doubts:
    """Return a partner's doubts; what a question of ours may settle isn't asked of the partner before that."""
    questions = {name: shelf.questionnaire.find(name) for reason in one.to_ask for name in reason.unanswered}
    # Who belongs to something ticks it; who doesn't leaves that open for good.
    waiting = {name: question for name, question in questions.items() if question.type is not QuestionType.TIES}
    return Doubts(
        to_answer=tuple(waiting.values()),
        to_ask=tuple(
            reason.says.removeprefix("Ask: ").removesuffix("?")
            for reason in one.to_ask
            if not set(reason.unanswered) & waiting.keys()
        ),
    )


def _shifts(shelf: Shelf, shared: Shared, advice: Advice, today: date) -> Iterator[Shift]:
    questionnaire = shelf.questionnaire
    by_question: dict[str, list[Turn]] = {}
    for turn in turns(advice.changes):
        by_question.setdefault(turn.question.id, []).append(turn)
    for same in by_question.values():
        question = same[0].question
        before = shared.answers.get(question.id)

        def other(answer: Any, question: Question = question, before: Any = before) -> Other:
            answers = {**shared.answers, question.id: answer}
            link = link_to(replace(shared, day=today, answers=answers))
            return Other(says=questionnaire.difference(question, before, answer), link=link)

        results = tuple((tuple(other(answer) for answer in turn.answers), turn) for turn in same)
        yield Shift(question=question, is_open=before is None, results=results)


def _next(shifts: Sequence[Shift]) -> Shift | None:
    """Return the open question with the most answers that change the first place: it is worth answering most."""
    waiting = [shift for shift in shifts if shift.is_open and shift.question.id not in QUIET]
    return max(waiting, key=lambda shift: (-shift.question.part, _size(shift)), default=None)


def _size(shift: Shift) -> int:
    return sum(len(others) for others, _ in shift.results)


def _by_weight(weights: Sequence[Weighed]) -> list[Weighed]:
    return sorted((one for one in weights if one.weight > 0 or one.usual > 0), key=lambda one: -one.weight)
