"""Usages as rows of FOCUS 1.2, the FinOps Open Cost and Usage Specification: what finance offices' programs read.

One row for each usage and day. What a column holds, and why, stands in ``docs/guides/cost-export.md``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum
from types import MappingProxyType

from tradewind.model.usage import Usage
from tradewind.planning.grouping import DAY, days
from tradewind.planning.tally import EPOCH, HOUR, SECOND, Amounts, Units, micros, times

VERSION = "1.2"
SERVICE_UNITS = "SU"
"""No money: FOCUS calls this a virtual currency."""
QUANTUM = Decimal("1E-12")

Value = str | Decimal | datetime | None


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "number"
    """An exact decimal with at most 12 places."""
    TIME = "time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A usage on one day, with what it cost then."""

    usage: Usage
    start: int
    """Microseconds from 1970, as all times here."""
    stop: int
    cost: Decimal
    """In the currency of its price; 0 where nothing has to be paid, or nobody knows what."""
    home_currency: str
    """Stands where there is no price, or one that isn't in money."""

    @property
    def seconds(self) -> Decimal:
        """How long it lasted on this day."""
        return Decimal(self.stop - self.start) / SECOND

    @property
    def pricing_currency(self) -> str:
        """Of its price."""
        price = self.usage.price
        return self.home_currency if price is None or price.is_free else price.currency

    @property
    def billing_currency(self) -> str:
        """What an invoice would be in; service units are on none."""
        return self.home_currency if self.pricing_currency == SERVICE_UNITS else self.pricing_currency

    @property
    def billed(self) -> Decimal:
        """Its cost in money."""
        return Decimal(0) if self.pricing_currency == SERVICE_UNITS else self.cost

    @property
    def per_hour(self) -> Decimal:
        """Its price, in the pricing currency."""
        return self.usage.price.per_hour if self.usage.price is not None else Decimal(0)

    @property
    def billed_per_hour(self) -> Decimal:
        """Its price in money."""
        return Decimal(0) if self.pricing_currency == SERVICE_UNITS else self.per_hour

    @property
    def price_status(self) -> str:
        """Why a cost is 0, where it is."""
        price = self.usage.price
        return "unpriced" if price is None else "free" if price.is_free else "priced"


def moment(at: int) -> datetime:
    """Return the moment that is ``at`` microseconds after 1970."""
    return EPOCH + timedelta(microseconds=at)


