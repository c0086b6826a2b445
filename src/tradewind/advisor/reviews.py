"""What reviews say together: with their number and spread, drawn to the middle while they are few."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from tradewind.model.reviews import (
    CRITERIA,
    HIGHEST,
    LOWEST,
    CriterionSummary,
    Interest,
    Review,
    ReviewStatus,
    ReviewSummary,
)

MIDDLE = (LOWEST + HIGHEST) / 2
UNWRITTEN = 5
"""Reviews at the middle of the scale that are added to each: one person's word then moves little, ten people's much."""
FEW = 3
"""Below so many, nothing is said but how many there are."""


def summarize(reviews: Iterable[Review]) -> tuple[ReviewSummary, ...]:
    """Return what published reviews say of each partner, by its id.

    Who has an interest isn't counted, but said to be there. A proof of use gives no more weight: only the use of some
    partners is metered here, ours among them.
    """
    by_partner: dict[str, list[Review]] = defaultdict(list)
    for review in reviews:
        if review.status is ReviewStatus.PUBLISHED:
            by_partner[review.partner].append(review)
    return tuple(_summary(partner, published) for partner, published in sorted(by_partner.items()))


def _summary(partner: str, published: Sequence[Review]) -> ReviewSummary:
    counted = [review for review in published if review.said.interest is Interest.NONE]
    return ReviewSummary(
        partner=partner,
        reviews=len(counted),
        interested=len(published) - len(counted),
        proved=sum(review.proof is not None for review in counted),
        is_few=len(counted) < FEW,
        newest=max((review.written_at for review in published), default=None),
        criteria=tuple(
            _criterion(name, points)
            for name in CRITERIA
            if (points := [review.said.points[name] for review in counted if name in review.said.points])
        ),
    )


def _criterion(name: str, points: Sequence[int]) -> CriterionSummary:
    mean = math.fsum(points) / len(points)
    spread = math.sqrt(math.fsum((one - mean) ** 2 for one in points) / (len(points) - 1)) if len(points) > 1 else None
    return CriterionSummary(
        criterion=name,
        count=len(points),
        shrunk=(math.fsum(points) + UNWRITTEN * MIDDLE) / (len(points) + UNWRITTEN),
        spread=spread,
        counts=tuple(points.count(value) for value in range(LOWEST, HIGHEST + 1)),
    )
