"""Which of a named environment's platforms a cluster's machines run, and what of it they can't have."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from tradewind.errors import BadRequest
from tradewind.model.cluster import ClusterSpec
from tradewind.model.environment import Environment, Source, Target
from tradewind.model.named import NamedEnvironment
from tradewind.model.views import PlannedInstances

USUAL = "linux-x86_64"
"""What machines are where nobody says otherwise."""
ARM = "linux-aarch64"
NAMED = 5
"""Packages that a refusal names at most."""


def machines_of(planned: Sequence[PlannedInstances]) -> Target | None:
    """Return what will be launched, the oldest of it where it differs; None where nobody says."""
    return Target.oldest(line.offer.target for line in planned)


def environment_for(named: NamedEnvironment, machines: Target | None, spec: ClusterSpec) -> Environment:
    """Return what machines run.

    Where nobody says what they are, it is what was asked for (ARM), else the usual, else what there is.

    Parameters
    ----------
    named : NamedEnvironment
        Of packages, not an image.
    machines : Target or None
        What will be launched.
    spec : ClusterSpec
        Of the cluster.

    Raises
    ------
    BadRequest
        It isn't locked for such machines, or for another Python than they have; says what to do.
    """
    there = {one.platform: one for one in named.environments}
    wanted = machines.platform if machines is not None else ARM if spec.arm else USUAL
    found = there.get(wanted)
    if found is None and machines is None and not spec.arm:
        found = named.environments[0]
    if found is None:
        raise BadRequest(
            f"{named.reference} is locked for {', '.join(there)}, and this cluster's machines are {wanted}. "
            f"{_ways_out(named, wanted, there, spec)}"
        )
    python = machines.python if machines is not None else ""
    if python and python != ".".join(found.python.split(".")[:2]):
        raise BadRequest(
            f"{named.reference} is for Python {found.python}, and this cluster's machines have {python}. Create it "
            f"again for that one: {_again(named)} --python {python}."
        )
    return found


def refuse_unfit(named: NamedEnvironment, platform: str, unfit: Sequence[tuple[str, str]]) -> None:
    """Raise BadRequest where packages can't be had on a platform.

    Parameters
    ----------
    named : NamedEnvironment
        Whose packages.
    platform : str
        As people say it.
    unfit : sequence of tuple
        Name of a package, and why.
    """
    if not unfit:
        return
    lines = [f"{name} ({why})" for name, why in unfit[:NAMED]]
    more = f" and {len(unfit) - NAMED} more" if len(unfit) > NAMED else ""
    raise BadRequest(
        f"{named.reference} can't be had on this cluster's machines, which are {platform}: {', '.join(lines)}{more}. "
        f"Take other machines, or versions of these that run there, and create it again: {_again(named)}."
    )


def subdirs_apart(environment: Environment, subdir: str) -> list[tuple[str, str]]:
    """Return the conda packages that are for other machines than those that conda calls ``subdir``, and why."""
    return [
        (one.name, f"a conda package for {one.subdir}")
        for one in environment.packages
        if one.source is Source.CONDA and one.subdir and one.subdir not in {"noarch", subdir}
    ]


def _ways_out(named: NamedEnvironment, wanted: str, there: Iterable[str], spec: ClusterSpec) -> str:
    platforms = " ".join(f"--platform {one}" for one in dict.fromkeys([*there, wanted]))
    ways = [f"Create it again for these too: {_again(named)} {platforms}"]
    of_arm = [one for one in there if one.endswith(("-aarch64", "-arm64"))]
    if of_arm and not spec.arm:
        ways.append("or take ARM machines: arm=True")
    elif spec.arm and len(of_arm) < len(list(there)):
        ways.append("or take machines of x86: leave out arm=True")
    else:
        ways.append("or take other machines: worker_vm_types and scheduler_vm_types name them")
    return f"{', '.join(ways)}."


def _again(named: NamedEnvironment) -> str:
    # Whoever made it chose the file's name, and others are to type this.
    return f"tradewind env create {named.name} {f'--from {shlex.quote(named.source)}' if named.source else '--this'}"
