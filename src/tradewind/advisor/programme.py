"""What a group wants to compute in a month, as its file says it, units and all."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tradewind.advisor.number import ungrouped
from tradewind.errors import BadRequest

TERABYTES = {"GB": 0.001, "TB": 1.0, "PB": 1000.0}
QUANTITY = re.compile(r"^\s*([\d.,]+)(?:\s*(?:to|-|–)\s*([\d.,]+))?\s*([A-Za-z]+(?:/[a-z]+)?)\s*$")
MOST_HOURS = 744.0
"""Of the longest month."""
MOST_TB = 1_000_000.0
"""An exabyte: nobody reads more, and what says so is a slip of the hand."""
NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
SPREAD = 1.5
"""A number that is given alone may be off by this factor, either way: nobody knows next month."""
EXAMPLE = """\
# A programme for `tradewind estimate`. The question was what storage and compute for hundreds of researchers cost.
name = "Climate researchers of developing countries"
people = 300
read_per_person = "10 TB/month"      # what each reads and works off; "5 to 20 TB/month" gives a range
notebooks_per_person = "20 h/month"  # hours with a notebook open
storage = "100 TB"                   # results of regional simulations, kept
egress = "1 TB/month"                # taken out of the cloud, to people's own machines
data_at = "cloud"                    # where the data are: cloud, hpc or own-disk
beside_data = true                   # of data in a cloud: computing in the region where they are
# country = "Kenya"                  # of the one who leads it: for who could pay
# affiliation = "academic"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A number between two others, with the likely one; equal where it is certain."""

    least: float
    likely: float
    """Half of the numbers lie below it."""
    most: float
    goes_by_factors: bool = field(init=False)
    """Whether half as much is as far off as twice as much: where the likely number lies nearer to the middle so."""

    def __post_init__(self) -> None:
        by_factors = False
        if 0 < self.least < self.most:
            low, likely, high = math.log(self.least), math.log(self.likely), math.log(self.most)
            off = abs(2 * self.likely - self.least - self.most) / (self.most - self.least)
            by_factors = abs(2 * likely - low - high) / (high - low) < off
        object.__setattr__(self, "goes_by_factors", by_factors)


class DataAt(StrEnum):
    """Where the data are that are read."""

    CLOUD = "cloud"
    HPC = "hpc"
    """On the disks of a computing centre."""
    OWN_DISK = "own-disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """A month of a group's computing."""

    name: str
    people: int
    read_tb_per_person: Amount
    notebook_hours_per_person: Amount
    storage_tb: Amount
    egress_tb: Amount
    beside_data: bool
    """Of data in a cloud: whether it computes in their region."""
    country: str
    """As it was written; empty where nothing was."""
    affiliation: str
    data_at: DataAt = DataAt.CLOUD

    @property
    def read_tb(self) -> float:
        """Terabytes that all read in a month, likely."""
        return self.people * self.read_tb_per_person.likely


KNOWN = {
    *("name", "people", "read_per_person", "notebooks_per_person", "storage", "egress", "beside_data"),
    *("country", "affiliation", "data_at"),
}


def read_programme(tables: Mapping[str, Any], name: str) -> Programme:
    """Return the programme of a file.

    Raises
    ------
    BadRequest
        A line isn't known, or its number or unit can't be; names the line, and says what it is to be.
    """
    for key in sorted(set(tables) - KNOWN):
        raise BadRequest(f"{name}: nobody knows what {key!r} means; a programme has {', '.join(sorted(KNOWN))}.")
    for key in ("people", "read_per_person"):
        if key not in tables:
            raise BadRequest(f"{name}: it has no {key!r}; `tradewind estimate --example` prints a file to start from.")
    people = tables["people"]
    if isinstance(people, bool) or not isinstance(people, int) or not 0 < people <= 10_000_000:
        raise BadRequest(f"{name}: people is {people!r}; give a whole number, as people = 300.")
    beside = tables.get("beside_data", True)
    if not isinstance(beside, bool):
        raise BadRequest(f"{name}: beside_data is {beside!r}; it is true or false.")
    data_at = tables.get("data_at", DataAt.CLOUD.value)
    if data_at not in list(DataAt):
        raise BadRequest(f"{name}: data_at is {data_at!r}; it is one of {', '.join(DataAt)}.")
    monthly = {f"{unit}/month": factor for unit, factor in TERABYTES.items()}
    nothing = Amount(least=0.0, likely=0.0, most=0.0)

    def amount(key: str, units: Mapping[str, float], most: float = MOST_TB) -> Amount:
        return _amount(f"{name}: {key}", tables[key], units, most) if key in tables else nothing

    return Programme(
        name=str(tables.get("name", name)),
        people=people,
        read_tb_per_person=amount("read_per_person", monthly),
        notebook_hours_per_person=amount("notebooks_per_person", {"h/month": 1.0}, MOST_HOURS),
        storage_tb=amount("storage", TERABYTES),
        egress_tb=amount("egress", monthly),
        beside_data=beside,
        country=str(tables.get("country", "")),
        affiliation=str(tables.get("affiliation", "")),
        data_at=DataAt(data_at),
    )


def about(likely: float, most: float = math.inf) -> Amount:
    """Return an amount of which only the likely one is known, and beside it that there can't be more than ``most``."""
    return Amount(least=likely / SPREAD, likely=likely, most=min(likely * SPREAD, most))


def _amount(where: str, said: Any, units: Mapping[str, float], most: float) -> Amount:
    found = QUANTITY.match(said) if isinstance(said, str) else None
    wanted = " or ".join(units)
    if found is None:
        raise BadRequest(f'{where} is {said!r}; write a number and its unit, as "10 {next(iter(units))}" ({wanted}).')
    low, high, unit = found.groups()
    if unit not in units:
        raise BadRequest(f"{where} is in {unit!r}, and is to be in {wanted}.")
    first = _number(f"{where} is {said!r}", low) * units[unit]
    last = _number(f"{where} is {said!r}", high) * units[unit] if high else None
    if max(first, last or 0.0) > most:
        raise BadRequest(f"{where} is {said!r:.60}; there can be {most / units[unit]:,.0f} {unit} at most.")
    if last is None:
        return about(first, most)
    if last < first:
        raise BadRequest(f"{where} is {said!r}: the first number is the smaller one.")
    return Amount(least=first, likely=(first + last) / 2, most=last)


def _number(where: str, said: str) -> float:
    """Return a number that somebody wrote."""
    try:
        plain = ungrouped(said)
    except ValueError as error:
        raise BadRequest(f"{where}: {error}.") from None
    if not NUMBER.fullmatch(plain):
        raise BadRequest(f"{where}: {said} is no number.")
    return float(plain)
