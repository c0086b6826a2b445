"""Clusters as jobs of PBS: OpenPBS, PBS Professional and Torque."""

from tradewind.providers.pbs.provider import PbsProvider

__all__ = ["PbsProvider"]
