"""Run the one Dask process that a :class:`~tradewind.boot.process.Boot` describes, until it ends."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import dask
import distributed
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.node import ServerNode
from distributed.security import Security

from tradewind.agent.credentials import Held, Taken
from tradewind.agent.luggage import CodeAtScheduler, CodeAtWorker
from tradewind.boot.process import Boot, KeyPair
from tradewind.boot.unwritten import unwritten
from tradewind.model.instance import Contact, Role

logger = logging.getLogger("tradewind.boot")

DASHBOARD_PORT = 8787
PAGES_HOST = "127.0.0.1"
"""Dask's own pages are plain HTTP that anybody may read, so only this machine does."""
DEATH_TIMEOUT_S = 60
"""A worker that finds no scheduler for this long ends."""
CALM_S = 0.25
"""The dashboard is connected when nothing happened on the scheduler for this long, or after ``PATIENCE_S``."""
PATIENCE_S = 10.0


class Agent(Protocol):
    """What rides on a scheduler and answers for it."""

    @property
    def url(self) -> str:
        """Base URL of its JSON pages."""

    async def aclose(self) -> None:
        """Stop answering."""


Attach = Callable[[distributed.Scheduler, Boot], Agent]
"""Put an agent on a scheduler that listens."""


class CantServe(Exception):
    """The process can't do what it was booted for; the message is for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the place where the process runs lends it."""

    attach: Attach
    on_contact: Callable[[Contact], None]
    """Called once, when a scheduler listens."""
    on_ready: Callable[[], None]
    """Called once, when a worker is connected."""
    find_scheduler: Callable[[], Awaitable[str]]
    """Returns the scheduler's address as soon as it is known; asked where the boot doesn't say."""
    local_directory: str
    """Where Dask may keep files, as what a worker spills."""
    host: str = "127.0.0.1"
    patience_s: float = DEATH_TIMEOUT_S
    """How long a worker waits to be told of a scheduler."""
    plugins: tuple[WorkerPlugin, ...] = ()
    """What a worker is given besides."""
    still_wanted: Callable[[], bool] = field(default=lambda: True)
    """Asked once a second; False ends the process."""


def prepare_process(boot: Boot) -> None:
    """Give this process the variables, the directory, the path and the Dask settings of ``boot``."""
    os.environ.update(boot.environ)
    if boot.working_directory is not None:
        try:
            os.chdir(boot.working_directory)
        except OSError as error:
            logger.warning("the working directory can't be entered, staying in %s: %s", os.getcwd(), error)
    if boot.python_path:
        known = set(boot.python_path)
        sys.path[:] = [*boot.python_path, *(entry for entry in sys.path if entry not in known)]
    # Read when Dask and the C library were loaded, which in a forked process was before these variables were set.
    dask.config.update(dask.config.config, dask.config.collect_env())
    time.tzset()
    dask.config.set(boot.dask_config)
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        # A forked process inherits the state of numpy's global generator: all workers would draw the same numbers.
        numpy_random.seed()


async def serve(boot: Boot, around: Surroundings) -> None:
    """Run a scheduler or a worker until it ends by itself, or SIGTERM or SIGINT ask for its end.

    Parameters
    ----------
    boot : Boot
        What to run. :func:`prepare_process` was called with it.
    around : Surroundings
        Where it runs.

    Raises
    ------
    CantServe
        It can't start; the message names the reason for the user.
    """
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    run = _serve_scheduler if boot.role is Role.SCHEDULER else _serve_worker
    await run(boot, around, asked)


async def _serve_scheduler(boot: Boot, around: Surroundings, asked: asyncio.Event) -> None:
    has_bokeh = importlib.util.find_spec("bokeh") is not None
    options: dict[str, Any] = {
        "host": around.host,
        "port": 0,
        "protocol": "tls",
        "security": security_of(boot.keys),
        "local_directory": around.local_directory,
        "dashboard_address": f"{PAGES_HOST}:{DASHBOARD_PORT}",
        **boot.options,
    }
    wants_dashboard = bool(options.pop("dashboard", True)) and has_bokeh
    # Dask serves tables of workers and their logs even without bokeh; who wants no dashboard wants none of them.
    pages: dict[str, Any] = {} if wants_dashboard else {"distributed.scheduler.http.routes": []}
    try:
        with warnings.catch_warnings(), dask.config.set(pages):
            # That another cluster of this machine has the usual port is no news to the user.
            warnings.filterwarnings("ignore", "Port .* is already in use")
            # Its HTTP server listens from the start, Dask's pages come later: loading bokeh takes 0.6 s.
            scheduler = distributed.Scheduler(dashboard=False, **options)
        await scheduler
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        raise CantServe(_why(boot, error)) from error
    Held(scheduler)
    CodeAtScheduler(scheduler)
    agent = around.attach(scheduler, boot)
    http = scheduler.http_server
    around.on_contact(
        Contact(
            scheduler=scheduler.address,
            agent=agent.url,
            dashboard=f"http://{http.address}:{http.port}/status" if wants_dashboard else None,
        )
    )
    dashboard = asyncio.create_task(_connect_dashboard(scheduler)) if wants_dashboard else None
    try:
        await _until_the_end(scheduler, around, asked)
    finally:
        if dashboard is not None:
            dashboard.cancel()
        await agent.aclose()


