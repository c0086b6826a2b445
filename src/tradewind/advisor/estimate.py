"""What a month would cost, in each way to run it: an interval, where the money goes, and the sums line by line."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradewind.advisor.fact import FEE, Source
from tradewind.advisor.fee import Fee
from tradewind.advisor.partner import Directory, Partner
from tradewind.advisor.programme import Amount, Programme
from tradewind.errors import ConfigError
from tradewind.model.money import Money

HOURS_PER_MONTH = 730.0
MB_PER_TB = 1_000_000.0
SECONDS_PER_HOUR = 3600.0
CENT = Decimal("0.01")
IDEAL = {"read_speed": 60.0, "core_hour_spot": 0.02}
"""Of the sum that is known as "ten cents for a terabyte": nothing but reading, and the cheapest machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """A number that an estimate takes for granted."""

    name: str
    meaning: str
    unit: str
    amount: Amount
    source: Source
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A classic way to pay more than one had to."""

    says: str
    times: float
    """Times as many hours, or dollars for one."""
    adds_per_tb: float
    """US dollars."""
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """All of them."""

    numbers: Mapping[str, Assumption]
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to run it: what it is made of, each part from one draw of the numbers."""

    name: str
    kind: str
    """vm, hub, spot, on-demand or hpc: how the machines are paid for."""
    fee_per_month: float = 0.0
    """For all of the programme's people."""
    fee_per_core_hour: float = 0.0
    machines_in_fee: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WayCost:
    """What a way would cost in a month."""

    way: Way
    least: Money
    """One in twenty months would cost less."""
    likely: Money
    """Half of the months would cost less."""
    most: Money
    """One in twenty would cost more."""
    parts: Mapping[str, Money]
    """Where the money goes, on average; they add up to the average."""
    service_units: int | None
    """Core-hours of a computing centre, which cost no money; None elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCost:
    """What a fault would add in a month to ephemeral clusters on spot, by the likely numbers."""

    fault: Fault
    adds: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the sum, which anybody can check."""

    says: str
    result: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The whole answer."""

    programme: Programme
    ways: tuple[WayCost, ...]
    """From the cheapest."""
    unpriced: tuple[str, ...]
    """The partners that tell a price, but not for so many people: their names."""
    faults: tuple[FaultCost, ...]
    lines: tuple[Line, ...]


def read_assumptions(tables: Mapping[str, Any], sources: Mapping[str, Source]) -> Assumptions:
    """Return what an estimate takes for granted.

    Raises
    ------
    ConfigError
        A number has no source, or its range isn't in order; names it.
    """
    numbers = {}
    for name, table in tables.items():
        if name == "fault":
            continue
        least, likely, most = (float(number) for number in table["range"])
        if not 0 <= least <= likely <= most:
            raise ConfigError(f"assumptions.toml, {name}: its range is out of order.")
        if table.get("source") not in sources:
            raise ConfigError(f"assumptions.toml, {name}: it has no source.")
        numbers[name] = Assumption(
            name=name,
            meaning=table["meaning"],
            unit=table["unit"],
            amount=Amount(least=least, likely=likely, most=most),
            source=sources[table["source"]],
            note=table.get("note", ""),
        )
    faults = tuple(
        Fault(
            says=table["says"],
            times=float(table.get("times", 1)),
            adds_per_tb=float(table.get("adds_per_tb", 0)),
            source=sources[table["source"]],
        )
        for table in tables["fault"]
    )
    return Assumptions(numbers=numbers, faults=faults)


def ways(directory: Directory, programme: Programme, likely_hours: float) -> tuple[tuple[Way, ...], tuple[str, ...]]:
    """Return the ways to run it: the plain ones, and every partner whose price is known.

    Parameters
    ----------
    directory : Directory
        The partners.
    programme : Programme
        For how many people.
    likely_hours : float
        Of cores, in a month: what a plan covers goes by them.

    Returns
    -------
    tuple
        The ways, and the names of the partners whose price for so many people nobody knows.
    """
    plain = (
        Way(name="a machine for each person, day and night", kind="vm"),
        Way(name="a hub of your own, with clusters on spot", kind="hub"),
        Way(name="ephemeral clusters on spot, run by yourselves", kind="spot"),
        Way(name="ephemeral clusters on demand, run by yourselves", kind="on-demand"),
        Way(name="a computing centre, in service units", kind="hpc"),
    )
    found: list[Way] = []
    unpriced: list[str] = []
    for partner in directory:
        way = _of(partner, programme.people, likely_hours)
        if isinstance(way, Way):
            found.append(way)
        elif way:
            unpriced.append(partner.name)
    return (*plain, *found), tuple(unpriced)


def _of(partner: Partner, people: int, likely_hours: float) -> Way | bool:
    """Return the way of a partner that has a price; else whether it has one for fewer people."""
    status = partner.facts.get("status")
    if status is None or status.value in {"retired", "archived", "retiring", "unstable"}:
        return False
    fact, core = partner.facts.get(FEE), _number(partner, "fee_per_core_hour")
    if fact is None or not isinstance(fact.value, Fee) or not (core or fact.value.is_paid):
        return False
    use = core * likely_hours
    step, monthly = fact.value.step(people, use), fact.value.of(people, use)
    if step is None or monthly is None:
        return True
    hub, included = partner.facts.get("hub"), partner.facts.get("machines_in_fee")
    return Way(
        name=partner.name,
        kind="hub" if hub is not None and hub.value is True else "spot" if step.spot else "on-demand",
        fee_per_month=float(monthly),
        fee_per_core_hour=core if step.use_up_to is None else 0.0,
        machines_in_fee=included is not None and included.value is True,
    )


def _number(partner: Partner, name: str) -> float:
    fact = partner.facts.get(name)
    return float(fact.value) if fact is not None and isinstance(fact.value, Decimal) else 0.0


def estimate(
    programme: Programme, assumptions: Assumptions, directory: Directory, *, draws: int = 10_000, seed: int = 1
) -> Estimate:
    """Return what a month would cost.

    Parameters
    ----------
    programme : Programme
        What is computed.
    assumptions : Assumptions
        Prices and speeds.
    directory : Directory
        For the partners whose price is known.
    draws : int
        How many months are drawn.
    seed : int
        Of the dice: the same seed draws the same months.
    """
    dice = random.Random(seed)
    hours = core_hours(programme.read_tb, assumptions.numbers["read_speed"].amount.likely)
    all_ways, unpriced = ways(directory, programme, hours)
    totals: list[list[float]] = [[] for _ in all_ways]
    sums: list[dict[str, float]] = [{} for _ in all_ways]
    units = 0.0
    for _ in range(draws):
        month = _drawn(programme, assumptions, dice)
        units += month["core_hours"]
        shared = _shared(month)
        for number, way in enumerate(all_ways):
            total = 0.0
            into = sums[number]
            for part, dollars in (*_compute(way, programme, month), *(shared if way.kind != "hpc" else ())):
                total += dollars
                into[part] = into.get(part, 0.0) + dollars
            totals[number].append(total)
    costs = [
        _cost(way, sorted(totals[number]), sums[number], draws, units / draws) for number, way in enumerate(all_ways)
    ]
    return Estimate(
        programme=programme,
        ways=tuple(sorted(costs, key=lambda one: (one.likely.amount, one.way.name))),
        unpriced=unpriced,
        faults=tuple(_faults(programme, assumptions)),
        lines=tuple(_lines(programme, assumptions)),
    )


def core_hours(terabytes: float, mb_per_s: float) -> float:
    """Return the hours of cores it takes to read so much at so many megabytes a second each."""
    return terabytes * MB_PER_TB / mb_per_s / SECONDS_PER_HOUR


def _drawn(programme: Programme, assumptions: Assumptions, dice: random.Random) -> dict[str, float]:
    """Draw one month."""
    month = {name: _draw(one.amount, dice) for name, one in assumptions.numbers.items()}
    month["read_tb"] = programme.people * _draw(programme.read_tb_per_person, dice)
    month["notebook_hours"] = programme.people * _draw(programme.notebook_hours_per_person, dice)
    month["storage_tb"] = _draw(programme.storage_tb, dice)
    month["egress_tb"] = _draw(programme.egress_tb, dice)
    month["core_hours"] = core_hours(month["read_tb"], month["read_speed"])
    month["away"] = 0.0 if programme.beside_data else 1.0
    return month


def _draw(amount: Amount, dice: random.Random) -> float:
    if amount.least == amount.most:
        return amount.likely
    return dice.triangular(amount.least, amount.most, amount.likely)


def _shared(month: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Return what every way in a cloud pays for data."""
    return (
        ("storage", month["storage_tb"] * month["storage"]),
        ("egress", month["egress_tb"] * month["to_internet"]),
        ("requests", month["read_tb"] * month["requests"]),
        ("other region", month["away"] * month["read_tb"] * month["other_region"]),
    )


