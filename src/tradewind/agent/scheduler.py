"""The agent that rides on a Dask scheduler: it says how things stand, and ends everything when nobody asks any more."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin
from tornado.ioloop import PeriodicCallback

from tradewind.agent.failures import Failures
from tradewind.agent.history import History
from tradewind.agent.page import status_page
from tradewind.agent.presence import Presence, is_somebody
from tradewind.agent.routes import serve
from tradewind.agent.watchdog import Watchdog
from tradewind.boot.process import KeyPair
from tradewind.model.secret import Secret

if TYPE_CHECKING:
    from distributed import Scheduler

logger = logging.getLogger("distributed.scheduler.tradewind")
"""Under Dask's own name, so that its lines stand in the scheduler's log whatever else is configured."""

POLL_MS = 1000
RETIRE_WAIT_S = 3.0
"""An answer comes after this long at the latest; results go on moving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What the agent needs to know."""

    cluster_id: str
    token: Secret
    """Whoever shows it may read the page and end the cluster."""
    keys: KeyPair
    """Of the scheduler; must hold for the name the page is asked under."""
    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free one."""
    orphan_timeout_s: float = 600.0
    """Without an authorised pull for this long the scheduler closes."""
    paid_for_s: float | None = None
    """How long its money lasts, until a pull says otherwise; None: no budget holds for it."""
    record_history: bool = True
    record_code: bool = False
    ends_process: bool = False
    """Whether the process is the scheduler's alone, and may be ended where its event loop stands still."""


