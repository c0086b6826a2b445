"""What a machine says while it gets ready: one JSON object a line."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tradewind.boot.restore.addresses import without_passwords


class CantRestore(Exception):
    """The machine can't be made ready; the message is a sentence for the user."""

    def __init__(self, code: str, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.detail = detail


class Report:
    """Says on standard output how far it is, and to those who wait for the same, in a file."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.progress = ""
        """A file for those who wait; empty: nobody can."""

    def say(self, **facts: object) -> None:
        """Write one line."""
        line = without_passwords(json.dumps(facts))
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        if self.progress:
            with suppress(OSError):  # who waits sees less
                written = f"{self.progress}.{os.getpid()}"
                with open(written, "w", encoding="utf-8") as file:
                    file.write(line)
                os.replace(written, self.progress)

    @contextmanager
    def step(self, name: str, of: int = 0) -> Iterator[None]:
        """Say that a step begins and that it is done, and count its seconds."""
        self.say(step=name, done=0, of=of)
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0) + time.monotonic() - began, 3)
        self.say(step=name, done=of, of=of)
