"""A cluster in a terminal: a live display while it starts, then one line."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from tradewind.client.display.portrait import receipt_line
from tradewind.client.display.quiet import Quiet
from tradewind.model.usage import Receipt

if TYPE_CHECKING:
    from tradewind.client.cluster import Cluster

log = logging.getLogger("tradewind")

PATIENCE_S = 1.0
"""Nothing is drawn of a start that is over before one could read it; so that start doesn't pay for drawing either."""
FRAME_S = 0.2


class Terminal(Quiet):
    """Draws on standard error, so that what a program prints can still be piped."""

    def __init__(self, cluster: Cluster, stream: TextIO) -> None:
        super().__init__(cluster)
        self._stream = stream

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Draw the start while the block runs, and leave one line."""
        done = threading.Event()
        # Not on Dask's loop: a slow terminal must not hold up the start that it shows.
        drawing = threading.Thread(target=self._draw, args=(done,), name="tradewind display", daemon=True)
        drawing.start()
        try:
            yield
        finally:
            done.set()
            drawing.join(timeout=2)
        self._say(self._up_line())

    def _draw(self, done: threading.Event) -> None:
        if done.wait(PATIENCE_S):
            return
        from tradewind.client.display.live import Drawing  # rich takes a while to import

        try:
            with Drawing(self._stream) as drawing:
                while not done.is_set():
                    self._look()
                    drawing.draw(self._cluster.name, self._portrait(), self._session.doing)
                    done.wait(FRAME_S)
        except Exception:
            log.warning("The start of cluster %r can't be drawn; it goes on.", self._cluster.name, exc_info=True)

    def _look(self) -> None:
        view = self._session.view
        if view is not None and view.revision != self._read_at_revision:
            reading = asyncio.run_coroutine_threadsafe(self._read_journal(view), self._cluster.loop.asyncio_loop)
            with suppress(TimeoutError):
                reading.result(timeout=1)

    def _say(self, line: str) -> None:
        log.info("%s", line)
        with suppress(OSError, ValueError):  # the terminal was closed before us
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def _say_receipt(self, receipt: Receipt) -> None:
        if not receipt.total.money:
            self._say(receipt_line(receipt))
            return
        from tradewind.client.display.live import receipt_table

        self._say(receipt_table(receipt, self._stream))
