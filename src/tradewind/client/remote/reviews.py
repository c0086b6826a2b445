"""What a server is asked about reviews of partners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from tradewind import wire
from tradewind.client.remote.connection import Connection, Question, path
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

T = TypeVar("T")
AT_ONCE = 100


class RemoteReviews:
    """The verbs, each one request; they wait in the calling thread, since only commands ask them.

    Parameters
    ----------
    connection : Connection
        Of whoever is signed in.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def each(self, *, partner: str | None = None, status: ReviewStatus | None = None) -> Iterator[Review]:
        """Yield what is published and one's own, newest first; to operators all."""
        cursor = None
        while True:
            said = status.value if status is not None else None
            where = path("reviews", partner=partner, status=said, cursor=cursor, limit=AT_ONCE)
            page = self._ask("GET", where, Page[Review])
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    def summaries(self) -> Sequence[ReviewSummary]:
        """Return what all that is published says together, by partner."""
        return self._ask("GET", path("reviews", "summary"), Page[ReviewSummary]).items

    def write(self, partner: str, said: NewReview) -> Review:
        """Write one's review of a partner, or another in its place."""
        return self._ask("PUT", path("partners", partner, "review"), Review, said)

    def withdraw(self, partner: str) -> None:
        """Delete one's review of a partner."""
        self._ask("DELETE", path("partners", partner, "review"), type(None))

    def decide(self, review_id: str, decision: ReviewDecision) -> Review:
        """Publish or refuse a review."""
        return self._ask("POST", path("reviews", review_id, "decision"), Review, decision)

    def answer(self, review_id: str, text: str) -> Review:
        """Answer a review for its partner."""
        return self._ask("PUT", path("reviews", review_id, "answer"), Review, NewAnswer(text=text))

    def speakers(self, partner: str) -> Sequence[Speaker]:
        """Return who may answer for a partner."""
        return self._ask("GET", path("partners", partner, "speakers"), Page[Speaker]).items

    def appoint(self, partner: str, user: str) -> Speaker:
        """Let a user answer for a partner."""
        return self._ask("POST", path("partners", partner, "speakers"), Speaker, Appointment(user=user))

    def dismiss(self, partner: str, user: str) -> None:
        """Let a user answer for a partner no longer."""
        self._ask("DELETE", path("partners", partner, "speakers", user), type(None))

    def _ask(self, method: str, where: str, kind: type[T], body: object = None) -> T:
        data = wire.dump_json(body).encode() if body is not None else None
        return self._connection.ask_here(Question(method=method, path=where, body=data), kind)
