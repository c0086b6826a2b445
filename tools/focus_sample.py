"""A FOCUS export that has one of everything, for the specification's own validator: see ``.ci/run focus``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tradewind.engine.outward.tables import csv_of, parquet_of
from tradewind.model.instance import Role
from tradewind.model.money import Price
from tradewind.model.resources import GIB, Resources
from tradewind.model.usage import Usage
from tradewind.planning.focus import focus_rows

START = datetime(2026, 1, 31, 22, 30, 0, 250_000, tzinfo=UTC)
NOW = datetime(2026, 2, 2, 3, 0, tzinfo=UTC)
PRICES = (
    Price(per_hour=Decimal("0.0416")),
    Price(per_hour=Decimal("1.337"), currency="EUR"),
    Price(per_hour=Decimal(36), currency="SU"),
    Price(per_hour=Decimal(0)),
    None,
)


def usages() -> Iterator[Usage]:
    """Yield money in two currencies, service units, free and unpriced, over a month's end; with a change of price."""
    for number, price in enumerate(PRICES):
        first = Usage(
            instance_id=f"i-{number}",
            sequence=0,
            cluster_id="tw-1",
            cluster_name='sea, "ice" and <snow> ❄',
            workspace="ocean-lab",
            owner="ada",
            provider=("aws", "openstack", "slurm", "local", "ssh")[number],
            region=None if number > 2 else "north-1",
            vm_type="m5.large",
            role=Role.WORKER if number else Role.SCHEDULER,
            resources=Resources(cpus=0.5 + number, memory=4 * GIB, gpus=number % 2),
            price=price,
            started_at=START,
            stopped_at=START + timedelta(hours=3, microseconds=1),
            tags={"project": "enso", "note": 'a "quoted" one, with a comma'} if number else {},
        )
        yield first
        if number == 0:  # a spot price that moves closes one usage and opens the next, which still runs
            yield Usage(
                **{name: getattr(first, name) for name in first.__dataclass_fields__}
                | {
                    "sequence": 1,
                    "price": Price(per_hour=Decimal("0.0131")),
                    "started_at": first.stopped_at,
                    "stopped_at": None,
                }
            )


def write(directory: Path, *, with_units: bool) -> tuple[Path, Path]:
    """Write the sample as CSV and as Parquet, with or without service units; return the files."""
    name = "units" if with_units else "money"
    kept = [one for one in usages() if with_units or one.price is None or one.price.currency != "SU"]
    rows = focus_rows(kept, NOW)
    text, table = directory / f"{name}.csv", directory / f"{name}.parquet"
    text.write_bytes(b"".join(csv_of(rows)))
    table.write_bytes(parquet_of(rows))
    return text, table
