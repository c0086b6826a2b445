"""The caller's software made ready for machines that have none of it, and what of it will differ there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tradewind.boot.environment.capture import capture
from tradewind.boot.environment.carry import carry
from tradewind.boot.environment.choose import choose
from tradewind.boot.environment.translate import check_carried, is_far, translate
from tradewind.boot.environment.translation.differences import in_lines
from tradewind.boot.environment.translation.platforms import minor_of, shown
from tradewind.config import cache_directory
from tradewind.model.cluster import ClusterSpec
from tradewind.model.environment import Difference, Environment, Target
from tradewind.model.views import ClusterView, DryRun

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


def target_of(planned: DryRun | ClusterView, spec: ClusterSpec, here: Environment) -> Target:
    """Return what machines a cluster has or will have: as its provider says, else Linux of the caller's kind or x86."""
    known = [line.offer.target for line in planned.instances if line.offer.target is not None]
    if known:
        return min(known, key=lambda one: [int(part) for part in one.glibc.split(".") if part])
    if spec.arm:
        return Target(platform="linux-aarch64", python=minor_of(here.python))
    return Target(platform=here.platform if here.platform.startswith("linux-") else "linux-x86_64")


def find(spec: ClusterSpec, planned: DryRun | ClusterView, say: Callable[[str], None] = log.info) -> Wanted:
    """Return the caller's software as ``spec`` chooses it, for the machines that are planned; builds nothing.

    Raises
    ------
    BadRequest
        It can't be had there.
    MissingExtra
        Who finds packages of other platforms isn't installed.
    """
    here = capture()
    target = target_of(planned, spec, here)
    found = translate(
        choose(here, spec.packages),
        target,
        cache=cache_directory(),
        ignore=spec.packages.ignore,
        strict=spec.packages.strict,
        say=say,
    )
    return Wanted(environment=found.environment, target=target, differences=found.differences)


def prepare(spec: ClusterSpec, planned: DryRun | ClusterView, public_indexes: Sequence[str]) -> Environment:
    """Return the software with the files of it that no index has; what differs there is said in the log.

    Raises as :func:`find` does, and where what is the caller's own can't be built, or not for those machines.
    """
    wanted = find(spec, planned)
    for note in wanted.notes():
        log.warning(note) if any(map(is_far, wanted.differences)) else log.info(note)
    carried = carry(wanted.environment, cache_directory(), public=public_indexes)
    check_carried(carried, wanted.target)
    return carried


def with_software(planned: DryRun, spec: ClusterSpec) -> DryRun:
    """Return a dry run that says what of the caller's software will differ. Raises as :func:`find` does."""
    return replace(planned, notes=(*planned.notes, *find(spec, planned).notes()))


def _count(differences: Sequence[Difference]) -> str:
    return "1 package is" if len(differences) == 1 else f"{len(differences):,} packages are"
