"""Variables that travel from the caller to the workers and are kept nowhere on the way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from distributed.diagnostics.plugin import WorkerPlugin


class PrivateEnvironment(WorkerPlugin):
    """Sets variables on every worker, those that come later included."""

    name = "tradewind-private-environment"

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)

    def setup(self, worker: Any) -> None:
        """Set them; Dask calls this on each worker."""
        os.environ.update(self._variables)

    def __repr__(self) -> str:
        return f"PrivateEnvironment({', '.join(f'{name}=***' for name in self._variables)})"
