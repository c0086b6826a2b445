"""``Cluster``: what a notebook holds in its hand."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import secrets
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import distributed.deploy
from dask.utils import parse_bytes
from distributed.core import Status, rpc
from distributed.utils import Log, Logs
from tornado.ioloop import IOLoop

from tradewind.client import security
from tradewind.client.display import display_for
from tradewind.client.door import at_exit, open_api
from tradewind.client.keywords import UNSET, duration_from, reject_unknown, scaling_from, spec_from
from tradewind.client.planned import Plan
from tradewind.client.private import PrivateEnvironment
from tradewind.config import load_settings
from tradewind.errors import BadRequest, ClusterStartError, NameTaken, NotFound
from tradewind.model.cluster import Cluster as Record
from tradewind.model.cluster import ClusterStatus, Scaling
from tradewind.model.usage import Cost, Receipt
from tradewind.model.views import ClusterView

log = logging.getLogger("tradewind")

ENDS_WITHIN_S = 30.0
"""Seconds that closing waits for everything to be gone; what is left then goes on ending without us."""


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
        Ends at this age whatever happens. Default: no limit.
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
        given = _checked(given, unknown)
        settings = load_settings()
        self._spec = spec_from(given, settings, default_name=f"{settings.workspace}-{secrets.token_hex(4)}")
        self._named = name is not None
        self._shutdown_on_close = shutdown_on_close
        self._share = settings.wait_for_workers if wait_for_workers is None else wait_for_workers
        self._given_workers = n_workers
        self._api = open_api(settings)
        self._api.prepare(self._spec.provider)
        self._record: Record | None = None
        self._view: ClusterView | None = None
        self._receipt: Receipt | None = None
        self._watch_task: asyncio.Task[None] | None = None
        self._workers_changed: asyncio.Event | None = None
        self.security: Any = None
        super().__init__(asynchronous=asynchronous, loop=loop, name=self._spec.name, quiet=not show_widget)
        self._display = display_for(self, shown=show_widget)
        _alive.add(self)
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
        try:
            await self._find_or_create()
            await self._connect()
            await self._first_workers()
        except BaseException as error:
            await self._give_up(error)
            raise
        self._watch_task = asyncio.create_task(self._watch())

    async def _find_or_create(self) -> None:
        found = await self._api.find(self._spec.name) if self._named else None
        if found is None:
            # Shielded, so that whoever interrupts us here still learns the id of what must be ended.
            creation = asyncio.ensure_future(self._api.create(self._spec))
            try:
                self._record = await asyncio.shield(creation)
            except asyncio.CancelledError:
                self._record = await creation
                raise
            self._shutdown_on_close = self._shutdown_on_close is not False
            return
        if found.status is ClusterStatus.STOPPING:
            raise NameTaken(f"cluster {found.name!r} is stopping: wait some seconds, or take another name.")
        self._record = found
        self._spec = found.spec
        self._shutdown_on_close = bool(self._shutdown_on_close)
        self._log(f"Attached to cluster {found.name!r}, which is {found.status}.")
        if self._given_workers is not None and scaling_from(self._given_workers) != found.intent.scaling:
            log.warning(
                "cluster %r is attached as it is; n_workers=%r is ignored: use .scale()",
                found.name,
                self._given_workers,
            )

    async def _connect(self) -> None:
        record = self._known
        view = await self._api.view(record.id)
        deadline = asyncio.get_running_loop().time() + record.spec.lifetimes.start.total_seconds()
        while view.cluster.contact is None:
            self._refuse_ended(view)
            if asyncio.get_running_loop().time() > deadline:
                raise ClusterStartError(
                    f"cluster {record.name!r} didn't start within {record.spec.lifetimes.start}", record.id
                )
            self._view = view
            view = await self._api.wait_changed(record.id, view.revision, 1.0)
        self._view, self._record = view, view.cluster
        self.security = security.security_from(await self._api.keys(record.id))
        self.scheduler_comm = rpc(
            view.cluster.contact.scheduler, connection_args=self.security.get_connection_args("client")
        )
        await super()._start()

    async def _first_workers(self) -> None:
        total = self._known.intent.scaling.initial
        share = self._share
        if isinstance(share, bool):
            count = total if share else 0
        else:
            count = math.ceil(share * total) if isinstance(share, float) else share
        await self._wait_for_workers(min(count, total))

    async def _give_up(self, error: BaseException) -> None:
        if self._record is not None and self._shutdown_on_close:
            await asyncio.shield(
                self._api.stop(self._record.id, f"its start was given up: {error or type(error).__name__}")
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(ENDS_WITHIN_S):
                    await self._until_stopped()
        await super()._close()

    def _abort(self) -> None:
        """Wait until an interrupted start has cleaned up after itself."""
        with suppress(Exception):
            self.sync(self._close, callback_timeout=ENDS_WITHIN_S)

    def _refuse_ended(self, view: ClusterView) -> None:
        if view.cluster.status.rank >= ClusterStatus.STOPPING.rank:
            record = view.cluster
            raise ClusterStartError(f"cluster {record.name!r} could not be started: {record.stop_detail}", record.id)

    # -- life ----------------------------------------------------------------------------------------------------------

    @property
    def _known(self) -> Record:
        if self._record is None:
            raise BadRequest("this cluster hasn't been started: await it first.")
        return self._record

    @property
    def cluster_id(self) -> str:
        """Its id, unique for ever."""
        return self._known.id

    @property
    def workspace(self) -> str:
        """Who shares it and pays."""
        return self._spec.workspace

    @property
    def tags(self) -> Mapping[str, str]:
        """For cost tables."""
        return self._spec.tags

    @property
    def dashboard_link(self) -> str:
        """URL of Dask's own pages; empty where there are none."""
        contact = self._record.contact if self._record is not None else None
        return (contact.dashboard or "") if contact is not None else ""

    @property
    def cost(self) -> Cost:
        """What it has cost up to now, some seconds old in asynchronous code."""
        if not self.asynchronous and self._record is not None:
            return self.sync(self._api.view, self._record.id).cost  # type: ignore[no-any-return]
        return self._view.cost if self._view is not None else Cost()

    def receipt(self) -> Any:
        """Return the receipt: what it cost up to now, by role and by computation."""
        return self.sync(self._api.receipt, self.cluster_id)

    def insights(self) -> Any:
        """Return what could be better, the largest saving first."""
        return self.sync(self._api.insights, self.cluster_id)

    @property
    def requested(self) -> set[str]:
        """Names of the workers that are wanted or ordered."""
        instances = self._view.instances if self._view is not None else ()
        return {i.id for i in instances if i.role.value == "worker" and i.status.is_live and i.wanted}

    async def _watch(self) -> None:
        """Keep the view fresh, and say so when the cluster ends without us."""
        view = await self._api.view(self.cluster_id)
        while True:
            self._view, self._record = view, view.cluster
            self._display.update(view)
            if view.cluster.status.rank >= ClusterStatus.STOPPING.rank:
                if self.status is Status.running:
                    log.warning("Cluster %r stopped: %s.", self.name, view.cluster.stop_detail)
                    self.status = Status.closing
                    await super()._close()
                return
            await asyncio.sleep(0.5)
            view = await self._api.wait_changed(self.cluster_id, view.revision, 5.0)

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
                self._refuse_ended(await self._api.view(self.cluster_id))

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
        return self.sync(self._scale_to, self._count(n, memory, cores))

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
        Scaling
            With ``minimum`` and ``maximum``; awaitable in asynchronous code.
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
        return self.sync(self._set_scaling, scaling)

    def scale_up(self, n: int, reason: str | None = None) -> Any:
        """Set the number of workers; the same as :meth:`scale`."""
        return self.sync(self._scale_to, self._count(n, None, None))

    def scale_down(self, workers: Sequence[str], reason: str | None = None, force_stop: bool = True) -> Any:
        """Let these workers, by name, hand over their results and leave."""
        return self.sync(self._dismiss, tuple(workers))

    def _count(self, n: int | None, memory: str | int | None, cores: int | None) -> int:
        if sum(x is not None for x in (n, memory, cores)) != 1:
            raise BadRequest("scale() takes one of n, memory and cores.")
        workers = self.scheduler_info["workers"].values()
        if cores is not None:
            n = math.ceil(cores / max(1, min((w["nthreads"] for w in workers), default=1)))
        elif memory is not None:
            each = min((w["memory_limit"] for w in workers), default=0)
            if not each:
                raise BadRequest("scale(memory=…) needs a worker whose memory is known: wait for one, or give n.")
            n = math.ceil(parse_bytes(memory) / each)
        return scaling_from(n).initial

    async def _scale_to(self, n: int) -> None:
        await self._set_scaling(Scaling.fixed(n))

    async def _set_scaling(self, scaling: Scaling) -> Scaling:
        await self._api.scale(self.cluster_id, scaling)
        return scaling

    async def _dismiss(self, workers: tuple[str, ...]) -> None:
        scaling = self._known.intent.scaling
        if not scaling.is_adaptive:
            scaling = Scaling.fixed(max(0, scaling.initial - len(workers)))
        await self._api.scale(self.cluster_id, scaling, dismiss=workers)

    # -- what it says and is told ----------------------------------------------------------------------------------

    def send_private_envs(self, env: Mapping[str, str]) -> Any:
        """Set variables on all workers, present and future. They are kept nowhere else."""
        return self.sync(self._send_private_envs, {str(k): str(v) for k, v in env.items()})

    async def _send_private_envs(self, env: Mapping[str, str]) -> None:
        from distributed import Client  # the module imports this package's base class

        async with Client(self, asynchronous=True, set_as_default=False) as client:
            await client.register_plugin(PrivateEnvironment(env))

    def get_logs(self, cluster: bool = True, scheduler: bool = True, workers: bool | Sequence[str] = True) -> Any:
        """Return the logs by name: the journal, the scheduler's and the workers', the dead included."""
        return self.sync(self._logs, cluster, scheduler, workers)

    async def _logs(self, cluster: bool, scheduler: bool, workers: bool | Sequence[str]) -> Logs:
        found = Logs()
        if cluster:
            journal = await self._api.events(self.cluster_id)
            found["Cluster"] = Log("\n".join(f"{event.at:%H:%M:%S} {event.message}" for _, event in journal))
        for instance, lines in await self._api.logs(self.cluster_id):
            is_scheduler = instance.role.value == "scheduler"
            wanted = scheduler if is_scheduler else workers is True or (workers and instance.id in workers)  # type: ignore[operator]
            if wanted:
                found["Scheduler" if is_scheduler else instance.id] = Log("\n".join(lines))
        return found

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
        if self.status is not Status.closed:
            await super()._close()
        if self._record is None or not self._shutdown_on_close:
            return
        self._shutdown_on_close = False
        await self._api.stop(self._record.id, getattr(self, "_close_reason", None) or "it was closed")
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN_S):
                await self._until_stopped()
        self._receipt = await self._api.receipt(self._record.id)
        self._display.closed(self._receipt)

    async def _until_stopped(self) -> None:
        view = await self._api.view(self._known.id)
        while view.cluster.status.is_live:
            view = await self._api.wait_changed(self._known.id, view.revision, 1.0)
        self._view, self._record = view, view.cluster

    @classmethod
    def keywords(cls, *args: Any, **keywords: Any) -> dict[str, Any]:
        """Return the checked keywords of a call, defaults filled in. Raises as the constructor does."""
        signature = inspect.signature(cls.__init__)
        known = [name for name in signature.parameters if name not in {"self", "unknown"}]
        unknown = {name: keywords.pop(name) for name in list(keywords) if name not in known}
        bound = signature.bind(None, *args, **keywords)
        bound.apply_defaults()
        return _checked({name: bound.arguments[name] for name in known}, unknown)

    @classmethod
    def from_name(cls, name: str, **keywords: Any) -> Cluster:
        """Attach to a live cluster of this name, and leave it up when closed.

        Raises
        ------
        NotFound
            There is none; says which there are.
        """
        api: Any = open_api()
        if api.run(api.find(name)) is None:
            live = ", ".join(repr(view.cluster.name) for view in api.run(api.list_clusters(live=True))) or "none"
            raise NotFound(f"there is no live cluster {name!r}; live are: {live}.")
        return cls(name=name, **keywords)


def _checked(given: dict[str, Any], unknown: dict[str, Any]) -> dict[str, Any]:
    elsewhere = {name: given.pop(name) for name in ("container", "ignore_container_entrypoint", "worker_class")}
    reject_unknown({**unknown, **elsewhere}, tuple(given))
    return given


_alive: weakref.WeakSet[Cluster] = weakref.WeakSet()


def _close_all() -> None:
    """Close what the program left open, before the engine's own exit hook."""
    for cluster in list(_alive):
        if cluster.status is Status.running and not cluster.asynchronous:
            with suppress(Exception):
                cluster.close(timeout=ENDS_WITHIN_S)


at_exit(_close_all)
