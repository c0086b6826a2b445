"""The verbs, asked of a server: what ``Cluster`` and the commands do is the same as with an engine of their own."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from tradewind import wire
from tradewind.boot.process import KeyPair
from tradewind.client.remote.connection import Connection, Interrupted, Question, path
from tradewind.client.remote.examine import examine
from tradewind.errors import NotFound, ServerError, TooMany
from tradewind.model.budget import BudgetView, Webhook
from tradewind.model.cluster import Cluster, ClusterSpec, Scaling
from tradewind.model.computation import Computation, Insight
from tradewind.model.environment import Environment
from tradewind.model.events import Event
from tradewind.model.exchange import (
    BudgetChange,
    Deposit,
    InstanceLog,
    JournalLine,
    Keys,
    MadeEnvironment,
    MadeWebhook,
    NewBudget,
    NewCluster,
    NewDeposit,
    NewEnvironment,
    NewSoftware,
    NewWebhook,
    Page,
    Resize,
    Wish,
)
from tradewind.model.instance import Instance
from tradewind.model.named import EnvironmentVersion, NamedEnvironment
from tradewind.model.secret import Secret
from tradewind.model.usage import CostLine, Receipt
from tradewind.model.views import Check, ClusterView, DryRun

T = TypeVar("T")

PAGE = 100
"""Things asked for at once."""
LONGEST_POLL_S = 30.0
SHORTEST_POLL_S = 1.0
"""Seconds that the server is asked to wait for a change; fewer where something on the way cuts long silences."""


class OwnLoop:
    """An event loop on a thread of its own, for whoever has none or has one that is busy."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._lock = threading.Lock()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait in this thread for ``coroutine``."""
        with self._lock:
            if self._loop.is_closed():
                coroutine.close()
                raise ServerError("this program's connection to its server was closed: make a new Cluster(name=…)")
            if self._thread.ident is None:
                self._thread.start()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        """End the loop; call it when nothing runs on it any more."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)
        if not self._loop.is_running():
            self._loop.close()


class Remote:
    """A server and one workspace on it. See :class:`tradewind.client.api.Engine` for what each verb promises.

    Parameters
    ----------
    connection : Connection
        To the server; closed with this.
    workspace : str
        Whose clusters the verbs are about.
    """

    def __init__(self, connection: Connection, workspace: str) -> None:
        self.connection = connection
        self.workspace = workspace
        self._loop = OwnLoop("tradewind client")
        self._poll_s = LONGEST_POLL_S

    # -- what an engine of one's own has too ---------------------------------------------------------------------------

    def prepare(self, provider: str) -> None:
        """Open a line to the server, while the caller still looks for what it wants to ask."""
        self.connection.warm()

    def needs_software(self, provider: str) -> bool:
        """Return False: a server can't read files of this machine, so there is no use in preparing them for it."""
        return False

    def expect(self, provider: str, planned: DryRun, environment: Environment) -> None:
        """Do nothing: a server begins with what is written down."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait in this thread for ``coroutine``."""
        return self._loop.run(coroutine)

    def close(self) -> None:
        """Cut the lines; clusters stay."""
        self.connection.close()
        self._loop.close()

    async def settle(self, timeout_s: float) -> None:
        """Do nothing: a server looks after its clusters all the time."""

    # -- clusters ------------------------------------------------------------------------------------------------------

    async def dry_run(self, spec: ClusterSpec) -> DryRun:
        """Return what :meth:`create` would launch."""
        return await self._create(self._path("dry-runs"), Wish(spec=spec), DryRun)

    async def create(self, spec: ClusterSpec, *, environment: Environment | None = None) -> Cluster:
        """Write the cluster down and start it."""
        return await self._create(self._path("clusters"), NewCluster(spec=spec, environment=environment), Cluster)

    async def deposit(self, wanted: NewDeposit) -> Deposit:
        """Return where files of the caller's own code may be put."""
        # Asked again, it changes nothing; so it has no key, under which the answer would be kept with what opens.
        body = wire.dump_json(wanted).encode()
        return await self.connection.ask(Question(method="POST", path=self._path("artifacts"), body=body), Deposit)

    async def find(self, name: str, *, live: bool = True) -> Cluster | None:
        """Return the newest cluster of this name or id."""
        try:
            return await self._get(Cluster, self._path("clusters", name, live=live))
        except NotFound:
            return None

    async def view(self, cluster_id: str) -> ClusterView:
        """Return all there is to show."""
        return await self._get(ClusterView, self._path("clusters", cluster_id, "view"))

    async def keys(self, cluster_id: str) -> KeyPair:
        """Return a client's keys."""
        keys = await self._create(self._path("clusters", cluster_id, "keys"), None, Keys)
        return KeyPair(authority=keys.authority, certificate=keys.certificate, key=Secret(keys.key))

    async def scale(self, cluster_id: str, scaling: Scaling, *, dismiss: Sequence[str] = ()) -> None:
        """Change how many workers are wanted, and which ones shall leave."""
        body = wire.dump_json(Resize(scaling=scaling, dismiss=tuple(dismiss))).encode()
        await self.ask("PUT", self._path("clusters", cluster_id, "scaling"), body=body)

    async def set_environment(
        self, cluster_id: str, environment: Environment | None = None, *, compiled: str = ""
    ) -> None:
        """Change what software the workers are to have."""
        body = wire.dump_json(NewSoftware(environment=environment, compiled=compiled)).encode()
        await self.ask("PUT", self._path("clusters", cluster_id, "environment"), body=body)

    async def stop(self, cluster_id: str, detail: str = "") -> None:
        """Ask for the end of a cluster."""
        await self.ask("DELETE", self._path("clusters", cluster_id, detail=detail or None))

    async def wait_changed(self, cluster_id: str, revision: int, timeout_s: float) -> ClusterView:
        """Return the view as soon as its revision is past ``revision``."""
        wait_s = min(timeout_s, self._poll_s)
        began = time.monotonic()
        where = self._path("clusters", cluster_id, "view", after_revision=revision, timeout_s=wait_s)
        try:
            return await self.connection.ask(Question(method="GET", path=where, wait_s=wait_s), ClusterView)
        except TooMany as error:
            # Others of this user's wait there already: look, but after a rest.
            await asyncio.sleep(min(timeout_s, error.retry_after.total_seconds()))
            return await self.view(cluster_id)
        except Interrupted:
            waited = time.monotonic() - began
            # A proxy that cuts silent lines does so after some seconds; what cuts at once is a server that is down.
            if waited > SHORTEST_POLL_S:
                self._poll_s = max(SHORTEST_POLL_S, min(self._poll_s, waited / 2))
            return await self.view(cluster_id)

    async def list_clusters(self, *, live: bool | None = None, limit: int = 100) -> Sequence[ClusterView]:
        """Return clusters, newest first."""
        return await self.pages(ClusterView, "workspaces", self.workspace, "clusters", limit=limit, live=live)

    async def events(self, cluster_id: str, *, after: int = 0) -> Sequence[tuple[int, Event]]:
        """Return the journal."""
        page = await self._get(Page[JournalLine], self._path("clusters", cluster_id, "events", after=after))
        return [(line.seq, line.event) for line in page.items]

    async def logs(self, cluster_id: str, *, lines: int = 1000) -> Sequence[tuple[Instance, Sequence[str]]]:
        """Return the last lines of every instance."""
        page = await self._get(Page[InstanceLog], self._path("clusters", cluster_id, "logs", lines=lines))
        return [(log.instance, log.lines) for log in page.items]

    # -- what ran and what it cost -------------------------------------------------------------------------------------

    async def computations(self, cluster_id: str | None = None, *, limit: int = 100) -> Sequence[Computation]:
        """Return computations, newest first."""
        of = ("clusters", cluster_id) if cluster_id is not None else ()
        return await self.pages(Computation, "workspaces", self.workspace, *of, "computations", limit=limit)

    async def computation(self, computation_id: str) -> Computation:
        """Return one."""
        return await self._get(Computation, self._path("computations", computation_id))

    async def insights(self, cluster_id: str) -> Sequence[Insight]:
        """Return what could be better."""
        return (await self._get(Page[Insight], self._path("clusters", cluster_id, "insights"))).items

    async def usage(
        self, *, by: str = "cluster", since: datetime | None = None, until: datetime | None = None
    ) -> Sequence[CostLine]:
        """Return cost lines."""
        span = {name: at.isoformat() for name, at in (("since", since), ("until", until)) if at is not None}
        return (await self._get(Page[CostLine], self._path("usage", by=by, **span))).items

    async def budgets(self) -> Sequence[BudgetView]:
        """Return the limits on the workspace's spending."""
        return (await self._get(Page[BudgetView], self._path("budgets"))).items

    async def set_budget(self, wanted: NewBudget) -> BudgetView:
        """Set a limit, in place of the one that is there for the same."""
        for view in await self.budgets():
            if view.budget.aim == wanted.aim:
                change = BudgetChange(limit=wanted.limit, is_hard=wanted.is_hard)
                body, where = wire.dump_json(change).encode(), self._path("budgets", view.budget.id)
                return await self.connection.ask(Question(method="PATCH", path=where, body=body), BudgetView)
        return await self._create(self._path("budgets"), wanted, BudgetView)

    async def remove_budget(self, budget_id: str) -> None:
        """Let a limit hold no longer."""
        await self.ask("DELETE", self._path("budgets", budget_id))

    async def webhooks(self) -> Sequence[Webhook]:
        """Return where the workspace's notifications are posted to."""
        return (await self._get(Page[Webhook], self._path("webhooks"))).items

    async def add_webhook(self, url: str) -> MadeWebhook:
        """Have notifications posted to ``url``."""
        body = wire.dump_json(NewWebhook(url=url)).encode()
        return await self.connection.ask(Question(method="POST", path=self._path("webhooks"), body=body), MadeWebhook)

    async def remove_webhook(self, webhook_id: str) -> None:
        """Post no more to it."""
        await self.ask("DELETE", self._path("webhooks", webhook_id))

    async def environments(self, name: str | None = None) -> Sequence[EnvironmentVersion]:
        """Return the newest version of each named environment, or with ``name`` all of it."""
        return (await self._get(Page[EnvironmentVersion], self._path("environments", name=name))).items

    async def environment(self, name: str, version: int | None = None) -> NamedEnvironment:
        """Return one version, or the newest."""
        return await self._get(NamedEnvironment, self._path("environments", name, version=version))

    async def create_environment(self, wanted: NewEnvironment) -> MadeEnvironment:
        """Give software a name."""
        return await self._create(self._path("environments"), wanted, MadeEnvironment)

    async def delete_environment(self, name: str, version: int | None = None) -> None:
        """Delete one version, or all."""
        await self.ask("DELETE", self._path("environments", name, version=version))

    async def receipt(self, cluster_id: str) -> Receipt:
        """Return what a cluster cost up to now."""
        return await self._get(Receipt, self._path("clusters", cluster_id, "receipt"))

    async def export(
        self, what: str, to: Path, *, since: datetime | None = None, until: datetime | None = None
    ) -> None:
        """Write a file that can be taken elsewhere."""
        span = {name: at.isoformat() for name, at in (("since", since), ("until", until)) if at is not None}
        await self.connection.download(self._path("export", format=what, **span), to)

    async def doctor(self) -> Sequence[Check]:
        """Check this machine and the server."""
        return await examine(self.connection, self.workspace)

    # -- how it is asked -----------------------------------------------------------------------------------------------

    async def ask(self, method: str, where: str, *, body: bytes | None = None, key: str | None = None) -> None:
        """Ask for something that has no answer."""
        await self.connection.ask(Question(method=method, path=where, body=body, key=key), type(None))

    async def pages(self, kind: type[T], *parts: str, limit: int, **query: object) -> list[T]:
        """Return the first ``limit`` things of a list, asked for a page at a time."""
        found: list[T] = []
        cursor = None
        while len(found) < limit:
            some = min(PAGE, limit - len(found))
            page = await self._get(Page[kind], path(*parts, cursor=cursor, limit=some, **query))  # type: ignore[valid-type]  # kind is a value here
            found.extend(page.items)
            cursor = page.next
            if cursor is None or not page.items:
                break
        return found[:limit]

    def _path(self, *parts: str, **query: object) -> str:
        return path("workspaces", self.workspace, *parts, **query)

    async def _get(self, kind: type[T], where: str) -> T:
        return await self.connection.ask(Question(method="GET", path=where), kind)

    async def _create(self, where: str, body: object, kind: type[T]) -> T:
        data = wire.dump_json(body).encode() if body is not None else None
        return await self.connection.ask(Question(method="POST", path=where, body=data, key=uuid.uuid4().hex), kind)
