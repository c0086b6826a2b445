"""Clusters as jobs of HTCondor."""

from tradewind.providers.htcondor.provider import HtcondorProvider

__all__ = ["HtcondorProvider"]
