"""Clusters as jobs of IBM Spectrum LSF."""

from tradewind.providers.lsf.provider import LsfProvider

__all__ = ["LsfProvider"]
