"""What a person sees of a cluster while it starts, lives and ends."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tradewind.client.display.quiet import Quiet

if TYPE_CHECKING:
    from tradewind.client.cluster import Cluster

__all__ = ["Quiet", "display_for"]


def display_for(cluster: Cluster, *, shown: bool) -> Quiet:
    """Return what shows ``cluster``: in a notebook, in a terminal, or only in the log.

    Parameters
    ----------
    cluster : Cluster
        May be not started yet.
    shown : bool
        Whether it is shown unasked. A notebook shows it in any case where it is the value of a cell.
    """
    shell = _kernel_shell()
    # Imported only where it shows something: scripts and workers pay nothing for it.
    if shell is not None:
        from tradewind.client.display.notebook import Notebook

        return Notebook(cluster, shell, shown=shown)
    if shown and sys.stderr is not None and sys.stderr.isatty():
        from tradewind.client.display.terminal import Terminal

        return Terminal(cluster, sys.stderr)
    return Quiet(cluster)


def _kernel_shell() -> Any:
    """Return the shell of the Jupyter kernel we run in, or None."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None
