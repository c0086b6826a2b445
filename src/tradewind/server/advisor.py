"""The advisor over HTTP: what its pages show, as data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from starlette.requests import Request

from tradewind.advisor.link import read_link
from tradewind.advisor.match import advise
from tradewind.advisor.shelf import open_shelf
from tradewind.advisor.told import told_advice, told_partner, told_questions
from tradewind.errors import BadRequest, NotFound, SignInNeeded
from tradewind.server import auth
from tradewind.server.operation import Asked, Door, Nothing, Table

table = Table("advisor")
T = TypeVar("T")
AT_ONCE = 2
"""Answers that are made at the same time: a stranger's may take a tenth of a second, and clusters wait for nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What was answered."""

    a: str
    """As it stands in the link of an answer: ``1~2026-11-24~hub.must~work.dask.notebooks~w.leave.5``."""


@table.on("GET", "/partners", answer=list[dict[str, Any]], door=Door.OPEN, problems=(SignInNeeded,))
async def partners(asked: Asked[Nothing, Nothing]) -> list[dict[str, Any]]:
    """List all partners of the directory, with every fact, its source and its age."""
    return await made(
        asked.request, lambda today: [told_partner(one, today) for one in open_shelf().directory.partners]
    )


@table.on("GET", "/partners/{partner}", answer=dict[str, Any], door=Door.OPEN, problems=(SignInNeeded, NotFound))
async def partner(asked: Asked[Nothing, Nothing]) -> dict[str, Any]:
    """Show one partner with every fact."""
    return await made(
        asked.request, lambda today: told_partner(open_shelf().directory.find(asked.path("partner")), today)
    )


@table.on("GET", "/advice/questions", answer=list[dict[str, Any]], door=Door.OPEN, problems=(SignInNeeded,))
async def questions(asked: Asked[Nothing, Nothing]) -> list[dict[str, Any]]:
    """List the questions, with what each may be answered."""
    return await made(asked.request, lambda _: told_questions(open_shelf().questionnaire))


@table.on("GET", "/advice", query=Link, answer=dict[str, Any], door=Door.OPEN, problems=(SignInNeeded, BadRequest))
async def advice(asked: Asked[Nothing, Link]) -> dict[str, Any]:
    """Answer which partners fit, in order, with reasons that name facts."""
    return await made(asked.request, lambda today: _advice(asked.query.a, today))


async def made(request: Request, make: Callable[[date], T]) -> T:
    """Return what ``make`` makes of today, for everybody or for who is signed in, as the operator wants it.

    Raises
    ------
    SignInNeeded
        Nobody is signed in, and this server's advisor is for those who are.
    """
    if not request.app.state.settings.serve.open_advisor:
        await auth.signed_in(request)
    today = request.app.state.assembly.clock.now().date()
    async with request.app.state.advising:
        return await asyncio.to_thread(make, today)


def _advice(link: str, today: date) -> dict[str, Any]:
    shelf = open_shelf()
    shared = read_link(link, shelf.questionnaire, shelf.rules, today=today)
    found = advise(shelf.questionnaire, shelf.rules, shared.answers, today=today, weights=shared.weights)
    return {**told_advice(found, shelf.questionnaire), "left_out": list(shared.left_out)}
