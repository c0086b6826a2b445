"""What a file is read for, and how what has to be made on the way is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from tradewind.boot.environment.translation.platforms import NEWEST_GLIBC, fits, marker_facts, minor_of, tags_for
from tradewind.errors import BadRequest
from tradewind.model.environment import Artifact, Target

LAST_PATCH = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One reading of a file: for machines of one kind."""

    platform: str
    """As ``linux-x86_64``."""
    python: str
    """As ``3.11``, or in full."""
    cache: Path
    """The user's cache directory: wheels of local projects are kept there."""
    with_local: bool
    """Whether projects in directories are built and come along; else they are left out."""
    say: Callable[[str], None]
    """Told in a sentence what was done otherwise than the file says."""
    built: dict[Path, Artifact] = field(default_factory=dict)
    """Wheels of local projects that were made for another platform of the same file: they are built once."""

    @property
    def target(self) -> Target:
        """The machines."""
        return Target(platform=self.platform, python=minor_of(self.python))

    def is_for(self, marker: str) -> bool:
        """Whether a marker (PEP 508) holds there; none always does. Raises BadRequest for what is no marker."""
        return holds(marker, marker_facts(self.platform, self.python))

    def runs(self, pythons: str) -> bool:
        """Whether a Python of that minor version can be among ``pythons``, as ``>=3.10``. What can't be read is so."""
        try:
            wanted = SpecifierSet(pythons)
        except InvalidSpecifier:
            return True
        first, last = f"{self.target.python}.0", f"{self.target.python}.{LAST_PATCH}"
        return wanted.contains(first) or wanted.contains(last)

    def fitting(self, names: Sequence[str]) -> list[str]:
        """Return the wheels that can be installed there; those for a newer glibc only where there are no others."""
        for target in (self.target, replace(self.target, glibc=NEWEST_GLIBC)):
            tags = tags_for(target)
            found = [name for name in names if fits(name, tags)]
            if found and target != self.target:
                name, version = found[0].split("-")[:2]
                self.say(
                    f"{name} {version} has wheels for newer Linux only ({', '.join(found[:3])}): a machine with an "
                    "older C library can't have it."
                )
            if found:
                return found
        return []


def holds(marker: str, facts: Mapping[str, str]) -> bool:
    """Whether a marker (PEP 508) holds where ``facts`` do; none always does. Raises BadRequest for no marker."""
    if not marker:
        return True
    # The last two are for the markers of pylock.toml: no extra and no group is asked for.
    none: dict[str, str | frozenset[str]] = {"extra": "", "extras": frozenset(), "dependency_groups": frozenset()}
    try:
        return Marker(marker).evaluate({**facts, **none})
    except InvalidMarker as error:
        raise BadRequest(f"{marker!r} is no marker: {str(error).splitlines()[0]}") from None
