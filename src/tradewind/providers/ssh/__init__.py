"""Clusters on hosts of your own, reached by SSH."""

from tradewind.providers.ssh.provider import SshProvider

__all__ = ["SshProvider"]