class Agent:
    """Serves the pages of one scheduler; made by :func:`attach`."""

    def __init__(self, scheduler: Scheduler, settings: AgentSettings) -> None:
        self.settings = settings
        self._scheduler = scheduler
        self._failures = Failures(scheduler)
        self._presence = Presence(scheduler)
        self._history = (
            History(
                scheduler,
                cluster_id=settings.cluster_id,
                record_code=settings.record_code,
                failures=self._failures,
            )
            if settings.record_history
            else None
        )
        self._pulled_at = time.monotonic()
        self._paid_until = self._after(settings.paid_for_s)
        self._poll_timer = PeriodicCallback(self._poll, POLL_MS)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._server, self._port = serve(self, host=settings.host, port=settings.port, keys=settings.keys)
        self._plugin = _Watch(self)
        scheduler.add_plugin(self._plugin)
        self._poll_timer.start()
        self._watchdog = Watchdog(self._closes_at()) if settings.ends_process else None
        if self._watchdog is not None:
            self._watchdog.start()

    @property
    def url(self) -> str:
        """Where the pages are: ``https://127.0.0.1:40001``."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"https://{host}:{self._port}"

    def status(
        self, *, since: int, target_duration_s: float, paid_for_s: float | None = None, renews: bool = True
    ) -> dict[str, Any]:
        """Return the page as JSON-ready data, and renew the lease, for as long as is paid; unless told not to."""
        if renews:
            self._pulled_at = time.monotonic()
            self._paid_until = self._after(paid_for_s)
        self._poll_history()
        return status_page(
            self._scheduler, self._presence, self._history, since=since, target_duration_s=target_duration_s
        )

    def peek(self, *, target_duration_s: float) -> dict[str, Any]:
        """Return the page without its computations. Who only shows it to people asks so: nothing lives on by it."""
        return status_page(self._scheduler, self._presence, None, since=0, target_duration_s=target_duration_s)

    async def retire(self, *, n: int | None = None, names: Sequence[str] | None = None) -> tuple[list[str], list[str]]:
        """Let workers go after their results have moved to others.

        Parameters
        ----------
        n : int, optional
            How many; Dask chooses those that do nothing and hold little. Those already on their way don't count.
        names : sequence of str, optional
            Names of workers; unknown ones are left out.

        Returns
        -------
        tuple
            Names of those that are gone, and of those that are still moving their results after 3 s. A worker whose
            results find no room elsewhere stays and is in neither.
        """
        scheduler = self._scheduler
        wanted = set(names) if names is not None else set(self._choose(n or 0))
        chosen = {
            address: str(worker.name) for address, worker in scheduler.workers.items() if str(worker.name) in wanted
        }
        if not chosen:
            return [], []
        task = self._start(scheduler.retire_workers(workers=list(chosen), close_workers=True, remove=True))
        done, _ = await asyncio.wait([task], timeout=RETIRE_WAIT_S)
        if not done:
            left = [name for address, name in chosen.items() if address in scheduler.workers]
            return sorted(set(chosen.values()) - set(left)), sorted(left)
        return sorted(chosen[address] for address in task.result() if address in chosen), []

    def _choose(self, n: int) -> list[str]:
        scheduler = self._scheduler
        leaving = {
            address for address, worker in scheduler.workers.items() if worker.status is Status.closing_gracefully
        }
        if n == 0:
            return []
        candidates = scheduler.workers_to_close(n=n + len(leaving))
        chosen = islice((address for address in candidates if address not in leaving), n)
        return [str(scheduler.workers[address].name) for address in chosen]

    def say(self, message: str, *, level: str) -> int:
        """Show ``message`` where each client's user looks, as a warning or printed; return how many clients there are.

        The payload is text: a client given text shows it, one given a dict would unpickle what's in it.
        """
        self._scheduler.log_event("warn" if level == "warning" else "print", message)
        return sum(is_somebody(client) for client in self._scheduler.clients)

    def end(self, reason: str) -> None:
        """Close the scheduler, and with it the workers; returns at once, may be called twice."""
        if not self._closed and self._scheduler.status is not Status.closing:
            self._start(self._scheduler.close(reason=reason))

    async def aclose(self) -> None:
        """Stop serving and watching; the scheduler stays. May be called twice."""
        if self._closed:
            return
        self._closed = True
        if self._watchdog is not None:
            self._watchdog.stop()
        self._poll_timer.stop()
        if self._plugin.name in self._scheduler.plugins:
            self._scheduler.remove_plugin(name=self._plugin.name)
        self._server.stop()
        await self._server.close_all_connections()

    @staticmethod
    def _after(seconds: float | None) -> float:
        return math.inf if seconds is None else time.monotonic() + seconds

    def _poll(self) -> None:
        if self._watchdog is not None:
            self._watchdog.turned(self._closes_at())
        now = time.monotonic()  # first, so that nothing below can keep it from being noticed
        silence = now - self._pulled_at
        is_unpaid = now >= self._paid_until
        if silence > self.settings.orphan_timeout_s or is_unpaid:
            self._poll_timer.stop()
            reason = f"nobody has asked for the status page for {silence:.0f} s"
            if is_unpaid:
                reason += ", and what its budget had set aside for it is spent"
            logger.warning("Closing the scheduler: %s", reason)
            self.end(reason)
            return
        self._presence.look()
        self._poll_history()

    def _closes_at(self) -> float:
        """Return when it will close as things stand, in monotonic seconds."""
        return min(self._pulled_at + self.settings.orphan_timeout_s, self._paid_until)

    def _poll_history(self) -> None:
        if self._history is None:
            return
        try:
            self._history.poll()
        except Exception:
            # It reads Dask's inner data, and a memory of what ran isn't worth a cluster that nobody can look after.
            logger.exception("No history from now on: it can't be read from this version of distributed")
            self._history = None

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Watch(SchedulerPlugin):  # type: ignore[misc]  # distributed is read without types
    """The agent's ears in the scheduler. Dask calls ``transition`` for each step of each task: it must be short."""

    name = "tradewind-agent"

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        if finish == "erred":
            self._agent._failures.record(key, kwargs.get("worker"))

    def add_client(self, scheduler: Scheduler, client: str) -> None:
        if is_somebody(client):
            self._agent._presence.noticed()

    remove_client = add_client

    async def close(self) -> None:
        await self._agent.aclose()


def attach(scheduler: Scheduler, settings: AgentSettings) -> Agent:
    """Put an agent on ``scheduler``; call it in the scheduler's event loop, once it has started.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        It takes the agent with it when it closes.
    settings : AgentSettings
        See there.

    Returns
    -------
    Agent
        It listens already.

    Raises
    ------
    OSError
        The port is taken, or the host isn't an address of this machine.
    ssl.SSLError
        The keys don't fit each other.
    """
    return Agent(scheduler, settings)
