from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_values import T0, after

from tradewind.model.cluster import ScaleMemory, Scaling
from tradewind.planning.scale import gives_up, retry_delay, wanted

WAIT_S = 120


def adaptive(minimum: int = 0, maximum: int = 10) -> Scaling:
    return Scaling(minimum=minimum, initial=minimum, maximum=maximum, wait_count=24, interval=timedelta(seconds=5))


def test_a_fixed_number_is_wanted_whatever_dask_would_use() -> None:
    assert wanted(Scaling.fixed(7), ScaleMemory(wanted=2), 0, 2, T0) == ScaleMemory(wanted=7)


def test_more_is_wanted_at_once() -> None:
    assert wanted(adaptive(), ScaleMemory(wanted=2), 9, 2, T0) == ScaleMemory(wanted=9)


def test_a_surplus_is_noted_and_nobody_is_let_go_yet() -> None:
    memory = wanted(adaptive(), ScaleMemory(wanted=9), 3, 9, T0)
    assert memory == ScaleMemory(wanted=9, surplus_since=T0, surplus_peak=3)


@pytest.mark.parametrize(("seconds", "expected"), [(WAIT_S - 0.001, 9), (WAIT_S, 3)])
def test_a_surplus_is_let_go_when_it_has_lasted_the_wait_and_not_before(seconds: float, expected: int) -> None:
    memory = ScaleMemory(wanted=9, surplus_since=T0, surplus_peak=3)
    assert wanted(adaptive(), memory, 3, 9, after(seconds)).wanted == expected


def test_a_moment_of_use_starts_the_wait_anew() -> None:
    memory = ScaleMemory(wanted=9, surplus_since=T0, surplus_peak=3)
    busy = wanted(adaptive(), memory, 9, 9, after(100))
    assert wanted(adaptive(), busy, 3, 9, after(130)).wanted == 9


def test_workers_that_were_of_use_during_the_wait_stay() -> None:
    memory = ScaleMemory(wanted=9, surplus_since=T0, surplus_peak=3)
    memory = wanted(adaptive(), memory, 8, 9, after(119))
    memory = wanted(adaptive(), memory, 1, 9, after(120))
    assert memory == ScaleMemory(wanted=8, surplus_since=after(120), surplus_peak=1)
    assert wanted(adaptive(), memory, 1, 8, after(240)) == ScaleMemory(wanted=1)


def test_what_was_never_launched_is_given_up_without_a_wait() -> None:
    assert wanted(adaptive(), ScaleMemory(wanted=9), 2, 3, T0).wanted == 3


def test_a_new_scaling_takes_effect_at_once() -> None:
    assert wanted(adaptive(maximum=4), ScaleMemory(wanted=9), 9, 9, T0).wanted == 4
    assert wanted(adaptive(minimum=5), ScaleMemory(wanted=1), 0, 1, T0).wanted == 5


@given(
    minimum=st.integers(0, 20),
    width=st.integers(0, 20),
    rounds=st.lists(st.tuples(st.integers(-5, 60), st.floats(0, 90)), max_size=40),
)
def test_wanted_stays_in_bounds_and_never_drops_below_what_was_of_use_within_the_wait(
    minimum: int, width: int, rounds: list[tuple[int, float]]
) -> None:
    scaling = adaptive(minimum, minimum + width)
    memory, now = ScaleMemory(wanted=minimum), T0
    history = []
    for target, pause in rounds:
        now += timedelta(seconds=pause)
        history.append((now, max(minimum, min(minimum + width, target))))
        before = memory.wanted
        memory = wanted(scaling, memory, target, before, now)
        assert minimum <= memory.wanted <= minimum + width
        assert memory.wanted >= history[-1][1]
        if memory.wanted < before:
            # A target holds until the next one is seen, so the last before the wait's begin still held then.
            begin = now - timedelta(seconds=WAIT_S)
            older = [of_use for at, of_use in history if at <= begin][-1:]
            assert memory.wanted >= max(of_use for at, of_use in history if at > begin)
            assert older, "let go before the wait could have been over"


@pytest.mark.parametrize(
    ("failed", "seconds"), [(0, 0), (1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (1_000_000, 60)]
)
def test_tries_come_twice_as_late_each_time_up_to_a_minute(failed: int, seconds: int) -> None:
    assert retry_delay(failed) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("failed", "crew", "expected"),
    [(0, 1, False), (4, 1, False), (5, 1, True), (4, 0, False), (5, 0, True), (100, 100, False), (104, 100, True)],
)
def test_it_gives_up_when_the_whole_crew_and_some_more_failed(failed: int, crew: int, expected: bool) -> None:
    assert gives_up(failed, crew) is expected
