"""What dask-jobqueue has and Tradewind has not: each says why, and what would do."""

from __future__ import annotations

from typing import Any, ClassVar

from tradewind.errors import BadRequest


class _Refused:
    """Raises when it is called."""

    _why: ClassVar[str]

    def __init__(self, *args: Any, **keywords: Any) -> None:
        raise BadRequest(f"{type(self).__name__} has nothing to stand on here: {self._why}")


class OARCluster(_Refused):
    """OAR isn't among the systems that Tradewind speaks."""

    _why = "OAR isn't among the systems that Tradewind speaks; dask-jobqueue's own class still works beside it"


class MoabCluster(_Refused):
    """Moab isn't among the systems that Tradewind speaks."""

    _why = (
        "Moab only plans, and the jobs are Torque's or Slurm's: where qsub or sbatch works too, write PBSCluster(…) or "
        "SLURMCluster(…) with the same keywords"
    )


class LocalCluster(_Refused):
    """dask-jobqueue's local class is for its own tests."""

    _why = "for processes of this machine write tradewind.Cluster(provider='local')"


class SLURMRunner(_Refused):
    """A runner starts all roles inside one allocation, which Tradewind doesn't."""

    _why = (
        "a runner makes a cluster of one allocation that is there already, and Tradewind asks for its own: write "
        "SLURMCluster(…) in a program of its own, whose workers start as there is room for each"
    )
