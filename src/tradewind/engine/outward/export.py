"""What can be taken elsewhere: usage as tables, and everything of a workspace as JSON lines in a ZIP."""

from __future__ import annotations

import json
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from tradewind import __version__, wire
from tradewind.engine.outward.tables import csv_of, parquet_of, plain_csv_of
from tradewind.model.cluster import Cluster
from tradewind.model.export import Format
from tradewind.planning.focus import VERSION, focus_rows
from tradewind.store.archive import LEFT_OUT, NOUNS
from tradewind.store.store import Store

HIDDEN = "***"
"""In place of the values of environment variables: people put passwords there."""


async def usage_table(
    store: Store, workspace: str, what: Format, now: datetime, since: datetime | None, until: datetime | None
) -> AsyncIterator[bytes]:
    """Yield the usage of a workspace as a table. Raises MissingExtra for Parquet without its library."""
    usages = await store.usages(workspace=workspace, since=since, until=until)
    rows = focus_rows(usages, now, since=since, until=until, by_day=what is not Format.CSV)
    match what:
        case Format.FOCUS_PARQUET:
            yield parquet_of(rows)
        case Format.FOCUS_CSV:
            for piece in csv_of(rows):
                yield piece
        case _:
            for piece in plain_csv_of(rows):
                yield piece


async def everything(store: Store, workspace: str, now: datetime) -> AsyncIterator[bytes]:
    """Yield a ZIP of all that a workspace has, made while it is read: it fits no memory."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]  # it only writes
        archive.writestr(_entry("README.md", now), _readme(workspace, now))
        archive.writestr(_entry("schema.json", now), json.dumps(_schema(), indent=2))
        for noun in NOUNS:
            with archive.open(_entry(f"{noun}.jsonl", now), "w", force_zip64=True) as file:
                async for records in store.archive.pages(noun, workspace):
                    for record in records:
                        file.write(f"{wire.dump_json(_open(record))}\n".encode())
                    yield sink.taken()
            yield sink.taken()
    yield sink.taken()


class _Sink:
    """Takes what a ZIP writes, and gives it on: it can't go back, so the ZIP doesn't."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: all of it is here."""

    def taken(self) -> bytes:
        """Return what came since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _entry(name: str, now: datetime) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, now.timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    return entry


def _open(record: Any) -> Any:
    if isinstance(record, Cluster):
        return replace(record, spec=replace(record.spec, environ=dict.fromkeys(record.spec.environ, HIDDEN)))
    return record


def _schema() -> dict[str, Any]:
    """Return the JSON schema of each file's lines."""
    found, named = wire.schemas([noun.kind for noun in NOUNS.values()], "#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Tradewind {__version__}: the lines of each file",
        "properties": dict(zip((f"{noun}.jsonl" for noun in NOUNS), found, strict=True)),
        "$defs": named,
    }


def _readme(workspace: str, now: datetime) -> str:
    return "\n".join(_readme_lines(workspace, now)) + "\n"


def _readme_lines(workspace: str, now: datetime) -> Iterator[str]:
    yield f"# Everything of workspace {wire.printable(workspace)}"
    yield ""
    yield f"Written by Tradewind {__version__} at {now.isoformat(timespec='seconds')}."
    yield ""
    yield "Each file has one JSON object a line, in UTF-8. `schema.json` is the JSON Schema of each file's lines."
    yield "Times are ISO 8601 in UTC, durations ISO 8601, bytes whole numbers, money decimal text with its currency;"
    yield 'null is unknown: a price that is null is unpriced, one of "0" is free.'
    yield ""
    for noun, one in NOUNS.items():
        about = (one.kind.__doc__ or "").splitlines()[0]
        yield f"- `{noun}.jsonl`: {one.kind.__name__}. {about}"
    yield ""
    yield f"Values of environment variables are `{HIDDEN}`. Not in it:"
    yield ""
    for table, why in LEFT_OUT.items():
        yield f"- {table}: {why}"
    yield ""
    yield 'To read a file back: `[tradewind.wire.load_json(Usage, line) for line in open("usages.jsonl")]`.'
    yield f"For finance offices there is usage in FOCUS {VERSION} besides: `tradewind usage export`."
