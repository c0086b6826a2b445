"""A cluster in a notebook: below the cell that started it, and wherever it is the value of a cell.

What is shown is HTML under a display id, which Jupyter changes in place, also after its cell has ended; where
ipywidgets is installed, the value of a cell has controls besides. At the end plain HTML is left, so that a saved
notebook shows the receipt and not a widget whose kernel is gone.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tradewind.client.display.quiet import Quiet
from tradewind.model.events import Event
from tradewind.model.usage import Receipt
from tradewind.model.views import ClusterView

if TYPE_CHECKING:
    from tradewind.client.cluster import Cluster

FRAME_S = 0.25


class Notebook(Quiet):
    """Shows it in every place where it was asked for, until it ends."""

    def __init__(self, cluster: Cluster, shell: Any, *, shown: bool) -> None:
        super().__init__(cluster)
        self._shell = shell
        self._shown = shown
        self._places: dict[str, int] = {}
        """Display ids, and the number of the cell each stands below."""
        self._plain: set[str] = set()
        """Those of the places that show HTML; the others hold the widget, which is changed by itself."""
        self._controls: Any = None
        self._text = ""

    @property
    def looks_every_s(self) -> float:  # type: ignore[override]  # a class's constant there
        """Each second where somebody may be looking."""
        return 1.0 if self._places else Quiet.looks_every_s

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Show the start below the present cell, and go on showing it there."""
        if not self._shown:
            with super().starting():
                yield
            return
        self._place({"text/plain": f"Cluster {self._cluster.name}", "text/html": self.html()}, plain=True)
        # This thread is about to be blocked, so the loop's own shows it.
        ticking = asyncio.run_coroutine_threadsafe(self._tick(), self._cluster.loop.asyncio_loop)
        try:
            yield
        except BaseException:
            self._refused = not self._session.exists
            self._redraw()
            raise
        finally:
            ticking.cancel()
        self._redraw()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(FRAME_S)
            if self._session.view is not None:
                await self.update(self._session.view)

    def widget(self) -> Any:
        """Return the live widget with its controls; None where ipywidgets isn't installed, or it has ended."""
        if self._controls is None and not self._over:
            try:
                from tradewind.client.display.controls import Controls
            except ImportError:
                return None
            self._controls = Controls(self._cluster, self.html())
        return self._controls.box if self._controls is not None and not self._over else None

    def show_here(self) -> None:
        """Show it as the value of the present cell; in the cell that started it, instead of what is there."""
        widget = self.widget()
        bundle = {"text/plain": repr(self._cluster), "text/html": self.html()}
        if widget is not None:
            bundle = {**widget._repr_mimebundle_(), **bundle}
        self._place(bundle, plain=widget is None)

    def _place(self, bundle: dict[str, Any], *, plain: bool) -> None:
        cell = self._shell.execution_count
        there = next((place for place, number in self._places.items() if number == cell), None)
        place = there or f"tradewind-{secrets.token_hex(6)}"
        self._places[place] = cell
        if plain:
            self._plain.add(place)
        else:
            self._plain.discard(place)
        self._publish(place, bundle, update=there is not None)

    def _publish(self, place: str, bundle: dict[str, Any], *, update: bool) -> None:
        self._shell.display_pub.publish(data=bundle, metadata={}, transient={"display_id": place}, update=update)

    def _show(self, view: ClusterView) -> None:
        self._redraw()

    def _redraw(self) -> None:
        text = self.html()
        if text == self._text:
            return  # a page that is drawn anew under the mouse loses its clicks
        self._text = text
        if self._controls is not None:
            self._controls.show(text)
        for place in list(self._plain):
            self._publish(place, {"text/plain": repr(self._cluster), "text/html": text}, update=True)

    def lost(self, why: str) -> None:
        """Say so in the log only where no place shows it."""
        if not self._places:
            super().lost(why)

    def passed(self, step: Event) -> None:
        """Say so in the log only where no place shows it."""
        if not self._places:
            super().passed(step)

    async def closed(self, receipt: Receipt | None) -> None:
        """Leave the last state and the receipt in every place, as plain HTML."""
        self._plain.update(self._places)
        await super().closed(receipt)
        if self._controls is not None:
            self._controls.close()
            self._controls = None

    def _say_receipt(self, receipt: Receipt) -> None:
        if not self._places:
            super()._say_receipt(receipt)
