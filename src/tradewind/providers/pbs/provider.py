"""The PBS provider: schedulers and workers are jobs of a cluster that this machine can submit to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tradewind.providers.batch.provider import BatchProvider
from tradewind.providers.pbs.queue import PbsQueue


class PbsProvider(BatchProvider):
    """Jobs of PBS, submitted from a login node; they run the Python that you are in.

    Parameters
    ----------
    settings : ProviderSettings
        Options: the table ``[pbs]`` of the settings.
    """

    name: ClassVar[str] = "pbs"

    @classmethod
    def dialect(cls, table: Mapping[str, Any]) -> PbsQueue:
        """See :meth:`BatchProvider.dialect`."""
        return PbsQueue(
            account=table.get("account"),
            project=table.get("project"),
            chunk=table.get("chunk"),
            torque=bool(table.get("torque", False)),
            directives=tuple(table.get("directives", ())),
            prologue=tuple(table.get("prologue", ())),
        )
