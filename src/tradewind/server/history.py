"""Computations and usage of a workspace over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.responses import StreamingResponse

from tradewind.errors import BadRequest, NotFound
from tradewind.model.computation import Computation
from tradewind.model.exchange import Page
from tradewind.model.export import Format
from tradewind.model.usage import CostLine
from tradewind.server.clusters import MOST_ITEMS, Some, within
from tradewind.server.operation import Asked, Nothing, Table

table = Table("history")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """What costs are added up by, and for when."""

    by: str = "cluster"
    """As "cluster", "computation", "day" or "tag:project"; or several, as "user,tag:project,day"."""
    since: datetime | None = None
    until: datetime | None = None


@table.on("GET", "/workspaces/{workspace}/computations", query=Some, answer=Page[Computation])
async def computations(asked: Asked[Nothing, Some]) -> Page[Computation]:
    """List the computations that you may read, newest first."""
    limit = within(asked.query.limit, "limit", MOST_ITEMS)
    found = await asked.verbs.records.computations(limit=limit, cursor=asked.query.cursor)
    return Page(items=found, next=found.next)


@table.on(
    "GET", "/workspaces/{workspace}/computations/{computation}", answer=Computation, problems=(NotFound, BadRequest)
)
async def computation(asked: Asked[Nothing, Nothing]) -> Computation:
    """Return one; an unambiguous beginning of its id will do."""
    return await asked.verbs.records.computation(asked.path("computation"))


@table.on("GET", "/workspaces/{workspace}/usage", query=Grouped, answer=Page[CostLine])
async def usage(asked: Asked[Nothing, Grouped]) -> Page[CostLine]:
    """Return what was used and what it cost."""
    asks = asked.query
    lines = await asked.verbs.records.usage(
        by=asks.by, since=aware(asks.since, "since"), until=aware(asks.until, "until")
    )
    return Page(items=tuple(lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What to export, and of when."""

    format: Format = Format.FOCUS_CSV
    since: datetime | None = None
    until: datetime | None = None


@table.on(
    "GET",
    "/workspaces/{workspace}/export",
    query=Taken,
    answer=bytes,
    media_type=", ".join(sorted({each.media_type for each in Format})),
    patience_s=None,
)
async def export(asked: Asked[Nothing, Taken]) -> StreamingResponse:
    """Export usage as a table (FOCUS as CSV or Parquet, or plain CSV), or everything as JSON lines in a ZIP."""
    asks = asked.query
    pieces = await asked.verbs.records.exported(
        asks.format, since=aware(asks.since, "since"), until=aware(asks.until, "until")
    )
    name = f"tradewind-{asks.format.value}.{asks.format.ending}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, media_type=asks.format.media_type, headers=headers)


def aware(moment: datetime | None, name: str) -> datetime | None:
    """Return the moment in UTC. Raises BadRequest for one that says no zone, or that no calendar has there."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise BadRequest(f"{name} needs its time zone: write 2027-03-01T00:00:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise BadRequest(f"{name} is outside the calendar") from None
