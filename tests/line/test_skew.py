"""How far a host's clock is from ours is told the same each time, until it is set."""

from hypothesis import given
from hypothesis import strategies as st

from tradewind.line.skew import Skew


@given(st.floats(-1e5, 1e5), st.lists(st.floats(0, 0.5), min_size=1, max_size=20))
def test_a_clock_is_known_within_what_an_answer_takes_and_stays_what_it_was_told_as(
    ahead: float, waits: list[float]
) -> None:
    skew, told = Skew(), set()
    for number, wait in enumerate(waits):
        sent = 1e9 + number
        skew.heard(sent, sent + wait * 0.8 + ahead, sent + wait)
        told.add(skew.seconds)
    assert len(told) == 1
    assert abs(skew.seconds - ahead) <= 1.5 + 0.5


def test_a_clock_that_is_set_meanwhile_is_noticed() -> None:
    skew = Skew()
    skew.heard(100.0, 400.0, 100.1)
    assert round(skew.seconds) == 300
    skew.heard(200.0, 200.05, 200.1)
    assert skew.seconds == 0.0
