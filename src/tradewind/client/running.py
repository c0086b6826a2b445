"""How a cluster comes up, is watched and ends, in Dask's terms; what a scientist calls is in ``cluster.py``."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import dask.config
import distributed.deploy
from distributed.core import Status, rpc
from tornado.ioloop import IOLoop

from tradewind.client import left_open, security
from tradewind.client.display import display_for
from tradewind.client.door import Place, must_stream, open_at
from tradewind.client.forwarding import forwarding_for
from tradewind.client.keywords import duration_from
from tradewind.client.session import ENDS_WITHIN_S, Session
from tradewind.client.software.sync import Sync
from tradewind.errors import BadRequest, TradewindError
from tradewind.model.cluster import ClusterSpec, ClusterStatus, Scaling
from tradewind.model.usage import Receipt

log = logging.getLogger("tradewind")

CODE_FRAMES = "distributed.diagnostics.computations.nframes"
WATCH_S = 0.5
"""Seconds between two looks at a running cluster, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a cluster was called with."""

    spec: ClusterSpec
    place: Place
    is_named: bool
    """Whether a live one of its name is attached to."""
    first_workers: bool | int | float
    """How many workers the start waits for: all or none, a number, or a share."""
    scaling_asked: Scaling | None
    shutdown_on_close: bool | None
    """None: if it was started here."""
    given: Mapping[str, Any]
    """The checked keywords."""


class Running(distributed.deploy.Cluster):
    """A cluster of this program, from its start to its end.

    Parameters
    ----------
    wanted : Wanted
        What to start or attach to.
    asynchronous : bool
        Whether methods return awaitables, and the start is awaited.
    show_widget : bool
        Whether the start is shown.
    loop : IOLoop, optional
        Dask's event loop.
    """

    def __init__(self, wanted: Wanted, *, asynchronous: bool, show_widget: bool, loop: IOLoop | None) -> None:
        spec, place = wanted.spec, wanted.place
        self._wanted = wanted
        self._shutdown_on_close = wanted.shutdown_on_close
        security.register()
        api = open_at(place, workspace=spec.workspace)
        self._forwarding = forwarding_for(spec, wanted.given, place, api)
        api.prepare(spec.provider)
        public_indexes = place.settings.software.public_indexes
        self._session = Session(api, spec, public_indexes, streams=must_stream(place, spec.provider))
        self._software = Sync(self._session, place)
        self._receipt: Receipt | None = None
        self._close_reason: str | None = None
        self._watch_task: asyncio.Task[None] | None = None
        self._workers_changed: asyncio.Event | None = None
        self.security: Any = None
        super().__init__(asynchronous=asynchronous, loop=loop, name=spec.name, quiet=not show_widget)
        self._display = display_for(self, shown=show_widget)
        if not self.called_from_running_loop:
            self._loop_runner.start()
            try:
                with self._display.starting():
                    self.sync(self._start)
            except TradewindError as error:
                self._abort()
                # What went wrong stands in its message; which of our frames it passed says nothing to who reads it.
                log.debug("the start was given up", exc_info=error)
                raise error.with_traceback(None) from None
            except BaseException:
                self._abort()
                raise

    # -- start ---------------------------------------------------------------------------------------------------------

    def __await__(self) -> Any:
        async def started() -> Self:
            if self.status is Status.created:
                await self._start()
            return self

        return started().__await__()

    async def _start(self) -> None:
        self._workers_changed = asyncio.Event()
        self._forwarding.begin()
        try:
            await self._session.find_or_create(
                look_for_name=self._wanted.is_named, scaling_asked=self._wanted.scaling_asked
            )
            if self._shutdown_on_close is None:
                self._shutdown_on_close = not self._session.attached
            contact = await self._session.until_contact()
            self.security = security.security_from(await self._session.api.keys(self._session.record.id))
            self.scheduler_comm = rpc(contact.scheduler, connection_args=self.security.get_connection_args("client"))
            await super()._start()
            await self._forwarding.send(self.scheduler_comm, attached=self._session.attached)
            await self._software.bring_first(self.scheduler_comm)
            await self._wait_for_workers(self._first_workers())
        except BaseException as error:
            await self._give_up(error)
            raise
        if self._session.spec.record_code and not dask.config.get(CODE_FRAMES, 0):
            # Clients send the code along, and read this when they submit.
            dask.config.set({CODE_FRAMES: 2})
        self._watch_task = asyncio.create_task(self._watch())
        left_open.remember(self)

    def _line(self) -> Any:
        if self.status is not Status.running:
            raise BadRequest(f"cluster {self.name!r} isn't running: it is {self.status.name}.")
        return self.scheduler_comm

    def _connected(self) -> set[str]:
        return {str(worker["name"]) for worker in self.scheduler_info["workers"].values()}

    def _first_workers(self) -> int:
        total = self._session.record.intent.scaling.initial
        share = self._wanted.first_workers
        if isinstance(share, bool):
            return total if share else 0
        return min(total, math.ceil(share * total) if isinstance(share, float) else share)

    async def _give_up(self, error: BaseException) -> None:
        if self._session.exists and not self._session.attached:
            why = "it was interrupted" if isinstance(error, asyncio.CancelledError) else str(error)
            await asyncio.shield(self._session.stop(f"its start was given up: {why or type(error).__name__}"))
        await self._forwarding.stop()
        await super()._close()

    def _abort(self) -> None:
        """Wait until an interrupted start has cleaned up after itself."""
        with suppress(Exception):
            self.sync(self._close, callback_timeout=ENDS_WITHIN_S)

    async def _watch(self) -> None:
        """Keep the view fresh, and say so when the cluster ends without us."""
        view = await self._session.look()
        while view.cluster.status.is_live:
            await self._display.update(view)
            if view.cluster.status.rank >= ClusterStatus.STOPPING.rank and self.status is Status.running:
                await self._forwarding.stop()
                self._display.lost(view.cluster.stop_detail)
                await super()._close()
            await asyncio.sleep(WATCH_S)
            view = await self._session.follow(self._display.looks_every_s)
        self._receipt = await self._session.receipt()
        await self._display.closed(self._receipt)

    def _update_worker_status(self, op: str, msg: Any) -> None:
        super()._update_worker_status(op, msg)
        if self._workers_changed is not None:
            self._workers_changed.set()

    async def _wait_for_workers(self, n_workers: int = 0, timeout: Any = None) -> None:  # noqa: ASYNC109 - Dask's name
        seconds = duration_from("timeout", timeout).total_seconds() if timeout is not None else None
        async with asyncio.timeout(seconds):
            while len(self.scheduler_info["workers"]) < n_workers:
                assert self._workers_changed is not None
                self._workers_changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await self._workers_changed.wait()
                        continue
                await self._session.look()
                self._session.refuse_ended()

    # -- end -----------------------------------------------------------------------------------------------------------

    async def _close(self) -> None:
        if self._watch_task is not None and self._watch_task is not asyncio.current_task():
            self._watch_task.cancel()
            await asyncio.gather(self._watch_task, return_exceptions=True)
        await self._forwarding.stop()
        if self.status is not Status.closed:
            await super()._close()
        if not self._session.exists or not self._shutdown_on_close:
            left_open.forget(self)
            await self._display.closed(None)
            return
        await self._session.stop(self._close_reason or "it was closed")
        # Only now: where the end couldn't be asked for, the next close must ask again.
        self._shutdown_on_close = False
        left_open.forget(self)
        self._receipt = await self._session.receipt()
        await self._display.closed(self._receipt)
