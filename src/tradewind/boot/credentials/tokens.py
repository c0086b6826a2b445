"""Tokens that libraries read from a variable: the caller's, under the same name."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from tradewind.boot.credentials.grant import Caller, CantForward, Grant
from tradewind.model.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """Any variable the caller names."""

    variable: str

    @property
    def name(self) -> str:
        """The variable's own."""
        return self.variable

    def find(self, caller: Caller) -> str | None:
        """Return the variable, if it says something."""
        return self.variable if caller.variable(self.variable) else None

    def grant(self, caller: Caller, now: datetime) -> Grant:
        """Return its value as it is now."""
        value = caller.variable(self.variable)
        if value is None:
            raise CantForward(f"the variable {self.variable} isn't set: set it before the cluster is started.")
        return as_variables(self.name, {self.variable: value}, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arraylake:
    """A token of Arraylake: ``ARRAYLAKE_TOKEN``, or what ``arraylake auth login`` left."""

    @property
    def name(self) -> str:
        """As the caller says it."""
        return "arraylake"

    def find(self, caller: Caller) -> str | None:
        """Return where it is."""
        if caller.variable("ARRAYLAKE_TOKEN"):
            return "ARRAYLAKE_TOKEN"
        file = caller.home / ".arraylake" / "token.json"
        return "~/.arraylake/token.json" if file.is_file() else None

    def grant(self, caller: Caller, now: datetime) -> Grant:
        """Return it. Of a sign-in, only what opens the doors until it ends: not what would renew it."""
        if given := caller.variable("ARRAYLAKE_TOKEN"):
            return as_variables(self.name, {"ARRAYLAKE_TOKEN": given}, now=now)
        try:
            token = json.loads((caller.home / ".arraylake" / "token.json").read_text(encoding="utf-8"))["access_token"]
            ends = expiry_of(token)
        except (OSError, ValueError, KeyError, TypeError):
            raise CantForward("nobody is signed in to Arraylake: `arraylake auth login`.") from None
        if ends is not None and ends <= now:
            raise CantForward(f"the sign-in to Arraylake ended at {ends:%H:%M} UTC: `arraylake auth login`.")
        return as_variables(self.name, {"ARRAYLAKE_TOKEN": token}, now=now, expires_at=ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanetaryComputer:
    """A subscription key of the Planetary Computer.

    Its library asks for signatures (SAS) of some minutes with it, and asks again by itself, on the machine that reads.
    """

    @property
    def name(self) -> str:
        """As the caller says it."""
        return "planetary-computer"

    def find(self, caller: Caller) -> str | None:
        """Return where it is."""
        if caller.variable(SUBSCRIPTION):
            return SUBSCRIPTION
        return "~/.planetarycomputer/settings.env" if _subscription(caller) else None

    def grant(self, caller: Caller, now: datetime) -> Grant:
        """Return it."""
        key = caller.variable(SUBSCRIPTION) or _subscription(caller)
        if not key:
            raise CantForward(
                f"no key of the Planetary Computer: set {SUBSCRIPTION}, or leave it out (most needs none)."
            )
        return as_variables(self.name, {SUBSCRIPTION: key}, now=now)


SUBSCRIPTION = "PC_SDK_SUBSCRIPTION_KEY"


def _subscription(caller: Caller) -> str | None:
    try:
        lines = (caller.home / ".planetarycomputer" / "settings.env").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    said = dict(line.split("=", 1) for line in lines if "=" in line)
    return said.get(SUBSCRIPTION, "").strip().strip("'\"") or None


def as_variables(name: str, values: dict[str, str], *, now: datetime, expires_at: datetime | None = None) -> Grant:
    """Return a grant of variables."""
    secrets = {variable: Secret(value) for variable, value in values.items()}
    return Grant(name=name, door="variables", secrets=secrets, issued_at=now, expires_at=expires_at)


def expiry_of(token: str) -> datetime | None:
    """Return when a JSON web token says that it ends; None where it doesn't say, or isn't one."""
    try:
        claims = token.split(".")[1]
        ends = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]
        return datetime.fromtimestamp(ends, UTC)
    except (IndexError, ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