def _day(row: Row) -> datetime:
    return moment(row.start // DAY * DAY)


def _month(row: Row) -> datetime:
    return _day(row).replace(day=1)


def _next_month(row: Row) -> datetime:
    return (_month(row) + timedelta(days=31)).replace(day=1)


def _number(value: float | Decimal) -> Decimal:
    return Decimal(value).quantize(QUANTUM, ROUND_HALF_EVEN)


def _sku(usage: Usage) -> str:
    return f"{usage.provider}/{usage.vm_type}"


def _json(values: Mapping[str, object]) -> str:
    return json.dumps(dict(sorted(values.items())), separators=(",", ":"))


def _details(row: Row) -> str:
    resources = row.usage.resources
    return _json(
        {
            "CoreCount": resources.cpus,
            "MemorySize": resources.memory / 2**30,
            "GpuCount": resources.gpus,
            "InstanceType": row.usage.vm_type,
        }
    )


Column = Callable[[Row], Value]

COLUMNS: Mapping[str, tuple[Kind, Column]] = MappingProxyType(
    {
        # Who is billed: the workspace, and within it the member.
        "BillingAccountId": (Kind.TEXT, lambda row: row.usage.workspace),
        "BillingAccountName": (Kind.TEXT, lambda row: row.usage.workspace),
        "BillingAccountType": (Kind.TEXT, lambda row: "Workspace"),
        "SubAccountId": (Kind.TEXT, lambda row: row.usage.owner),
        "SubAccountName": (Kind.TEXT, lambda row: row.usage.owner),
        "SubAccountType": (Kind.TEXT, lambda row: "User"),
        # When.
        "BillingPeriodStart": (Kind.TIME, _month),
        "BillingPeriodEnd": (Kind.TIME, _next_month),
        "ChargePeriodStart": (Kind.TIME, _day),
        "ChargePeriodEnd": (Kind.TIME, lambda row: _day(row) + timedelta(days=1)),
        # What kind of charge.
        "ChargeCategory": (Kind.TEXT, lambda row: "Usage"),
        "ChargeClass": (Kind.TEXT, lambda row: None),
        "ChargeDescription": (
            Kind.TEXT,
            lambda row: f"{row.usage.role.value} of cluster {row.usage.cluster_name} on {_sku(row.usage)}",
        ),
        "ChargeFrequency": (Kind.TEXT, lambda row: "Usage-Based"),
        "InvoiceId": (Kind.TEXT, lambda row: None),
        # Nobody commits to anything here. The rules of other columns ask for these two all the same.
        "CommitmentDiscountId": (Kind.TEXT, lambda row: None),
        "CommitmentDiscountStatus": (Kind.TEXT, lambda row: None),
        # How much money.
        "BillingCurrency": (Kind.TEXT, lambda row: row.billing_currency),
        "BilledCost": (Kind.NUMBER, lambda row: row.billed),
        "EffectiveCost": (Kind.NUMBER, lambda row: row.billed),
        "ListCost": (Kind.NUMBER, lambda row: row.billed),
        "ContractedCost": (Kind.NUMBER, lambda row: row.billed),
        "ListUnitPrice": (Kind.NUMBER, lambda row: row.billed_per_hour),
        "ContractedUnitPrice": (Kind.NUMBER, lambda row: row.billed_per_hour),
        "PricingCategory": (Kind.TEXT, lambda row: "Standard"),
        "PricingCurrency": (Kind.TEXT, lambda row: row.pricing_currency),
        "PricingCurrencyEffectiveCost": (Kind.NUMBER, lambda row: row.cost),
        "PricingCurrencyListUnitPrice": (Kind.NUMBER, lambda row: row.per_hour),
        "PricingCurrencyContractedUnitPrice": (Kind.NUMBER, lambda row: row.per_hour),
        "PricingQuantity": (Kind.NUMBER, lambda row: _number(Decimal(row.stop - row.start) / HOUR)),
        "PricingUnit": (Kind.TEXT, lambda row: "Hours"),
        "ConsumedQuantity": (Kind.NUMBER, lambda row: row.seconds),
        "ConsumedUnit": (Kind.TEXT, lambda row: "Seconds"),
        # Of what.
        "ProviderName": (Kind.TEXT, lambda row: row.usage.provider),
        "PublisherName": (Kind.TEXT, lambda row: row.usage.provider),
        "InvoiceIssuerName": (Kind.TEXT, lambda row: row.usage.provider),
        "RegionId": (Kind.TEXT, lambda row: row.usage.region),
        "RegionName": (Kind.TEXT, lambda row: row.usage.region),
        "ResourceId": (Kind.TEXT, lambda row: row.usage.instance_id),
        "ResourceName": (Kind.TEXT, lambda row: row.usage.instance_id),
        "ResourceType": (Kind.TEXT, lambda row: f"Dask {row.usage.role.value}"),
        "ServiceCategory": (Kind.TEXT, lambda row: "Compute"),
        "ServiceSubcategory": (Kind.TEXT, lambda row: "Other (Compute)"),
        "ServiceName": (Kind.TEXT, lambda row: f"Dask clusters on {row.usage.provider}"),
        "SkuId": (Kind.TEXT, lambda row: _sku(row.usage)),
        "SkuMeter": (Kind.TEXT, lambda row: "Instance time"),
        "SkuPriceId": (Kind.TEXT, lambda row: "/".join(filter(None, (_sku(row.usage), row.usage.region)))),
        "SkuPriceDetails": (Kind.TEXT, _details),
        "Tags": (Kind.TEXT, lambda row: _json(row.usage.tags)),
        # What the specification has no column for.
        "x_ClusterId": (Kind.TEXT, lambda row: row.usage.cluster_id),
        "x_ClusterName": (Kind.TEXT, lambda row: row.usage.cluster_name),
        "x_UsageSequence": (Kind.NUMBER, lambda row: Decimal(row.usage.sequence)),
        "x_UsageStart": (Kind.TEXT, lambda row: moment(row.start).isoformat()),
        "x_UsageEnd": (Kind.TEXT, lambda row: moment(row.stop).isoformat()),
        "x_IsRunning": (Kind.TEXT, lambda row: "true" if row.usage.stopped_at is None else "false"),
        "x_PriceStatus": (Kind.TEXT, lambda row: row.price_status),
        "x_CpuSeconds": (Kind.NUMBER, lambda row: _number(row.seconds * Decimal(str(row.usage.resources.cpus)))),
        "x_MemoryGiBSeconds": (Kind.NUMBER, lambda row: _number(row.seconds * row.usage.resources.memory / 2**30)),
        "x_GpuSeconds": (Kind.NUMBER, lambda row: _number(row.seconds * row.usage.resources.gpus)),
    }
)
"""Name, kind and content of each column, in the order of the export."""


def focus_rows(
    usages: Iterable[Usage],
    now: datetime,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    home_currency: str = "USD",
    by_day: bool = True,
) -> tuple[Row, ...]:
    """Return a row for each usage and day within the range, in the order of time.

    The costs add up, currency by currency, to that of :func:`tradewind.planning.meter.cost` over the same usages and
    range, to the last digit: what rounding leaves over goes to the rows with the largest remainders.

    Parameters
    ----------
    usages : iterable of Usage
        What to bill.
    now : datetime
        Aware UTC; what runs is billed up to here.
    since, until : datetime, optional
        Bill the time from ``since`` (included) to ``until`` (excluded) only.
    home_currency : str
        Stands where the specification wants a currency of money and the usage has none: it was free, unpriced, or
        paid in service units.
    by_day : bool
        Whether usages are cut at midnight, UTC, as FOCUS wants them; else each is one row.
    """
    usages = tuple(usages)
    units = Units.of(usages)
    pieces: list[tuple[Usage, int, int]] = []
    amounts: list[Amounts] = []
    for usage in usages:
        rate = units.rate(usage.price, usage.resources)
        first = max(micros(usage.started_at), micros(since) if since is not None else 0)
        last = micros(usage.stopped_at or now)
        last = last if until is None else min(last, micros(until))
        for start, stop in days(first, last) if by_day else [(first, last)] if first < last else []:
            pieces.append((usage, start, stop))
            amounts.append(times(rate, stop - start))
    costs = units.costs(amounts)
    found = [
        Row(
            usage=usage,
            start=start,
            stop=stop,
            cost=sum((money.amount for money in cost.money), Decimal(0)),
            home_currency=home_currency,
        )
        for (usage, start, stop), cost in zip(pieces, costs, strict=True)
    ]
    return tuple(sorted(found, key=lambda row: (row.start, row.usage.instance_id, row.usage.sequence)))


def values_of(row: Row) -> dict[str, Value]:
    """Return what stands in each column."""
    return {name: _allowed(name, content(row)) for name, (_, content) in COLUMNS.items()}


def _allowed(name: str, value: Value) -> Value:
    """Return a text as the specification's own columns may hold it: of ASCII alone, what is not as ``\\u2744``."""
    if isinstance(value, str) and not name.startswith("x_"):
        return value.encode("ascii", "backslashreplace").decode()
    return value
