"""What a person sees of a cluster while it starts, lives and ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tradewind.model.usage import Receipt
from tradewind.model.views import ClusterView

if TYPE_CHECKING:
    from tradewind.client.cluster import Cluster


class Quiet:
    """Shows nothing."""

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Show the start while the block runs."""
        yield

    def update(self, view: ClusterView) -> None:
        """Show how it is now."""

    def closed(self, receipt: Receipt) -> None:
        """Show what it cost."""


def display_for(cluster: Cluster, *, shown: bool) -> Quiet:
    """Return what shows ``cluster``."""
    return Quiet()
