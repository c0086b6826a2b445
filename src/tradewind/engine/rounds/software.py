"""What machines of a cluster are told about its software: what it is, and where each file of it is had."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tradewind.boot.environment.unused import used
from tradewind.boot.process import Software
from tradewind.config import artifact_file
from tradewind.engine.depot import AGAIN, Depot, Depots
from tradewind.errors import ConfigError, MissingExtra, Rejected, Unavailable
from tradewind.model.cluster import Cluster
from tradewind.model.environment import Environment, seal

OURS = "tradewind"
SETTLED_WITHIN_S = 5.0
"""For all that one round asks of a store: half a lease, 7.5 s, may be all there is left, and machines are launched in
what remains of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The software of a cluster."""

    software: Software
    trouble: str = ""
    """Why the place for it that the settings name isn't used; empty where it is, or none is named."""


async def software_for(cluster: Cluster, depots: Depots) -> Found | None:
    """Return what a machine must have for ``cluster``; None where it has software of its own.

    Where the workspace has a depot, each artifact lies there when this returns, and an archive of everything else is
    told where there is one, else where to put one. Without a depot, the provider brings the files from here.

    Raises
    ------
    Rejected
        No machine could be given it.
    Unavailable
        Files are still on their way to the depot, or it doesn't say where those are that were deposited; ask again.
    """
    software = from_here(cluster)
    if software is None:
        return None
    deposits = [one for one in software.environment.artifacts if one.is_deposited]
    settled = asyncio.get_running_loop().time() + SETTLED_WITHIN_S
    circle = depots.circle(cluster.spec.workspace, cluster.owner)
    try:
        async with _answered(settled):
            depot = await depots.of(cluster.spec.workspace)
            if depot is None:
                if deposits:
                    raise Rejected(f"the code of {cluster.owner} lies in a store that the settings don't name any more")
                return Found(software=software)
            urls = await asyncio.gather(*(depot.deposited(circle, one) for one in deposits))
    except (ConfigError, MissingExtra) as error:
        if deposits:
            raise Rejected(f"the code of {cluster.owner} can't be had from where it was put: {error}") from None
        return Found(software=software, trouble=str(error))
    except OSError as error:
        if deposits:
            raise Unavailable(str(error), AGAIN) from None
        return Found(software=software, trouble=str(error))
    addresses = {one.sha256: url for one, url in zip(deposits, urls, strict=True)}
    try:
        async with _answered(settled):
            software = replace(software, files=await depot.give(software.files), base=base_of(software.environment))
            if depots.packs_into(depot):
                software = await _packed(software, depot, circle)
        return Found(software=_with(software, addresses))
    except OSError as error:
        return Found(software=_with(software, addresses), trouble=str(error))


@asynccontextmanager
async def _answered(until: float) -> AsyncIterator[None]:
    """Raise OSError where a store hasn't answered all that it is asked here by then, by the loop's clock.

    It may answer each question in time and all of them too late: then machines must be launched without it.
    """
    try:
        async with asyncio.timeout_at(until):
            yield
    except TimeoutError:
        raise OSError(f"the store answers slowly, not all within {SETTLED_WITHIN_S:.0f} s") from None


def _with(software: Software, files: Mapping[str, str]) -> Software:
    return replace(software, files={**software.files, **files})


async def _packed(software: Software, depot: Depot, circle: tuple[str, ...]) -> Software:
    packed = await depot.packed(circle, software.base)
    if packed is not None:
        return replace(software, archive=packed.address, archive_sha256=packed.sha256)
    return replace(software, publishing=await depot.publishing(circle, software.base))


def base_of(environment: Environment) -> str:
    """Return the hash of what in an environment isn't the caller's own code; that changes with every edit."""
    packages = tuple(package for package in environment.packages if not package.artifact)
    return seal(replace(environment, packages=packages, artifacts=())).content_hash


def from_here(cluster: Cluster) -> Software | None:
    """Return the same, with the files that are of this machine. Raises Rejected for what no machine could be given."""
    environment = cluster.environment
    if environment is None:
        return None
    # What was deposited isn't looked for here: its owner may not have what lies here under the same hash.
    files = {one.sha256: str(artifact_file(one)) for one in environment.artifacts if not one.is_deposited}
    for path in files.values():
        used(Path(path))
    there = {one.sha256 for one in environment.artifacts}
    # What the caller's side has kept to itself, it brings over Dask's own line, before the first task.
    brought = {package.name for package in environment.packages if package.artifact and package.artifact not in there}
    if OURS in brought:
        raise Rejected(
            f"{OURS} is installed from a directory or a private index on the machine that asks, and other machines "
            "can't have it from there before they run it; install a release of it there"
        )
    if brought:
        kept = tuple(package for package in environment.packages if package.name not in brought)
        environment = seal(replace(environment, packages=kept))
    return Software(environment=environment, files=files, base=base_of(environment))
