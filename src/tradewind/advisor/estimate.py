"""What a month would cost, in each way to run it: an interval, where the money goes, and the sums line by line."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tradewind.advisor.assumptions import Assumptions, Fault
from tradewind.advisor.fact import FEE
from tradewind.advisor.fee import Fee
from tradewind.advisor.partner import Directory, Partner
from tradewind.advisor.programme import Amount, DataAt, Programme
from tradewind.model.money import Money

HOURS_PER_MONTH = 730.0
MB_PER_TB = 1_000_000.0
SECONDS_PER_HOUR = 3600.0
MACHINE_CORES = 4.0
"""Of the machine for each person."""
CENT = Decimal("0.01")
SPOT = "ephemeral clusters on spot, run by yourselves"
OTHER_REGION = "other-region"
"""The fault that is none where the programme says so itself."""
IDEAL = {"read_speed": 60.0, "core_hour_spot": 0.02}
"""Of the sum that is known as "ten cents for a terabyte": nothing but reading, and the cheapest machine."""


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
    needs_move: bool
    """Whether the data aren't there, and would have to be moved first; what that costs is among the parts."""


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
    """From the cheapest; at the end those that the data would have to be moved to."""
    unpriced: tuple[str, ...]
    """The partners that tell a price, but not for so many people: their names."""
    faults: tuple[FaultCost, ...]
    lines: tuple[Line, ...]
    """The last but one is their sum."""

    @property
    def apart(self) -> str:
        """Why the sum of the lines isn't quite the likely cost of the same way, in a sentence."""
        told = next(cost.likely for cost in self.ways if cost.way.name == SPOT)
        total = self.lines[-2].result
        more = float(told.amount) / total - 1 if total else 0.0
        than = f"{abs(more):.0%} {'more' if more > 0 else 'less'} than" if round(abs(more), 2) else "the same as"
        return (
            f"The sum takes the likely number of each; the table tells the middle of all drawn months, "
            f"{told.amount:,.0f} USD, {than} the sum: numbers stray further to one side than to the other."
        )


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
        Way(name=SPOT, kind="spot"),
        Way(name="ephemeral clusters on demand, run by yourselves", kind="on-demand"),
        Way(name="a computing centre, in service units", kind="hpc"),
    )
    found: list[Way] = []
    unpriced: list[str] = []
    for partner in directory:
        if not _tells_a_price(partner):
            continue
        way = _of(partner, programme.people, likely_hours)
        if way is None:
            unpriced.append(partner.name)
        else:
            found.append(way)
    return (*plain, *found), tuple(unpriced)


def _tells_a_price(partner: Partner) -> bool:
    """Whether it is still there, and something of what it costs is known."""
    status, fact = partner.facts.get("status"), partner.facts.get(FEE)
    if status is None or status.value in {"retired", "archived", "retiring", "unstable"}:
        return False
    return bool(_number(partner, "fee_per_core_hour")) or (
        fact is not None and isinstance(fact.value, Fee) and fact.value.is_paid
    )


def _of(partner: Partner, people: int, likely_hours: float) -> Way | None:
    """Return the way of a partner; None where nobody knows what so many people pay."""
    fact, core = partner.facts.get(FEE), _number(partner, "fee_per_core_hour")
    if fact is None or not isinstance(fact.value, Fee):
        return None
    use = core * likely_hours
    step, monthly = fact.value.step(people, use), fact.value.of(people, use)
    if step is None or monthly is None:
        return None
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
        shared = _shared(programme, month)
        for number, way in enumerate(all_ways):
            total = 0.0
            into = sums[number]
            for part, dollars in (*_compute(way, programme, month), *(shared if way.kind != "hpc" else ())):
                total += dollars
                into[part] = into.get(part, 0.0) + dollars
            totals[number].append(total)
    costs = [_cost(way, programme, sorted(totals[number]), sums[number], units) for number, way in enumerate(all_ways)]
    return Estimate(
        programme=programme,
        ways=tuple(sorted(costs, key=lambda one: (one.needs_move, one.likely.amount, one.way.name))),
        unpriced=unpriced,
        faults=tuple(_faults(programme, assumptions)),
        lines=tuple(_lines(programme, assumptions)),
    )


def core_hours(terabytes: float, mb_per_s: float) -> float:
    """Return the hours of cores it takes to read so much at so many megabytes a second each."""
    return terabytes * MB_PER_TB / mb_per_s / SECONDS_PER_HOUR


