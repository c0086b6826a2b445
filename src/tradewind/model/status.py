"""The status page that the agent on a scheduler serves, once parsed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tradewind.model.computation import Computation


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """One Dask worker, as the scheduler sees it."""

    name: str
    """Our instance id, for the workers we launched."""
    address: str
    status: str
    """Dask's word: running, paused, closing_gracefully, …"""
    threads: int
    memory_limit: int
    """Bytes; 0 is no limit."""
    memory: int
    """Bytes of the process."""
    spilled: int
    """Bytes on disk."""
    cpu: float
    """Per cent of one core."""
    processing: int
    """Tasks assigned to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPage:
    """What a scheduler says of itself. It comes from where users run their own code: believe, but check."""

    at: datetime
    """By the scheduler's clock."""
    workers: tuple[WorkerStatus, ...] = ()
    tasks_running: int = 0
    """Known and not finished: waiting, queued, processing, no-worker."""
    clients: int = 0
    """Dask clients and Cluster objects connected now."""
    clients_ever: bool = False
    """Whether anybody was ever connected."""
    no_client_seconds: float = 0.0
    """For how long nobody has been connected; 0 while somebody is."""
    idle_seconds: float = 0.0
    """For how long there has been nothing to do; 0 while there is."""
    held_results: int = 0
    """Results in memory that a connected client still wants."""
    held_bytes: int = 0
    adaptive_target: int = 0
    """Workers that Dask would use now, for the target duration the page was asked with."""
    computations: tuple[Computation, ...] = ()
    """Those that changed since the cursor the page was asked with."""
    cursor: int = 0
    """Ask the next page with this."""
