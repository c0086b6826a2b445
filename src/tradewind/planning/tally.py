"""Exact sums over instance time: whole numbers up to the end, so that the lines of a table add up to its total."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from tradewind.model.money import Money, Price
from tradewind.model.resources import Resources
from tradewind.model.usage import Cost, CostLine, Usage

Amounts = tuple[int, ...]
"""Instance time, cpu time, memory time, free time, unpriced time, then money by currency, in the units of `Units`."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000
HOUR = 3600 * SECOND
CPU = 1_000_000
"""Cores are counted in millionths: infrastructures give fractions of one."""
PLACES = 12
"""Of a money amount. A microsecond of the cheapest machine is less, and sums are exact, so only a total is rounded."""
SEPARATOR = " · "
"""Between the keys of a line that was grouped by several."""
HEAD = 5
"""Position of the first currency in `Amounts`."""


def micros(at: datetime) -> int:
    """Return the microseconds from 1970 to ``at``."""
    return (at - EPOCH) // MICROSECOND


def plus(one: Amounts, other: Amounts) -> Amounts:
    """Return the sum."""
    return tuple(map(operator.add, one, other))


def minus(one: Amounts, other: Amounts) -> Amounts:
    """Return the difference."""
    return tuple(map(operator.sub, one, other))


def times(amounts: Amounts, factor: int) -> Amounts:
    """Return ``factor`` times ``amounts``."""
    return tuple([amount * factor for amount in amounts])


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What the whole numbers of some `Amounts` mean."""

    currencies: tuple[str, ...]
    places: int
    """Decimal places of the finest price."""
    parts: int = 1
    """Every amount is counted in this fraction, so that it can be shared without a remainder."""

    @classmethod
    def of(cls, usages: Iterable[Usage]) -> Units:
        """Return units in which the prices of ``usages`` are whole numbers."""
        return cls.for_prices(usage.price for usage in usages)

    @classmethod
    def for_prices(cls, prices: Iterable[Price | None]) -> Units:
        """Return units in which ``prices`` are whole numbers."""
        paid = {price for price in prices if price is not None and not price.is_free}
        return cls(
            currencies=tuple(sorted({price.currency for price in paid})),
            places=max((_places(price.per_hour) for price in paid), default=0),
        )

    @property
    def nothing(self) -> Amounts:
        """Amounts of 0."""
        return (0,) * (HEAD + len(self.currencies))

    def rate(self, price: Price | None, resources: Resources) -> Amounts:
        """Return what one microsecond of an instance amounts to, in whole parts."""
        money = [0] * len(self.currencies)
        free, unpriced = int(price is not None and price.is_free), int(price is None)
        if price is not None and not price.is_free:
            numerator, denominator = price.per_hour.as_integer_ratio()
            money[self.currencies.index(price.currency)] = numerator * 10**self.places // denominator
        return (1, round(resources.cpus * CPU), resources.memory, free, unpriced, *money)

    def shared_by(self, parts: int) -> Units:
        """Return units as fine as a ``parts``-th of these."""
        return replace(self, parts=self.parts * parts)

    def costs(self, amounts: Sequence[Amounts]) -> tuple[Cost, ...]:
        """Return the cost of each; their money adds up to the money of their sum, to the last digit."""
        columns = [self._split([one[HEAD + column] for one in amounts]) for column in range(len(self.currencies))]
        second = SECOND * self.parts
        return tuple(
            Cost(
                money=tuple(
                    Money(amount=column[row], currency=currency)
                    for currency, column in zip(self.currencies, columns, strict=True)
                    if column[row]
                ),
                instance_seconds=one[0] / second,
                cpu_seconds=one[1] / (second * CPU),
                memory_byte_seconds=one[2] / second,
                free_seconds=one[3] / second,
                unpriced_seconds=one[4] / second,
            )
            for row, one in enumerate(amounts)
        )

    def _split(self, column: Sequence[int]) -> list[Decimal]:
        """Round each so that the sum is the rounded sum: what is left over goes to the largest remainders."""
        unit = 10**self.places * HOUR * self.parts
        parts = [divmod(amount * 10**PLACES, unit) for amount in column]
        quanta = [quantum for quantum, _ in parts]
        whole, remainder = divmod(sum(column) * 10**PLACES, unit)
        left_over = whole + (2 * remainder >= unit) - sum(quanta)
        for row in sorted(range(len(parts)), key=lambda row: (-parts[row][1], row))[:left_over]:
            quanta[row] += 1
        return [Decimal(f"{quantum}E-{PLACES}") for quantum in quanta]


def lines(
    tallies: Mapping[tuple[str, ...], Amounts], units: Units, titles: Mapping[str, str] = MappingProxyType({})
) -> tuple[CostLine, ...]:
    """Return one line for each tuple of keys, in the mapping's order; ``titles`` are for keys that are ids."""
    costs = units.costs(tuple(tallies.values()))
    return tuple(
        CostLine(
            key=SEPARATOR.join(keys),
            keys=keys,
            cost=cost,
            name=SEPARATOR.join(titles.get(key) or key for key in keys) if any(map(titles.get, keys)) else "",
        )
        for keys, cost in zip(tallies, costs, strict=True)
    )


def _places(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{amount} is no price: give a number, or None for what is unpriced")  # noqa: TRY004
    return max(0, -exponent)
