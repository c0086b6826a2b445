"""``Cluster``: what a notebook holds in its hand."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from distributed.core import Status
from distributed.utils import Log, Logs
from tornado.ioloop import IOLoop

from tradewind.client.adapting import Adapting
from tradewind.client.door import find_place, open_api
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
from tradewind.client.running import Running, Wanted
from tradewind.errors import BadRequest, NotFound
from tradewind.model.cluster import Scaling
from tradewind.model.usage import Cost


class Cluster(Running):
    """An ephemeral Dask cluster that is metered, recorded and ends by itself.

    Blocks until the scheduler answers and ``wait_for_workers`` of the workers are there; with ``asynchronous=True``
    it is awaited instead. Any error or Ctrl-C on the way ends what was started.

    Parameters
    ----------
    name : str, optional
        A live cluster of this name is attached to instead of starting one. Default: a new name.
    software : str, optional
        A named environment, as "climate", or one version of it, as "climate@3". Default: the Python you are in.
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
    backend_options : dict, optional
        The provider's own settings for this cluster alone, such as ``{"account": "ocean", "walltime": "2 hours"}``.
    record_history, record_code : bool, optional
        Whether computations, and their code, are kept. Default: from the settings (yes, no).
    dask_config : dict, optional
        Dask configuration for its processes.
    package_sync_ignore, package_sync_only, package_sync_strict : list, list and bool, optional
        Packages that machines do without; the only ones they have; whether to refuse other versions than here.
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
        backend_options: Mapping[str, Any] | None = None,
        record_history: bool | None = None,
        record_code: bool | None = None,
        dask_config: Mapping[str, Any] | None = None,
        package_sync_ignore: Sequence[str] | None = None,
        package_sync_only: Sequence[str] | None = None,
        package_sync_strict: bool = False,
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
        super().__init__(
            Wanted(
                spec=spec,
                place=place,
                is_named=name is not None,
                first_workers=settings.wait_for_workers if wait_for_workers is None else share_from(wait_for_workers),
                scaling_asked=None if n_workers is None else spec.scaling,
                shutdown_on_close=shutdown_on_close,
                given=given,
            ),
            asynchronous=asynchronous,
            show_widget=show_widget,
            loop=loop,
        )

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

    def sync_environment(self) -> Any:
        """Let the cluster have your code, and your packages, as they are now, while it goes on.

        Modules and editable projects that you changed are sent to all workers, present and future, and loaded anew by
        the next task that imports them; what runs goes on with what it has imported, and results stay as they were.
        Where packages have changed, workers are replaced one after the other, each after it has handed over its
        results.

        Returns
        -------
        Synced
            What was sent, which modules are loaded anew, which packages had changed; awaitable in asynchronous code.

        Raises
        ------
        BadRequest
            A changed module can't be read by Python, the code is too big to travel or finds no room, or a package
            changed that the scheduler needs too; names it, and nothing was sent.
        SyncError
            Some workers couldn't follow; says which and why.
        """
        return self.sync(self._software.sync, self._line, self._connected)

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
