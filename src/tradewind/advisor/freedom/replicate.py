"""Whether two runs of the same gave the same: bit for bit, or within a tolerance that was said beforehand."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)(?![\w.])", re.IGNORECASE
)
SHOWN = 200
"""Letters of a line that a difference shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differs:
    """A line that isn't the same in both."""

    line: int
    """From 1; the first that differs."""
    one: str
    other: str
    by: float | None
    """The largest relative difference of its numbers; None where its words differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of it."""

    is_same: bool
    is_identical: bool
    """Bit for bit."""
    lines: int
    largest: float
    """The largest relative difference of any two numbers."""
    first: Differs | None
    """The first line that differs by more than the tolerance."""


def compare(one: str, other: str, tolerance: float = 0.0) -> Comparison:
    """Compare what two runs printed.

    Parameters
    ----------
    one, other : str
        Their results as text.
    tolerance : float
        The largest relative difference that two numbers at the same place may have; words must be equal. 0 is bit for
        bit: then numbers written otherwise aren't the same either.
    """
    here, there = one.splitlines(), other.splitlines()
    largest = 0.0
    first: Differs | None = None
    for number in range(max(len(here), len(there))):
        left = here[number] if number < len(here) else ""
        right = there[number] if number < len(there) else ""
        if left == right and number < min(len(here), len(there)):
            continue
        by = _apart(left, right) if number < min(len(here), len(there)) else None
        largest = max(largest, by or 0.0)
        if first is None and (by is None or not by <= tolerance or tolerance == 0):
            first = Differs(line=number + 1, one=left[:SHOWN], other=right[:SHOWN], by=by)
    return Comparison(
        is_same=first is None,
        is_identical=one == other,
        lines=max(len(here), len(there)),
        largest=largest,
        first=first,
    )


def _apart(one: str, other: str) -> float | None:
    """Return by how much the numbers of two lines differ at most, of the larger; None where their words differ."""
    if [part.split() for part in _NUMBER.split(one)] != [part.split() for part in _NUMBER.split(other)]:
        return None
    apart = 0.0
    for left, right in zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True):
        a, b = float(left), float(right)
        if a == b or (math.isnan(a) and math.isnan(b)):
            continue
        apart = max(apart, abs(a - b) / max(abs(a), abs(b)) if math.isfinite(a) and math.isfinite(b) else math.inf)
    return apart
