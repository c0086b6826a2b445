"""Clusters as jobs of Grid Engine."""

from tradewind.providers.sge.provider import SgeProvider

__all__ = ["SgeProvider"]
