"""Reviews in the store: one of each person and partner, and every change in the log."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from store_records import T0

from tradewind.errors import BadRequest, NotFound
from tradewind.model.money import Money
from tradewind.model.reviews import (
    Interest,
    NewReview,
    PartnerUse,
    Review,
    ReviewStatus,
    Speaker,
    UseProof,
)
from tradewind.store.access.audit import By
from tradewind.store.store import Store

BY = By(user="ada", at=T0)
ROOT = By(user="root", at=T0 + timedelta(days=1))
SAID = NewReview(
    used_for=PartnerUse.TEACHING,
    used_from=date(2024, 1, 1),
    interest=Interest.GIVEN,
    interest_note="credits of 500 USD",
    points={"ease": 4, "cost": 2},
    text="Größe, 海",
)
PROOF = UseProof(
    providers=("ssh",),
    clusters=2,
    instance_hours=1.25,
    since=date(2024, 1, 1),
    until=date(2024, 2, 1),
    cost=(Money(amount=Decimal("1.10"), currency="EUR"),),
)
REVIEW = Review(id="review-1", partner="2i2c", by="ada", written_at=T0, said=SAID, proof=PROOF)


async def all_of(store: Store, seen_by: str | None = None) -> list[str]:
    return [one.id for one in await store.reviews.listed(seen_by=seen_by)]


async def test_a_review_comes_back_as_it_was_written(store: Store) -> None:
    await store.reviews.write(REVIEW, "u1", BY)

    assert await store.reviews.listed(seen_by="u1") == (REVIEW,)
    assert await store.reviews.listed(seen_by="u2") == ()
    assert await store.reviews.published() == ()


async def test_a_decision_and_an_answer_are_kept_with_it(store: Store) -> None:
    await store.reviews.write(REVIEW, "u1", BY)
    await store.reviews.decide("review-1", ReviewStatus.PUBLISHED, "", "u9", ROOT)
    speaker = Speaker(partner="2i2c", user="bob", appointed_by="root", appointed_at=T0)
    await store.reviews.appoint(speaker, "u2", ROOT)
    await store.reviews.appoint(speaker, "u2", ROOT)
    answered = await store.reviews.answer("review-1", "Thanks.", "u2", By(user="bob", at=T0))

    assert await store.reviews.published() == (answered,)
    assert await store.reviews.speakers("2i2c") == (speaker,)
    actions = [entry.action for entry in await store.people.audit(None)]
    assert actions == [
        "review.answered",
        "speaker.appointed",
        "speaker.appointed",
        "review.published",
        "review.written",
    ]


async def test_of_one_person_and_partner_there_is_one_review_whoever_is_first(store: Store) -> None:
    several = [replace(REVIEW, id=f"review-{number}") for number in range(6)]

    done = await asyncio.gather(*(store.reviews.write(one, "u1", BY) for one in several), return_exceptions=True)

    left = await all_of(store)
    assert len(left) == 1
    assert all(isinstance(one, Review | BadRequest) for one in done), done


async def test_reviews_are_paged_newest_first_also_of_one_moment(store: Store) -> None:
    for number in range(5):
        at = T0 + timedelta(days=number // 2)
        await store.reviews.write(replace(REVIEW, id=f"review-{number}", written_at=at), f"u{number}", BY)

    first = await store.reviews.listed(seen_by=None, limit=2)
    rest = await store.reviews.listed(seen_by=None, before=first[-1].id)

    assert [one.id for one in (*first, *rest)] == [f"review-{number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("seen_by", [None, "u1"])
async def test_lists_can_be_of_one_partner_and_one_state(store: Store, seen_by: str | None) -> None:
    await store.reviews.write(REVIEW, "u1", BY)
    await store.reviews.write(replace(REVIEW, id="review-2", partner="coiled"), "u1", BY)
    await store.reviews.decide("review-2", ReviewStatus.REFUSED, "spam", "u9", ROOT)

    of_partner = await store.reviews.listed(seen_by=seen_by, partner="2i2c")
    refused = await store.reviews.listed(seen_by=seen_by, status=ReviewStatus.REFUSED)

    assert ([one.id for one in of_partner], [one.id for one in refused]) == (["review-1"], ["review-2"])


async def test_what_isnt_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.reviews.decide("review-9", ReviewStatus.PUBLISHED, "", "u9", ROOT)
    with pytest.raises(NotFound):
        await store.reviews.withdraw("2i2c", "u1", BY)
    with pytest.raises(NotFound):
        await store.reviews.dismiss("2i2c", "bob", ROOT)
    assert await store.people.audit(None) == ()


def test_an_engine_of_ones_own_imports_nothing_of_reviews() -> None:
    code = "import sys, tradewind.engine.assembly; print([m for m in sys.modules if 'review' in m or 'advisor' in m])"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert ran.stdout.strip() == "[]"
