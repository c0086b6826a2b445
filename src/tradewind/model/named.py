"""Software that a workspace gave a name, so that many clusters run the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tradewind.model.environment import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEnvironment:
    """One version. What it holds never changes; another content is another version."""

    workspace: str
    name: str
    version: int
    """Counts from 1; the number of a deleted one is never given again."""
    created_at: datetime
    created_by: str
    """Name of a user."""
    content_hash: str
    """See :func:`content_of`; the same content twice in a row is one version."""
    environments: tuple[Environment, ...] = ()
    """One for each platform, the usual one first; empty where it is an image, or was deleted."""
    image: str = ""
    """Of a container, as ``ghcr.io/lab/climate:2``, in place of packages; for providers that run containers."""
    source: str = ""
    """Name of the file it was made from; empty: of the Python of who made it."""
    note: str = ""
    """What its maker said of it."""
    deleted_at: datetime | None = None

    @property
    def reference(self) -> str:
        """The name with the version, as ``climate@3``."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentVersion:
    """A line about one version: all but its packages."""

    name: str
    version: int
    created_at: datetime
    created_by: str
    content_hash: str
    platforms: tuple[str, ...] = ()
    """As ``linux-x86_64``; empty for an image."""
    python: str = ""
    """Version, as ``3.11``; empty for an image."""
    packages: int = 0
    """How many, on the first platform."""
    image: str = ""
    source: str = ""
    note: str = ""
    versions: int = 1
    """How many there are of this name."""

    @property
    def reference(self) -> str:
        """The name with the version, as ``climate@3``."""
        return f"{self.name}@{self.version}"


def content_of(environments: Sequence[Environment], image: str) -> str:
    """Return the sha256, hex, over what clusters would run: not over notes, names and files' names."""
    content = [sorted(one.content_hash for one in environments), image]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def line_of(named: NamedEnvironment, versions: int = 1) -> EnvironmentVersion:
    """Return all of it but its packages."""
    first = named.environments[0] if named.environments else None
    return EnvironmentVersion(
        name=named.name,
        version=named.version,
        created_at=named.created_at,
        created_by=named.created_by,
        content_hash=named.content_hash,
        platforms=tuple(one.platform for one in named.environments),
        python=first.python if first is not None else "",
        packages=len(first.packages) if first is not None else 0,
        image=named.image,
        source=named.source,
        note=named.note,
        versions=versions,
    )
