"""What a cluster that names an environment runs, decided before anything is spent."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tradewind.config import artifact_file, cache_directory
from tradewind.errors import BadRequest
from tradewind.model.cluster import ClusterSpec
from tradewind.model.environment import Environment, Target
from tradewind.model.named import NamedEnvironment
from tradewind.model.views import DryRun
from tradewind.planning.fitting import environment_for, machines_of, refuse_unfit, subdirs_apart
from tradewind.planning.names import environment_reference
from tradewind.providers.base import Provider
from tradewind.store.environments import Environments


async def software_of(spec: ClusterSpec, planned: DryRun, provider: Provider, kept: Environments) -> Environment | None:
    """Return what a cluster that names an environment runs on the machines that are planned; else None.

    That is its packages for such machines, and this program.

    Raises
    ------
    NotFound
        There is no environment of this name, or no such version.
    BadRequest
        It is an image and the provider runs none, it isn't for such machines, or its files are another computer's.
    """
    if spec.software is None:
        return None
    named = await kept.get(spec.workspace, *environment_reference(spec.software))
    if named.image:
        raise BadRequest(
            f"{named.reference} is the container image {named.image}, and provider {spec.provider!r} runs no images; "
            "none that Tradewind has can yet. Make one from a file of packages: tradewind env create NAME --from FILE."
        )
    machines = machines_of(planned.instances)
    environment = replace(environment_for(named, machines, spec), name=named.reference)
    gone = [one.file_name for one in environment.artifacts if not artifact_file(one).is_file()]
    if gone:
        raise BadRequest(
            f"{named.reference} needs {gone[0]}{' and others' if len(gone) > 1 else ''}, which this computer hasn't "
            "any more: create it again where its projects are."
        )
    return await asyncio.to_thread(
        _ready, named, environment, machines, is_installed=provider.capabilities.runs_software
    )


def noted(planned: DryRun, environment: Environment | None) -> DryRun:
    """Return a dry run that says which software it would be, where it has a name."""
    if environment is None:
        return planned
    what = f"{environment.name} is taken as it is locked for {environment.platform}, with Python {environment.python}."
    return replace(planned, notes=(*planned.notes, what))


def _ready(
    named: NamedEnvironment, environment: Environment, machines: Target | None, *, is_installed: bool
) -> Environment:
    # Imported by who needs them: reading wheels' names and packing take libraries that no other start waits for.
    platforms: Any = importlib.import_module("tradewind.boot.environment.translation.platforms")
    target = machines or Target(platform=environment.platform)
    unfit = [*platforms.unfit(environment, target), *subdirs_apart(environment, platforms.conda_subdir(target))]
    glibc = f" with glibc {target.glibc}" if target.glibc else ""
    refuse_unfit(named, f"{platforms.shown(target.platform)}{glibc}", sorted(set(unfit)))
    if not is_installed:
        return environment
    with_ours: Callable[..., Environment] = importlib.import_module("tradewind.boot.environment.carry").with_ours
    return with_ours(environment, cache_directory())
