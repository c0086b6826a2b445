"""Arbitrary values of the model for Hypothesis, consistent as the program would make them."""

# ruff: noqa: E402 - the libraries for tests are asked for before they are imported
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tradewind.testing.extras import require

require("hypothesis")

from hypothesis import strategies as st

from tradewind.model.cluster import ClusterSpec, Lifetimes, Scaling
from tradewind.model.computation import Computation, TaskGroup
from tradewind.model.instance import Instance, InstanceEnd, InstanceStatus, Role
from tradewind.model.money import Money, Price
from tradewind.model.offer import Offer, SpotPolicy
from tradewind.model.resources import GIB, Need, Range, Resources

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
CURRENCIES = st.sampled_from(["USD", "EUR", "SU"])


def moments(start: datetime = EPOCH, within: timedelta = timedelta(days=60)) -> st.SearchStrategy[datetime]:
    """Aware UTC times, to the microsecond, from ``start`` on."""
    return durations(within).map(lambda after: start + after)


def durations(longest: timedelta = timedelta(days=3)) -> st.SearchStrategy[timedelta]:
    """From nothing to ``longest``, to the microsecond."""
    return st.timedeltas(min_value=timedelta(0), max_value=longest)


def prices(currencies: st.SearchStrategy[str] = CURRENCIES) -> st.SearchStrategy[Price]:
    """Per hour, from free on, with up to six places."""
    return st.builds(Price, per_hour=_amounts(Decimal(200)), currency=currencies)


def money(currencies: st.SearchStrategy[str] = CURRENCIES) -> st.SearchStrategy[Money]:
    """From nothing on, with up to six places."""
    return st.builds(Money, amount=_amounts(Decimal(100_000)), currency=currencies)


def resources() -> st.SearchStrategy[Resources]:
    """What machines have."""
    return st.builds(
        Resources,
        cpus=st.sampled_from([0.5, 1.0, 2.0, 4.0, 8.0, 96.0]),
        memory=st.integers(1, 1024).map(lambda gib: gib * GIB),
        gpus=st.sampled_from([0, 0, 0, 1, 8]),
        disk=st.none() | st.integers(1, 1000).map(lambda gib: gib * GIB),
    )


@st.composite
def ranges(draw: st.DrawFn, highest: float = 128.0) -> Range:
    """Ranges that hold something: open, half open or closed."""
    low, high = sorted([draw(st.integers(0, int(highest))), draw(st.integers(0, int(highest)))])
    return Range(minimum=draw(st.sampled_from([None, low])), maximum=draw(st.sampled_from([None, high])))


@st.composite
def needs(draw: st.DrawFn, vm_types: tuple[str, ...] = ()) -> Need:
    """What a role may ask for: ranges, or some of ``vm_types``, as the two exclude each other."""
    count = draw(st.integers(1, 100))
    if len(vm_types) > 0 and draw(st.booleans()):
        chosen = draw(st.lists(st.sampled_from(vm_types), min_size=1, max_size=3, unique=True))
        return Need(vm_types=tuple(chosen), count=count)
    return Need(
        cpus=draw(ranges(128)), memory=draw(ranges(1024 * GIB)), gpus=draw(st.sampled_from([0, 0, 1, 4])), count=count
    )


def offers(price: st.SearchStrategy[Price | None] | None = None) -> st.SearchStrategy[Offer]:
    """What a provider may answer: priced, free and unpriced."""
    return st.builds(
        Offer,
        provider=st.sampled_from(["fake", "local"]),
        vm_type=NAMES,
        resources=resources(),
        price=prices() | st.none() if price is None else price,
        region=st.none() | NAMES,
        spot=st.booleans(),
    )


@st.composite
def scalings(draw: st.DrawFn, most: int = 1000) -> Scaling:
    """Fixed and adaptive, with the initial number between the two."""
    minimum, initial, maximum = sorted(draw(st.integers(0, most)) for _ in range(3))
    if draw(st.booleans()):
        return Scaling.fixed(maximum)
    return Scaling(
        minimum=minimum,
        initial=initial,
        maximum=maximum,
        target_duration=draw(st.timedeltas(timedelta(seconds=1), timedelta(hours=1))),
        wait_count=draw(st.integers(0, 50)),
        interval=draw(st.timedeltas(timedelta(seconds=1), timedelta(minutes=1))),
    )


def lifetimes() -> st.SearchStrategy[Lifetimes]:
    """Limits, each of which may be off where it can be."""
    limit = st.timedeltas(timedelta(seconds=1), timedelta(days=2))
    return st.builds(
        Lifetimes,
        idle=st.none() | limit,
        no_client=st.none() | limit,
        total=st.none() | limit,
        orphan=limit,
        start=limit,
    )


