"""Who is connected, and since when there has been nothing to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tradewind.agent.failures import whole_number

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.comm import Comm

FIRE_AND_FORGET = "fire-and-forget"
"""Dask's name for the client that wants what nobody waits for; it's always there."""
WORKER_CLIENT = "Client-worker-"
"""How the ids of clients begin that tasks open (``get_client`` on a worker): they are work, not somebody."""
OBSERVER_OP = "subscribe_worker_status"
"""What a ``distributed.deploy.Cluster`` asks for when it connects, on a comm that stays open as long as it lives."""


def is_somebody(client: str) -> bool:
    """Whether this client's id belongs to a person's client."""
    return client != FIRE_AND_FORGET and not client.startswith(WORKER_CLIENT)


class Presence:
    """Counts who is connected and measures how long nobody was, and how long nothing was done.

    Look often (once a second): what happens between two looks is seen by Dask's transition counter and by
    :meth:`noticed`, so a short visit or a short task isn't missed. Times are monotonic seconds of this process.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whom to look at. Its handler for Cluster objects is wrapped, so that each of them is known: Dask's own plugin
        for them remembers the last one alone.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        now = time.monotonic()
        self._observers: list[Comm] = []
        self._ever = any(is_somebody(client) for client in scheduler.clients)
        self._somebody_at = now
        self._busy_at = now
        self._transitions = scheduler.transition_counter
        self._held_at: int | None = None
        self._held = (0, 0)
        self._watch_observers()

    def _watch_observers(self) -> None:
        subscribe = self._scheduler.handlers[OBSERVER_OP]

        def subscribe_worker_status(comm: Comm) -> Any:
            self._observers.append(comm)
            self.noticed()
            return subscribe(comm)

        self._scheduler.handlers[OBSERVER_OP] = subscribe_worker_status

    def noticed(self) -> None:
        """Somebody came or went just now."""
        self._ever = True
        self._somebody_at = time.monotonic()

    def look(self) -> float:
        """Take notice of what is, and return when; cheap, safe to call at any time."""
        now = time.monotonic()
        if self.clients():
            self._ever = True
            self._somebody_at = now
        if self._has_worked():
            self._busy_at = now
        return now

    def _has_worked(self) -> bool:
        """Whether there is work, or was since the last look.

        Tasks that wait while nothing is queued, processing or in want of a worker count for nothing: such a scheduler
        is stuck, and being stuck for ever must not be billed for ever. Dask judges the same way.
        """
        scheduler = self._scheduler
        moved = scheduler.transition_counter != self._transitions
        self._transitions = scheduler.transition_counter
        return bool(
            moved
            or scheduler._active_graph_updates > 0
            or scheduler.queued
            or scheduler.unrunnable
            or any(worker.processing for worker in scheduler.workers.values())
        )

    def clients(self) -> int:
        """Return how many clients and Cluster objects are connected now."""
        self._observers = [comm for comm in self._observers if not comm.closed()]
        return len(self._observers) + sum(is_somebody(client) for client in self._scheduler.clients)

    def held(self) -> tuple[int, int]:
        """Return number and bytes of results in memory that a connected client wants; (0, 0) while there is work.

        Counting is linear in the number of results, so it's done when idle, once until something changes.
        """
        scheduler = self._scheduler
        if self._busy_at > time.monotonic() - 1:
            return 0, 0
        if self._held_at != scheduler.transition_counter:
            wanted = {
                task
                for client, state in scheduler.clients.items()
                if is_somebody(client)
                for task in state.wants_what
                if task.state == "memory"
            }
            self._held = (len(wanted), whole_number(sum(task.get_nbytes() for task in wanted)))
            self._held_at = scheduler.transition_counter
        return self._held

    def facts(self) -> dict[str, Any]:
        """Return the page's share of this, as JSON-ready data."""
        now = self.look()
        clients = self.clients()
        held_results, held_bytes = self.held()
        return {
            "clients": clients,
            "clients_ever": self._ever,
            "no_client_seconds": 0.0 if clients else now - self._somebody_at,
            "idle_seconds": now - self._busy_at,
            "held_results": held_results,
            "held_bytes": held_bytes,
        }