def _drawn(programme: Programme, assumptions: Assumptions, dice: random.Random) -> dict[str, float]:
    """Draw one month."""
    month = {name: draw(one.amount, dice) for name, one in assumptions.numbers.items()}
    month["read_tb"] = programme.people * draw(programme.read_tb_per_person, dice)
    month["notebook_hours"] = programme.people * draw(programme.notebook_hours_per_person, dice)
    month["storage_tb"] = draw(programme.storage_tb, dice)
    month["egress_tb"] = draw(programme.egress_tb, dice)
    month["core_hours"] = core_hours(month["read_tb"], month["read_speed"])
    return month


def draw(amount: Amount, dice: random.Random) -> float:
    """Draw a number: half of them below the likely one, half above, and fewer the farther away."""
    if amount.least == amount.most:
        return amount.likely
    share = dice.random()
    edge, share = (amount.least, share) if share < 0.5 else (amount.most, 1 - share)
    away = 1 - math.sqrt(2 * share)
    if amount.goes_by_factors:
        return amount.likely * math.pow(edge / amount.likely, away)
    return amount.likely + (edge - amount.likely) * away


def _is_away(programme: Programme) -> bool:
    """Whether data in a cloud are read from another region."""
    return programme.data_at is DataAt.CLOUD and not programme.beside_data


def _shared(programme: Programme, month: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Return what every way in a cloud pays for data."""
    is_moved = programme.data_at is not DataAt.CLOUD
    return (
        ("storage", month["storage_tb"] * month["storage"]),
        ("egress", month["egress_tb"] * month["to_internet"]),
        ("requests", month["read_tb"] * month["requests"]),
        ("other region", month["read_tb"] * month["other_region"] if _is_away(programme) else 0.0),
        # Bringing them in is free; keeping a month's data there isn't.
        ("copy of the data", month["read_tb"] * month["storage"] if is_moved else 0.0),
    )


def _compute(way: Way, programme: Programme, month: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Yield what a way pays for machines and service."""
    paid = month["core_hours"] * (1 + month["idle_share"])
    match way.kind:
        case "vm":
            each = month["core_hours"] / programme.people / (MACHINE_CORES * HOURS_PER_MONTH)
            machines = programme.people * max(1, math.ceil(each))
            yield "machines", machines * HOURS_PER_MONTH * month["machine_hour"]
            return
        case "hpc":
            is_in_cloud = programme.data_at is DataAt.CLOUD
            yield "taking the data out", month["read_tb"] * month["to_internet"] if is_in_cloud else 0.0
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


def _cost(way: Way, programme: Programme, totals: Sequence[float], sums: Mapping[str, float], units: float) -> WayCost:
    draws = len(totals)
    return WayCost(
        way=way,
        least=dollars(totals[int(0.05 * (len(totals) - 1))]),
        likely=dollars(totals[len(totals) // 2]),
        most=dollars(totals[int(0.95 * (len(totals) - 1))]),
        parts={part: dollars(total / draws) for part, total in sums.items() if total > 0},
        service_units=round(units / draws) if way.kind == "hpc" else None,
        needs_move=programme.data_at is not (DataAt.HPC if way.kind == "hpc" else DataAt.CLOUD),
    )


def dollars(amount: float) -> Money:
    """Return an amount to the cent: an estimate has no more digits than that."""
    return Money(amount=Decimal(amount).quantize(CENT), currency="USD")


def _faults(programme: Programme, assumptions: Assumptions) -> Iterator[FaultCost]:
    likely = {name: one.amount.likely for name, one in assumptions.numbers.items()}
    machines = core_hours(programme.read_tb, likely["read_speed"]) * likely["core_hour_spot"]
    for fault in assumptions.faults:
        if fault.id == OTHER_REGION and (_is_away(programme) or programme.data_at is not DataAt.CLOUD):
            continue  # it is in the estimate already, or there is no region to be in
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
        ("other region", read if _is_away(programme) else 0.0, likely["other_region"]),
        ("copy of the data", 0.0 if programme.data_at is DataAt.CLOUD else read, likely["storage"]),
    ):
        if count:
            total += count * price
            yield Line(says=f"{says}: {count:,.0f} TB x {price:g} USD", result=count * price, unit="USD")
    yield Line(says="together, by the likely speed", result=total, unit="USD")
    yield Line(
        says=f"{total:,.2f} USD / {programme.people:,} people", result=total / programme.people, unit="USD a person"
    )
