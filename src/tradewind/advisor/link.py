"""What a link to an answer says: the answers, the weights that were moved, the sizes for its costs, and the day.

A link is a line of words that every mail program leaves whole: ``1~2026-11-24~hub.must~work.dask.notebooks~w.leave.5``.
The version stands first. Words are ids and not numbers of places, so that a link outlives new questions. Whoever opens
one has it from somebody else: it is read as any other input, and what isn't asked any more is told and left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tradewind.advisor.number import plain_number
from tradewind.advisor.programme import MOST_HOURS, MOST_TB
from tradewind.advisor.questions import Question, Questionnaire, QuestionType
from tradewind.advisor.rules import Rules
from tradewind.errors import BadRequest

VERSION = "1"
LONGEST = 4000
"""Characters; with every question answered one has a thousand."""
WEIGHT, SIZE = "w", "e"
SIZES = ("read", "hours", "storage", "out", "away")
"""What the estimate of an answer may be told, each a number: terabytes that one person reads in a month, hours with a
notebook open, terabytes kept, terabytes taken out in a month; and 1 where the data are somewhere else."""
MOST_SIZE = Decimal(int(MOST_TB))
MOST_SIZES = {"hours": Decimal(int(MOST_HOURS))}
"""Of those that end before."""
PLAIN = re.compile(r"[A-Za-z0-9._~-]*")
AHEAD = timedelta(days=2)
"""Somewhere it is tomorrow already."""
BY_WORDS = frozenset({QuestionType.CHOICE, QuestionType.CHOICES, QuestionType.TIES, QuestionType.PARTNERS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What a link says."""

    day: date
    """When it was made."""
    answers: Mapping[str, Any]
    """As rules read them."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """That were moved."""
    sizes: Mapping[str, Decimal] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    """What it says that isn't asked, or isn't an answer, any more; in the link's own words."""


def write_link(shared: Shared) -> str:
    """Return the text that stands in the link; the same answers give the same text."""
    parts = [VERSION, shared.day.isoformat()]
    parts += [f"{name}.{'.'.join(_written(answer))}" for name, answer in sorted(shared.answers.items())]
    parts += [f"{WEIGHT}.{name}.{weight:g}" for name, weight in sorted(shared.weights.items())]
    parts += [f"{SIZE}.{name}.{size:f}" for name, size in sorted(shared.sizes.items())]
    return "~".join(parts)


def read_link(text: str, questionnaire: Questionnaire, rules: Rules, *, today: date) -> Shared:
    """Return what a link says.

    Parameters
    ----------
    text : str
        Of a link that anybody may have made.
    questionnaire : Questionnaire
        The questions of this version.
    rules : Rules
        For the preferences that may be weighed.
    today : date
        A link of a later day is no link of ours.

    Raises
    ------
    BadRequest
        It isn't a link that this version makes, or one before; says what is wrong with it.
    """
    if len(text) > LONGEST:
        raise BadRequest(f"this link is longer than any that is made here ({LONGEST} characters)")
    if not PLAIN.fullmatch(text):
        raise BadRequest("this link is damaged: it holds characters that none that is made here has")
    version, *parts = text.split("~")
    if version != VERSION:
        newer = version.isdigit() and int(version[:9]) > int(VERSION)
        raise BadRequest("this link is of a newer version than runs here" if newer else _DAMAGED)
    day = _day(parts[0] if parts else "", today)
    answers: dict[str, Any] = {}
    weights: dict[str, Any] = {}
    sizes: dict[str, Decimal] = {}
    left_out: list[str] = []
    for part in parts[1:]:
        name, dot, said = part.partition(".")
        if not dot or not name:
            raise BadRequest(_DAMAGED)
        if name in {WEIGHT, SIZE}:
            kind, (name, dot, said) = name, said.partition(".")
            known = SIZES if kind == SIZE else [preference.id for preference in rules.preferences]
            into: dict[str, Any] = sizes if kind == SIZE else weights
            if name not in known:
                left_out.append(part)
                continue
            _once(name, into)
            into[name] = read_size(name, said) if kind == SIZE else float(_number(name, said))
            continue
        _once(name, answers)
        try:
            question = questionnaire.find(name)
        except BadRequest:
            left_out.append(part)
            continue
        words = said.split(".") if question.type in BY_WORDS else [said]
        kept = [word for word in words if _is_answer(questionnaire, question, word)]
        left_out += [f"{name}.{word}" for word in words if word not in kept]
        if kept:
            answers[name] = questionnaire.answer(question, kept if question.type in BY_WORDS else said)
    return Shared(
        day=day, answers=answers, weights=rules.moved(weights), sizes=sizes, left_out=tuple(dict.fromkeys(left_out))
    )


def read_size(name: str, said: str) -> Decimal:
    """Return a size for the estimate. Raises BadRequest where it is none."""
    number = _number(name, said)
    most = MOST_SIZES.get(name, MOST_SIZE)
    if number > most:
        raise BadRequest(f"{name}: {said!r} is more than anybody has; give a number up to {most:,}.")
    return number


_DAMAGED = "this link is damaged: parts of it are missing, or were changed; ask for it again"


def _written(answer: Any) -> Iterator[str]:
    match answer:
        case tuple():
            yield from answer
        case Decimal():
            yield f"{answer:f}"
        case _:
            yield str(answer)


def _day(text: str, today: date) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadRequest(_DAMAGED) from None
    if day > today + AHEAD:
        raise BadRequest(f"this link says that it was made on {day}, which is yet to come")
    return day


def _once(name: str, into: Mapping[str, Any]) -> None:
    if name in into:
        raise BadRequest(f"this link is damaged: it says {name!r} twice")


def _number(name: str, said: str) -> Decimal:
    number = plain_number(said)
    if number is None:
        raise BadRequest(f"{name}: {said!r} is no number; give one like 2.5, from 0 up.")
    return number


def _is_answer(questionnaire: Questionnaire, question: Question, word: str) -> bool:
    """Whether a word is still an answer; a number or a date that can't be one is a fault, and raises."""
    if question.type not in BY_WORDS:
        return questionnaire.answer(question, word) is not None
    try:
        return questionnaire.answer(question, [word]) is not None
    except BadRequest:
        return False
