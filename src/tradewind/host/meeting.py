"""Workers and their scheduler meet every ten seconds, and both write it down: one that nobody else reaches is alive."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from pathlib import Path

import distributed
from distributed.diagnostics.plugin import WorkerPlugin

from tradewind.host.bare.silence import join, joined_at, meet, since_boot

logger = logging.getLogger("tradewind.host")

MEET = "tradewind_meet"
"""Dask's name for the message from a worker to its scheduler."""
EVERY_S = 10.0
WITHIN_S = 10.0


class Meets(WorkerPlugin):  # type: ignore[misc]  # distributed is read without types
    """A worker's part: notes for its keeper when it was with its scheduler.

    Parameters
    ----------
    run : Path
        Its run directory.
    instance : str
        Its id.
    host : str
        The address it listens on.
    """

    name = "tradewind-meets"

    def __init__(self, run: Path, instance: str, host: str) -> None:
        self._path = str(run / "met")
        self._instance = instance
        self._host = host
        self._task: asyncio.Task[None] | None = None

    def setup(self, worker: distributed.Worker) -> None:
        """Begin to meet."""
        self._task = asyncio.create_task(self._go_on(worker))

    def teardown(self, worker: distributed.Worker) -> None:
        """Meet no more."""
        if self._task is not None:
            self._task.cancel()

    async def _go_on(self, worker: distributed.Worker) -> None:
        while True:
            # When it was asked, not when the answer came: the scheduler has noted nothing earlier.
            moment = since_boot()
            try:
                async with asyncio.timeout(WITHIN_S):
                    await getattr(worker.scheduler, MEET)(instance=self._instance, host=self._host)
                if joined_at(self._path) is None:
                    join(self._path)
                meet(self._path, moment)
            except (OSError, TimeoutError, distributed.CommClosedError) as error:
                logger.info("The scheduler wasn't met: %r", error)
            await asyncio.sleep(EVERY_S)


class Crew:
    """The scheduler's part: writes down when it met workers of other hosts, for who looks at its own.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose.
    run : Path
        Its run directory.
    host : str
        The address it listens on: with workers there, whoever reaches it reaches them.
    """

    def __init__(self, scheduler: distributed.Scheduler, run: Path, host: str) -> None:
        self._path = run / "crew.json"
        self._host = host
        self._met: dict[str, int] = {}
        self._written_at = 0.0
        scheduler.handlers[MEET] = self.meet

    async def meet(self, instance: str, host: str) -> None:
        """Take note of a worker."""
        if host == self._host:
            return
        self._met[instance] = int(time.time())
        if time.monotonic() >= self._written_at + EVERY_S / 2 or len(self._met) == 1:
            self._written_at = time.monotonic()
            self._write()

    def _write(self) -> None:
        data = json.dumps(self._met).encode()
        try:
            # In its place: a new name in the directory would be news for all who watch it.
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            logger.info("Whom it meets can't be noted: %s", error)
            return
        try:
            os.ftruncate(file, os.pwrite(file, data, 0))
        except OSError as error:
            logger.info("Whom it meets can't be noted: %s", error)
        finally:
            os.close(file)
