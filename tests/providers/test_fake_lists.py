"""What the fake infrastructure lists is what is, though it looks only at what has changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.providers.test_fake_world import order
from tradewind.model.instance import Role
from tradewind.providers.base import Order
from tradewind.providers.fake import FakeWorld, Timing
from tradewind.providers.fake import faults as f
from tradewind.providers.fake.lists import Lists
from tradewind.testing.clock import FakeClock

TIMINGS = st.builds(
    Timing,
    pending=st.sampled_from([timedelta(0), timedelta(seconds=3)]),
    starting=st.sampled_from([timedelta(0), timedelta(seconds=4)]),
    stopping=st.sampled_from([timedelta(0), timedelta(seconds=2)]),
    list_lag=st.sampled_from([timedelta(0), timedelta(seconds=5)]),
    remember=st.sampled_from([timedelta(seconds=6), timedelta(hours=1)]),
)
FAULTS = st.sampled_from(
    [
        f.StaysPending(),
        f.NeverComesUp(),
        f.ListsLate(by=timedelta(seconds=7)),
        f.InstanceDies(after=timedelta(seconds=2)),
        f.InstanceVanishes(after=timedelta(seconds=2)),
    ]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("launch"), st.sampled_from(list(Role)), st.sampled_from(["c1", "c2"])),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("wait"), st.integers(0, 8)),
        st.tuples(st.just("arm"), FAULTS),
    ),
    max_size=25,
)


@given(timing=TIMINGS, steps=STEPS)
def test_whoever_looks_often_sees_what_one_sees_who_looks_for_the_first_time(timing: Timing, steps: list) -> None:
    clock = FakeClock()
    world = FakeWorld(clock, timing=timing)
    for number, (what, *how) in enumerate(steps):
        match what:
            case "launch":
                world.launch(of_cluster(order(number, how[0]), how[1]))
            case "end":
                world.end([machine.handle for machine in list(world.machines.values())[how[0] : how[0] + 1]])
            case "wait":
                clock.advance(how[0])
            case "arm":
                world.arm(how[0])

        seen = world.listed("mine")
        first = Lists(world, "mine", world.machines).shown(world.machines, clock.now())

        assert seen == first
        assert world.listed("mine") is seen


def of_cluster(one: Order, cluster: str) -> Order:
    """Return the same order for another cluster."""
    return replace(one, marks=replace(one.marks, cluster=cluster), boot=replace(one.boot, cluster_id=cluster))
