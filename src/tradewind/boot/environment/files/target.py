"""What a file is read for: a platform and a Python, as markers and wheels name them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import InvalidMarker, Marker
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from tradewind.errors import BadRequest

MACHINES = {"linux-x86_64": "x86_64", "linux-aarch64": "aarch64"}
"""Platforms that environments are made for, each with the word that the machine itself says."""
SUBDIRS = {"linux-x86_64": "linux-64", "linux-aarch64": "linux-aarch64"}
"""The same as conda names them."""
GLIBC = 28
"""Of 2.28, which every system that is still looked after has; what resolvers assume too."""
NEWEST_GLIBC = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where packages shall run, and how what has to be made is made."""

    platform: str
    """One of :data:`MACHINES`."""
    python: str
    """As ``3.11``, or in full."""
    cache: Path
    """The user's cache directory: wheels of local projects are kept there."""
    with_local: bool
    """Whether projects in directories are built and come along; else they are left out."""
    say: Callable[[str], None]
    """Told in a sentence what was done otherwise than the file says."""

    def __post_init__(self) -> None:
        if self.platform not in MACHINES:
            known = ", ".join(MACHINES)
            raise BadRequest(f"environments can't be made for the platform {self.platform!r}; there are: {known}.")

    @property
    def minor(self) -> tuple[int, int]:
        """The first two numbers of the Python's version."""
        first, second = self.python.split(".")[:2]
        return int(first), int(second)

    @property
    def minor_text(self) -> str:
        """The same as text."""
        return ".".join(map(str, self.minor))

    def is_for(self, marker: str) -> bool:
        """Whether a marker (PEP 508) holds there; none always does. Raises BadRequest for what is no marker."""
        if not marker:
            return True
        full = self.python if self.python.count(".") > 1 else f"{self.python}.0"
        environment: dict[str, str | frozenset[str]] = {
            "os_name": "posix",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "platform_machine": MACHINES[self.platform],
            "platform_release": "",
            "platform_version": "",
            "python_version": self.minor_text,
            "python_full_version": full,
            "implementation_name": "cpython",
            "implementation_version": full,
            "platform_python_implementation": "CPython",
            "extra": "",
            "extras": frozenset(),
            "dependency_groups": frozenset(),
        }
        try:
            return Marker(marker).evaluate(environment)
        except InvalidMarker as error:
            raise BadRequest(f"{marker!r} is no marker: {str(error).splitlines()[0]}") from None

    def fitting(self, names: list[str]) -> list[str]:
        """Return the wheels that can be installed there; those for a newer glibc only where there are no others."""
        for glibc in (GLIBC, NEWEST_GLIBC):
            tags = {*cpython_tags(self.minor, platforms=self._platforms(glibc))}
            interpreter = f"cp{self.minor[0]}{self.minor[1]}"
            tags |= {*compatible_tags(self.minor, interpreter, self._platforms(glibc))}
            found = [name for name in names if _tags_of(name) & tags]
            if found:
                return found
        return []

    def _platforms(self, glibc: int) -> list[str]:
        machine = MACHINES[self.platform]
        old = ["manylinux2014", "manylinux2010", "manylinux1"]
        return [
            *(f"manylinux_2_{number}_{machine}" for number in range(glibc, 4, -1)),
            *(f"{name}_{machine}" for name in old),
            f"linux_{machine}",
        ]


def _tags_of(name: str) -> frozenset[object]:
    try:
        return frozenset(parse_wheel_filename(name)[3])
    except InvalidWheelFilename:
        return frozenset()
