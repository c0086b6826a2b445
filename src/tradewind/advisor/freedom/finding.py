"""What was read of a project, and what was found in it, where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A line of a file, from 1; of a notebook, a line of one of its cells."""

    path: str
    """Relative to the project, with slashes."""
    line: int = 1
    cell: int = 0
    """From 1, among all cells; 0 outside of notebooks."""

    def __str__(self) -> str:
        """Return it as editors do: ``run.py:12``, ``maps.ipynb:cell 3:2``."""
        return f"{self.path}:cell {self.cell}:{self.line}" if self.cell else f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file's text."""

    path: str
    text: str

    @property
    def name(self) -> str:
        """Its name without folders."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """What nobody looked into, and why: no freedom is claimed for it."""

    path: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place where a rule has something to say."""

    rule: str
    what: str
    place: Place
    is_lesser: bool = False
    """Whether it is the milder form: an extra, not what is always needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A package by which something is used that has a client of its own, declared or imported."""

    client: str
    """Its name in ``clients.toml``."""
    place: Place
    is_declared: bool
    """Whether a file of packages names it; else code imports it."""
    is_optional: bool = False
    """Whether it is an extra, or its absence is caught."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A bucket that is named somewhere."""

    cloud: str
    """aws, google or azure; empty where nobody knows."""
    bucket: str
    region: str
    """Empty where the address doesn't say."""
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """Everything that was found in one file."""

    findings: tuple[Finding, ...] = ()
    uses: tuple[Use, ...] = ()
    addresses: tuple[Address, ...] = ()
    units: tuple[frozenset[str], ...] = ()
    """Of each code cell, or of the module: which clients' platforms it calls."""
    unread: tuple[Unread, ...] = ()
    has_packages: bool = False
    """Whether it says which packages are needed."""
    is_locked: bool = False
    """Whether it says exactly which."""
