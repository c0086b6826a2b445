"""Who needs what where: the requirements of installed packages, with their markers evaluated for two platforms."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion

from tradewind.boot.environment.reasons import tags_of
from tradewind.boot.environment.sources import Found, look, normalised
from tradewind.model.environment import OF_THE_CALLER, Environment, Package, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an installed package says of itself."""

    version: str
    requires: tuple[str, ...] = ()
    """As its metadata has them: ``appnope ; sys_platform == 'darwin'``."""
    tags: tuple[str, ...] = ()
    """Of the wheel it was installed from; empty: nobody wrote them down."""
    is_of_conda: bool = False

    @property
    def is_pure(self) -> bool:
        """Whether what is installed here runs on every platform."""
        return any(tag.endswith("-any") for tag in self.tags)

    @property
    def is_compiled(self) -> bool:
        """Whether what is installed here runs on this platform alone."""
        return bool(self.tags) and not self.is_pure


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One package requires another."""

    by: str
    to: str
    allows: SpecifierSet
    here: bool
    there: bool
    is_extra: bool
    """Whether only an extra that nobody is known to have asked for wants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What follows of all edges for another platform."""

    dropped: Mapping[str, tuple[str, ...]]
    """Packages that only markers of this platform brought, with who required them here."""
    edges: tuple[Edge, ...]
    """Of what is kept."""

    def by(self, name: str) -> tuple[str, ...]:
        """Return who needs ``name`` there."""
        return tuple(sorted({edge.by for edge in self.edges if edge.to == name and edge.there and not edge.is_extra}))

    def only_there(self, name: str) -> tuple[str, ...]:
        """Return who needs ``name`` there and not here."""
        return tuple(sorted({edge.by for edge in self.edges if edge.to == name and edge.there and not edge.here}))


def known_here(found: Found | None = None) -> dict[str, Known]:
    """Return what the packages of this Python say of themselves, by name; reads a file of each."""
    found = found if found is not None else look()
    of_conda = {name for record in found.conda for name in record.owns}
    known = {}
    for one in found.installed:
        path = one.directory / ("METADATA" if one.directory.suffix == ".dist-info" else "PKG-INFO")
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        head = text.partition("\n\n")[0]
        known[one.name] = Known(
            version=one.version,
            requires=tuple(re.findall(r"^Requires-Dist: *(.+)$", head, re.MULTILINE)),
            tags=tags_of(one),
            is_of_conda=one.directory.name in of_conda,
        )
    return known


def of_environment(known: Mapping[str, Known], environment: Environment) -> dict[str, Known]:
    """Return what is known of the very packages of ``environment``: it may have been captured on another machine."""
    versions = {package.name: package.version for package in environment.packages if package.source is not Source.CONDA}
    has_conda = any(package.source is Source.CONDA for package in environment.packages)
    return {
        name: one
        for name, one in known.items()
        if versions.get(name) == one.version or (has_conda and one.is_of_conda and name not in versions)
    }


def needs_of(
    packages: Sequence[Package], known: Mapping[str, Known], here: Mapping[str, str], there: Mapping[str, str]
) -> Needs:
    """Return who needs what there, and what nobody needs there any more.

    Parameters
    ----------
    packages : sequence of Package
        All of pip.
    known : mapping
        What they say, by name.
    here, there : mapping
        What markers are evaluated with.
    """
    edges = list(_edges(packages, known, here, there))
    may_go = {p.name for p in packages if not p.is_requested and p.source not in OF_THE_CALLER and not p.artifact}
    dropped: dict[str, tuple[str, ...]] = {}
    while True:
        # What is dropped needs nothing any more, so that more can go: again until nothing does.
        wanted = {edge.to for edge in edges if edge.there and edge.by not in dropped}
        came = {edge.to for edge in edges if edge.here}
        more = may_go & came - wanted - dropped.keys()
        if not more:
            break
        for name in more:
            dropped[name] = tuple(sorted({edge.by for edge in edges if edge.to == name and edge.here}))
    return Needs(dropped=dropped, edges=tuple(edge for edge in edges if edge.by not in dropped))


def unmet(needs: Needs, versions: Mapping[str, str]) -> frozenset[str]:
    """Return what is installed in another version than somebody says they need: it works here, or nobody noticed."""
    return frozenset(
        edge.to
        for edge in needs.edges
        if edge.there and not edge.is_extra and edge.to in versions and not _allows(edge.allows, versions[edge.to])
    )


def absent(needs: Needs, kept: Collection[str]) -> frozenset[str]:
    """Return what is required here too, and isn't there here among ``kept``: what works without works so there."""
    return frozenset(edge.to for edge in needs.edges if edge.here and not edge.is_extra and edge.to not in kept)


def _edges(
    packages: Sequence[Package], known: Mapping[str, Known], here: Mapping[str, str], there: Mapping[str, str]
) -> Iterator[Edge]:
    extras = {package.name: package.extras for package in packages}
    for name in {*extras, *(name for name, one in known.items() if one.is_of_conda)} & known.keys():
        for line in known[name].requires:
            try:
                asked = Requirement(line)
            except InvalidRequirement:
                continue
            active = ("", *extras.get(name, ()))
            holds = [_holds(asked, facts, active) for facts in (here, there)]
            is_extra = not any(holds)
            if is_extra:
                holds = [_holds(asked, facts, _extras_in(asked)) for facts in (here, there)]
            if any(holds):
                yield Edge(
                    by=name,
                    to=normalised(asked.name),
                    allows=asked.specifier,
                    here=holds[0],
                    there=holds[1],
                    is_extra=is_extra,
                )


def _holds(asked: Requirement, facts: Mapping[str, str], extras: Sequence[str]) -> bool:
    marker = asked.marker
    return marker is None or any(marker.evaluate({**facts, "extra": extra}) for extra in extras)


def _extras_in(asked: Requirement) -> tuple[str, ...]:
    return tuple(re.findall(r"""extra *== *["']([^"']+)""", str(asked.marker)))


def _allows(allows: SpecifierSet, version: str) -> bool:
    try:
        return allows.contains(version, prereleases=True)
    except InvalidVersion:
        return False
