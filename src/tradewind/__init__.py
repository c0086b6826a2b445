"""Ephemeral Dask clusters that are metered, recorded and end by themselves.

>>> from tradewind import Cluster
>>> cluster = Cluster(n_workers=2)
>>> client = cluster.get_client()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradewind.client.cluster import Cluster

__version__ = "0.2.0"
__all__ = ["Cluster", "__version__"]

_DOORS = {"Cluster": "tradewind.client.cluster"}
"""Imported on first use: Dask takes most of a second to import, and a command in a terminal may not need it."""


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return getattr(importlib.import_module(_DOORS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
