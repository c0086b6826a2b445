"""Tables as files: CSV, and Parquet, which keeps decimals exact and types known."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from tradewind.errors import MissingExtra
from tradewind.planning.focus import COLUMNS, VERSION, Kind, Row, Value, moment, values_of

ROWS_AT_ONCE = 1000
DIGITS, PLACES = 38, 12
"""Of a decimal in Parquet: as many as it has, of which 12 behind the point, as the meter's sums have."""


PLAIN: Mapping[str, Callable[[Row], object]] = MappingProxyType(
    {
        "cluster_id": lambda row: row.usage.cluster_id,
        "cluster": lambda row: row.usage.cluster_name,
        "user": lambda row: row.usage.owner,
        "provider": lambda row: row.usage.provider,
        "region": lambda row: row.usage.region,
        "vm_type": lambda row: row.usage.vm_type,
        "role": lambda row: row.usage.role.value,
        "instance_id": lambda row: row.usage.instance_id,
        "sequence": lambda row: row.usage.sequence,
        "cpus": lambda row: row.usage.resources.cpus,
        "memory_bytes": lambda row: row.usage.resources.memory,
        "gpus": lambda row: row.usage.resources.gpus,
        "started_at": lambda row: moment(row.start).isoformat(),
        "stopped_at": lambda row: moment(row.stop).isoformat(),
        "is_running": lambda row: row.usage.stopped_at is None,
        "price_per_hour": lambda row: row.usage.price and f"{row.usage.price.per_hour:f}",
        "currency": lambda row: row.usage.price and row.usage.price.currency,
        "cost": lambda row: row.usage.price and f"{row.cost:f}",
        "tags": lambda row: json.dumps(dict(row.usage.tags), ensure_ascii=False),
    }
)
"""Columns of the plain table. What nobody put a price on has none, and no cost."""


def csv_of(rows: Sequence[Row]) -> Iterator[bytes]:
    """Yield FOCUS rows as CSV in UTF-8: times as ``2026-03-01T00:00:00Z``, numbers with a point, null empty."""
    return _written(rows, list(COLUMNS), lambda row: {name: _text(value) for name, value in values_of(row).items()})


def plain_csv_of(rows: Sequence[Row]) -> Iterator[bytes]:
    """Yield the plain table as CSV in UTF-8."""
    return _written(rows, list(PLAIN), lambda row: {name: content(row) for name, content in PLAIN.items()})


def _written(rows: Sequence[Row], names: Sequence[str], read: Callable[[Row], Mapping[str, object]]) -> Iterator[bytes]:
    for first in range(0, len(rows) or 1, ROWS_AT_ONCE):
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        if first == 0:
            writer.writeheader()
        for row in rows[first : first + ROWS_AT_ONCE]:
            writer.writerow(read(row))
        yield text.getvalue().encode("utf-8", "replace")


def parquet_of(rows: Sequence[Row]) -> bytes:
    """Return rows as a Parquet file; numbers are DECIMAL(38, 12), times are UTC.

    Raises
    ------
    MissingExtra
        pyarrow isn't installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra(
            'writing Parquet needs pyarrow: pip install "tradewind[server]"; CSV needs nothing'
        ) from None
    types: dict[Kind, Any] = {
        Kind.TEXT: pyarrow.string(),
        Kind.NUMBER: pyarrow.decimal128(DIGITS, PLACES),
        Kind.TIME: pyarrow.timestamp("us", tz="UTC"),
    }
    schema = pyarrow.schema(
        [pyarrow.field(name, types[kind]) for name, (kind, _) in COLUMNS.items()],
        metadata={"focus.version": VERSION},
    )
    file = io.BytesIO()
    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for first in range(0, len(rows), ROWS_AT_ONCE):
            some = [values_of(row) for row in rows[first : first + ROWS_AT_ONCE]]
            writer.write_table(pyarrow.Table.from_pylist(some, schema=schema))
    return file.getvalue()


def _text(value: Value) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
        case Decimal():
            # FOCUS wants no exponent; a point tells readers that guess types that the column isn't whole.
            return _plain(f"{value:f}")
    return value


def _plain(text: str) -> str:
    if "." not in text:
        return f"{text}.0"
    text = text.rstrip("0")
    return f"{text}0" if text.endswith(".") else text
