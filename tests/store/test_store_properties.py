"""Whatever is saved comes back equal."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_records import SECRETS, hold, make_cluster, make_instance, make_usage

from tradewind.model.cluster import (
    Cluster,
    ClusterSpec,
    ClusterStatus,
    Intent,
    Lifetimes,
    ScaleMemory,
    Scaling,
    StopReason,
    Trials,
)
from tradewind.model.computation import Computation, ComputationError, TaskGroup
from tradewind.model.environment import Environment, Package, Source
from tradewind.model.events import Event, Level
from tradewind.model.instance import Contact, Instance, InstanceEnd
from tradewind.model.money import Money, Price
from tradewind.model.offer import Offer, SpotPolicy
from tradewind.model.resources import Need, Range, Resources
from tradewind.model.usage import Usage
from tradewind.store.store import Changes, Store

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NUMBERS = st.floats(0, 1e15, allow_nan=False)
SMALL = st.integers(0, 2**31 - 1)
BYTES = st.integers(0, 2**62)
SPANS = st.timedeltas(timedelta(0), timedelta(days=10_000))
DECIMALS = st.decimals(0, Decimal("1e12"), allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
TABLES = st.dictionaries(WORDS, JSON, max_size=3)
TAGS = st.dictionaries(WORDS, WORDS, max_size=3)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """None now and then."""
    return st.none() | values


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A short tuple."""
    return st.lists(values, max_size=3).map(tuple)


RANGES = st.builds(Range, minimum=maybe(NUMBERS), maximum=maybe(NUMBERS))
NEEDS = st.builds(
    Need, cpus=RANGES, memory=RANGES, gpus=SMALL, gpu_type=maybe(WORDS), vm_types=some(WORDS), disk=maybe(BYTES)
)
MONEY = st.builds(Money, amount=DECIMALS, currency=WORDS)
PRICES = st.builds(Price, per_hour=DECIMALS, currency=WORDS)
RESOURCES = st.builds(Resources, cpus=NUMBERS, memory=BYTES, gpus=SMALL, disk=maybe(BYTES))
OFFERS = st.builds(
    Offer,
    provider=WORDS,
    vm_type=WORDS,
    resources=RESOURCES,
    price=maybe(PRICES),
    region=maybe(WORDS),
    zone=maybe(WORDS),
    spot=st.booleans(),
    note=WORDS,
)
SCALINGS = st.builds(
    Scaling, minimum=SMALL, initial=SMALL, maximum=SMALL, target_duration=SPANS, wait_count=SMALL, interval=SPANS
)
LIFETIMES = st.builds(
    Lifetimes, idle=maybe(SPANS), no_client=maybe(SPANS), total=maybe(SPANS), orphan=SPANS, start=SPANS
)
INTENTS = st.builds(
    Intent,
    scaling=SCALINGS,
    stop=st.booleans(),
    stop_reason=st.sampled_from(StopReason),
    stop_detail=WORDS,
    dismiss=some(WORDS),
)
SPECS = st.builds(
    ClusterSpec,
    name=WORDS,
    workspace=WORDS,
    provider=WORDS,
    scaling=SCALINGS,
    worker=NEEDS,
    scheduler=NEEDS,
    worker_threads=maybe(SMALL),
    region=maybe(WORDS),
    spot_policy=st.sampled_from(SpotPolicy),
    arm=st.booleans(),
    software=maybe(WORDS),
    environ=TAGS,
    tags=TAGS,
    lifetimes=LIFETIMES,
    budget=maybe(MONEY),
    record_history=st.booleans(),
    record_code=st.booleans(),
    dask_config=TABLES,
    worker_options=TABLES,
    scheduler_options=TABLES,
    working_directory=maybe(WORDS),
    python_path=some(WORDS),
)
ENVIRONMENTS = st.builds(
    lambda python, platform, packages: Environment(
        python=python,
        platform=platform,
        packages=packages,
        # What has the same hash is the same: the store goes by it.
        content_hash=hashlib.sha256(repr((python, platform, packages)).encode()).hexdigest(),
    ),
    WORDS,
    WORDS,
    some(
        st.builds(
            Package,
            name=WORDS,
            version=WORDS,
            source=st.sampled_from(Source),
            url=WORDS,
            extras=some(WORDS),
            is_requested=st.booleans(),
        )
    ),
)
CLUSTERS = st.builds(
    Cluster,
    id=st.just("c1"),
    spec=SPECS,
    intent=INTENTS,
    owner=WORDS,
    created_at=MOMENTS,
    status=st.sampled_from(ClusterStatus),
    stop_reason=maybe(st.sampled_from(StopReason)),
    stop_detail=WORDS,
    scale=st.builds(ScaleMemory, wanted=SMALL, surplus_since=maybe(MOMENTS), surplus_peak=SMALL),
    contact=maybe(st.builds(Contact, scheduler=WORDS, agent=WORDS, dashboard=maybe(WORDS))),
    started_at=maybe(MOMENTS),
    stopping_at=maybe(MOMENTS),
    stopped_at=maybe(MOMENTS),
    expires_at=maybe(MOMENTS),
    observed_at=maybe(MOMENTS),
    idle_warned_at=maybe(MOMENTS),
    budget_warned=SMALL,
    page_failed_at=maybe(MOMENTS),
    failed_launches=SMALL,
    retry_at=maybe(MOMENTS),
    trials=st.builds(Trials, of=WORDS, failed=SMALL),
    environment=maybe(ENVIRONMENTS),
)
INSTANCES = st.builds(
    Instance,
    id=st.just("i1"),
    cluster_id=st.just("c1"),
    order_id=WORDS,
    offer=OFFERS,
    requested_at=MOMENTS,
    expires_at=maybe(MOMENTS),
    handle=maybe(WORDS),
    started_at=maybe(MOMENTS),
    running_at=maybe(MOMENTS),
    stopped_at=maybe(MOMENTS),
    exit_code=maybe(st.integers(-64, 255)),
    end=maybe(st.sampled_from(InstanceEnd)),
    detail=WORDS,
    wanted=st.booleans(),
    unwanted_at=maybe(MOMENTS),
)
USAGES = st.builds(
    Usage,
    instance_id=st.just("i1"),
    sequence=SMALL,
    cluster_id=st.just("c1"),
    cluster_name=WORDS,
    workspace=WORDS,
    owner=WORDS,
    provider=WORDS,
    region=maybe(WORDS),
    vm_type=WORDS,
    resources=RESOURCES,
    price=maybe(PRICES),
    started_at=MOMENTS,
    stopped_at=maybe(MOMENTS),
    tags=TAGS,
)
EVENTS = st.builds(
    Event,
    level=st.sampled_from(Level),
    at=MOMENTS,
    cluster_id=st.just("c1"),
    kind=WORDS,
    message=WORDS,
    instance_id=maybe(WORDS),
)
COMPUTATIONS = st.builds(
    Computation,
    id=WORDS,
    cluster_id=st.just("c1"),
    name=WORDS,
    started_at=maybe(MOMENTS),
    stopped_at=maybe(MOMENTS),
    groups=some(
        st.builds(
            TaskGroup,
            prefix=WORDS,
            compute_seconds=NUMBERS,
            transfer_seconds=NUMBERS,
            disk_seconds=NUMBERS,
        )
    ),
    activity_seconds=st.dictionaries(WORDS, NUMBERS, max_size=3),
    active_cpu_seconds=NUMBERS,
    nbytes=BYTES,
    workers=SMALL,
    code=some(WORDS),
    errors=some(
        st.builds(
            ComputationError, at=MOMENTS, key=WORDS, prefix=WORDS, exception=WORDS, traceback=WORDS, worker=maybe(WORDS)
        )
    ),
)


