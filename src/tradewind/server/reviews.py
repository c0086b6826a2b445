"""Reviews of partners over HTTP: write, read, decide, answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tradewind.engine.access.identity import new_id
from tradewind.engine.access.reviews import Reviews
from tradewind.errors import BadRequest, NotFound
from tradewind.model.exchange import Page
from tradewind.model.joining import Appointment
from tradewind.model.reviews import (
    NewAnswer,
    NewReview,
    Review,
    ReviewDecision,
    ReviewStatus,
    ReviewSummary,
    Speaker,
)
from tradewind.server.clusters import MOST_ITEMS, within
from tradewind.server.context import request_id
from tradewind.server.operation import Asked, Door, Nothing, Table

table = Table("reviews")
OF = "/partners/{partner}"
ONE = "/reviews/{review}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which reviews, and how many of them."""

    partner: str | None = None
    """Of this one alone."""
    status: ReviewStatus | None = None
    """In this state alone."""
    limit: int = 100
    """Up to 500."""
    cursor: str | None = None
    """From the page before."""


@table.on("GET", "/reviews", query=Which, answer=Page[Review], door=Door.SIGNED, problems=(BadRequest, NotFound))
async def list_all(asked: Asked[Nothing, Which]) -> Page[Review]:
    """List what is published and one's own, newest first; operators see all, with those that wait for a decision."""
    which = asked.query
    limit = within(which.limit, "limit", MOST_ITEMS)
    found = await _reviews(asked).list(partner=which.partner, status=which.status, before=which.cursor, limit=limit + 1)
    return Page(items=tuple(found[:limit]), next=found[limit - 1].id if len(found) > limit else None)


@table.on("GET", "/reviews/summary", answer=Page[ReviewSummary], door=Door.SIGNED)
async def summary(asked: Asked[Nothing, Nothing]) -> Page[ReviewSummary]:
    """Return what all that is published says together of each partner: with number and spread, never a bare average."""
    return Page(items=tuple(await _reviews(asked).summaries()))


@table.on("PUT", OF + "/review", body=NewReview, answer=Review, door=Door.SIGNED, problems=(BadRequest, NotFound))
async def write(asked: Asked[NewReview, Nothing]) -> Review:
    """Write one's review of a partner; it is seen by others once an operator has published it."""
    return await _reviews(asked).write(asked.path("partner"), asked.body)


@table.on("DELETE", OF + "/review", door=Door.SIGNED, problems=(NotFound,))
async def withdraw(asked: Asked[Nothing, Nothing]) -> None:
    """Delete one's own review of a partner."""
    await _reviews(asked).withdraw(asked.path("partner"))


@table.on(
    "POST", ONE + "/decision", body=ReviewDecision, answer=Review, door=Door.SIGNED, problems=(BadRequest, NotFound)
)
async def decide(asked: Asked[ReviewDecision, Nothing]) -> Review:
    """Publish or refuse a review, for operators; never one's own."""
    return await _reviews(asked).decide(asked.path("review"), asked.body)


@table.on("PUT", ONE + "/answer", body=NewAnswer, answer=Review, door=Door.SIGNED, problems=(BadRequest, NotFound))
async def answer(asked: Asked[NewAnswer, Nothing]) -> Review:
    """Answer a published review, for who speaks for its partner."""
    return await _reviews(asked).answer(asked.path("review"), asked.body.text)


@table.on("GET", OF + "/speakers", answer=Page[Speaker], door=Door.SIGNED, problems=(NotFound,))
async def speakers(asked: Asked[Nothing, Nothing]) -> Page[Speaker]:
    """List who may answer for a partner."""
    return Page(items=tuple(await _reviews(asked).speakers(asked.path("partner"))))


@table.on("POST", OF + "/speakers", body=Appointment, answer=Speaker, door=Door.SIGNED, problems=(BadRequest, NotFound))
async def appoint(asked: Asked[Appointment, Nothing]) -> Speaker:
    """Let a user answer for a partner, for operators."""
    return await _reviews(asked).appoint(asked.path("partner"), asked.body.user)


@table.on("DELETE", OF + "/speakers/{user}", door=Door.SIGNED, problems=(NotFound,))
async def dismiss(asked: Asked[Nothing, Nothing]) -> None:
    """Let a user answer for a partner no longer, for operators."""
    await _reviews(asked).dismiss(asked.path("partner"), asked.path("user"))


def _reviews(asked: Asked[Any, Any]) -> Reviews:
    # Made here and not by the engine, which runs without a server too, and then without the advisor's files.
    assembly, number = asked.assembly, request_id() or None
    person = assembly.people.as_(asked.signed, number)
    return Reviews(assembly.store, assembly.clock, asked.signed, person, new_id=new_id, request_id=number)
