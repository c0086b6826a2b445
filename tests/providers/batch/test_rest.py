"""A queue in which all waits for long is asked seldom; one in which something runs, at every look."""

from dataclasses import replace

import pytest

from tradewind.model.instance import InstanceStatus, Marks, ObservedInstance, Role
from tradewind.providers.batch.rest import OFTEN_S, SELDOM_S, Rest, pause_s

WAITS = ObservedInstance(
    marks=Marks(installation="i", workspace="w", cluster="c", instance="w-1", order="o-1", role=Role.WORKER),
    handle="1_0/o-1",
    status=InstanceStatus.PENDING,
    detail="jobs of others go first",
)
RUNS = replace(WAITS, handle="1_1/o-2", status=InstanceStatus.RUNNING)
DEAD = replace(WAITS, handle="1_2/o-3", status=InstanceStatus.STOPPED)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def asked(clock: Clock, rest: Rest, seen: list[ObservedInstance], seconds: int) -> int:
    """Return how often the queue is asked when somebody looks every second for so long."""
    count = 0
    for _ in range(seconds):
        clock.now += 1
        if rest.good_enough() is None:
            rest.listed(list(seen))
            count += 1
    return count


@pytest.mark.parametrize(
    ("waited_s", "pause"), [(0, OFTEN_S), (60, OFTEN_S), (300, 15.0), (600, SELDOM_S), (1e6, SELDOM_S)]
)
def test_the_longer_all_has_waited_the_longer_is_the_pause(waited_s: float, pause: float) -> None:
    assert pause_s(waited_s) == pause


def test_a_day_of_waiting_is_some_three_thousand_questions() -> None:
    clock = Clock()

    assert asked(clock, Rest(clock), [WAITS, DEAD], 86_400) < 3_000


def test_while_anything_runs_each_look_asks() -> None:
    clock = Clock()

    assert asked(clock, Rest(clock), [WAITS, RUNS], 600) == 600


def test_where_nothing_is_alive_each_look_asks() -> None:
    clock = Clock()

    assert asked(clock, Rest(clock), [DEAD], 60) == 60


def test_after_something_was_done_the_next_look_asks_and_pauses_are_short_again() -> None:
    clock = Clock()
    rest = Rest(clock)
    asked(clock, rest, [WAITS], 3600)
    rest.listed([WAITS])
    assert rest.good_enough() is not None

    rest.wake()

    assert rest.good_enough() is None
    rest.listed([WAITS])
    clock.now += OFTEN_S
    assert rest.good_enough() is None


def test_another_reason_to_wait_makes_pauses_short_again() -> None:
    clock = Clock()
    rest = Rest(clock)
    asked(clock, rest, [WAITS], 3600)

    rest.listed([replace(WAITS, detail="it is next")])
    clock.now += OFTEN_S

    assert rest.good_enough() is None


def test_the_same_list_is_the_same_object() -> None:
    clock = Clock()
    rest, seen = Rest(clock), [WAITS]
    rest.listed(seen)

    assert rest.good_enough() is seen
