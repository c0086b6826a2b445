"""The LSF provider: schedulers and workers are jobs of a cluster that this machine can submit to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tradewind.providers.batch.provider import BatchProvider
from tradewind.providers.lsf.queue import LsfQueue


class LsfProvider(BatchProvider):
    """Jobs of LSF, submitted from a login node; they run the Python that you are in.

    Parameters
    ----------
    settings : ProviderSettings
        Options: the table ``[lsf]`` of the settings.
    """

    name: ClassVar[str] = "lsf"

    @classmethod
    def dialect(cls, table: Mapping[str, Any]) -> LsfQueue:
        """See :meth:`BatchProvider.dialect`."""
        return LsfQueue(
            project=table.get("project"),
            select=table.get("select"),
            directives=tuple(table.get("directives", ())),
            prologue=tuple(table.get("prologue", ())),
        )
