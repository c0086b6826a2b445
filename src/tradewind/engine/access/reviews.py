"""What people ask of reviews: write, read, decide, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from tradewind.advisor.partner import Partner
from tradewind.advisor.reviews import summarize
from tradewind.advisor.shelf import open_metered, open_shelf
from tradewind.engine.access.person import Person
from tradewind.engine.access.rights import refuse_limited, refuse_unless_operator, refuse_without
from tradewind.engine.clock import Clock
from tradewind.errors import BadRequest
from tradewind.model.people import Scope, Signed
from tradewind.model.reviews import (
    CRITERIA,
    HIGHEST,
    LOWEST,
    Interest,
    NewReview,
    Review,
    ReviewDecision,
    ReviewStatus,
    ReviewSummary,
    Speaker,
    UseProof,
)
from tradewind.model.usage import Usage
from tradewind.planning import meter
from tradewind.planning.names import short_text
from tradewind.planning.wishes import check_keepable
from tradewind.store.access.audit import By
from tradewind.store.store import Store

LONGEST_PROSE = 4000
EARLIEST = date(2000, 1, 1)
ANY = "any"


class Reviews:
    """The verbs of one who is signed in."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        signed: Signed,
        person: Person,
        *,
        new_id: Callable[[str], str],
        request_id: str | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._signed = signed
        self._person = person
        self._new_id = new_id
        self._request_id = request_id

    async def list(
        self,
        *,
        partner: str | None = None,
        status: ReviewStatus | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> Sequence[Review]:
        """Return reviews, newest first: what is published and one's own; operators see all. Raises NotFound."""
        refuse_without(self._signed, Scope.READ)
        seen_by = None if self._signed.user.is_operator else self._signed.user.id
        known = (await _known(partner)).id if partner is not None else None
        return await self._store.reviews.listed(
            seen_by=seen_by, partner=known, status=status, before=before, limit=limit
        )

    async def summaries(self) -> Sequence[ReviewSummary]:
        """Return what all that is published says together, by partner."""
        refuse_without(self._signed, Scope.READ)
        return summarize(await self._store.reviews.published())

    async def write(self, partner: str, said: NewReview) -> Review:
        """Write one's review of a partner; a second one takes the place of the first, and is decided on anew.

        Raises
        ------
        NotFound
            The directory has no such partner, or one isn't in the workspace of the proof.
        BadRequest
            It can't be kept: names the field, the fact, and what to do.
        Forbidden
            A token for one workspace can't.
        """
        refuse_limited(self._signed)
        known = await _known(partner)
        now = self._clock.now()
        check_keepable(said)
        said = _checked(said, now)
        review = Review(
            id=self._new_id("review"),
            partner=known.id,
            by=self._signed.user.name,
            written_at=now,
            said=said,
            proof=await self._proof(known.id, said, now) if said.proof_of is not None else None,
        )
        return await self._store.reviews.write(
            review, self._signed.user.id, self._by(), siblings=await _siblings(known.id)
        )

    async def withdraw(self, partner: str) -> None:
        """Delete one's own review of a partner. Raises NotFound."""
        refuse_limited(self._signed)
        await self._store.reviews.withdraw((await _known(partner)).id, self._signed.user.id, self._by())

    async def decide(self, review_id: str, decision: ReviewDecision) -> Review:
        """Publish or refuse a review. Raises Forbidden for who is no operator; NotFound, BadRequest."""
        refuse_unless_operator(self._signed, "decide on reviews")
        reason = short_text(decision.reason, "the reason")
        if not decision.publish and not reason:
            raise BadRequest("a refusal has a reason, which the review's writer sees: say it in a sentence")
        status = ReviewStatus.PUBLISHED if decision.publish else ReviewStatus.REFUSED
        siblings = await _siblings((await self._store.reviews.find(review_id)).partner)
        return await self._store.reviews.decide(
            review_id, status, reason, self._signed.user.id, self._by(), siblings=siblings
        )

    async def answer(self, review_id: str, text: str) -> Review:
        """Answer a review for the partner it is of. Raises NotFound, BadRequest for who doesn't speak for it."""
        refuse_limited(self._signed)
        text = _prose(text, "the answer")
        if not text:
            raise BadRequest("an answer has a text")
        return await self._store.reviews.answer(review_id, text, self._signed.user.id, self._by())

    async def appoint(self, partner: str, user: str) -> Speaker:
        """Let a user answer for a partner. Raises Forbidden for who is no operator; NotFound, BadRequest."""
        refuse_unless_operator(self._signed, "say who speaks for a partner")
        known = await _known(partner)
        found = await self._store.people.user_named(user)
        speaker = Speaker(
            partner=known.id, user=found.name, appointed_by=self._signed.user.name, appointed_at=self._clock.now()
        )
        return await self._store.reviews.appoint(speaker, found.id, self._by(), siblings=await _siblings(known.id))

    async def dismiss(self, partner: str, user: str) -> None:
        """Let a user answer for a partner no longer. Raises Forbidden for who is no operator; NotFound."""
        refuse_unless_operator(self._signed, "say who speaks for a partner")
        await self._store.reviews.dismiss((await _known(partner)).id, user, self._by())

    async def speakers(self, partner: str) -> Sequence[Speaker]:
        """Return who may answer for a partner: everybody may know. Raises NotFound."""
        refuse_without(self._signed, Scope.READ)
        return await self._store.reviews.speakers((await _known(partner)).id)

    async def _proof(self, partner: str, said: NewReview, now: datetime) -> UseProof:
        """Return what was metered of one's own use. Raises BadRequest where nothing was."""
        assert said.proof_of is not None
        providers = open_metered().get(partner, ())
        if not providers:
            raise BadRequest(f"the use of {partner} isn't metered on this server; write the review without a proof")
        await self._person.caller(said.proof_of)
        usages = [
            usage
            for usage in await self._store.usages(workspace=said.proof_of)
            if usage.owner == self._signed.user.name and (ANY in providers or usage.provider in providers)
        ]
        if not usages:
            raise BadRequest(
                f"nothing of yours was metered in workspace {said.proof_of!r} on "
                f"{'any provider' if ANY in providers else ' or '.join(providers)}; write the review without a proof"
            )
        return _proof_of(usages, now, shows_cost=said.proves_cost)

    def _by(self) -> By:
        return By(user=self._signed.user.name, at=self._clock.now(), request_id=self._request_id)


async def _known(partner: str) -> Partner:
    """Return a partner. Raises NotFound; names the nearest."""
    # The directory is read once, from files: not on the event loop.
    shelf = await asyncio.to_thread(open_shelf)
    return shelf.directory.find(partner[:200])


async def _siblings(partner: str) -> tuple[str, ...]:
    """Return the ids of the others of a partner's operator; none for one that the directory has no longer."""
    directory = (await asyncio.to_thread(open_shelf)).directory
    return tuple(one.id for kept in directory if kept.id == partner for one in directory.siblings(kept))


def _proof_of(usages: Sequence[Usage], now: datetime, *, shows_cost: bool) -> UseProof:
    return UseProof(
        providers=tuple(sorted({usage.provider for usage in usages})),
        clusters=len({usage.cluster_id for usage in usages}),
        instance_hours=round(sum(usage.duration(now).total_seconds() for usage in usages) / 3600, 2),
        since=min(usage.started_at for usage in usages).date(),
        until=max(usage.stopped_at or now for usage in usages).date(),
        cost=meter.cost(usages, now).money if shows_cost else (),
    )


def _checked(said: NewReview, now: datetime) -> NewReview:
    """Return a review as it is kept. Raises BadRequest for one that can't be."""
    for criterion, points in said.points.items():
        if criterion not in CRITERIA:
            raise BadRequest(f"there are no points for {criterion!r:.60}; there are {', '.join(CRITERIA)}")
        if isinstance(points, bool) or not LOWEST <= points <= HIGHEST:
            raise BadRequest(f"points for {criterion} are {points!r:.20}; give {LOWEST} to {HIGHEST}, or leave it out")
    if not said.points:
        raise BadRequest(f"a review gives points for one thing at least: {', '.join(CRITERIA)}")
    if not EARLIEST <= said.used_from <= now.date():
        raise BadRequest(f"used_from is {said.used_from}: a review is of what one has used, since {EARLIEST} or later")
    if said.used_until is not None and not said.used_from <= said.used_until <= now.date():
        raise BadRequest(f"used_until is {said.used_until}: it lies between used_from and today; left out, it goes on")
    note = short_text(said.interest_note, "the interest")
    if said.interest is not Interest.NONE and not note:
        raise BadRequest(f"you declare an interest ({said.interest.value}): say in interest_note what it is")
    if said.interest is Interest.NONE and note:
        raise BadRequest("interest_note says what an interest is, and you declare none: which of the two is it?")
    if said.proves_cost and said.proof_of is None:
        raise BadRequest("proves_cost is for a review with a proof: name the workspace in proof_of")
    return replace(said, interest_note=note, text=_prose(said.text, "the text"))


def _prose(text: str, what: str) -> str:
    """Return text of several lines. Raises BadRequest where it is too long or can't be printed."""
    text = text.strip()
    strange: Any = next((letter for letter in text if not letter.isprintable() and letter not in "\n\t"), None)
    if len(text) > LONGEST_PROSE or strange is not None:
        fact = f"has {strange!r} in it" if strange is not None else f"has {len(text)} characters"
        raise BadRequest(f"{what} {fact}; write up to {LONGEST_PROSE} characters that can be printed")
    return text
