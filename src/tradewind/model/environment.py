"""The locked software a cluster runs: packages, where each comes from, and what no index has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Source(StrEnum):
    """Where a package came from, and where a machine gets it."""

    INDEX = "index"
    """A Python package index."""
    CONDA = "conda"
    """A conda channel."""
    VCS = "vcs"
    """A repository, at one commit."""
    ARCHIVE = "archive"
    """A file at an address of its own."""
    DIRECTORY = "directory"
    """A directory of the caller, copied when it was installed."""
    EDITABLE = "editable"
    """A directory of the caller, as it is now."""


OF_THE_CALLER = frozenset({Source.DIRECTORY, Source.EDITABLE})
"""Sources that are directories of the caller's disk: their addresses mean nothing elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed distribution."""

    name: str
    """Normalised, as ``scikit-learn``; of a conda package its own, as ``_libgcc_mutex``."""
    version: str
    source: Source = Source.INDEX
    url: str = ""
    """Of the index, the channel, the repository with its commit, the file or the directory; empty where it is the
    default one. Never with a user, a password or a token in it."""
    sha256: str = ""
    """Of the file it was installed from, hex, where that is known."""
    build: str = ""
    """Of conda, as ``py311_0``; with ``subdir`` it names the file in the channel."""
    subdir: str = ""
    """Of conda, as ``linux-64``."""
    extras: tuple[str, ...] = ()
    """That were asked for by name, sorted."""
    is_requested: bool = False
    """Whether a person asked for it; the others came along."""
    artifact: str = ""
    """The sha256 of the :class:`Artifact` it is installed from, where no index has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that travels because no index has it; its hash is its name wherever it lies."""

    file_name: str
    """A wheel's, or ``modules-<hash>.zip``: importable files that belong to no package."""
    sha256: str
    """Hex."""
    size: int
    """Bytes."""
    is_deposited: bool = False
    """Whether the owner of the cluster has put it into the workspace's depot, from afar: then it is had from there
    alone. Whoever runs the cluster finds it out; what was sent in its place counts for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The software of one Python on one platform: captured from the caller's, or translated from that."""

    python: str
    """Version, as ``3.11.7``."""
    platform: str
    """As ``linux-x86_64``."""
    packages: tuple[Package, ...]
    """Sorted by name, then source: what conda installed may have the name of what pip did."""
    content_hash: str
    """sha256, hex, see :func:`seal`: two clusters with the same hash ran the same software, but for files that their
    callers brought. Whoever keeps an environment reckons it anew; what was sent in its place counts for nothing."""
    artifacts: tuple[Artifact, ...] = ()
    """Of the caller's own code; empty where it runs on the caller's file system."""
    indexes: tuple[str, ...] = ()
    """Addresses of the package indexes to ask, the first one first; empty: the usual one. Never with a password."""
    channels: tuple[str, ...] = ()
    """Addresses of conda channels, the first one first."""
    name: str = ""
    """With its version, as ``climate@3``, where it is one that a workspace gave a name; not part of the content."""


def seal(environment: Environment) -> Environment:
    """Return ``environment`` with the hash of its content.

    It covers what a machine would install, and the value itself says all of it: Python, platform, each package with
    its source and the hash of its file, ``artifacts`` by name and hash, indexes and channels in their order. Where the
    caller brings his files over Dask's line, ``artifacts`` is empty: then the plain modules among them don't count,
    and packages of his own do, by the hash of their wheels.

    What doesn't change what is installed doesn't count either: who asked for what, with which extras, the name that a
    workspace gave it, and where on the caller's disk a project lies.
    """
    packages = [
        [
            package.name,
            package.version,
            package.source.value,
            "" if package.source in OF_THE_CALLER or package.artifact else package.url,
            package.sha256,
            package.build,
            package.subdir,
            package.artifact,
        ]
        for package in environment.packages
    ]
    content = [
        environment.python,
        environment.platform,
        packages,
        sorted([artifact.file_name, artifact.sha256] for artifact in environment.artifacts),
        environment.indexes,
        environment.channels,
    ]
    text = json.dumps(content, separators=(",", ":"))
    return replace(environment, content_hash=hashlib.sha256(text.encode()).hexdigest())


def equipment(environment: Environment | None, compiled: str = "") -> str:
    """Return the name of all that a process must have been started with, since it can't be changed in it.

    Parameters
    ----------
    environment : Environment or None
        Its software; None where that is unknown.
    compiled : str, optional
        Names the caller's own compiled code, where that has changed since: no Python loads such a file twice.
    """
    software = environment.content_hash if environment is not None else ""
    return f"{software}+{compiled}" if compiled else software


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The machines that an environment is for."""

    platform: str
    """As ``linux-x86_64``, ``linux-aarch64``, ``macosx-arm64``."""
    python: str = ""
    """Minor version, as ``3.11``; empty: the caller's, which machines can get."""
    glibc: str = ""
    """Of Linux, as ``2.36``: wheels may need a newer one than an old machine has. Empty: unknown, 2.28 is assumed."""

    @staticmethod
    def oldest(machines: Iterable[Target | None]) -> Target | None:
        """Return the machines with the oldest C library: what runs there runs on all. None where nobody knows any."""
        known = {one for one in machines if one is not None}
        return min(known, key=lambda one: [int(part) for part in one.glibc.split(".") if part], default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChoice:
    """What of the caller's packages goes to machines, in Coiled's words; by default all of them do."""

    ignore: tuple[str, ...] = ()
    """Left out."""
    only: tuple[str, ...] = ()
    """These alone, with what they and Dask need; empty: all."""
    strict: bool = False
    """Whether to refuse where machines of another platform can't have the very versions."""


class Confidence(StrEnum):
    """How sure it is that a difference does no harm."""

    SURE = "sure"
    LIKELY = "likely"
    GUESS = "guess"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What isn't the same there as here, said before anything is launched."""

    package: str
    here: str
    """Version; empty where it isn't here."""
    there: str
    """Version; empty where it is left out."""
    reason: str
    """A sentence for the user."""
    confidence: Confidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """An environment for another platform, and what that changes."""

    environment: Environment
    differences: tuple[Difference, ...] = ()
