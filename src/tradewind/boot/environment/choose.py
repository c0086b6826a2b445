"""Which of the caller's packages go to machines."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace

from tradewind.boot.environment.sources import normalised
from tradewind.boot.environment.translation.markers import Known, known_here, needs_of, of_environment
from tradewind.boot.environment.translation.platforms import marker_facts
from tradewind.errors import BadRequest
from tradewind.model.environment import Environment, PackageChoice, Source, seal

ALWAYS = frozenset({"cloudpickle", "dask", "distributed", "msgpack", "python", "tornado", "tradewind"})
"""Without these no worker starts: Coiled's list, and ourselves."""


def choose(environment: Environment, choice: PackageChoice, known: Mapping[str, Known] | None = None) -> Environment:
    """Return ``environment`` with the chosen packages alone.

    What is left out and required by others is still left out. Of conda, what a person asked for is chosen from; what
    came along stays, since nothing says who needs it.

    Parameters
    ----------
    environment : Environment
        Captured.
    choice : PackageChoice
        In any way of writing names.
    known : mapping, optional
        What installed packages say of themselves; default: those of the Python that is running.

    Raises
    ------
    BadRequest
        A package that must be there is to be left out, or one that shall be the only one isn't there.
    """
    if not choice.ignore and not choice.only:
        return environment
    ignored = {normalised(name) for name in choice.ignore}
    if wrong := sorted(ignored & ALWAYS):
        raise BadRequest(f"package_sync_ignore: {', '.join(wrong)} can't be left out, workers don't start without.")
    kept = {normalised(package.name) for package in environment.packages}
    if choice.only:
        known = of_environment(known if known is not None else known_here(), environment)
        kept &= _with_needs({normalised(name) for name in choice.only}, environment, known)
    packages = tuple(
        package
        for package in environment.packages
        if (name := normalised(package.name)) not in ignored
        and (name in kept or (package.source is Source.CONDA and not package.is_requested))
    )
    used = {package.artifact for package in packages}
    gone = {package.artifact for package in environment.packages} - used
    artifacts = tuple(artifact for artifact in environment.artifacts if artifact.sha256 not in gone)
    return seal(replace(environment, packages=packages, artifacts=artifacts))


def _with_needs(only: set[str], environment: Environment, known: Mapping[str, Known]) -> set[str]:
    """Return what is needed by what was named, and by what must be there."""
    installed = {normalised(package.name) for package in environment.packages}
    for name in sorted(only - installed):
        near = difflib.get_close_matches(name, installed, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`tradewind env show` lists what is there."
        raise BadRequest(f"package_sync_only: {name!r} isn't installed here; {hint}")
    facts = marker_facts(environment.platform, environment.python)
    packages = [package for package in environment.packages if package.source is not Source.CONDA]
    edges = [edge for edge in needs_of(packages, known, facts, facts).edges if not edge.is_extra]
    found = only | (ALWAYS & installed)
    while more := {edge.to for edge in edges if edge.by in found} & installed - found:
        found |= more
    return found
