"""The caller's software made ready for machines that have none of it, and what of it will differ there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from tradewind.boot.environment.capture import capture
from tradewind.boot.environment.carry import carry
from tradewind.boot.environment.choose import choose
from tradewind.boot.environment.translate import check_carried, is_far, translate
from tradewind.boot.environment.translation.differences import in_lines
from tradewind.boot.environment.translation.platforms import minor_of, shown
from tradewind.config import cache_directory
from tradewind.model.cluster import ClusterSpec
from tradewind.model.environment import Difference, Environment, PackageChoice, Target
from tradewind.model.offer import Offer
from tradewind.model.usage import Cost
from tradewind.model.views import DryRun

log = logging.getLogger("tradewind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Software, and the machines it is for."""

    environment: Environment
    target: Target
    differences: tuple[Difference, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """Return what the caller should know before it starts: what is another version, and how much else there is."""
        far = [one for one in self.differences if is_far(one)]
        if not self.differences:
            return ()
        lines = []
        if far:
            lines.append(f"On {shown(self.target.platform)}, {_count(far)} not as here:\n{in_lines(far)}")
        if near := len(self.differences) - len(far):
            lines.append(
                f"{near:,} packages come or go with the platform; `tradewind env diff --for {self.target.platform}` "
                "lists them."
            )
        return tuple(lines)


def target_of(planned: DryRun, spec: ClusterSpec, here: Environment) -> Target:
    """Return what machines a cluster will have: what its provider says, else Linux of the caller's kind or x86."""
    if known := Target.oldest(line.offer.target for line in planned.instances):
        return known
    if spec.arm:
        return Target(platform="linux-aarch64", python=minor_of(here.python))
    return Target(platform=here.platform if here.platform.startswith("linux-") else "linux-x86_64")


def find(
    spec: ClusterSpec,
    planned: DryRun,
    *,
    target: Target | None = None,
    here: Environment | None = None,
    say: Callable[[str], None] = log.info,
) -> Wanted:
    """Return the caller's software as ``spec`` chooses it, for the machines that are planned; builds nothing.

    Parameters
    ----------
    spec : ClusterSpec
        What was asked for.
    planned : DryRun
        Tells what machines it will be.
    target : Target, optional
        The machines; default what is planned.
    here : Environment, optional
        Captured; default: captured now.
    say : callable
        Told in a sentence what takes long.

    Raises
    ------
    BadRequest
        It can't be had there.
    MissingExtra
        Who finds packages of other platforms isn't installed.
    """
    here = here if here is not None else capture()
    return find_for(here, target if target is not None else target_of(planned, spec, here), spec.packages, say=say)


def find_for(
    here: Environment, target: Target, choice: PackageChoice, *, say: Callable[[str], None] = log.info
) -> Wanted:
    """Return what of captured software is chosen, for machines that are named; builds nothing. Raises as :func:`find`.

    What a cluster is given, what gets a name and what ``tradewind env diff --for`` shows is all found here.
    """
    found = translate(
        choose(here, choice), target, cache=cache_directory(), ignore=choice.ignore, strict=choice.strict, say=say
    )
    return Wanted(environment=found.environment, target=target, differences=found.differences)


def carried(
    wanted: Wanted,
    public_indexes: Sequence[str],
    *,
    with_modules: bool = True,
    say: Callable[[str], None] = log.warning,
    while_building: Callable[[Environment], None] | None = None,
) -> Environment:
    """Return software with the files of it that no index has.

    Parameters
    ----------
    wanted : Wanted
        Of the caller.
    public_indexes : sequence of str
        Package indexes that machines can ask, besides PyPI.
    with_modules : bool
        Whether plain modules of the working directory travel too.
    say : callable
        Told in a sentence what was done otherwise than usual.
    while_building : callable, optional
        See :func:`tradewind.boot.environment.carry.carry`.

    Raises
    ------
    BadRequest
        What is the caller's own can't be built, or not for those machines.
    """
    environment = carry(
        wanted.environment,
        cache_directory(),
        public=public_indexes,
        with_modules=with_modules,
        say=say,
        while_building=while_building,
    )
    check_carried(environment, wanted.target)
    return environment


def prepare(
    spec: ClusterSpec,
    planned: DryRun,
    public_indexes: Sequence[str],
    *,
    is_streamed: bool = False,
    here: Environment | None = None,
    say: Callable[[str], None] = log.info,
    while_building: Callable[[Environment], None] | None = None,
) -> Environment:
    """Return the software with the files of it that no index has; what differs there is said in the log.

    Where it is streamed and nobody says what the machines are, they have software of their own: the caller's is left
    as it is. ``here`` is what was captured, by default now; ``say`` is told in a sentence what takes long, and
    ``while_building`` what machines can begin with. Raises as :func:`find` does, and where what is the caller's own
    can't be built, or not for those machines.
    """
    here = here if here is not None else capture()
    known = Target.oldest(line.offer.target for line in planned.instances)
    wanted = find(spec, planned, here=here, target=_as_here(here) if is_streamed and known is None else known, say=say)
    for note in wanted.notes():
        log.warning(note) if any(map(is_far, wanted.differences)) else log.info(note)
    say("Packing what no index has.")
    return carried(wanted, public_indexes, while_building=while_building)


def anew(
    here: Environment,
    spec: ClusterSpec,
    before: Environment | None,
    offers: Iterable[Offer],
    public_indexes: Sequence[str],
) -> Environment:
    """Return the caller's software as it is now, for the machines that a running cluster has.

    Parameters
    ----------
    here : Environment
        Captured now.
    spec : ClusterSpec
        Of the cluster.
    before : Environment or None
        What it runs; None where that wasn't written down.
    offers : iterable of Offer
        Of its instances: they tell what machines it has.
    public_indexes : sequence of str
        Package indexes that machines can ask, besides PyPI.
    """
    target = Target.oldest(offer.target for offer in offers)
    if before is not None and (target is None or target.platform != before.platform):
        target = Target(platform=before.platform)
    nothing = DryRun(instances=(), cost_per_hour=Cost(), notes=())
    return carried(find(spec, nothing, here=here, target=target or _as_here(here)), public_indexes)


def with_software(planned: DryRun, spec: ClusterSpec, *, here: Environment | None = None) -> DryRun:
    """Return a dry run that says what of the caller's software will differ. Raises as :func:`find` does."""
    return replace(planned, notes=(*planned.notes, *find(spec, planned, here=here).notes()))


def _as_here(here: Environment) -> Target:
    return Target(platform=here.platform)


def _count(differences: Sequence[Difference]) -> str:
    return "1 package is" if len(differences) == 1 else f"{len(differences):,} packages are"
