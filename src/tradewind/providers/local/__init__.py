"""Clusters out of processes of this machine."""

from tradewind.providers.local.provider import LocalProvider

__all__ = ["LocalProvider"]
