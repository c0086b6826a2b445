"""What workers on one host must hear of another: where their scheduler listens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict

from tradewind.line import Line, Silent
from tradewind.model.instance import ObservedInstance, Role
from tradewind.providers.ssh.sight import host_of

logger = logging.getLogger("tradewind.ssh")


class News:
    """Tells hosts, each once, where schedulers came up after their workers were launched.

    Parameters
    ----------
    lines : mapping
        By the host's name.
    """

    def __init__(self, lines: Mapping[str, Line]) -> None:
        self._lines = lines
        self._told: dict[tuple[str, str], str] = {}
        """Which scheduler's address each host was told, by host and cluster."""

    async def tell(self, seen: Sequence[ObservedInstance], silent: Container[str]) -> None:
        """Tell those who must hear of what was ``seen``; hosts that are ``silent`` are told when they answer."""
        contacts = {o.marks.cluster: o for o in seen if o.contact is not None and o.status.is_live}
        news = {
            (host, o.marks.cluster)
            for o in seen
            if o.status.is_live and o.marks.role is Role.WORKER and o.marks.cluster in contacts
            if (host := host_of(o.handle)) != host_of(contacts[o.marks.cluster].handle)
            if host in self._lines and host not in silent
        }
        await asyncio.gather(*(self._tell(host, contacts[cluster]) for host, cluster in news))

    async def _tell(self, host: str, scheduler: ObservedInstance) -> None:
        cluster, contact = scheduler.marks.cluster, scheduler.contact
        if contact is None or self._told.get((host, cluster)) == contact.scheduler:
            return
        words = {**asdict(contact), "order": scheduler.marks.order}
        try:
            answer = await self._lines[host].ask("announce", cluster=cluster, contact=words)
        except Silent as still:
            logger.info("%s wasn't told where the scheduler of %s is: %s", host, cluster, still)
            return
        if "error" not in answer:
            self._told[host, cluster] = contact.scheduler
