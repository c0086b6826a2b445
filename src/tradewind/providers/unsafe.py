"""What no cluster may be asked for, wherever it runs: what would go on without end, and what would undo its safety."""

from __future__ import annotations

import os
from collections.abc import Set

from tradewind.errors import BadRequest
from tradewind.host.bare.ground import VARIABLE
from tradewind.model.cluster import ClusterSpec

OURS = frozenset({"security", "host", "interface", "protocol", "name", "nanny"})
"""Options of Dask's scheduler and workers that are set for every cluster."""
ADDRESSES = frozenset({"contact_address", "dashboard_address"})
"""The same where others than this machine must find them."""


def refuse_from_a_worker() -> None:
    """Raise BadRequest where this program is an instance of a cluster itself."""
    if VARIABLE in os.environ:
        raise BadRequest(
            "this program is a worker of a cluster itself, and would start clusters without end if a task's "
            "module did: write Cluster(...) below `if __name__ == '__main__':`, or take get_client() in a task"
        )


def refuse_options(spec: ClusterSpec, ours: Set[str], where: str) -> None:
    """Raise BadRequest for options that are set already; ``where`` says of which clusters."""
    taken = sorted(ours & {*spec.worker_options, *spec.scheduler_options})
    if taken:
        raise BadRequest(f"{', '.join(taken)} can't be set for clusters {where}: Tradewind sets it; leave it out")
