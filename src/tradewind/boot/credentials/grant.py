"""What is handed to a cluster for one name, and the caller it is taken from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from tradewind.errors import TradewindError
from tradewind.model.secret import Secret

SHORTEST_REST = timedelta(seconds=60)
"""Between two renewals, at least: who asks an identity provider more often is soon refused."""


class CantForward(TradewindError):
    """Credentials can't be had where they were looked for; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a cluster may use of the caller's, for one name. Its repr shows names alone."""

    name: str
    """As the caller says it: "aws", "earthdata", "MY_TOKEN"."""
    door: str
    """How a machine's libraries get it; one of :data:`tradewind.boot.credentials.doors.DOORS`."""
    secrets: Mapping[str, Secret]
    plain: Mapping[str, str] = field(default_factory=dict)
    """What goes with them and isn't secret, as a region."""
    issued_at: datetime
    expires_at: datetime | None = None
    """None doesn't end by itself."""

    def renew_at(self) -> datetime | None:
        """Return when it should be renewed: at half of its life. None is never."""
        if self.expires_at is None:
            return None
        return self.issued_at + max((self.expires_at - self.issued_at) / 2, SHORTEST_REST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Where the caller's own credentials are looked for."""

    environ: Mapping[str, str]
    home: Path

    @classmethod
    def here(cls) -> Caller:
        """Return the caller that this process is."""
        return cls(environ=os.environ, home=Path.home())

    def variable(self, *names: str) -> str | None:
        """Return the first of these variables that says something."""
        return next((text for name in names if (text := self.environ.get(name, "").strip())), None)

    def file(self, variable: str, *below_home: str) -> Path:
        """Return the file a variable names, or else the usual one."""
        named = self.variable(variable)
        return Path(named).expanduser() if named else self.home.joinpath(*below_home)


class Source(Protocol):
    """One kind of credentials a caller may have."""

    @property
    def name(self) -> str:
        """As the caller says it."""

    def find(self, caller: Caller) -> str | None:
        """Return where they are, in words for the caller, or None. Quick: reads no network and runs nothing."""

    def grant(self, caller: Caller, now: datetime) -> Grant:
        """Return what a cluster may use, as short-lived as can be had. May take seconds.

        Raises
        ------
        CantForward
            There is nothing, or whoever issues it refuses.
        """
