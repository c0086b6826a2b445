"""Whether this replica lives, whether it can work, and its figures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response

from tradewind import wire
from tradewind.engine.assembly import Assembly
from tradewind.errors import Forbidden, TradewindError
from tradewind.model.exchange import Health
from tradewind.server import auth
from tradewind.server.metrics import Metrics

LOOP_STANDS = timedelta(seconds=10)
"""A loop that hasn't turned for this long is no loop any more."""
PATIENCE_S = 3.0
LOOPBACK = frozenset({"127.0.0.1", "::1"})
HANDED_ON = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""Headers by which proxies say for whom they ask."""


async def healthz(request: Request) -> Response:
    """Say that this process answers."""
    return _response(Health(ok=True, facts={}))


async def readyz(request: Request) -> Response:
    """Say whether it can work: its store is reached, and its engine looks after clusters."""
    assembly: Assembly = request.app.state.assembly
    facts = {"store": "reached", "engine": "looks after clusters"}
    try:
        async with asyncio.timeout(PATIENCE_S):
            await assembly.store.find_cluster("", "")
    except (TradewindError, TimeoutError):
        facts["store"] = "can't be reached"
    turned_at = assembly.engine.turned_at
    if turned_at is None or assembly.clock.now() - turned_at > LOOP_STANDS:
        facts["engine"] = "stands still"
    ok = facts["store"] == "reached" and facts["engine"] != "stands still"
    return _response(Health(ok=ok and not request.app.state.ending.is_set(), facts=facts))


async def metrics(request: Request) -> Response:
    """Return the figures, to this machine and to operators."""
    is_here = request.client is not None and request.client.host in LOOPBACK
    # What a proxy of this machine hands on comes from anywhere.
    is_here = is_here and not any(name in request.headers for name in HANDED_ON)
    if not (is_here or request.app.state.settings.serve.open_metrics):
        signed = await auth.signed_in(request)
        if not signed.user.is_operator:
            raise Forbidden("figures are for operators, and for programs on the server's own machine")
    counted: Metrics = request.app.state.metrics
    assembly: Assembly = request.app.state.assembly
    for name, value in asdict(assembly.engine.figures()).items():
        counted.stands(f"engine_{name}", f"Of this replica's engine: {name.replace('_', ' ')}.", value)
    found = await assembly.store.figures(assembly.clock.now())
    tables: dict[str, tuple[str, str, Mapping[str, int | Decimal]]] = {
        "clusters": ("status", "Live clusters of all replicas.", found.clusters),
        "instances": ("status", "Live instances of all replicas.", found.instances),
        "burn_per_hour": ("currency", "What an hour costs at the present size.", found.burn_per_hour),
    }
    for name, (label, words, table) in tables.items():
        counted.forget(name)
        for key, number in table.items():
            counted.stands(name, words, float(number), **{label: key})
    counted.stands("leases", "Live clusters that some replica looks after.", found.leases)
    counted.stands("overdue_clusters", "Live clusters that are due and that nobody looks after.", found.overdue)
    return Response(counted.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


PLACES: dict[str, Callable[[Request], Awaitable[Response]]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": metrics,
}
"""Where each stands; outside of the versions, since it is for programs that look after servers."""


def _response(health: Health) -> Response:
    return Response(wire.dump_json(health), 200 if health.ok else 503, media_type="application/json")
