"""What a group wants to compute in a month, as its file says it, units and all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tradewind.advisor.number import ungrouped
from tradewind.errors import BadRequest

TERABYTES = {"GB": 0.001, "TB": 1.0, "PB": 1000.0}
QUANTITY = re.compile(r"^\s*([\d.,]+)(?:\s*(?:to|-|–)\s*([\d.,]+))?\s*([A-Za-z]+(?:/[a-z]+)?)\s*$")
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
beside_data = true                   # computing in the region where the data are
# country = "Kenya"                  # of the one who leads it: for who could pay
# affiliation = "academic"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A number between two others, with the likely one; equal where it is certain."""

    least: float
    likely: float
    most: float


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
    country: str
    """As it was written; empty where nothing was."""
    affiliation: str

    @property
    def read_tb(self) -> float:
        """Terabytes that all read in a month, likely."""
        return self.people * self.read_tb_per_person.likely


KNOWN = {
    *("name", "people", "read_per_person", "notebooks_per_person", "storage", "egress", "beside_data"),
    *("country", "affiliation"),
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
    monthly = {f"{unit}/month": factor for unit, factor in TERABYTES.items()}
    nothing = Amount(least=0.0, likely=0.0, most=0.0)

    def amount(key: str, units: Mapping[str, float]) -> Amount:
        return _amount(f"{name}: {key}", tables[key], units) if key in tables else nothing

    return Programme(
        name=str(tables.get("name", name)),
        people=people,
        read_tb_per_person=amount("read_per_person", monthly),
        notebook_hours_per_person=amount("notebooks_per_person", {"h/month": 1.0}),
        storage_tb=amount("storage", TERABYTES),
        egress_tb=amount("egress", monthly),
        beside_data=beside,
        country=str(tables.get("country", "")),
        affiliation=str(tables.get("affiliation", "")),
    )


def about(likely: float) -> Amount:
    """Return an amount of which only the likely one is known."""
    return Amount(least=likely / SPREAD, likely=likely, most=likely * SPREAD)


def _amount(where: str, said: Any, units: Mapping[str, float]) -> Amount:
    found = QUANTITY.match(said) if isinstance(said, str) else None
    wanted = " or ".join(units)
    if found is None:
        raise BadRequest(f'{where} is {said!r}; write a number and its unit, as "10 {next(iter(units))}" ({wanted}).')
    low, high, unit = found.groups()
    if unit not in units:
        raise BadRequest(f"{where} is in {unit!r}, and is to be in {wanted}.")
    first = _number(f"{where} is {said!r}", low) * units[unit]
    last = _number(f"{where} is {said!r}", high) * units[unit] if high else None
    if last is None:
        return about(first)
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
