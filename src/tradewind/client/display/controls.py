"""The widget of a notebook: how it is, and two forms to change its size. Imports ipywidgets, which may be missing."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from ipywidgets import HTML, Accordion, Button, HBox, IntText, Layout, VBox

from tradewind.errors import TradewindError

if TYPE_CHECKING:
    from tradewind.client.cluster import Cluster

NARROW = Layout(width="150px")


class Controls:
    """A box of widgets for one cluster."""

    def __init__(self, cluster: Cluster, text: str) -> None:
        self._cluster = cluster
        scaling = (
            cluster._session.spec.scaling if not cluster._session.exists else cluster._session.record.intent.scaling
        )
        self._status = HTML(text, layout=Layout(width="100%"))
        self._answer = HTML("")
        self._workers = IntText(scaling.initial, description="Workers", layout=NARROW)
        self._minimum = IntText(scaling.minimum, description="Minimum", layout=NARROW)
        self._maximum = IntText(max(scaling.maximum, 1), description="Maximum", layout=NARROW)
        scale = self._button("Scale", "Set the number of workers", self._scale)
        adapt = self._button("Adapt", "Let the number of workers follow the work", self._adapt)
        forms = Accordion(
            [HBox([self._workers, scale]), HBox([self._minimum, self._maximum, adapt])],
            titles=("Scale by hand", "Scale with the work"),
            selected_index=None,
            layout=Layout(max_width="572px"),
        )
        self.box = VBox([self._status, forms, self._answer])

    def show(self, text: str) -> None:
        """Show how it is now."""
        self._status.value = text

    def close(self) -> None:
        """Take the widgets back; what shows them goes blank, so replace it first."""
        for widget in (self._status, self._answer, self.box):
            widget.close()

    def _button(self, word: str, hint: str, clicked: Callable[[], Any]) -> Any:
        button = Button(description=word, tooltip=hint, layout=Layout(width="100px"))
        button.on_click(lambda _: self._try(clicked))
        return button

    def _scale(self) -> Any:
        return self._cluster.scale(self._workers.value)

    def _adapt(self) -> Any:
        return self._cluster.adapt(minimum=self._minimum.value, maximum=self._maximum.value)

    def _try(self, act: Callable[[], Any]) -> None:
        try:
            answer = act()
        except TradewindError as error:
            self._answer.value = escape(str(error))
            return
        if inspect.isawaitable(answer):
            self._waiting = asyncio.ensure_future(answer)
        self._answer.value = ""
