"""Clusters as jobs of Slurm."""

from tradewind.providers.slurm.provider import SlurmProvider

__all__ = ["SlurmProvider"]
