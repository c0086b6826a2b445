"""What ``adapt`` answers in asynchronous code."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any

from tradewind.model.cluster import Scaling


class Adapting:
    """The bounds at once, and awaitable until the engine has them.

    Dask's extension for JupyterLab reads the bounds without awaiting anything, so the change must go its way by itself.
    """

    def __init__(self, scaling: Scaling, change: Coroutine[Any, Any, Scaling]) -> None:
        self.minimum = scaling.minimum
        self.maximum = scaling.maximum
        self._change = asyncio.ensure_future(change)

    def __await__(self) -> Generator[Any, None, Scaling]:
        return self._change.__await__()
