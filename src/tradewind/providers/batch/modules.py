"""Modules of a site that may matter here: Pythons, their distributions, and CUDA."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tradewind.errors import ConfigError, Unavailable
from tradewind.providers.batch.runner import CommandRunner

# `module` is a function that a login shell defines, and a site without modules has none. Lmod alone finds what only
# another module makes loadable; both write their lists on standard error.
SCRIPT = (
    "command -v module >/dev/null 2>&1 || exit 0; "
    'if [ -n "$LMOD_CMD" ]; then module -t spider; else module -t avail; fi 2>&1'
)
COMMAND = ("bash", "-lc", SCRIPT)
PATIENCE_S = 60.0
"""Lmod reads a site's whole tree where nobody made a cache of it."""
KINDS = r"python|anaconda|miniconda|conda|miniforge|mambaforge|mamba|micromamba|cuda|cudatoolkit"
MATTERS = re.compile(rf"(?:[a-z]+[-_])?(?:{KINDS})\d*", re.IGNORECASE)
"""Prefixes are those of vendors, as in cray-python; Python2 is nobody's wish any more."""
LINE = re.compile(r"([\w+.-]+(?:/[\w+.-]+)*)(?:\((\S*)\))?(?:\s*<\S+>)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module, with the version to load."""

    name: str
    version: str
    """The site's default, or else the newest; empty where there are none."""
    others: int = 0
    """How many other versions there are."""

    @property
    def whole(self) -> str:
        """As it is loaded."""
        return f"{self.name}/{self.version}" if self.version else self.name


async def modules_of(runner: CommandRunner) -> Sequence[Module]:
    """Ask for the modules that may matter; none where there are none, or nobody answers."""
    try:
        said = await runner.run(COMMAND, patience_s=PATIENCE_S)
    except (Unavailable, ConfigError):
        return ()  # what a site has for queues is found all the same
    return read_modules(said.out)


def read_modules(text: str) -> Sequence[Module]:
    """Return the modules that may matter of ``module -t avail``, or of Lmod's ``module -t spider``."""
    versions: dict[str, dict[str, bool]] = {}
    for line in text.splitlines():
        # A directory ends with a colon, a name of which versions follow with a slash.
        found = LINE.fullmatch(line.strip())
        if found is None:
            continue
        name, version = _parts(found[1])
        if name:
            usual = "default" in (found[2] or "").split(":")
            known = versions.setdefault(name, {})
            known[version] = usual or known.get(version, False)
    return tuple(_chosen(name, versions[name]) for name in sorted(versions, key=str.lower))


def _parts(text: str) -> tuple[str, str]:
    """Return name and version of a module that matters; a name with a directory before it is whole."""
    name, _, version = text.rpartition("/")
    for one, rest in ((name, version), (text, "")):
        if MATTERS.fullmatch(one.rpartition("/")[2]) and "python2" not in one.lower():
            return one, rest
    return "", ""


def _chosen(name: str, versions: dict[str, bool]) -> Module:
    named = [version for version in versions if version]
    usual = [version for version in named if versions[version]]
    best = max(usual or named, key=_order, default="")
    return Module(name=name, version=best, others=max(0, len(named) - 1))


def _order(version: str) -> list[tuple[int, str]]:
    """Return what sorts 3.9 below 3.10, and a version below one that goes on with numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|[A-Za-z]+", version)]
