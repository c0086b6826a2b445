"""What this installation remembers of hosts: where each order went, and what a host said last.

::

    <state>/ssh/
    ├── orders/<order>      the one host that may have it, and what it is; written before that host is asked
    └── hosts/<host>.json   what it said last: that is what is known of it while it doesn't answer
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tradewind.model.instance import Marks, Role

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An order that a host has, or may have."""

    host: str
    at: float
    """When it was placed; POSIX, by our clock."""
    marks: Marks | None = None
    """None of orders that an older version placed."""
    alone_s: float = 600.0
    """Its ``orphan_timeout``."""
    is_taken: bool = False
    """Whether the host has said that it has it."""


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
        self._read: dict[str, tuple[tuple[int, int], Placed | None]] = {}
        """Orders as they were read, with what tells that they are still the same."""

    def place(self, order: str, placed: Placed) -> str:
        """Write down which host may have ``order``; return which one really may, where another was first."""
        path = self._orders / order
        draft = self._draft(path, placed)
        try:
            os.link(draft, path)
        except FileExistsError:
            return self.place_of(order) or placed.host
        finally:
            draft.unlink()
        return placed.host

    def take(self, order: str, placed: Placed) -> None:
        """Write down that the host has said that it has it."""
        path = self._orders / order
        self._draft(path, replace(placed, is_taken=True)).replace(path)

    def _draft(self, path: Path, placed: Placed) -> Path:
        draft = path.with_name(f".{path.name}-{os.getpid()}-{time.monotonic_ns()}")
        self._orders.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_text(json.dumps(asdict(placed)))
        return draft

    def placed(self, order: str) -> Placed | None:
        """Return which host may have an order; None where none may."""
        path = self._orders / order
        try:
            text, at = path.read_text(), path.stat().st_mtime
        except FileNotFoundError:
            return None
        try:
            data = json.loads(text)
            marks = data["marks"]
            return Placed(**{**data, "marks": marks and Marks(**{**marks, "role": Role(marks["role"])})})
        except (ValueError, KeyError, TypeError):
            return Placed(host=text, at=at)  # an older version wrote the name alone

    def place_of(self, order: str) -> str:
        """Return the host that may have an order; empty where none may."""
        placed = self.placed(order)
        return placed.host if placed is not None else ""

    def placed_since(self, moment: float) -> dict[str, Placed]:
        """Return all orders that were placed after ``moment``, whichever process placed them.

        Each is read once, until another is in its place. May be called in any thread.
        """
        before = self._read
        found: dict[str, tuple[tuple[int, int], Placed | None]] = {}
        try:
            with os.scandir(self._orders) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    with suppress(FileNotFoundError):  # nobody has it any more
                        stat = entry.stat()
                        if stat.st_mtime > moment:
                            version = (stat.st_ino, stat.st_mtime_ns)
                            known = before.get(entry.name)
                            if known is None or known[0] != version:
                                known = version, self.placed(entry.name)
                            found[entry.name] = known
        except FileNotFoundError:
            return {}
        self._read = found
        return {name: placed for name, (_, placed) in found.items() if placed is not None}

    def unplace(self, order: str) -> None:
        """Write down that nobody has it: it is certain that it was refused."""
        (self._orders / order).unlink(missing_ok=True)

    def hosts(self) -> tuple[str, ...]:
        """Return the names of all hosts of which something is remembered."""
        return tuple(sorted(path.stem for path in self._hosts.glob("[!.]*.json")))

    def forget(self, host: str) -> None:
        """Remember nothing of a host."""
        (self._hosts / f"{host}.json").unlink(missing_ok=True)

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
        """Forget orders and hosts of which nothing can be alive any more."""
        for directory in (self._orders, self._hosts):
            try:
                with os.scandir(directory) as entries:
                    old = [entry.path for entry in entries if entry.stat().st_mtime < now - KEPT_S]
            except FileNotFoundError:
                continue
            for path in old:
                Path(path).unlink(missing_ok=True)
