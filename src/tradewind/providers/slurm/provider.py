"""The Slurm provider: schedulers and workers are jobs of a cluster that this machine can submit to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tradewind.providers.batch.provider import BatchProvider
from tradewind.providers.slurm.queue import SlurmQueue


class SlurmProvider(BatchProvider):
    """Jobs of Slurm, submitted from a login node; they run the Python that you are in.

    The scheduler is a job like the workers, so nothing depends on the machine that asked for them: when nobody looks
    after the cluster for its orphan timeout, its scheduler ends and takes back what still waits.

    Parameters
    ----------
    settings : ProviderSettings
        Options: the table ``[slurm]`` of the settings.
    """

    name: ClassVar[str] = "slurm"

    @classmethod
    def dialect(cls, table: Mapping[str, Any]) -> SlurmQueue:
        """See :meth:`BatchProvider.dialect`."""
        return SlurmQueue(
            account=table.get("account"),
            qos=table.get("qos"),
            constraint=table.get("constraint"),
            directives=tuple(table.get("directives", ())),
            prologue=tuple(table.get("prologue", ())),
        )
