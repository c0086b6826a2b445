"""What reviews say together: counted, spread, and never more than so few can say."""

from __future__ import annotations

import statistics
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.advisor.reviews import FEW, MIDDLE, UNWRITTEN, summarize
from tradewind.advisor.shelf import open_metered, open_shelf
from tradewind.model.reviews import (
    CriterionSummary,
    Interest,
    NewReview,
    PartnerUse,
    Review,
    ReviewStatus,
    UseProof,
)

T0 = datetime(2026, 11, 1, tzinfo=UTC)
POINTS = st.lists(st.integers(1, 5), min_size=1, max_size=30)


def review(points: int, number: int = 0, **changes: object) -> Review:
    said = NewReview(
        used_for=PartnerUse.RESEARCH, used_from=date(2024, 1, 1), interest=Interest.NONE, points={"ease": points}
    )
    made = Review(
        id=f"review-{number}",
        partner="2i2c",
        by=f"user{number}",
        written_at=T0 + timedelta(days=number),
        said=said,
        status=ReviewStatus.PUBLISHED,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # each test says which


def ease(reviews: list[Review]) -> CriterionSummary:
    """Return what they say of the one criterion."""
    (summary,) = summarize(reviews)
    (criterion,) = summary.criteria
    return criterion


def of(points: list[int]) -> list[Review]:
    return [review(one, number) for number, one in enumerate(points)]


def test_one_enthusiast_is_far_from_five() -> None:
    assert ease(of([5])).shrunk == pytest.approx((5 + UNWRITTEN * MIDDLE) / (1 + UNWRITTEN))
    assert ease(of([5])).shrunk < 3.5


def test_few_are_said_to_be_few() -> None:
    assert [summarize(of([4] * count))[0].is_few for count in (FEW - 1, FEW)] == [True, False]


def test_number_spread_and_counts_stand_beside_the_figure() -> None:
    found = ease(of([1, 5, 5]))

    assert found.count == 3
    assert found.spread == pytest.approx(statistics.stdev([1, 5, 5]))
    assert found.counts == (1, 0, 0, 0, 2)


def test_one_alone_has_no_spread() -> None:
    assert ease(of([4])).spread is None


def test_who_has_an_interest_is_told_and_not_counted() -> None:
    said = replace(review(5).said, interest=Interest.WORKS, interest_note="on its payroll")
    (summary,) = summarize([*of([2, 2, 2]), review(5, 9, said=said)])

    assert (summary.reviews, summary.interested) == (3, 1)
    assert summary.criteria[0].counts == (0, 3, 0, 0, 0)


@pytest.mark.parametrize("status", [ReviewStatus.PENDING, ReviewStatus.REFUSED])
def test_what_isnt_published_says_nothing(status: ReviewStatus) -> None:
    assert summarize([review(5, status=status)]) == ()


def test_a_proof_of_use_gives_no_more_weight() -> None:
    proof = UseProof(
        providers=("slurm",), clusters=3, instance_hours=9.5, since=date(2024, 1, 1), until=date(2024, 2, 1)
    )
    plain = of([1, 3, 5])
    (proved,) = summarize([replace(plain[0], proof=proof), *plain[1:]])

    assert proved.proved == 1
    assert proved.criteria == summarize(plain)[0].criteria


def test_what_is_left_out_isnt_counted() -> None:
    said = replace(review(1).said, points={"cost": 5})
    (summary,) = summarize([*of([2, 2]), review(1, 7, said=said)])

    assert {one.criterion: one.count for one in summary.criteria} == {"ease": 2, "cost": 1}


@given(POINTS)
def test_the_figure_lies_between_the_middle_and_the_average(points: list[int]) -> None:
    mean, shrunk = statistics.fmean(points), ease(of(points)).shrunk

    assert min(mean, MIDDLE) - 1e-9 <= shrunk <= max(mean, MIDDLE) + 1e-9


@given(POINTS, st.randoms(use_true_random=False))
def test_the_order_of_reviews_changes_nothing(points: list[int], dice: object) -> None:
    shuffled = of(points)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis gives a Random

    assert summarize(shuffled) == summarize(of(points))


@given(POINTS, st.integers(1, 5))
def test_one_more_review_moves_it_by_no_more_than_its_share(points: list[int], more: int) -> None:
    before, after = ease(of(points)).shrunk, ease(of([*points, more])).shrunk

    assert abs(after - before) <= 4 / (len(points) + 1 + UNWRITTEN)
    assert (after - before) * (more - before) >= -1e-9, "it moves towards what was said"


@given(POINTS)
def test_names_of_partners_and_people_count_for_nothing(points: list[int]) -> None:
    others = [replace(one, partner="coiled", by=one.by[::-1], id=one.id[::-1]) for one in of(points)]

    assert summarize(others)[0].criteria == summarize(of(points))[0].criteria


def test_what_is_metered_is_a_partner_of_the_directory() -> None:
    assert set(open_metered()) <= {partner.id for partner in open_shelf().directory}
