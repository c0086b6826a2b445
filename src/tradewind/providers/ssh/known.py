"""What this installation remembers of hosts: where each order went, and what a host said last.

::

    <state>/ssh/
    ├── orders/<order>      the name of the one host that may have it; written before that host is asked
    └── hosts/<host>.json   what it said last: that is what is known of it while it doesn't answer
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEPT_S = 40 * 86400.0
"""Longer than any instance lives."""
SAVED_EVERY_S = 30.0


@dataclass(slots=True, kw_only=True)
class Known:
    """What a host said last."""

    answered_at: float = 0.0
    """POSIX, by our clock; 0: never."""
    skew_s: float = 0.0
    runs: dict[str, Any] = field(default_factory=dict)
    """Facts by handle, as its station says them."""


class Memory:
    """The directory, and what of it was read.

    Parameters
    ----------
    root : Path
        ``<state>/ssh``; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self._orders = root / "orders"
        self._hosts = root / "hosts"
        self._saved: dict[str, tuple[float, dict[str, Any]]] = {}

    def place(self, order: str, host: str) -> str:
        """Write down that ``host`` may have ``order``; return which one really may, where another was first."""
        path = self._orders / order
        draft = self._orders / f".{order}-{os.getpid()}-{time.monotonic_ns()}"
        self._orders.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_text(host)
        try:
            os.link(draft, path)
        except FileExistsError:
            return self.place_of(order) or host
        finally:
            draft.unlink()
        return host

    def place_of(self, order: str) -> str:
        """Return the host that may have an order; empty where none may."""
        try:
            return (self._orders / order).read_text()
        except FileNotFoundError:
            return ""

    def unplace(self, order: str) -> None:
        """Write down that nobody has it: it is certain that it was refused."""
        (self._orders / order).unlink(missing_ok=True)

    def load(self, host: str) -> Known:
        """Return what a host said last, perhaps to another process."""
        try:
            data = json.loads((self._hosts / f"{host}.json").read_text())
            return Known(answered_at=float(data["at"]), skew_s=float(data["skew_s"]), runs=dict(data["runs"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return Known()

    def save(self, host: str, known: Known) -> None:
        """Write down what is alive there, if that changed, or wasn't written for some time."""
        alive = {handle: facts for handle, facts in known.runs.items() if facts["alive"] and facts["exit"] is None}
        at, saved = self._saved.get(host, (0.0, {}))
        if saved == alive and (not alive or known.answered_at < at + SAVED_EVERY_S):
            return
        self._hosts.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._hosts / f".{host}-{os.getpid()}-{time.monotonic_ns()}"
        draft.write_text(json.dumps({"at": known.answered_at, "skew_s": known.skew_s, "runs": alive}))
        draft.replace(self._hosts / f"{host}.json")
        self._saved[host] = (known.answered_at, alive)

    def prune(self, now: float) -> None:
        """Forget where orders went that can't be alive any more."""
        try:
            with os.scandir(self._orders) as entries:
                old = [entry.path for entry in entries if entry.stat().st_mtime < now - KEPT_S]
        except FileNotFoundError:
            return
        for path in old:
            Path(path).unlink(missing_ok=True)
