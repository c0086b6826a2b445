"""What runs in a workspace, what it costs and may cost, and how it fares: for those who look rather than read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from tradewind.engine.assembly import Assembly
from tradewind.engine.verbs import Verbs
from tradewind.errors import BadRequest, NotFound
from tradewind.model.budget import BudgetScope, BudgetView
from tradewind.model.exchange import NewBudget
from tradewind.model.instance import InstanceStatus, Role
from tradewind.model.money import Money
from tradewind.model.people import Caller
from tradewind.model.usage import CostLine
from tradewind.model.views import ClusterView
from tradewind.planning.access import Action, may
from tradewind.planning.wishes import check_keepable
from tradewind.server import auth
from tradewind.server.context import request_id
from tradewind.server.pages import charts
from tradewind.server.pages.frame import form, go, page, show

DAYS = 30
"""Of the chart."""
ENDED_SHOWN = 10
LIVE_SHOWN = 200
JOURNAL_SHOWN = 40
COMPUTATIONS_SHOWN = 50
LINES_SHOWN = 12


@page
async def overview(request: Request) -> Response:
    """Show what runs, the budgets, and what was spent."""
    signed = await auth.signed_in(request)
    caller, verbs = await _asked(request)
    now: datetime = request.app.state.assembly.clock.now()
    since = (now - timedelta(days=DAYS - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = await verbs.records.usage(by="day", since=since)
    return show(
        request,
        "overview.html",
        signed=signed,
        caller=caller,
        workspace=caller.workspace,
        days=[(currency, _days(lines, currency, since)) for currency in _currencies(lines)],
        by_user=_largest(await verbs.records.usage(by="user", since=since)),
        by_provider=_largest(await verbs.records.usage(by="provider", since=since)),
        since=since,
        manages=may(caller, Action.MANAGE_BUDGETS),
        environments=await verbs.environments.environments(),
        **await _now(verbs, now),
    )


@page
async def now(request: Request) -> Response:
    """Return the part of the overview that changes, for the page to put in place of the old."""
    await auth.signed_in(request)
    caller, verbs = await _asked(request)
    moment: datetime = request.app.state.assembly.clock.now()
    parts = await _now(verbs, moment)
    return show(request, "now.html", caller=caller, workspace=caller.workspace, **parts)


@page
async def cluster(request: Request) -> Response:
    """Show one cluster: what it is, when what ran, what it computed, what it cost."""
    signed = await auth.signed_in(request)
    caller, verbs = await _asked(request)
    found = await verbs.clusters.find(request.path_params["cluster"], live=False)
    if found is None:
        raise NotFound("there is no such cluster in this workspace")
    view = await verbs.clusters.view(found.id)
    is_open = may(caller, Action.READ_DETAIL, owner=found.owner)
    moment: datetime = request.app.state.assembly.clock.now()
    return show(
        request,
        "cluster.html",
        signed=signed,
        caller=caller,
        workspace=caller.workspace,
        view=view,
        figures=_figures(view),
        lives=charts.lives(view.instances, moment),
        left_out=max(0, len(view.instances) - charts.MOST_ROWS),
        is_open=is_open,
        changes=may(caller, Action.CHANGE_CLUSTER, owner=found.owner),
        events=[event for _, event in await verbs.clusters.events(found.id)][-JOURNAL_SHOWN:][::-1] if is_open else (),
        computations=await verbs.records.computations(found.id, limit=COMPUTATIONS_SHOWN) if is_open else (),
        insights=await verbs.records.insights(found.id) if is_open else (),
        receipt=await verbs.records.receipt(found.id) if is_open else None,
        # What was cut off lasted until its cluster's end.
        now=view.cluster.stopped_at or moment,
    )


@page
async def stop(request: Request) -> Response:
    """End a cluster, and show it."""
    caller, verbs = await _asked(request)
    found = await verbs.clusters.find(request.path_params["cluster"], live=False)
    if found is None:
        raise NotFound("there is no such cluster in this workspace")
    await verbs.clusters.stop(found.id, f"{caller.user} stopped it from the page")
    return go(f"/workspaces/{quote(caller.workspace)}/clusters/{quote(found.id)}")


@page
async def limit(request: Request) -> Response:
    """Set a limit, in place of the one that is there for the same, and show how it stands."""
    caller, verbs = await _asked(request)
    fields = await form(request)
    try:
        scope = BudgetScope(fields.get("scope", ""))
        amount = Decimal(fields.get("amount", "").strip())
    except (ValueError, InvalidOperation):
        raise BadRequest("write the limit as a number, such as 50 or 0.5, and choose what it is for") from None
    key = "" if scope is BudgetScope.WORKSPACE else fields.get("key", "").strip()
    money = Money(amount=amount, currency=fields.get("currency", "").strip().upper())
    wanted = NewBudget(limit=money, scope=scope, key=key, is_hard=fields.get("soft") != "yes")
    check_keepable(wanted)
    await verbs.budgets.set_budget(wanted)
    return go(f"/workspaces/{quote(caller.workspace)}")


async def _asked(request: Request) -> tuple[Caller, Verbs]:
    caller = await auth.caller(request, request.path_params["workspace"])
    assembly: Assembly = request.app.state.assembly
    return caller, assembly.as_(caller, request_id() or None)


async def _now(verbs: Verbs, now: datetime) -> dict[str, Any]:
    live = await verbs.clusters.list_clusters(live=True, limit=LIVE_SHOWN)
    ended = await verbs.clusters.list_clusters(live=False, limit=ENDED_SHOWN)
    return {
        "live": [(view, _figures(view)) for view in live],
        "ended": [(view, _figures(view)) for view in ended],
        "budgets": [(view, _bar(view)) for view in await verbs.budgets.budgets()],
        "now": now,
    }


def _figures(view: ClusterView) -> dict[str, object]:
    workers = [i for i in view.instances if i.role is Role.WORKER]
    running = [i for i in workers if i.status is InstanceStatus.RUNNING]
    # Of the workers alone, as the notebook says it: what the scheduler has is of use to nobody's tasks.
    has = [i.offer.resources for i in workers if i.status.is_billed]
    return {
        "running": len(running),
        "wanted": sum(1 for i in workers if i.status.is_live and i.wanted),
        "cores": sum(resources.cpus for resources in has),
        "memory": sum(resources.memory for resources in has),
        "failed": view.cluster.stop_reason is not None and view.cluster.stop_reason.is_failure,
    }


def _bar(view: BudgetView) -> Markup:
    state = view.state
    title = f"{state.spent} spent and {view.reserved} promised of {state.limit}"
    return charts.gauge(state.spent.amount, view.reserved.amount, state.limit.amount, title=title)


def _currencies(lines: Sequence[CostLine]) -> list[str]:
    return sorted({money.currency for line in lines for money in line.cost.money if money.amount})


def _days(lines: Sequence[CostLine], currency: str, since: datetime) -> object:
    """Return the chart of one currency: every day has its place, also those on which nothing ran."""
    spent = {line.key: money for line in lines for money in line.cost.money if money.currency == currency}
    bars = []
    for number in range(DAYS):
        day = since + timedelta(days=number)
        money = spent.get(f"{day:%Y-%m-%d}")
        bars.append(
            charts.Bar(
                label=f"{day:%d %b}",
                amount=money.amount if money is not None else Decimal(0),
                text=str(money) if money is not None else "nothing",
            )
        )
    return charts.columns(bars, title="What was spent each day", unit=currency)


def _largest(lines: Sequence[CostLine]) -> list[CostLine]:
    def size(line: CostLine) -> tuple[Decimal, float]:
        return max((money.amount for money in line.cost.money), default=Decimal(0)), line.cost.cpu_seconds

    return sorted(lines, key=size, reverse=True)[:LINES_SHOWN]