async def _connect_dashboard(scheduler: distributed.Scheduler) -> None:
    seen = (-1, -1)
    for _ in range(int(PATIENCE_S / CALM_S)):
        await asyncio.sleep(CALM_S)
        # Even with bokeh loaded, Dask's forty pages take a moment in which no worker could connect.
        if seen == (seen := (scheduler.transition_counter, len(scheduler.workers))):
            break
    try:
        pages = await asyncio.to_thread(importlib.import_module, "distributed.dashboard.scheduler")
    except ImportError as error:
        logger.warning("there is no dashboard, bokeh can't be loaded: %s", error)
        return
    pages.connect(scheduler.http_application, scheduler.http_server, scheduler, prefix="/")


async def _serve_worker(boot: Boot, around: Surroundings, asked: asyncio.Event) -> None:
    security = security_of(boot.keys)
    find = asyncio.ensure_future(_address(boot, around))
    told = asyncio.ensure_future(asked.wait())
    await asyncio.wait([find, told], timeout=around.patience_s, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not find.done():
        find.cancel()
        if asked.is_set():
            return
        raise CantServe(
            f"the scheduler of this cluster didn't come up within {around.patience_s:.0f} s; its log says why"
        )
    options: dict[str, Any] = {
        "name": boot.instance_id,
        "nthreads": boot.threads,
        "memory_limit": boot.memory,
        "local_directory": around.local_directory,
        "host": around.host,
        "dashboard_address": f"{PAGES_HOST}:0",
        "security": security,
        "death_timeout": DEATH_TIMEOUT_S,
        "plugins": (Taken(), CodeAtWorker(), *around.plugins),
        **boot.options,
    }
    try:
        worker = distributed.Worker(find.result(), **options)
        await worker
    except (OSError, TypeError, ValueError, RuntimeError, TimeoutError) as error:
        raise CantServe(_why(boot, error)) from error
    around.on_ready()
    await _until_the_end(worker, around, asked)


async def _address(boot: Boot, around: Surroundings) -> str:
    return boot.scheduler_address or await around.find_scheduler()


async def _until_the_end(server: ServerNode, around: Surroundings, asked: asyncio.Event) -> None:
    finished = asyncio.ensure_future(server.finished())
    told = asyncio.ensure_future(asked.wait())
    while not (finished.done() or told.done()):
        await asyncio.wait([finished, told], timeout=1, return_when=asyncio.FIRST_COMPLETED)
        if not around.still_wanted():
            break
    told.cancel()
    if not finished.done():
        await server.close(reason="asked to end")
    await finished


def security_of(keys: KeyPair) -> Security:
    """Return Dask's form of the keys: the same pair for every role, encryption required.

    Given the text of a key, Dask writes it to a file each time it connects. So it is given a file that is on no disk,
    where there can be one; it lasts as long as this process.
    """
    text = keys.key.reveal()
    path = unwritten(f"{keys.certificate.rstrip()}\n{text}")
    key, certificate = (path, path) if path is not None else (text, keys.certificate)
    return Security(
        require_encryption=True,
        tls_ca_file=keys.authority,
        tls_client_cert=certificate,
        tls_client_key=key,
        tls_scheduler_cert=certificate,
        tls_scheduler_key=key,
        tls_worker_cert=certificate,
        tls_worker_key=key,
    )


def _why(boot: Boot, error: BaseException) -> str:
    # Dask wraps what went wrong once or twice; the first cause is what a person can act on.
    while error.__cause__ is not None:
        error = error.__cause__
    options = f" with the options {', '.join(sorted(boot.options))}" if boot.options else ""
    return f"the Dask {boot.role} can't start{options}: {error}"
