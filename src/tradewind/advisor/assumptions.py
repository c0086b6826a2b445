"""What an estimate takes for granted: prices, speeds, and the classic ways to pay more than one had to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tradewind.advisor.fact import Source
from tradewind.advisor.programme import Amount
from tradewind.errors import ConfigError


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

    id: str
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
            id=table["id"],
            says=table["says"],
            times=float(table.get("times", 1)),
            adds_per_tb=float(table.get("adds_per_tb", 0)),
            source=sources[table["source"]],
        )
        for table in tables["fault"]
    )
    return Assumptions(numbers=numbers, faults=faults)
