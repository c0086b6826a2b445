"""The Grid Engine provider: schedulers and workers are tasks of array jobs that this machine can submit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tradewind.providers.batch.provider import BatchProvider
from tradewind.providers.sge.queue import SgeQueue


class SgeProvider(BatchProvider):
    """Jobs of Grid Engine, submitted from a submit host; they run the Python that you are in.

    Nothing in Grid Engine takes back what waits for somebody who is gone, so what starts looks whether anybody is
    there before it does anything, and takes back the rest where nobody is.

    Parameters
    ----------
    settings : ProviderSettings
        Options: the table ``[sge]`` of the settings.
    """

    name: ClassVar[str] = "sge"

    @classmethod
    def dialect(cls, table: Mapping[str, Any]) -> SgeQueue:
        """See :meth:`BatchProvider.dialect`."""
        return SgeQueue(
            project=table.get("project"),
            parallel_environment=table.get("parallel_environment"),
            memory_resource=table.get("memory_resource"),
            gpu_resource=table.get("gpu_resource"),
            directives=tuple(table.get("directives", ())),
            prologue=tuple(table.get("prologue", ())),
        )
