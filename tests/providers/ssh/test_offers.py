"""What hosts offer, as a table; and that it can always be kept."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.config import SshHost
from tradewind.errors import BadRequest, ConfigError, NotSetUp
from tradewind.model.cluster import ClusterSpec, Scaling
from tradewind.model.instance import Role
from tradewind.model.resources import GIB, Need, Range
from tradewind.model.views import PlannedInstances
from tradewind.providers.base import ProviderSettings
from tradewind.providers.ssh import SshProvider
from tradewind.providers.ssh.inventory import Share, fits, hosts_from, share_of
from tradewind.providers.ssh.offers import candidates, hosts_expected, offers_for


def host(name: str, cores: int, gib: int, **changed: Any) -> SshHost:
    return SshHost(name=name, address=name, cores=cores, memory=gib * GIB, **changed)  # type: ignore[arg-type]


THREE = (host("a", 16, 64), host("b", 16, 64), host("c", 8, 32))
PRICED = (
    host("cheap", 16, 64, price_per_hour=Decimal("0.16")),
    host("dear", 16, 64, price_per_hour=Decimal("0.80"), gpus=2, labels=("gpu",)),
    host("unknown", 16, 64),
)


@pytest.mark.parametrize(
    ("need", "cpus", "gib", "room"),
    [
        (Need(), 16, 64.0, 2),
        (Need(count=3), 8, 32.0, 5),
        (Need(count=2), 16, 64.0, 2),
        (Need(count=20), 2, 8.0, 20),
        (Need(count=100, least=4), 1, 4.0, 40),
        (Need(count=3, cpus=Range(minimum=2, maximum=2)), 2, 32.0, 5),
        (Need(count=3, memory=Range(minimum=4 * GIB, maximum=4 * GIB)), 8, 4.0, 5),
        (Need(cpus=Range(maximum=4), memory=Range(maximum=GIB)), 4, 1.0, 10),
        (Need(vm_types=("c",)), 8, 32.0, 1),
    ],
)
def test_hosts_are_divided_among_as_many_as_are_asked(need: Need, cpus: float, gib: float, room: int) -> None:
    (offer,) = offers_for(need, THREE)
    assert (offer.resources.cpus, offer.resources.memory / GIB, offer.room) == (cpus, gib, room)


def test_a_scheduler_takes_no_room_and_costs_nothing_beside_workers_who_pay() -> None:
    offers = offers_for(Need(beside=True), PRICED)
    assert [offer.price.per_hour if offer.price else None for offer in offers] == [0, None]
    assert all(offer.room is None for offer in offers)
    assert share_of(offers[0].resources, Role.SCHEDULER) == Share()


def test_a_share_costs_the_larger_of_what_it_takes_of_cores_and_memory() -> None:
    need = Need(count=2, cpus=Range(minimum=4, maximum=4), memory=Range(minimum=32 * GIB, maximum=32 * GIB))
    cheap, dear, unknown = offers_for(need, PRICED)
    assert cheap.price is not None
    assert dear.price is not None
    assert (cheap.price.per_hour, dear.price.per_hour, unknown.price) == (Decimal("0.08"), Decimal("0.4"), None)
    assert [[h.name for h in candidates(o, Role.WORKER, PRICED)] for o in (cheap, dear, unknown)] == [
        ["cheap"],
        ["dear"],
        ["unknown"],
    ]


def test_gpus_are_looked_for_where_they_are() -> None:
    (offer,) = offers_for(Need(gpus=1, count=2), PRICED)
    assert (offer.resources.gpus, offer.room, offer.note) == (1, 2, "on dear; a whole host costs 0.80 USD an hour")
    (labelled,) = offers_for(Need(gpus=1, vm_types=("gpu",)), PRICED)
    assert labelled.vm_type == "gpu"


@pytest.mark.parametrize(
    ("need", "words"),
    [
        (Need(count=3, cpus=Range(minimum=16)), "can't be had: there is room for 2; a has 16"),
        (Need(memory=Range(minimum=65 * GIB)), "a has 16 cores, 64 GiB"),
        (Need(gpus=1), "can't be had"),
        (Need(count=1000), "1000 of 1 cores, 0.125 GiB each can't be had: there is room for 40"),
        (Need(memory=Range(minimum=2**20)), "128 MiB"),
        (Need(vm_types=("nobody",)), "no host is called 'nobody' or has that label; known are: a, b, c"),
        (Need(gpu_type="T4"), "gpu_type"),
    ],
)
def test_what_can_never_be_had_says_what_there_is(need: Need, words: str) -> None:
    with pytest.raises(BadRequest) as refused:
        offers_for(need, THREE)
    assert words in str(refused.value)


hosts_of_any_kind = st.lists(
    st.builds(
        SshHost,
        cores=st.integers(1, 64),
        memory=st.integers(GIB, 256 * GIB),
        gpus=st.integers(0, 4),
        price_per_hour=st.none() | st.decimals("0.01", "9", places=2),
    ),
    min_size=1,
    max_size=5,
)
needs = st.builds(
    Need,
    cpus=st.builds(Range, minimum=st.none() | st.integers(1, 8)),
    memory=st.builds(Range, minimum=st.none() | st.integers(GIB // 4, 8 * GIB)),
    gpus=st.integers(0, 2),
    count=st.integers(1, 30),
    least=st.none() | st.integers(1, 5),
)


@given(hosts_of_any_kind, needs)
def test_whatever_is_offered_fits_as_often_as_it_says_on_hosts_at_that_price(hosts: list[SshHost], need: Need) -> None:
    try:
        offers = offers_for(need, hosts)
    except BadRequest:
        return
    assert offers
    least = need.count if need.least is None else min(need.least, need.count)
    assert sum(offer.room or 0 for offer in offers) >= least
    for offer in offers:
        share = share_of(offer.resources, Role.WORKER)
        fitting = candidates(offer, Role.WORKER, hosts)
        placed = 0
        for one in fitting:
            taken = Share()
            while fits(one, share, taken):
                taken += share
                placed += 1
        assert placed == offer.room
        for one in fitting:
            if offer.price is not None:
                assert one.price_per_hour is not None
                assert 0 < offer.price.per_hour <= one.price_per_hour


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([{"address": "a"}], "say what clusters may have of it"),
        ([{"address": "a b", "cores": 1, "memory": 1}], "address is 'a b'"),
        ([{"cores": 1, "memory": 1}], "address is ''"),
        ([{"address": "a", "name": "host", "cores": 1, "memory": 1}], "can't be a name"),
        ([{"address": "a", "cores": 1, "memory": 1}] * 2, "two hosts are called 'a'"),
        ([{"address": "a", "cores": 1, "memory": 1, "labels": ("a",)}], "is a label and the name of a host"),
        ([{"address": "a", "cores": 1, "memory": 1, "environment": "env"}], "absolute path"),
    ],
)
def test_an_inventory_that_can_not_be_used_says_which_host_and_why(tables: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        hosts_from({"hosts": tables})
    assert words in str(refused.value)


def test_without_hosts_it_is_not_set_up() -> None:
    with pytest.raises(NotSetUp, match=r"\[\[ssh.hosts\]\]"):
        hosts_from({})


def test_a_placement_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match="spread, pack"):
        hosts_from({"hosts": [{"address": "a", "cores": 1, "memory": 1}], "placement": "anywhere"})


def test_a_name_of_software_is_refused_where_a_host_runs_an_environment_of_its_own() -> None:
    hosts = [{"name": "ws1", "address": "ws1", "environment": "/opt/climate", "cores": 2, "memory": 2 * GIB}]
    provider = SshProvider(ProviderSettings(installation="any", state_directory="state", options={"hosts": hosts}))
    asked = ClusterSpec(name="a", workspace="lab", provider="ssh", scaling=Scaling.fixed(1))

    provider.check(asked)
    with pytest.raises(BadRequest, match="ws1 runs the environment that its settings name, so software='climate'"):
        provider.check(replace(asked, software="climate"))


@pytest.mark.parametrize(
    ("workers", "expected"),
    [(1, ["a"]), (2, ["a", "b"]), (9, ["a", "b", "c"])],
)
def test_as_many_hosts_are_expected_to_be_needed_as_would_be_taken(workers: int, expected: list[str]) -> None:
    (offer,) = offers_for(Need(count=2), THREE)
    planned = [
        PlannedInstances(role=Role.SCHEDULER, count=1, offer=offers_for(Need(beside=True), THREE)[0], why=""),
        PlannedInstances(role=Role.WORKER, count=workers, offer=offer, why=""),
    ]

    def in_order(one: PlannedInstances, taken: Mapping[str, Share]) -> list[SshHost]:
        share = Share(cpus=8) if one.role is Role.WORKER else Share()
        return [h for h in THREE if fits(h, share, taken.get(h.name, Share()))][:1]

    found = hosts_expected(planned, in_order)

    assert found == expected


def test_hosts_that_have_an_environment_need_nothing() -> None:
    has = host("has", 8, 32, environment="/opt/env")
    (offer,) = offers_for(Need(count=1), [has])
    planned = [PlannedInstances(role=Role.WORKER, count=1, offer=offer, why="")]
    assert hosts_expected(planned, lambda one, taken: [has]) == []
