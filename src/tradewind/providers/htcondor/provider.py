"""The HTCondor provider: schedulers and workers are jobs of a pool that this machine can submit to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tradewind.providers.batch.provider import BatchProvider
from tradewind.providers.htcondor.queue import HtcondorQueue


class HtcondorProvider(BatchProvider):
    """Jobs of HTCondor, submitted from an access point; they run the Python that you are in.

    Only nodes that share this machine's files and users are used (its ``FILESYSTEM_DOMAIN``).

    Parameters
    ----------
    settings : ProviderSettings
        Options: the table ``[htcondor]`` of the settings.
    """

    name: ClassVar[str] = "htcondor"

    @classmethod
    def dialect(cls, table: Mapping[str, Any]) -> HtcondorQueue:
        """See :meth:`BatchProvider.dialect`."""
        return HtcondorQueue(
            accounting_group=table.get("accounting_group"),
            requirements=table.get("requirements"),
            disk=table.get("disk"),
            directives=tuple(table.get("directives", ())),
            prologue=tuple(table.get("prologue", ())),
        )
