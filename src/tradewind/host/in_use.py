"""The mark that says to all hosts which see an environment that a process runs of it, so that nobody removes it."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from tradewind.host.bare.ground import birth_of, machine_boot, write

MARKER = "environment.json"
USERS = ".users"
# As the program that makes environments calls them; it isn't imported here, since each worker would wait for that.
RENEWED_S = 600.0
"""A sixth of the time for which a mark counts."""


class InUse:
    """A mark of this process, for as long as it lives; none where its Python isn't one that was made for clusters.

    Parameters
    ----------
    prefix : Path
        Directory of the environment.
    """

    def __init__(self, prefix: Path) -> None:
        boot = machine_boot()
        name = f"{socket.gethostname()}-{boot[:8]}-{os.getpid()}"
        self._path = prefix.with_name(prefix.name + USERS) / name if (prefix / MARKER).exists() else None
        birth = (birth_of(os.getpid(), boot) or "").rpartition(":")[2]
        self._text = json.dumps({"host": socket.gethostname(), "boot": boot, "pid": os.getpid(), "birth": birth})
        self._renewed_at: float | None = None

    def renew(self) -> None:
        """Write the mark, if it is time; a disk that is full or gone is told by what really needs it."""
        if self._path is None or (self._renewed_at is not None and time.monotonic() - self._renewed_at < RENEWED_S):
            return
        self._renewed_at = time.monotonic()
        with suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            write(str(self._path), self._text)

    def end(self) -> None:
        """Remove the mark."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()