def specs(provider: str = "fake") -> st.SearchStrategy[ClusterSpec]:
    """What a user may ask of ``provider``."""
    return st.builds(
        ClusterSpec,
        name=NAMES,
        workspace=NAMES,
        provider=st.just(provider),
        scaling=scalings(),
        worker=needs(),
        scheduler=needs(),
        worker_threads=st.none() | st.integers(1, 64),
        spot_policy=st.sampled_from(SpotPolicy),
        region=st.none() | NAMES,
        environ=st.dictionaries(NAMES.map(str.upper), st.text(max_size=20), max_size=3),
        tags=st.dictionaries(NAMES, st.text(max_size=20), max_size=3),
        lifetimes=lifetimes(),
        budget=st.none() | money(),
        record_history=st.booleans(),
        record_code=st.booleans(),
    )


@st.composite
def instances(
    draw: st.DrawFn,
    cluster_id: str = "cluster-1",
    role: Role | None = None,
    status: InstanceStatus | None = None,
    offer: st.SearchStrategy[Offer] | None = None,
) -> Instance:
    """Rows whose times agree with their status: one that waits isn't billed, one that ended says why."""
    number = draw(st.integers(0, 10**9))
    role = draw(st.sampled_from(Role)) if role is None else role
    status = draw(st.sampled_from(InstanceStatus)) if status is None else status
    requested_at = draw(moments())
    launched = status is not InstanceStatus.REQUESTED and (status is not InstanceStatus.STOPPED or draw(st.booleans()))
    billed = launched and (status.is_billed or (status is InstanceStatus.STOPPED and draw(st.booleans())))
    started_at = requested_at + draw(durations()) if billed else None
    ran = started_at is not None and (
        status is InstanceStatus.RUNNING or (status is not InstanceStatus.STARTING and draw(st.booleans()))
    )
    running_at = started_at + draw(durations()) if started_at is not None and ran else None
    last = running_at or started_at or requested_at
    stopped_at = last + draw(durations()) if status is InstanceStatus.STOPPED else None
    end = None if stopped_at is None else draw(st.sampled_from(ENDS[launched]))
    unwanted_at = None
    if status is InstanceStatus.STOPPING or end in {InstanceEnd.ASKED, InstanceEnd.NEVER_LAUNCHED}:
        latest = stopped_at or last + timedelta(hours=1)
        unwanted_at = requested_at + draw(durations(latest - requested_at))
    return Instance(
        id=f"{role}-{number}",
        cluster_id=cluster_id,
        role=role,
        order_id=f"order-{number}",
        offer=draw(offers() if offer is None else offer),
        status=status,
        requested_at=requested_at,
        expires_at=draw(st.none() | moments(last, timedelta(days=30))),
        handle=f"handle-{number}" if launched else None,
        started_at=started_at,
        running_at=running_at,
        stopped_at=stopped_at,
        exit_code=draw(st.none() | st.integers(-15, 255)) if end is InstanceEnd.DIED else None,
        end=end,
        wanted=unwanted_at is None,
        unwanted_at=unwanted_at,
    )


ENDS = {
    True: [InstanceEnd.ASKED, InstanceEnd.DIED, InstanceEnd.VANISHED],
    False: [InstanceEnd.NO_CAPACITY, InstanceEnd.REJECTED, InstanceEnd.NEVER_LAUNCHED],
}
"""How a row may end, by whether it was ever launched."""


@st.composite
def computations(draw: st.DrawFn, cluster_id: str = "cluster-1") -> Computation:
    """Waiting, running and done, with groups that have no more done than tasks."""
    started_at = draw(st.none() | moments())
    stopped_at = started_at + draw(durations()) if started_at is not None and draw(st.booleans()) else None
    return Computation(
        id=f"span-{draw(st.integers(0, 10**9))}",
        cluster_id=cluster_id,
        name=draw(st.sampled_from(["default", "climatology", "load / mean"])),
        started_at=started_at,
        stopped_at=stopped_at,
        done=stopped_at is not None,
        groups=tuple(draw(st.lists(_groups(), max_size=3, unique_by=lambda group: group.prefix))),
        active_cpu_seconds=draw(_seconds()),
        nbytes=draw(st.integers(0, 10**12)),
        workers=draw(st.integers(0, 100)),
    )


@st.composite
def _groups(draw: st.DrawFn) -> TaskGroup:
    tasks = draw(st.integers(1, 10_000))
    done = draw(st.integers(0, tasks))
    return TaskGroup(
        prefix=draw(NAMES),
        tasks=tasks,
        done=done,
        erred=draw(st.integers(0, done)),
        compute_seconds=draw(_seconds()),
        transfer_seconds=draw(_seconds()),
        disk_seconds=draw(_seconds()),
        nbytes=draw(st.integers(0, 10**12)),
    )


def _seconds() -> st.SearchStrategy[float]:
    return st.floats(0, 1e6, allow_nan=False, allow_infinity=False)


def _amounts(most: Decimal) -> st.SearchStrategy[Decimal]:
    return st.decimals(min_value=0, max_value=most, places=6, allow_nan=False, allow_infinity=False)
