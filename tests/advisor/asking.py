"""Asking the advisor as a group would: answers by question, on a day when the directory was fresh."""

from __future__ import annotations

from datetime import date
from typing import Any

from tradewind.advisor.match import Advice, advise
from tradewind.advisor.partner import Partner
from tradewind.advisor.shelf import open_shelf

TODAY = date(2026, 11, 23)


def asked(*, at: date = TODAY, **given: Any) -> Advice:
    """Return the advice for these answers; what isn't among them wasn't answered."""
    shelf = open_shelf()
    return advise(shelf.questionnaire, shelf.rules, shelf.questionnaire.read(given), today=at)


def first(advice: Advice) -> set[str]:
    """Return the ids of what stands first."""
    return {one.partner.id for one in advice.ranked if one.rank == 1}


def offered(advice: Advice) -> list[str]:
    """Return the ids of what is recommended, in order."""
    return [one.partner.id for one in advice.ranked]


def left_out(advice: Advice, name: str) -> set[str]:
    """Return the rules by which a partner is left out; empty where it isn't."""
    return {reason.rule for one in advice.excluded if one.partner.id == name for reason in one.because}


def brought_first(advice: Advice, question: str) -> dict[Any, set[str]]:
    """Return what each other answer to a question would bring to the first place."""
    return {
        change.answer: {partner.id for partner in change.first}
        for change in advice.changes
        if change.question.id == question
    }


def partner(name: str) -> Partner:
    """Return a partner of our directory."""
    return open_shelf().directory.find(name)