def emptied(url: str) -> str:
    """Return the URL of a database with nothing in it."""
    if url.startswith("sqlite"):
        return "sqlite://"
    with psycopg.connect(url) as connection:
        connection.execute("TRUNCATE clusters CASCADE")
    return url


@given(cluster=CLUSTERS, instance=INSTANCES, usage=USAGES, event=EVENTS, computation=COMPUTATIONS, later=CLUSTERS)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,  # the database is emptied instead
    ],
)
async def test_records_come_back_equal(
    url: str,
    cluster: Cluster,
    instance: Instance,
    usage: Usage,
    event: Event,
    computation: Computation,
    later: Cluster,
) -> None:
    store = await Store.open(emptied(url))
    await store.create_cluster(cluster, SECRETS)
    created = await store.get_cluster("c1")
    lease = await hold(store)
    then = replace(later, spec=cluster.spec, intent=cluster.intent, owner=cluster.owner, created_at=cluster.created_at)
    changes = Changes(
        cluster=then, instances=(instance,), usages=(usage,), events=(event,), computations=(computation,)
    )

    await store.save(lease, changes)

    assert created == cluster
    assert await store.get_cluster("c1") == then
    assert await store.instances("c1") == (instance,)
    assert await store.usages() == (usage,)
    assert [found for _, found in await store.events("c1")] == [event]
    assert await store.computations(cluster.spec.workspace) == (computation,)
    await store.aclose()


@pytest.mark.parametrize("amount", ["0", "0.00", "0.10", "1E-9", "12345678901234567890.123456789", "1E+3"])
async def test_a_price_keeps_every_digit(store: Store, amount: str) -> None:

    await store.create_cluster(make_cluster(), SECRETS)
    instance = make_instance()
    usage = make_usage(instance, price=Price(per_hour=Decimal(amount)))

    await store.save(await hold(store), Changes(instances=(instance,), usages=(usage,)))

    [found] = await store.usages()
    assert found.price is not None
    assert str(found.price.per_hour) == str(Decimal(amount))
