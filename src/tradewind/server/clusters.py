"""Clusters over HTTP: the verbs of the engine's service, one operation each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tradewind.errors import BadRequest, NameTaken, NotFound, OverBudget, Unavailable
from tradewind.model.cluster import Cluster
from tradewind.model.computation import Computation, Insight
from tradewind.model.exchange import InstanceLog, JournalLine, Keys, NewCluster, NewSoftware, Page, Resize, Wish
from tradewind.model.usage import Receipt
from tradewind.model.views import ClusterView, DryRun
from tradewind.server import auth
from tradewind.server.context import about
from tradewind.server.operation import Asked, Nothing, Table

table = Table("clusters")
ALL = "/workspaces/{workspace}/clusters"
ONE = ALL + "/{cluster}"

MOST_ITEMS = 500
MOST_LINES = 10_000
LONGEST_POLL_S = 30.0
"""Seconds that a view is waited for at most: proxies cut what takes a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which clusters."""

    live: bool | None = None
    """Only those that live, or only those that have stopped; left out, all."""
    cursor: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Some:
    """Which part of a list."""

    cursor: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Living:
    """Whether only a live cluster will do."""

    live: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """How new a view must be."""

    after_revision: int | None = None
    """Wait until the revision is past this."""
    timeout_s: float = 0.0
    """Seconds to wait at most; 30 are the most that is waited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why a cluster shall end."""

    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """Where in the journal to begin."""

    after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """How many lines of each instance."""

    lines: int = 1000


@table.on("GET", ALL, query=Which, answer=Page[ClusterView])
async def list_all(asked: Asked[Nothing, Which]) -> Page[ClusterView]:
    """List clusters, newest first."""
    limit = within(asked.query.limit, "limit", MOST_ITEMS)
    found = await asked.verbs.clusters.list_clusters(live=asked.query.live, limit=limit, cursor=asked.query.cursor)
    return Page(items=found, next=found.next)


@table.on(
    "POST",
    ALL,
    body=NewCluster,
    answer=Cluster,
    status=201,
    is_create=True,
    problems=(BadRequest, OverBudget, NameTaken, Unavailable),
)
async def create(asked: Asked[NewCluster, Nothing]) -> Cluster:
    """Write a cluster down and start it; answers at once."""
    cluster = await asked.verbs.clusters.create(asked.body.spec, environment=asked.body.environment, once=asked.once)
    about(cluster=cluster.id)
    return cluster


@table.on(
    "POST", "/workspaces/{workspace}/dry-runs", body=Wish, answer=DryRun, problems=(BadRequest, OverBudget, Unavailable)
)
async def dry_run(asked: Asked[Wish, Nothing]) -> DryRun:
    """Tell what a cluster would be, and what it would cost; changes nothing."""
    return await asked.verbs.clusters.dry_run(asked.body.spec)


@table.on("GET", ONE, query=Living, answer=Cluster, problems=(NotFound,))
async def find(asked: Asked[Nothing, Living]) -> Cluster:
    """Return the newest cluster of this name or id."""
    name = asked.path("cluster")
    found = await asked.verbs.clusters.find(name, live=asked.query.live)
    if found is None:
        raise NotFound(f"there is no {'live ' if asked.query.live else ''}cluster {name!r} in this workspace")
    return found


@table.on("GET", ONE + "/view", query=Newer, answer=ClusterView, problems=(NotFound,), patience_s=LONGEST_POLL_S + 10)
async def view(asked: Asked[Nothing, Newer]) -> ClusterView:
    """Return all there is to show of a cluster; waits for news if told to."""
    cluster_id, newer = _cluster(asked), asked.query
    if newer.after_revision is None or not newer.timeout_s > 0:
        return await asked.verbs.clusters.view(cluster_id)
    wait_s = min(newer.timeout_s, LONGEST_POLL_S)
    asked.request.app.state.streams.enter(asked.signed.user.id)
    try:
        changed = asyncio.ensure_future(asked.verbs.clusters.wait_changed(cluster_id, newer.after_revision, wait_s))
        ending = asyncio.ensure_future(asked.request.app.state.ending.wait())
        try:
            # A server that ends answers those who wait at once: they ask again, and reach another.
            await asyncio.wait({changed, ending}, return_when=asyncio.FIRST_COMPLETED)
            # Half a minute is long enough to be shut out in.
            caller = await auth.caller_now(asked.request, asked.caller.workspace)
            if changed.done() and caller == asked.caller:
                return await changed
            return await asked.assembly.as_(caller).clusters.view(cluster_id)
        finally:
            changed.cancel()
            ending.cancel()
    finally:
        asked.request.app.state.streams.leave(asked.signed.user.id)


@table.on("PUT", ONE + "/scaling", body=Resize, problems=(BadRequest, NotFound, OverBudget, Unavailable))
async def scale(asked: Asked[Resize, Nothing]) -> None:
    """Change how many workers are wanted, and which ones shall leave."""
    await asked.verbs.clusters.scale(_cluster(asked), asked.body.scaling, dismiss=asked.body.dismiss)


@table.on("PUT", ONE + "/environment", body=NewSoftware, problems=(BadRequest, NotFound))
async def set_environment(asked: Asked[NewSoftware, Nothing]) -> None:
    """Change what software the workers are to have; those that were started with another are replaced."""
    body = asked.body
    await asked.verbs.clusters.set_environment(_cluster(asked), body.environment, compiled=body.compiled)


@table.on("DELETE", ONE, query=Why, status=204, problems=(NotFound,))
async def stop(asked: Asked[Nothing, Why]) -> None:
    """Ask for the end of a cluster; answers at once, and one that has stopped is a success."""
    await asked.verbs.clusters.stop(_cluster(asked), asked.query.detail[:500])


@table.on("POST", ONE + "/keys", answer=Keys, problems=(NotFound,))
async def keys(asked: Asked[Nothing, Nothing]) -> Keys:
    """Make a client's keys for a live cluster. They let one run code on it as its owner."""
    pair = await asked.verbs.clusters.keys(_cluster(asked))
    return Keys(authority=pair.authority, certificate=pair.certificate, key=pair.key.reveal())


