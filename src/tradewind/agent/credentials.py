"""How credentials go from a client to the workers: over Dask's own TLS, held in memory, written nowhere.

The scheduler passes on what it can't read: a sealed value, unpacked on workers alone. A worker asks for what there is
before it joins, so no task runs without; renewals go to all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin

from tradewind.agent.telling import tell_all

if TYPE_CHECKING:
    from distributed import Scheduler, Worker

    from tradewind.boot.credentials.doorway import Doorway
    from tradewind.boot.credentials.grant import Grant

logger = logging.getLogger("distributed.worker.tradewind")

HAND_OVER = "tradewind_credentials"
"""Dask's name for the message from client to scheduler and from there to workers."""
ASK = "tradewind_credentials_held"
ROUND = "tradewind_credentials_round"
"""What a worker says of itself when it joins: which handing over was the last it knows of."""
ASKED_WITHIN_S = 10.0
TAKEN_WITHIN_S = 10.0
"""For each worker to take them. Whoever hands over waits for it, no longer than three times as long."""


class Held(SchedulerPlugin):  # type: ignore[misc]  # distributed is read without types
    """What was handed to one scheduler; it passes it on to workers present and future."""

    name = "tradewind-credentials"

    def __init__(self, scheduler: Scheduler, *, within_s: float = TAKEN_WITHIN_S) -> None:
        self._scheduler = scheduler
        self._within_s = within_s
        self._held: dict[str, Any] = {}
        self._handed: dict[str, int] = {}
        """By name, which handing over it came with: of two messages to a worker, either may be the first to arrive."""
        self._rounds = 0
        scheduler.handlers[HAND_OVER] = self.hand_over
        scheduler.handlers[ASK] = self.held
        scheduler.add_plugin(self)

    async def hand_over(self, grants: Mapping[str, Any]) -> dict[str, Any]:
        """Take grants by name, each sealed, and return when all workers that answer have them.

        Returns
        -------
        dict
            How many workers have them, and what kept the others from it, by address.
        """
        self._rounds += 1
        self._held.update(grants)
        self._handed.update(dict.fromkeys(grants, self._rounds))
        message = {"op": HAND_OVER, "grants": dict(grants), "rounds": dict.fromkeys(grants, self._rounds)}
        answers = await tell_all(self._scheduler, message, self._within_s)
        failed = {address: trouble for address, answer in answers.items() if (trouble := _trouble(answer))}
        return {"workers": len(answers) - len(failed), "failed": failed}

    def held(self) -> dict[str, Any]:
        """Return everything that was handed over, still sealed, and how often there was something new."""
        return {"grants": dict(self._held), "rounds": dict(self._handed), "round": self._rounds}

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Give a worker what came while it was joining."""
        state = scheduler.workers.get(worker)
        if state is not None and state.extra.get(ROUND, self._rounds) != self._rounds:
            # By the stream that its tasks come by, so it has them before any; an answer can't be waited for, since
            # a worker answers only once it has joined.
            scheduler.worker_send(worker, {"op": HAND_OVER, "grants": dict(self._held), "rounds": dict(self._handed)})

    def __repr__(self) -> str:
        return f"<Held: {', '.join(sorted(self._held)) or 'nothing'}>"


def _trouble(answer: Any) -> str:
    if isinstance(answer, BaseException):
        return f"it doesn't answer ({type(answer).__name__}), and gets them when it does"
    return "" if isinstance(answer, dict) and answer.get("status") == "OK" else "it can't take credentials"


class Taken(WorkerPlugin):  # type: ignore[misc]
    """What one worker was handed. Given to a worker at its making, so it is there before the worker joins."""

    name = "tradewind-credentials"

    def __init__(self) -> None:
        self._doorway: Doorway | None = None
        self._round = 0
        self._rounds: dict[str, int] = {}
        self._one_at_a_time = asyncio.Lock()

    async def setup(self, worker: Worker) -> None:
        """Ask the scheduler for what there is. A worker without credentials still is a worker."""
        worker.handlers[HAND_OVER] = self.take
        worker.stream_handlers[HAND_OVER] = self.take
        worker.startup_information[ROUND] = lambda _: self._round
        try:
            async with asyncio.timeout(ASKED_WITHIN_S):
                answer = await getattr(worker.scheduler, ASK)()
        except Exception as error:
            # Its kind alone: the message may quote what was sent.
            logger.warning("No credentials could be asked for: %s", type(error).__name__)
            return
        if answer is None:  # a scheduler of another version, that knows of no credentials
            return
        self._round = answer["round"]
        if answer["grants"]:
            await self.take(answer["grants"], answer["rounds"])

    async def take(self, grants: Mapping[str, Grant], rounds: Mapping[str, int]) -> dict[str, str]:
        """Open the doors for those of ``grants`` that are newer than what there is, by the number of each."""
        async with self._one_at_a_time:
            newer = {name: grant for name, grant in grants.items() if rounds[name] > self._rounds.get(name, 0)}
            if not newer:
                return {"status": "OK"}
            if self._doorway is None:
                # Only where there is something: most clusters share their caller's home, and start without.
                from tradewind.boot.credentials.doorway import Doorway

                self._doorway = Doorway()
            try:
                await asyncio.to_thread(self._doorway.update, newer)
            except OSError as error:
                logger.warning("The credentials %s can't be made known here: %s", ", ".join(newer), error.strerror)
                return {"status": "error"}
            self._rounds.update({name: rounds[name] for name in newer})
            return {"status": "OK"}

    async def teardown(self, worker: Worker) -> None:
        """Close the doors."""
        if self._doorway is not None:
            await asyncio.to_thread(self._doorway.close)
