"""How often a queue is asked while everything of ours waits in it: a wait of days isn't 30,000 questions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tradewind.model.instance import InstanceStatus, ObservedInstance

OFTEN_S, SELDOM_S = 3.0, 30.0
"""Between two questions, at first and at last."""
SHARE = 20
"""What has waited for ten minutes is asked about every half: nobody sees the difference."""


def pause_s(waited_s: float) -> float:
    """Return for how many seconds a list is good enough, where all that it shows has waited for so long."""
    return min(SELDOM_S, max(OFTEN_S, waited_s / SHARE))


class Rest:
    """Remembers the last list for as long as it is good enough.

    Only where something waits and nothing runs: what runs may be cancelled by somebody at any moment.

    Parameters
    ----------
    clock : callable
        Returns seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._list: Sequence[ObservedInstance] = ()
        self._waiting: frozenset[tuple[str, str]] = frozenset()
        self._since = 0.0
        self._listed_at = 0.0

    def wake(self) -> None:
        """Something was done, or may have happened: the next list is a new one."""
        self._waiting = frozenset()

    def listed(self, seen: Sequence[ObservedInstance]) -> None:
        """Take in a list that the queue has just given."""
        now = self._clock()
        live = [one for one in seen if one.status.is_live]
        waiting = frozenset((one.handle, one.detail) for one in live)
        if any(one.status is not InstanceStatus.PENDING for one in live):
            waiting = frozenset()
        if waiting != self._waiting:
            self._since = now
        self._list, self._waiting, self._listed_at = seen, waiting, now

    def good_enough(self) -> Sequence[ObservedInstance] | None:
        """Return the last list, the same object; None where the queue must be asked."""
        now = self._clock()
        if not self._waiting or now - self._listed_at >= pause_s(now - self._since):
            return None
        return self._list
