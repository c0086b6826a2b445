"""The Slurm provider: schedulers and workers are jobs of a cluster that this machine can submit to."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar, Self, cast

from tradewind.errors import NotSetUp
from tradewind.providers.base import ProviderSettings
from tradewind.providers.batch.letters import Habits
from tradewind.providers.batch.offers import Choices
from tradewind.providers.batch.provider import BatchProvider
from tradewind.providers.batch.runner import Runner
from tradewind.providers.slurm.queue import PROGRAMS, SlurmQueue

PRINTS = {"SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}
"""Times as seconds since 1970, since Slurm's own form has no zone; and no list of array indices cut short."""


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

    def __init__(self, settings: ProviderSettings) -> None:
        table = cast("dict[str, Any]", settings.options)
        queue = SlurmQueue(
            account=table.get("account"),
            qos=table.get("qos"),
            constraint=table.get("constraint"),
            directives=tuple(table.get("directives", ())),
            prologue=tuple(table.get("prologue", ())),
        )
        price = table.get("price_per_su")
        choices = Choices(
            provider=self.name,
            partitions=tuple(table.get("partitions", ())),
            cpus=table.get("cores"),
            memory=table.get("memory"),
            price_per_su=None if price is None else Decimal(str(price)),
            currency=str(table.get("currency", "USD")),
        )
        walltime: timedelta | None = table.get("walltime")
        habits = Habits(
            walltime=walltime, interface=table.get("interface") or "", scratch=str(table.get("scratch") or "")
        )
        super().__init__(settings, queue=queue, runner=Runner(PRINTS), choices=choices, habits=habits)

    @classmethod
    def from_settings(cls, settings: ProviderSettings) -> Self:
        """Return the provider; asks nothing yet.

        Raises
        ------
        NotSetUp
            This machine has no Slurm commands.
        """
        missing = [program for program in PROGRAMS if shutil.which(program) is None]
        if missing:
            where = os.environ.get("PATH", "")
            raise NotSetUp(
                f"{', '.join(missing)} isn't on this machine's PATH ({where}): run this on a login node of the "
                "cluster, or load the module that has Slurm's commands"
            )
        return cls(settings)
