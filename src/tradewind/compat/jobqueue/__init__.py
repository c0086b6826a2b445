"""dask-jobqueue's classes and keywords, and its ``jobqueue.yaml``, on Tradewind's own clusters.

>>> from tradewind.compat.jobqueue import SLURMCluster
>>> cluster = SLURMCluster(queue="main", cores=4, memory="16 GB")
>>> cluster.scale(jobs=10)
"""

from tradewind.compat.jobqueue.cluster import (
    HTCondorCluster,
    JobQueueCluster,
    LSFCluster,
    NotTaken,
    PBSCluster,
    SGECluster,
    SLURMCluster,
)
from tradewind.compat.jobqueue.refused import LocalCluster, MoabCluster, OARCluster, SLURMRunner

__all__ = [
    "HTCondorCluster",
    "JobQueueCluster",
    "LSFCluster",
    "LocalCluster",
    "MoabCluster",
    "NotTaken",
    "OARCluster",
    "PBSCluster",
    "SGECluster",
    "SLURMCluster",
    "SLURMRunner",
]