@table.on("GET", ONE + "/events", query=After, answer=Page[JournalLine], problems=(NotFound,))
async def events(asked: Asked[Nothing, After]) -> Page[JournalLine]:
    """Return the journal of a cluster, oldest first."""
    after = within(asked.query.after, "after", 2**62, least=0)
    lines = await asked.verbs.clusters.events(_cluster(asked), after=after)
    return Page(items=tuple(JournalLine(seq=seq, event=event) for seq, event in lines))


@table.on("GET", ONE + "/logs", query=Lines, answer=Page[InstanceLog], problems=(NotFound, Unavailable))
async def logs(asked: Asked[Nothing, Lines]) -> Page[InstanceLog]:
    """Return the last lines of every instance, the dead included where they are kept."""
    lines = within(asked.query.lines, "lines", MOST_LINES)
    found = await asked.verbs.clusters.logs(_cluster(asked), lines=lines)
    return Page(items=tuple(InstanceLog(instance=instance, lines=tuple(text)) for instance, text in found))


@table.on("GET", ONE + "/computations", query=Some, answer=Page[Computation], problems=(NotFound,))
async def computations(asked: Asked[Nothing, Some]) -> Page[Computation]:
    """List the computations of a cluster, newest first."""
    limit = within(asked.query.limit, "limit", MOST_ITEMS)
    found = await asked.verbs.records.computations(_cluster(asked), limit=limit, cursor=asked.query.cursor)
    return Page(items=found, next=found.next)


@table.on("GET", ONE + "/insights", answer=Page[Insight], problems=(NotFound,))
async def insights(asked: Asked[Nothing, Nothing]) -> Page[Insight]:
    """Return what could be better, the largest saving first."""
    return Page(items=tuple(await asked.verbs.records.insights(_cluster(asked))))


@table.on("GET", ONE + "/receipt", answer=Receipt, problems=(NotFound,))
async def receipt(asked: Asked[Nothing, Nothing]) -> Receipt:
    """Return what a cluster cost up to now."""
    return await asked.verbs.records.receipt(_cluster(asked))


def within(number: int, name: str, most: int, *, least: int = 1) -> int:
    """Return ``number`` if it may be so. Raises BadRequest."""
    if not least <= number <= most:
        raise BadRequest(f"{name} is a number from {least} to {most}, not {number}")
    return number


def _cluster(asked: Asked[object, object]) -> str:
    cluster_id = asked.path("cluster")
    about(cluster=cluster_id[:100])
    return cluster_id
