"""The link that shares an answer: it says all of it, and whatever else somebody writes there is told and harmless."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.advisor.asking import TODAY
from tradewind.advisor.link import LONGEST, PLAIN, SIZES, Shared, read_link, write_link
from tradewind.advisor.questions import Question, QuestionType
from tradewind.advisor.shelf import open_shelf
from tradewind.errors import BadRequest

QUESTIONS = open_shelf().questionnaire
RULES = open_shelf().rules
PREFERENCES = [preference.id for preference in RULES.preferences]
NUMBERS = st.decimals(min_value=0, max_value=10**9, allow_nan=False, places=3)


def read(text: str, today: date = TODAY) -> Shared:
    return read_link(text, QUESTIONS, RULES, today=today)


def answers_to(question: Question) -> st.SearchStrategy[Any]:
    def some(words: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
        return st.lists(st.sampled_from(words), min_size=1, unique=True).map(tuple)

    match question.type:
        case QuestionType.CHOICE:
            return st.sampled_from(question.order)
        case QuestionType.CHOICES:
            return some(list(question.order))
        case QuestionType.TIES:
            return some(list(QUESTIONS.ties()))
        case QuestionType.PARTNERS:
            return some([partner.id for partner in QUESTIONS.directory])
        case QuestionType.COUNTRY:
            return st.sampled_from(sorted(QUESTIONS.places.names))
        case QuestionType.DATE:
            return st.dates()
        case QuestionType.NUMBER:
            whole = st.integers(int(question.least), 10**9).map(Decimal)
            return whole if question.is_whole else NUMBERS


SHARED = st.builds(
    Shared,
    day=st.dates(max_value=TODAY),
    answers=st.fixed_dictionaries({}, optional={each.id: answers_to(each) for each in QUESTIONS.questions}),
    weights=st.dictionaries(st.sampled_from(PREFERENCES), st.sampled_from([0.0, 0.5, 5.0, 10.0])),
    sizes=st.dictionaries(st.sampled_from(SIZES), st.decimals(min_value=0, max_value=744, places=2)),
)

BRIEF = st.lists(st.sampled_from(QUESTIONS.questions), max_size=6).flatmap(
    lambda some: st.builds(
        Shared, day=st.just(TODAY), answers=st.fixed_dictionaries({each.id: answers_to(each) for each in some})
    )
)
"""Of those who answer little: few of them contradict themselves."""


@given(SHARED)
def test_a_link_says_all_that_was_answered_and_nothing_else(shared: Shared) -> None:
    text = write_link(shared)

    assert read(text) == shared
    assert PLAIN.fullmatch(text), "mail programs cut links at other characters"
    assert len(text) < LONGEST / 2


@given(st.one_of(st.text(), st.text(alphabet="1~.-wehubmust0259E+_").map(lambda text: f"1~2026-11-20~{text}")))
def test_whatever_is_written_there_is_named_or_read_and_means_the_same_when_written_again(text: str) -> None:
    with contextlib.suppress(BadRequest):
        shared = read(text)
        assert read(write_link(shared)) == replace(shared, left_out=())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "damaged"),
        ("1", "damaged"),
        ("1~yesterday", "damaged"),
        ("1~2026-11-20~hub", "damaged"),
        ("1~2026-11-20~~hub.must", "damaged"),
        ("1~2026-11-20~hub.must~hub.no", "'hub' twice"),
        ("1~2026-11-20~w.leave.5~w.leave.6", "'leave' twice"),
        ("1~2026-11-20~hub.<b>", "characters"),
        ("2~2026-11-20~hub.must", "newer version"),
        ("0~2026-11-20~hub.must", "damaged"),
        (f"1~{TODAY + timedelta(days=3)}~hub.must", "yet to come"),
        ("1~2026-11-20~people.many", "no number"),
        ("1~2026-11-20~people.-5", "no number"),
        ("1~2026-11-20~people.1e-99999999", "no number"),
        ("1~2026-11-20~people.1E999999999", "no number"),
        ("1~2026-11-20~people.NaN", "no number"),
        ("1~2026-11-20~country.XX", "no country"),
        ("1~2026-11-20~project_until.2029-13-01", "no date"),
        ("1~2026-11-20~w.leave.11", "from 0 to 10"),
        ("1~2026-11-20~e.read.9999999", "more than anybody has"),
        ("1~2026-11-20~e.hours.900", "up to 744"),
        ("1~2026-11-20~" + "x" * LONGEST, "longer"),
    ],
)
def test_a_link_that_is_none_is_named(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read(text)


def test_what_is_no_longer_asked_is_left_out_and_told() -> None:
    shared = read("1~2026-11-20~hub.sometimes~work.dask.alchemy~colour.blue~w.shiny.3~e.weight.2~people.60")

    assert shared.answers == {"work": ("dask",), "people": Decimal(60)}
    assert shared.left_out == ("hub.sometimes", "work.alchemy", "colour.blue", "w.shiny.3", "e.weight.2")


def test_an_old_link_still_opens() -> None:
    """Made by the first version that made links; it must open for good."""
    text = (
        "1~2026-11-24~admin.python~budget_per_month.2500.5~clouds_allowed.aws.google~country.KE~hub.must~pay.money"
        "~people.60~project_until.2029-12-31~regions.one~uptime.days~work.notebooks.dask~w.leave.5~e.storage.100"
    )

    shared = read(text, date(2031, 1, 1))

    assert shared.left_out == ()
    assert shared.day == date(2026, 11, 24)
    assert shared.answers["work"] == ("notebooks", "dask")
    assert shared.answers["budget_per_month"] == Decimal("2500.5")
    assert shared.answers["project_until"] == date(2029, 12, 31)
    assert shared.weights == {"leave": 5.0}
    assert shared.sizes == {"storage": Decimal(100)}
    assert write_link(shared) == text
