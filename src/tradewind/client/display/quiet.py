"""A cluster in the log, and what every display does."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tradewind.client.display.html import html, opening
from tradewind.client.display.portrait import (
    STEPS_SHOWN,
    Portrait,
    portrait,
    price_of,
    receipt_line,
    up_line,
)
from tradewind.model.events import BUDGET_STEP, Event
from tradewind.model.usage import Receipt
from tradewind.model.views import ClusterView

if TYPE_CHECKING:
    from tradewind.client.cluster import Cluster

log = logging.getLogger("tradewind")


class Quiet:
    """Shows nothing unasked; says in the log when it is up, if it ends by itself, and what it cost."""

    looks_every_s = 5.0
    """How long a running cluster may go without being looked at."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._session = cluster._session
        self._journal: list[Event] = []
        self._steps: deque[Event] = deque(maxlen=STEPS_SHOWN)
        self._read = 0
        self._read_at_revision = -1
        self._receipt: Receipt | None = None
        self._over = False
        self._left_up = False
        self._refused = False
        """Whether it can't be had as asked, so that there is no record and never will be."""

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Show the start while the block runs, and what became of it."""
        yield
        self._say(self._up_line())

    async def update(self, view: ClusterView) -> None:
        """Show how it is now. A display that fails is given up; the cluster goes on."""
        if self._over:
            return
        try:
            await self._read_journal(view)
            self._show(view)
        except Exception:
            self._over = True
            log.warning("Cluster %r can't be shown any more; it goes on.", self._cluster.name, exc_info=True)

    def lost(self, why: str) -> None:
        """Say that it ended without us."""
        log.warning("Cluster %r stopped: %s.", self._cluster.name, why)

    def passed(self, step: Event) -> None:
        """Say that a budget that pays for it passed a step; once for each."""
        log.warning("Cluster %r: %s", self._cluster.name, step.message)

    async def closed(self, receipt: Receipt | None) -> None:
        """Show what it cost; None where it was let go and stays up. May be called twice, and shows it once."""
        if self._over:
            return
        self._receipt = receipt
        self._left_up = receipt is None and self._session.exists
        if self._session.view is not None:
            await self.update(self._session.view)
        self._over = True
        if receipt is not None and receipt.total.instance_seconds:
            self._say_receipt(receipt)

    def html(self) -> str:
        """Return how it is now, for a notebook."""
        seen = self._portrait()
        if seen is None:
            state = "not started" if self._refused else "pending: asking for it"
            return opening(self._cluster.name, self._session.spec.provider, state)
        return html(seen, self._receipt, left_up=self._left_up)

    def widget(self) -> Any:
        """Return a live widget, or None where there can't be one."""
        return None

    def show_here(self) -> None:
        """Show it as the value of the present cell."""
        from IPython.display import display  # whoever calls this is IPython

        display({"text/plain": repr(self._cluster), "text/html": self.html()}, raw=True)

    def _show(self, view: ClusterView) -> None:
        """Show ``view`` and the journal, on the loop's thread."""

    def _say(self, line: str) -> None:
        log.info("%s", line)

    def _say_receipt(self, receipt: Receipt) -> None:
        self._say(receipt_line(receipt))

    def _portrait(self) -> Portrait | None:
        view = self._session.view
        return portrait(view, self._journal, datetime.now(UTC), tuple(self._steps)) if view is not None else None

    def _up_line(self) -> str:
        # Dask knows of a worker some moments before the engine does.
        workers = self._cluster.scheduler_info["workers"].values()
        view = self._session.view
        return up_line(
            self._cluster.name,
            workers=len(workers),
            wanted=self._session.record.scale.wanted,
            threads=sum(w["nthreads"] for w in workers),
            memory=sum(w["memory_limit"] for w in workers),
            price=price_of([i for i in view.instances if i.status.is_live] if view is not None else []),
            dashboard=self._cluster.dashboard_link,
        )

    async def _read_journal(self, view: ClusterView) -> None:
        if view.revision == self._read_at_revision:
            return
        for number, event in await self._session.api.events(view.cluster.id, after=self._read):
            self._read = number
            self._journal.append(event)
            if event.kind == BUDGET_STEP:
                self._steps.append(event)
                # What it passed before anybody looked here was said then, where somebody did.
                if self._read_at_revision >= 0:
                    self.passed(event)
        del self._journal[:-20]
        self._read_at_revision = view.revision
