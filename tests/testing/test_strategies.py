"""What the strategies make could have been made by the program."""

import pytest
from hypothesis import given, settings

from tradewind import wire
from tradewind.model.cluster import ClusterSpec
from tradewind.model.instance import InstanceEnd, InstanceStatus
from tradewind.model.offer import Offer
from tradewind.testing import strategies


@settings(deadline=None)
@given(strategies.instances())
def test_the_times_of_an_instance_agree_with_its_status(instance):
    times = [t for t in (instance.requested_at, instance.started_at, instance.running_at, instance.stopped_at) if t]
    assert times == sorted(times)
    assert (instance.stopped_at is not None) == (instance.end is not None) == (not instance.status.is_live)
    if instance.status.is_billed:
        assert instance.started_at is not None
    if instance.status in {InstanceStatus.REQUESTED, InstanceStatus.PENDING}:
        assert instance.started_at is None
    if instance.started_at is not None:
        assert instance.handle is not None
    if instance.status is InstanceStatus.RUNNING:
        assert instance.running_at is not None
    if instance.end in {InstanceEnd.NO_CAPACITY, InstanceEnd.REJECTED}:
        assert instance.handle is None
    assert instance.wanted == (instance.unwanted_at is None)


@settings(deadline=None)
@given(strategies.scalings())
def test_a_scaling_begins_between_its_bounds(scaling):
    assert 0 <= scaling.minimum <= scaling.initial <= scaling.maximum


@settings(deadline=None)
@given(strategies.needs(("a", "b", "c")))
def test_a_need_names_sizes_or_ranges_and_never_both(need):
    is_ranged = any(x is not None for r in (need.cpus, need.memory) for x in (r.minimum, r.maximum))
    assert not (need.vm_types and is_ranged)


@settings(deadline=None)
@given(strategies.computations())
def test_a_computation_counts_no_more_done_than_tasks(computation):
    assert all(0 <= group.erred <= group.done <= group.tasks for group in computation.groups)
    assert computation.done == (computation.stopped_at is not None)


@pytest.mark.parametrize(("kind", "strategy"), [(Offer, strategies.offers()), (ClusterSpec, strategies.specs())])
def test_what_is_made_survives_the_wire(kind, strategy):
    @settings(deadline=None)
    @given(strategy)
    def check(value):
        assert wire.load_json(kind, wire.dump_json(value)) == value

    check()
