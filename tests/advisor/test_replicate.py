"""Whether two results are the same, bit for bit or nearly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.advisor.freedom.replicate import compare


@pytest.mark.parametrize(
    ("one", "other", "tolerance", "is_same"),
    [
        ("trend 0.5\n", "trend 0.5\n", 0, True),
        ("trend 0.5\n", "trend 0.50\n", 0, False),
        ("trend 0.5\n", "trend 0.50\n", 1e-12, True),
        ("trend 1.0000001\n", "trend 1\n", 1e-6, True),
        ("trend 1.00001\n", "trend 1\n", 1e-6, False),
        ("trend 1e-300\n", "trend 2e-300\n", 0.1, False),
        ("trend -1\n", "trend 1\n", 0.5, False),
        ("trend nan\n", "trend nan\n", 0, True),
        ("trend nan\n", "trend 1\n", 1.0, False),
        ("trend inf\n", "trend 1\n", 1.0, False),
        ("trend 1\n", "slope 1\n", 1.0, False),
        ("a 1\nb 2\n", "a 1\n", 1.0, False),
        ("sha256 ab12\n", "sha256 ab13\n", 0.5, False),
    ],
)
def test_numbers_may_differ_by_the_tolerance_and_words_never(
    one: str, other: str, tolerance: float, is_same: bool
) -> None:
    assert compare(one, other, tolerance).is_same is is_same
    assert compare(other, one, tolerance).is_same is is_same


def test_the_first_difference_is_named_with_its_line() -> None:
    first = compare("a 1\nb 2\nc 3\n", "a 1\nb 5\nc 4\n").first

    assert first is not None
    assert (first.line, first.one, first.other, first.by) == (2, "b 2", "b 5", 0.6)


@given(st.text(), st.floats(0, 1))
def test_everything_is_the_same_as_itself(text: str, tolerance: float) -> None:
    assert compare(text, text, tolerance).is_same


@given(st.text(), st.text())
def test_bit_for_bit_is_what_it_says(one: str, other: str) -> None:
    assert compare(one, other).is_same is (one.splitlines() == other.splitlines())


@given(st.text(), st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_wider_tolerance_never_finds_more(one: str, other: str, narrow: float, wide: float) -> None:
    if compare(one, other, min(narrow, wide)).is_same:
        assert compare(one, other, max(narrow, wide)).is_same
