"""Answers as people give them: what is meant is understood, what can't be is named."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.advisor.asking import TODAY, asked
from tradewind.advisor.shelf import open_shelf
from tradewind.errors import BadRequest

QUESTIONNAIRE = open_shelf().questionnaire


@pytest.mark.parametrize(
    ("question", "said", "answer"),
    [
        ("hub", "must", "must"),
        ("hub", "We need one", "must"),
        ("hub", ["must"], "must"),
        ("cloud_account", True, "yes"),
        ("pay", "money", ("money",)),
        ("pay", ["money", "credits", "money"], ("money", "credits")),
        ("country", "kenya", "KE"),
        ("country", "Côte d’Ivoire".replace("’", "'"), "CI"),
        ("country", "ivory coast", "CI"),
        ("country", "The Gambia", "GM"),
        ("country", "uk", "GB"),
        ("budget_per_month", "1,250", Decimal(1250)),
        ("budget_per_month", 12.5, Decimal("12.5")),
        ("project_until", "2029-12-31", date(2029, 12, 31)),
        ("uses_now", ["coiled", "PC Hub"], ("coiled", "planetary-computer-hub")),
    ],
)
def test_an_answer_is_understood(question: str, said: Any, answer: Any) -> None:
    assert QUESTIONNAIRE.read({question: said}) == {question: answer}


@pytest.mark.parametrize("said", ["don't know", "?", "", "Unknown", [], ["don't know"]])
def test_dont_know_leaves_a_question_open(said: Any) -> None:
    assert QUESTIONNAIRE.read({"work": said}) == {}


@pytest.mark.parametrize(
    ("question", "said", "words"),
    [
        ("hub", "often", "hub: 'often' is no answer"),
        ("hub", ["must", "nice"], "takes one answer"),
        ("hubb", "must", "did you mean 'hub'"),
        ("country", "Kenia", "did you mean 'Kenya'"),
        ("country", "Atlantis", "no country"),
        ("budget_per_month", "much", "no number of USD/month"),
        ("budget_per_month", -5, "from 0 up"),
        ("budget_per_month", "12,5", r"'12,5': a comma stands between thousands alone; write 12\.5"),
        ("people", [3, 4], "no number"),
        ("budget_per_month", float("inf"), "no number"),
        ("budget_per_month", True, "no number"),
        ("people", [3], "no number"),
        ("people", 0, "from 1 up"),
        ("people", Decimal("2.5"), "2.5 is no number of people; give a whole one"),
        ("people_at_once", 0, "from 1 up"),
        ("admins", "1.5", "a whole one"),
        ("project_until", "soon", "no date"),
        ("uses_now", "coild", "did you mean 'coiled'"),
        ("ties", "my-uncle", "my-uncle"),
        ("work", 5, "list of words"),
    ],
)
def test_an_answer_that_cant_be_is_named(question: str, said: Any, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        QUESTIONNAIRE.read({question: said})


def test_a_day_that_has_passed_is_none_until_when_something_is_needed() -> None:
    assert QUESTIONNAIRE.read({"project_until": TODAY.isoformat()}, today=TODAY) == {"project_until": TODAY}
    with pytest.raises(BadRequest, match="project_until: 2020-01-01 has passed"):
        QUESTIONNAIRE.read({"project_until": date(2020, 1, 1)}, today=TODAY)
    # An answer of then stays what it was: whoever opens its link later reads it as it was given.
    assert QUESTIONNAIRE.read({"project_until": "2020-01-01"}) == {"project_until": date(2020, 1, 1)}


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"pay": ["nothing"], "budget_per_month": 500}, "pay and budget_per_month"),
        ({"pay": ["money"], "budget_per_month": 0}, "could spend none"),
        ({"pay": ["nothing", "money"]}, "pay contradicts itself"),
        ({"people": 3, "people_at_once": 30}, "people and people_at_once"),
        ({"admin": "nobody", "admins": 2}, "admin and admins"),
        ({"own_machines": ["none", "hpc"]}, "own_machines contradicts itself"),
        ({"clouds_allowed": ["none"], "regions": "several"}, "clouds_allowed and regions"),
        ({"data_rules": "institution", "data_at": ["aws"]}, "data_rules and data_at"),
        ({"languages": ["python"], "main_language": "r"}, "languages and main_language"),
    ],
)
def test_answers_that_contradict_each_other_are_both_named(answers: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        asked(**answers)


def test_no_answer_at_all_is_answered() -> None:
    assert asked().ranked


def test_every_option_of_every_question_can_be_answered_alone() -> None:
    for question in QUESTIONNAIRE.questions:
        for option in question.options:
            asked(**{question.id: option})
