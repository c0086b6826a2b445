"""The line to a host of the inventory, whose station tells of the runs there and begins what may be ordered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from tradewind.boot import restore
from tradewind.boot.process import Software
from tradewind.config import SshHost
from tradewind.host.bare import program
from tradewind.line import Line, Places, Silent, Station
from tradewind.providers.ssh.sight import nonsense

logger = logging.getLogger("tradewind.ssh")

AHEAD_S = 900.0
"""How long a step may take of what is made before anything is ordered."""


class HostLine(Line):
    """A line that knows of runs.

    Parameters
    ----------
    host : SshHost
        From the inventory.
    places : Places
        Where the keys of known hosts and the user's SSH settings stand.
    poke : callable
        Called when something may have changed on the host.
    """

    def __init__(self, host: SshHost, places: Places, poke: Callable[[], None]) -> None:
        super().__init__(host, places, poke, table="[[ssh.hosts]]", text=program(), head={"as": "station"})
        self._runs: dict[str, Any] = {}
        """The facts of each run directory, as ``_teller`` has said them."""
        self._teller: Station | None = None
        self._heard: Any = None
        """Which answer to a look was heard last, in the host's words."""

    async def look(self, within: float, installation: str) -> dict[str, Any]:
        """Return the facts of all runs there, by handle; what ``installation`` has there lives on by it. Raises Silent.

        It isn't the question that keeps it alive, but the word which answer was heard: see
        :mod:`tradewind.host.bare.silence`.
        """
        question = {"heard": self._heard, "installation": installation}
        station, answer = await self.exchange("list", within, question)
        if "error" in answer:
            raise Silent(f"{self.host.name} can't read its records: {answer['error']}")
        if "at" not in answer or not isinstance(answer.get("runs"), dict):
            raise self.distrust(station)
        self._heard = answer["at"]
        if station is not self._teller:
            self._teller, self._runs = station, {}
        for handle, facts in answer["runs"].items():
            # It says what changed since it was asked last; another station says everything.
            self._runs.pop(handle, None)
            if facts is None:
                continue
            if why := nonsense(facts):
                logger.warning("%s says something of run %s that makes no sense: %s", self.host.name, handle, why)
                continue
            self._runs[handle] = facts
        return self._runs

    async def begin(self, software: Software) -> None:
        """Have the host begin to make what needs no file from here; where it can't, its order will say so."""
        base = software.environment.content_hash
        order = restore.order(software.environment, files={}, base=base, task="ahead", timeout_s=AHEAD_S)
        try:
            answer = await self.ask("ahead", program=restore.program(), order=order)
        except Silent as silent:
            logger.debug("nothing is made ahead: %s", silent)
            return
        if "error" in answer:
            logger.debug("nothing is made ahead on %s: %s", self.host.name, answer["error"])
