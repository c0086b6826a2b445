"""The advisor's pages on a server: open to everybody, unless its operator says otherwise."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tradewind.model.people import Signed
from tradewind.server.advice import answering, asking, directory
from tradewind.server.advice.sheet import Leads, Sheet, read_fields
from tradewind.server.advisor import made
from tradewind.server.pages.frame import POLICY, go, page, signed_or_none
from tradewind.server.pages.template import render

WORTH_PACKING = 4096
"""Bytes."""


@page
async def advise(request: Request) -> Response:
    """Ask the questions."""
    return await _shown(request, lambda today: asking.asked(read_fields(request.url.query), today))


@page
async def answer(request: Request) -> Response:
    """Answer them."""
    return await _shown(request, lambda today: answering.answered(read_fields(request.url.query), today))


@page
async def partners(request: Request) -> Response:
    """Show the directory."""
    return await _shown(request, lambda today: directory.listed(read_fields(request.url.query), today))


@page
async def compare(request: Request) -> Response:
    """Show two or three partners side by side."""
    return await _shown(request, lambda today: directory.compared(read_fields(request.url.query), today))


@page
async def partner(request: Request) -> Response:
    """Show one partner."""
    name = request.path_params["partner"]
    return await _shown(request, lambda today: directory.one(name, today))


async def _shown(request: Request, make: Callable[[date], Sheet | Leads]) -> Response:
    signed = await signed_or_none(request)
    drawn = await made(request, lambda today: _drawn(make(today), signed, request.app.state))
    if isinstance(drawn, Leads):
        return go(drawn.to)
    status, text = drawn
    headers = {"Content-Security-Policy": POLICY, "Vary": "Accept-Encoding, Cookie"}
    # Nothing of anybody's stands in these pages beside their name, and no secret ever: packing them tells nobody one.
    if len(text) > WORTH_PACKING and "gzip" in request.headers.get("accept-encoding", ""):
        text = await asyncio.to_thread(gzip.compress, text, 5)
        headers["Content-Encoding"] = "gzip"
    return Response(text, status, headers=headers, media_type="text/html")


def _drawn(sheet: Sheet | Leads, signed: Signed | None, state: Any) -> tuple[int, bytes] | Leads:
    if isinstance(sheet, Leads):
        return sheet
    text = render(sheet.template, signed=signed, settings=state.settings, public_url=state.public_url, **sheet.values)
    return sheet.status, text.encode()
