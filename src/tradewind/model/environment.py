"""The software a cluster runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What was installed where the cluster was asked for."""

    python: str
    """Version, as ``3.11.7``."""
    platform: str
    """As ``linux-x86_64``."""
    packages: tuple[tuple[str, str], ...]
    """Pairs of normalised name and version, sorted."""
    content_hash: str
    """sha256 over the three above, hex: two clusters with the same hash ran the same versions."""
