"""A way to an OpenID provider and back: apart from the libraries that speak to one, which few servers need."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """One person's way to the provider and back; it travels in a cookie of their browser alone."""

    url: str
    """Where to send the browser."""
    state: str
    nonce: str
    verifier: str
