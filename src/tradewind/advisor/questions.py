"""What a group is asked, and what it answered."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from tradewind.advisor.number import plain_number, ungrouped
from tradewind.advisor.partner import Directory
from tradewind.advisor.places import Places
from tradewind.advisor.shape import shown
from tradewind.errors import BadRequest, ConfigError, NotFound

UNKNOWN = frozenset({"", "?", "unknown", "don't know", "dont know", "don’t know"})
"""What stands for an open answer."""


class QuestionType(StrEnum):
    """What an answer may be."""

    CHOICE = "choice"
    CHOICES = "choices"
    NUMBER = "number"
    COUNTRY = "country"
    DATE = "date"
    TIES = "ties"
    """Some of what the directory's partners ask for."""
    PARTNERS = "partners"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question."""

    id: str
    part: int
    """1 is asked of everybody."""
    asks: str
    why: str
    type: QuestionType
    options: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    least: Decimal = Decimal(0)
    """The smallest number that may be meant."""
    is_whole: bool = False
    """Whether it counts what can't be halved."""
    tries: tuple[Any, ...] = ()
    """Other answers to try, for what can't be tried in full."""

    @property
    def order(self) -> tuple[str, ...]:
        """The options, from less to more where that means something."""
        return tuple(self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Questionnaire:
    """All questions, in the order to ask them."""

    questions: tuple[Question, ...]
    places: Places
    directory: Directory

    def __post_init__(self) -> None:
        ids = [question.id for question in self.questions]
        if len(set(ids)) < len(ids):
            raise ConfigError(f"questions.toml asks {max(ids, key=ids.count)!r} twice.")

    def find(self, name: str) -> Question:
        """Return a question by its id.

        Raises
        ------
        BadRequest
            There is none; names the nearest.
        """
        for question in self.questions:
            if question.id == name:
                return question
        ids = [question.id for question in self.questions]
        near = difflib.get_close_matches(name, ids, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(ids)}."
        raise BadRequest(f"there is no question {name!r}; {hint}")

    def read(self, given: Mapping[str, Any], *, today: date | None = None) -> dict[str, Any]:
        """Return answers as rules read them; what is open is left out.

        Parameters
        ----------
        given : mapping
            From a question's id to a word, a list of words, a number or a date; "don't know" leaves it open.
        today : date, optional
            A date before it can't be meant; default any can, as in what was answered long ago.

        Raises
        ------
        BadRequest
            A question there isn't, or an answer it doesn't take; says which it takes.
        """
        answers = {}
        for name, said in given.items():
            question = self.find(name)
            if (answer := self.answer(question, said, today=today)) is not None:
                answers[name] = answer
        return answers

    def answer(self, question: Question, said: Any, *, today: date | None = None) -> Any:
        """Return one answer as rules read it; None for "don't know". ``today`` and errors as in :meth:`read`."""
        if said is None or (isinstance(said, str) and said.strip().casefold() in UNKNOWN):
            return None
        if isinstance(said, list | tuple) and not said:
            return None
        match question.type:
            case QuestionType.CHOICE:
                if isinstance(said, bool):
                    said = "yes" if said else "no"
                return self._option(question, _single(question, said))
            case QuestionType.CHOICES:
                words = [said] if isinstance(said, str) else list(_several(question, said))
                if any(isinstance(word, str) and word.strip().casefold() in UNKNOWN for word in words):
                    return None
                return tuple(dict.fromkeys(self._option(question, word) for word in words))
            case QuestionType.NUMBER:
                return _number(question, said)
            case QuestionType.COUNTRY:
                return self.places.find(str(_single(question, said)))
            case QuestionType.DATE:
                return _date(question, said, today)
            case QuestionType.TIES:
                words = [said] if isinstance(said, str) else list(_several(question, said))
                ties = self.ties()
                for word in words:
                    if word not in ties and word != "none":
                        raise BadRequest(f"ties: {word!r} isn't asked for by any partner; there are {', '.join(ties)}.")
                return tuple(words)
            case QuestionType.PARTNERS:
                words = [said] if isinstance(said, str) else list(_several(question, said))
                try:
                    return tuple(self.directory.find(str(word)).id for word in words)
                except NotFound as error:
                    raise BadRequest(f"{question.id}: {error}") from error

    def ties(self) -> tuple[str, ...]:
        """Return everything that some partner's door asks for."""
        found = {
            word
            for partner in self.directory
            for name in ("ties_needed", "ties_that_open")
            if name in partner.facts
            for word in _words(partner.facts[name].value)
        }
        return tuple(sorted(found))

    def others(self, question: Question, answer: Any) -> tuple[Any, ...]:
        """Return the answers that could have stood in the place of ``answer``."""
        match question.type:
            case QuestionType.CHOICE:
                tries: tuple[Any, ...] = question.order
            case QuestionType.CHOICES if question.id in LISTED_WHOLE:
                tries = tuple((word,) for word in question.order)
            case QuestionType.CHOICES:
                tries = tuple(_switched(answer or (), word) for word in question.order)
            case QuestionType.TIES:
                tries = tuple((*(answer or ()), tie) for tie in self.ties() if tie not in (answer or ()))
            case QuestionType.PARTNERS:
                tries = ()
            case _:
                tries = tuple(self.answer(question, said) for said in question.tries)
        return tuple(other for other in tries if other not in (answer, (), None))

    def shown(self, question: Question, answer: Any) -> str:
        """Return an answer for a person."""
        match question.type:
            case QuestionType.CHOICE:
                return question.options[answer]
            case QuestionType.CHOICES:
                return " + ".join(question.options[word] for word in answer)
            case QuestionType.COUNTRY:
                return self.places.name(answer)
            case QuestionType.NUMBER:
                return f"{answer:f} {question.unit}"
            case QuestionType.TIES | QuestionType.PARTNERS:
                return ", ".join(answer)
            case _:
                return str(answer)

    def difference(self, question: Question, before: Any, after: Any) -> str:
        """Return another answer for a person, by what it adds to the one given or takes from it."""
        if question.type is not QuestionType.CHOICES or question.id in LISTED_WHOLE or not before:
            return self.shown(question, after)
        added = [f"also: {question.options[word]}" for word in after if word not in before]
        gone = [f"without: {question.options[word]}" for word in before if word not in after]
        return ", ".join([*added, *gone])

    def _option(self, question: Question, word: Any) -> str:
        said = str(word).strip()
        if said in question.options:
            return said
        for option, text in question.options.items():
            if said.casefold() in {option.casefold(), text.casefold()}:
                return option
        near = difflib.get_close_matches(said.casefold(), question.options, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise BadRequest(
            f'{question.id}: {said!r} is no answer to it; {hint}it takes {", ".join(question.options)}, or "?".'
        )


LISTED_WHOLE = frozenset({"clouds_allowed", "pay", "own_machines", "data_at", "data_kind"})
"""Of these one other answer in place of all given says more than one more beside them."""


def _switched(answer: tuple[str, ...], word: str) -> tuple[str, ...]:
    return tuple(said for said in answer if said != word) if word in answer else (*answer, word)


def _words(value: Any) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _single(question: Question, said: Any) -> Any:
    if isinstance(said, list | tuple):
        if len(said) != 1:
            raise BadRequest(f"{question.id}: it takes one answer, and has {len(said)}: {', '.join(map(str, said))}.")
        return said[0]
    return said


def _several(question: Question, said: Any) -> list[Any]:
    if isinstance(said, list | tuple):
        return list(said)
    raise BadRequest(f"{question.id}: it takes a list of words, not {said!r}.")


def _number(question: Question, said: Any) -> Decimal:
    number = plain_number(said)
    if number is None or number < question.least or (question.is_whole and number % 1):
        try:
            ungrouped(said.strip() if isinstance(said, str) else "")
        except ValueError as error:
            raise BadRequest(f"{question.id}: {shown(said)}: {error}.") from None
        like = "250" if question.is_whole else "250 or 2.5"
        raise BadRequest(
            f"{question.id}: {shown(said)} is no number of {question.unit}; give"
            f" {'a whole one' if question.is_whole else 'one'} like {like}, from {question.least} up."
        )
    return number


def _date(question: Question, said: Any, today: date | None) -> date:
    try:
        day = said.date() if isinstance(said, datetime) else said
        day = day if isinstance(day, date) else date.fromisoformat(str(day))
    except ValueError:
        raise BadRequest(f"{question.id}: {shown(said)} is no date; write it as 2029-12-31.") from None
    if today is not None and day < today:
        raise BadRequest(f"{question.id}: {day} has passed; give a day to come, or leave it open.")
    return day
