"""``Cluster``: what a notebook holds in its hand."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dask.config
import distributed.deploy
from distributed.core import Status, rpc
from distributed.utils import Log, Logs
from tornado.ioloop import IOLoop

from tradewind.client import left_open, security
from tradewind.client.adapting import Adapting
from tradewind.client.display import display_for
from tradewind.client.door import find_place, open_api, open_at
from tradewind.client.forwarding import forwarding_for
from tradewind.client.keywords import (
    UNSET,
    checked,
    count_from,
    duration_from,
    reject_unknown,
    scaling_from,
    share_from,
    spec_from,
)
from tradewind.client.planned import Plan
from tradewind.client.session import ENDS_WITHIN_S, Session
from tradewind.errors import BadRequest, NotFound
from tradewind.model.cluster import ClusterStatus, Scaling
from tradewind.model.usage import Cost, Receipt

log = logging.getLogger("tradewind")

CODE_FRAMES = "distributed.diagnostics.computations.nframes"
WATCH_S = 0.5
"""Seconds between two looks at a running cluster, at least."""


class Cluster(distributed.deploy.Cluster):
    """An ephemeral Dask cluster that is metered, recorded and ends by itself.

    Blocks until the scheduler answers and ``wait_for_workers`` of the workers are there; with ``asynchronous=True``
    it is awaited instead. Any error or Ctrl-C on the way ends what was started.

    Parameters
    ----------
    name : str, optional
        A live cluster of this name is attached to instead of starting one. Default: a new name.
    software : str, optional
        A named environment. Default: the Python you are in.
    n_workers : int or list of int, optional
        A number; or ``[min, max]`` or ``[min, initial, max]`` to follow the work. Default ``[4, 20]``.
    worker_options, scheduler_options : dict, optional
        Further keywords for ``distributed.Worker`` and ``distributed.Scheduler``.
    worker_cpu, scheduler_cpu : float or list, optional
        Cores, or a range ``[low, high]``.
    worker_memory, scheduler_memory : str, int or list, optional
        Bytes or text like "16 GiB", or a range.
    worker_vm_types, scheduler_vm_types : str or list of str, optional
        Machine types in order of preference; instead of cpu and memory.
    worker_gpu, scheduler_gpu : int, optional
        GPUs of each.
    spot_policy : {"on-demand", "spot", "spot_with_fallback"}, optional
        Whether workers may be taken back, for a lower price. Default "on-demand".
    region : str, optional
        Where, on providers that have several.
    arm : bool
        Whether to take ARM machines.
    idle_timeout : str, float or timedelta, optional
        Ends after this long without a task; None never. Default: 20 minutes. Seconds, or text like "10 min".
    no_client_timeout : str, float or timedelta, optional
        Ends when nobody was connected for this long; None never. Default: ``idle_timeout`` if given, else 2 minutes.
    cluster_timeout : str, float or timedelta, optional
        Ends at this age whatever happens. Default: 30 days.
    orphan_timeout : str, float or timedelta, optional
        Ends by itself when no Tradewind has looked after it for this long. Default: 10 minutes.
    timeout : str, float or timedelta, optional
        How long the start may take. Default: 20 minutes.
    shutdown_on_close : bool, optional
        Whether closing ends it. Default: True, but False where a running cluster was attached to.
    wait_for_workers : bool, int or float, optional
        How many workers to wait for: all, a number, or a share. Default 0.3.
    environ : dict, optional
        Variables for the processes. They are kept in the record; secrets go by :meth:`send_private_envs`.
    credentials : str or list of str, optional
        "local" (default): your cloud sign-ins go along where the cluster doesn't share your home. Names such as
        ``["aws", "earthdata", "MY_TOKEN"]``: these, anywhere. "machine" or None: none.
    credentials_duration_seconds : int, optional
        Of a session of AWS, 900 to 43200; renewed at its half while you are connected. Default 3600.
    tags : dict, optional
        For cost tables.
    budget : str or number, optional
        Hard limit on what it may cost, such as "5 EUR"; it stops before it is passed.
    workspace, provider : str, optional
        Who shares and pays; where it runs. Default: from the settings.
    record_history, record_code : bool, optional
        Whether computations, and their code, are kept. Default: from the settings (yes, no).
    dask_config : dict, optional
        Dask configuration for its processes.
    asynchronous : bool
        Whether methods return awaitables.
    show_widget : bool
        Whether the start is shown in a notebook or terminal. Default True.
    loop : IOLoop, optional
        Dask's event loop.

    Raises
    ------
    UnknownKeyword
        A keyword that doesn't exist; names the nearest. Also a TypeError.
    BadRequest
        A value that can't be used or honoured; nothing was started.
    NameTaken
        The name belongs to a cluster that is ending.
    ClusterStartError
        It could not be brought up; holds the reasons, and what was started has been ended.
    """

    _name = "Cluster"
    plan = Plan()
    """``Cluster.plan(…)`` says what would be launched; ``cluster.plan`` is the set of workers that are wanted."""

    def __init__(
        self,
        name: str | None = None,
        software: str | None = None,
        container: str | None = None,
        ignore_container_entrypoint: bool | None = None,
        n_workers: int | Sequence[int] | None = None,
        worker_class: str | None = None,
        worker_options: Mapping[str, Any] | None = None,
        *,
        worker_cpu: float | Sequence[float] | None = None,
        worker_memory: str | int | Sequence[str | int] | None = None,
        worker_vm_types: str | Sequence[str] | None = None,
        worker_gpu: int | None = None,
        scheduler_options: Mapping[str, Any] | None = None,
        scheduler_cpu: float | Sequence[float] | None = None,
        scheduler_memory: str | int | Sequence[str | int] | None = None,
        scheduler_vm_types: str | Sequence[str] | None = None,
        scheduler_gpu: int | None = None,
        spot_policy: str | None = None,
        region: str | None = None,
        arm: bool = False,
        idle_timeout: str | float | timedelta | None = UNSET,
        no_client_timeout: str | float | timedelta | None = UNSET,
        cluster_timeout: str | float | timedelta | None = None,
        orphan_timeout: str | float | timedelta | None = None,
        timeout: str | float | timedelta | None = None,
        shutdown_on_close: bool | None = None,
        wait_for_workers: bool | int | float | None = None,
        environ: Mapping[str, str] | None = None,
        credentials: str | Sequence[str] | None = "local",
        credentials_duration_seconds: int | None = None,
        tags: Mapping[str, str] | None = None,
        budget: str | float | None = None,
        workspace: str | None = None,
        provider: str | None = None,
        record_history: bool | None = None,
        record_code: bool | None = None,
        dask_config: Mapping[str, Any] | None = None,
        asynchronous: bool = False,
        show_widget: bool = True,
        loop: IOLoop | None = None,
        **unknown: Any,
    ) -> None:
        self.status = Status.closed  # of a constructor that raises, there is nothing to close
        given = {k: v for k, v in locals().items() if k not in {"self", "unknown", "__class__"}}
        given = checked(given, unknown)
        place = find_place()
        settings = place.settings
        spec = spec_from(
            given,
            settings,
            default_name=f"{settings.workspace}-{secrets.token_hex(4)}",
            shares_files=place.shares_files,
        )
        self._named = name is not None
        self._shutdown_on_close = shutdown_on_close
        self._share = settings.wait_for_workers if wait_for_workers is None else share_from(wait_for_workers)
        self._scaling_asked = None if n_workers is None else spec.scaling
        security.register()
        api = open_at(place, workspace=spec.workspace)
        self._forwarding = forwarding_for(spec, given, place, api)
        api.prepare(spec.provider)
        self._session = Session(api, spec, settings.software.public_indexes)
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
            except BaseException:
                self._abort()
                raise

    # -- start ---------------------------------------------------------------------------------------------------------

    def __await__(self) -> Any:
        async def started() -> Cluster:
            if self.status is Status.created:
                await self._start()
            return self

        return started().__await__()

    async def _start(self) -> None:
        self._workers_changed = asyncio.Event()
        self._forwarding.begin()
        try:
            await self._session.find_or_create(look_for_name=self._named, scaling_asked=self._scaling_asked)
            if self._shutdown_on_close is None:
                self._shutdown_on_close = not self._session.attached
            contact = await self._session.until_contact()
            self.security = security.security_from(await self._session.api.keys(self.cluster_id))
            self.scheduler_comm = rpc(contact.scheduler, connection_args=self.security.get_connection_args("client"))
            await super()._start()
            await self._forwarding.send(self.scheduler_comm, attached=self._session.attached)
            await self._wait_for_workers(self._first_workers())
        except BaseException as error:
            await self._give_up(error)
            raise
        if self._session.spec.record_code and not dask.config.get(CODE_FRAMES, 0):
            # Clients send the code along, and read this when they submit.
            dask.config.set({CODE_FRAMES: 2})
        self._watch_task = asyncio.create_task(self._watch())
        left_open.remember(self)

    def _first_workers(self) -> int:
        total = self._session.record.intent.scaling.initial
        share = self._share
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

    # -- life ----------------------------------------------------------------------------------------------------------

    @property
    def cluster_id(self) -> str:
        """Its id, unique for ever."""
        return self._session.record.id

    @property
    def workspace(self) -> str:
        """Who shares it and pays."""
        return self._session.spec.workspace

    @property
    def tags(self) -> Mapping[str, str]:
        """For cost tables."""
        return self._session.spec.tags

    @property
    def dashboard_link(self) -> str:
        """URL of Dask's own pages; empty where there are none."""
        contact = self._session.contact
        return (contact.dashboard or "") if contact is not None else ""

    @property
    def cost(self) -> Cost:
        """What it has cost up to now; in asynchronous code as it was at most some seconds ago."""
        if self._session.exists and not self.asynchronous:
            self.sync(self._session.look)
        return self._session.view.cost if self._session.view is not None else Cost()

    def receipt(self) -> Any:
        """Return the receipt: what it cost up to now, by role and by computation."""
        return self.sync(self._session.receipt)

    def insights(self) -> Any:
        """Return what could be better, the largest saving first."""
        return self.sync(self._session.api.insights, self.cluster_id)

    @property
    def requested(self) -> set[str]:
        """Names of the workers that are wanted or ordered."""
        return set(self._session.wanted_workers)

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

    # -- size ----------------------------------------------------------------------------------------------------------

    def scale(
        self, n: int | None = None, memory: str | int | None = None, cores: int | None = None, force_stop: bool = True
    ) -> Any:
        """Set the number of workers, and end adaptive scaling.

        Parameters
        ----------
        n : int, optional
            Workers.
        memory, cores : optional
            Of all workers together, instead of ``n``.
        force_stop : bool
            Accepted for Coiled's sake.
        """
        return self.sync(self._session.scale, Scaling.fixed(self._count(n, memory, cores)))

    def adapt(
        self,
        Adaptive: Any = None,
        *,
        minimum: int = 1,
        maximum: int = 200,
        target_duration: str | float | timedelta = "3m",
        wait_count: int = 24,
        interval: str | float | timedelta = "5s",
        **unknown: Any,
    ) -> Any:
        """Let the number of workers follow the work. It is the engine that does, so this notebook may be closed.

        Returns
        -------
        Scaling or Adapting
            With ``minimum`` and ``maximum``; in asynchronous code awaitable too.
        """
        if Adaptive is not None:
            raise BadRequest(
                "adapt(Adaptive=…) can't be honoured: adaptive scaling runs beside the scheduler, not in this process."
            )
        reject_unknown(unknown, ("minimum", "maximum", "target_duration", "wait_count", "interval"))
        bounds = scaling_from([minimum, maximum])
        current = max(bounds.minimum, min(bounds.maximum, len(self.observed)))
        scaling = replace(
            bounds,
            initial=current,
            target_duration=duration_from("target_duration", target_duration),
            wait_count=wait_count,
            interval=duration_from("interval", interval),
        )
        answer = self.sync(self._session.scale, scaling)
        return Adapting(scaling, answer) if inspect.iscoroutine(answer) else answer

    def scale_up(self, n: int, reason: str | None = None) -> Any:
        """Set the number of workers; the same as :meth:`scale`."""
        return self.sync(self._session.scale, Scaling.fixed(self._count(n, None, None)))

    def scale_down(self, workers: Sequence[str], reason: str | None = None, force_stop: bool = True) -> Any:
        """Let these workers, by name, hand over their results and leave."""
        return self.sync(self._dismiss, tuple(workers))

    def _count(self, n: int | None, memory: str | int | None, cores: int | None) -> int:
        return count_from(n, memory, cores, self.scheduler_info["workers"].values())

    async def _dismiss(self, workers: tuple[str, ...]) -> None:
        scaling = (await self._session.look()).cluster.intent.scaling
        if not scaling.is_adaptive:
            scaling = Scaling.fixed(max(0, scaling.initial - len(workers)))
        await self._session.scale(scaling, workers)

    # -- what it says and is told ----------------------------------------------------------------------------------

    def send_private_envs(self, env: Mapping[str, str]) -> Any:
        """Set variables on all workers, present and future. They are kept nowhere else."""
        return self.sync(self._forwarding.send_variables, {str(k): str(v) for k, v in env.items()})

    def get_logs(self, cluster: bool = True, scheduler: bool = True, workers: bool | Sequence[str] = True) -> Any:
        """Return the logs by name: the journal, the scheduler's and the workers', the dead included."""
        return self.sync(self._logs, cluster, scheduler, workers)

    async def _logs(self, cluster: bool, scheduler: bool, workers: bool | Sequence[str]) -> Logs:
        found = Logs()
        if cluster:
            journal = await self._session.api.events(self.cluster_id)
            found["Cluster"] = Log("\n".join(f"{event.at:%H:%M:%S} {event.message}" for _, event in journal))
        for instance, lines in await self._session.api.logs(self.cluster_id):
            is_scheduler = instance.role.value == "scheduler"
            wanted = scheduler if is_scheduler else workers is True or (workers and instance.id in workers)
            if wanted:
                found["Scheduler" if is_scheduler else instance.id] = Log("\n".join(lines))
        return found

    def _widget(self) -> Any:
        return self._display.widget()

    def _repr_html_(self, cluster_status: Any = None) -> str:
        return self._display.html()

    def _ipython_display_(self, **kwargs: Any) -> None:
        self._display.show_here()

    # -- end -----------------------------------------------------------------------------------------------------------

    def close(self, timeout: float | None = None, *, force_shutdown: bool = False, reason: str | None = None) -> Any:
        """Let go of it; ends it too, unless ``shutdown_on_close`` is False.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.
        force_shutdown : bool
            End it in any case.
        reason : str, optional
            For its journal.
        """
        if force_shutdown:
            self._shutdown_on_close = True
        self._close_reason = reason
        return super().close(timeout)

    def shutdown(self) -> Any:
        """End it, whoever else is connected."""
        return self.close(force_shutdown=True)

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

    @classmethod
    def from_name(cls, name: str, **keywords: Any) -> Cluster:
        """Attach to a live cluster of this name, and leave it up when closed.

        Raises
        ------
        NotFound
            There is none; says which there are.
        """
        api = open_api(workspace=keywords.get("workspace"))
        if api.run(api.find(name)) is None:
            live = ", ".join(repr(view.cluster.name) for view in api.run(api.list_clusters(live=True))) or "none"
            raise NotFound(f"there is no live cluster {name!r}; live are: {live}.")
        return cls(name=name, **keywords)
