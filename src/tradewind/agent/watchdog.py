"""The last resort of a scheduler that nobody looks after: a thread that ends the process when its loop can't.

Who closes an orphaned scheduler is its own event loop. One that stands still, because a task graph took it or
because user code runs on it and never returns, would be up and billed until its hard end.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("distributed.scheduler.tradewind")

CHECK_S = 5.0
"""Between two looks."""
STILL_S = 60.0
"""A loop that hasn't turned for this long after the deadline won't close anything."""
EXIT_CODE = 75
"""Of a process that was ended so; ``EX_TEMPFAIL``, which nothing else here uses."""


class Watchdog:
    """Watches one loop from a thread of its own. It can't help where code keeps the interpreter's lock for ever.

    Parameters
    ----------
    closes_at : float
        When the loop should have closed the scheduler, in monotonic seconds; :meth:`turned` says when that changes.
    still_s, check_s : float
        How long after that the loop may stand still, and how often to look.
    end : callable
        Ends the process, with an exit code; without any clean-up, which would wait for the very loop that hangs.
    """

    def __init__(
        self,
        closes_at: float,
        *,
        still_s: float = STILL_S,
        check_s: float = CHECK_S,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._closes_at = closes_at
        self._still_s = still_s
        self._check_s = check_s
        self._end = end
        self._turned_at = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="tradewind watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def turned(self, closes_at: float) -> None:
        """The loop turns, and as things stand it would close the scheduler at ``closes_at``."""
        self._turned_at, self._closes_at = time.monotonic(), closes_at

    def stop(self) -> None:
        """End watching; the loop has closed what it should."""
        self._done.set()

    def _watch(self) -> None:
        while not self._done.wait(self._check_s):
            now = time.monotonic()
            still_s, late_s = now - self._turned_at, now - self._closes_at
            if still_s > self._still_s and late_s > self._still_s:
                logger.critical(
                    "Ending this process: nobody looks after it, and the event loop that should have closed the "
                    "scheduler %.0f s ago hasn't turned for %.0f s",
                    late_s,
                    still_s,
                )
                self._end(EXIT_CODE)
                return