def _compute(way: Way, programme: Programme, month: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Yield what a way pays for machines and service."""
    paid = month["core_hours"] * (1 + month["idle_share"])
    match way.kind:
        case "vm":
            yield "machines", programme.people * HOURS_PER_MONTH * month["machine_hour"]
            return
        case "hpc":
            yield "machines", 0.0
            return
        case "hub":
            yield "hub", month["hub_base"] + month["notebook_hours"] * month["notebook_hour"]
            yield "machines", paid * month["core_hour_spot"]
        case "on-demand":
            yield "machines", paid * month["core_hour_on_demand"]
        case _ if not way.machines_in_fee:
            yield "machines", paid * month["core_hour_spot"]
    fee = way.fee_per_month + way.fee_per_core_hour * paid
    if fee:
        yield "service", fee


def _cost(way: Way, totals: Sequence[float], sums: Mapping[str, float], draws: int, units: float) -> WayCost:
    return WayCost(
        way=way,
        least=dollars(totals[int(0.05 * (len(totals) - 1))]),
        likely=dollars(totals[len(totals) // 2]),
        most=dollars(totals[int(0.95 * (len(totals) - 1))]),
        parts={part: dollars(total / draws) for part, total in sums.items() if total > 0},
        service_units=round(units) if way.kind == "hpc" else None,
    )


def dollars(amount: float) -> Money:
    """Return an amount to the cent: an estimate has no more digits than that."""
    return Money(amount=Decimal(amount).quantize(CENT), currency="USD")


def _faults(programme: Programme, assumptions: Assumptions) -> Iterator[FaultCost]:
    likely = {name: one.amount.likely for name, one in assumptions.numbers.items()}
    machines = core_hours(programme.read_tb, likely["read_speed"]) * likely["core_hour_spot"]
    for fault in assumptions.faults:
        if fault.adds_per_tb == likely["other_region"] and not programme.beside_data:
            continue  # it is in the estimate already
        yield FaultCost(fault=fault, adds=dollars(machines * (fault.times - 1) + programme.read_tb * fault.adds_per_tb))


def _lines(programme: Programme, assumptions: Assumptions) -> Iterator[Line]:
    """Yield the sum for ephemeral clusters on spot: first as it is often told, then by the likely numbers."""
    likely = {name: one.amount.likely for name, one in assumptions.numbers.items()}
    read = programme.read_tb
    each = programme.read_tb_per_person.likely
    yield Line(says=f"{programme.people:,} people x {each:g} TB a month", result=read, unit="TB")
    for told, speed, price in (
        ("if reading is all there is to do", IDEAL["read_speed"], IDEAL["core_hour_spot"]),
        ("by the likely speed", likely["read_speed"], likely["core_hour_spot"]),
    ):
        hours = core_hours(read, speed)
        yield Line(
            says=f"{told}: {read:,.0f} TB x 1,000,000 MB / {speed:g} MB/s / 3600 s", result=hours, unit="core-hours"
        )
        yield Line(says=f"{hours:,.0f} core-hours x {price:g} USD", result=hours * price, unit="USD")
    hours = core_hours(read, likely["read_speed"])
    machines = hours * likely["core_hour_spot"]
    idle = machines * likely["idle_share"]
    yield Line(says=f"idle: {likely['idle_share']:.0%} of {machines:,.2f} USD", result=idle, unit="USD")
    total = machines + idle
    for says, count, price in (
        ("storage", programme.storage_tb.likely, likely["storage"]),
        ("egress", programme.egress_tb.likely, likely["to_internet"]),
        ("requests", read, likely["requests"]),
        ("other region", 0.0 if programme.beside_data else read, likely["other_region"]),
    ):
        if count:
            total += count * price
            yield Line(says=f"{says}: {count:,.0f} TB x {price:g} USD", result=count * price, unit="USD")
    yield Line(says="together, by the likely speed", result=total, unit="USD")
    yield Line(
        says=f"{total:,.2f} USD / {programme.people:,} people", result=total / programme.people, unit="USD a person"
    )
