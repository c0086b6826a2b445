"""How long an instance lives on where nobody asks after it. Its host keeps to this, so that others may count on it.

Whoever looks at a host says at each look which answer of it they heard last. The host counts from that answer, and not
from a question: one whose answer got lost keeps nothing alive. So nothing here lives for longer than a fixed time
after the last answer that somebody heard (``docs/develop/decisions/0018-hosts-keep-their-own-silence.md``).

Moments are seconds since this machine was booted, its sleep included: nobody can set that clock.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any, Optional

LATE_S = 60.0
"""How much longer than its ``orphan_timeout`` it lives alone: a scheduler that can shall say by itself why it ends."""
LEFT_S = 90.0
"""How long a worker may live after it was last with its scheduler: it ends by itself after 60 s, if it still can."""
JOINS_S = 60.0
"""A worker that joins its scheduler later than this after its host was last heard lives no longer for it: who counts
on its end can't know of it."""
NOTED_EVERY_S = 1.0


def lives_until(
    asked: float,
    alone_s: float,
    joined: Optional[float] = None,  # noqa: UP045 - Python 3.9 reads this
    met: Optional[float] = None,  # noqa: UP045
) -> float:
    """Return the moment at which an instance ends by itself, as things stand.

    Parameters
    ----------
    asked : float
        When the last answer was given that somebody heard, or when it was claimed.
    alone_s : float
        Its ``orphan_timeout``.
    joined, met : float, optional
        When it first was with its scheduler, and when it was last; None of what never was.
    """
    until = asked + alone_s + min(LATE_S, alone_s)
    if joined is not None and met is not None and joined <= asked + JOINS_S:
        until = max(until, met + LEFT_S)
    return until


def since_boot() -> float:
    """Return the moment that it is now."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def born_at() -> float:
    """Return the moment at which this process was started."""
    with open("/proc/self/stat", "rb") as file:
        stat = file.read()
    ticks = int(stat[stat.rindex(b")") + 2 :].split()[19])
    return ticks / float(os.sysconf("SC_CLK_TCK"))


class Silence:
    """What a host knows of when it was heard, for one installation: the time of a file, which even a full disk keeps.

    Parameters
    ----------
    root : str
        The host's directory of ours.
    installation : str
        Who asks.
    boot : str
        The run of the machine.
    """

    def __init__(self, root: str, installation: str, boot: str) -> None:
        name = hashlib.sha256(installation.encode()).hexdigest()[:16]
        self.path = os.path.join(root, "asked", f"{name}-{boot}")
        self._born_at = born_at()

    def begin(self) -> None:
        """Make room for the note, before there is anything that needs it. Raises OSError where there is none."""
        home, name = os.path.split(self.path)
        os.makedirs(home, mode=0o700, exist_ok=True)
        if not os.path.exists(self.path):
            # Stamped before it has its name: a new file has the time of day, which is later than any moment.
            draft = os.path.join(home, f".{name}-{os.getpid()}")
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600))
            _stamp(draft, 0.0)
            os.rename(draft, self.path)

    def heard(self, moment: float) -> None:
        """Somebody heard the answer that was given at ``moment``. Raises OSError where that can't be noted."""
        known = self._heard_at()
        moment = min(moment, since_boot())
        if known is not None and moment >= known + NOTED_EVERY_S:
            _stamp(self.path, moment)

    def words(self, alone_s: float, run: str) -> str:
        """Return why an instance of this process must end now; empty while it need not.

        Parameters
        ----------
        alone_s : float
            Its ``orphan_timeout``.
        run : str
            Its run directory.
        """
        asked = max(self._born_at, self._heard_at() or 0.0)
        path = os.path.join(run, "met")
        now = since_boot()
        if now < lives_until(asked, alone_s, joined_at(path), stamp_of(path)):
            return ""
        return f"nobody who looks after it has heard of this host for {now - asked:.0f} s"

    def _heard_at(self) -> Optional[float]:  # noqa: UP045
        """Return the moment that is noted, 0 where it has yet to come; None without a note."""
        known = stamp_of(self.path)
        return known if known is None or known <= since_boot() else 0.0


def join(path: str) -> None:
    """Note that a worker is with its scheduler, for the first time. Raises OSError where that can't be noted."""
    with open(path, "w", encoding="ascii") as file:
        file.write(repr(since_boot()))
    _stamp(path, 0.0)


def meet(path: str, moment: float) -> None:
    """Note that a worker that has joined was with its scheduler at ``moment``."""
    _stamp(path, moment)


def joined_at(path: str) -> Any:
    """Return when a worker first was with its scheduler; None where it never was."""
    try:
        with open(path, encoding="ascii") as file:
            return float(file.read())
    except (OSError, ValueError):
        return None


def stamp_of(path: str) -> Any:
    """Return the moment that was noted; None where there is no note."""
    try:
        return os.stat(path).st_mtime_ns / 1e9
    except OSError:
        return None


def _stamp(path: str, moment: float) -> None:
    # No byte is written: this works where no block is free.
    os.utime(path, ns=(int(moment * 1e9), int(moment * 1e9)))
