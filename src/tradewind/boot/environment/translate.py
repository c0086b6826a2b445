"""The caller's environment for machines of another platform, and what will differ there."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

from tradewind.boot.environment.indexes import PUBLIC, with_passwords
from tradewind.boot.environment.sources import normalised
from tradewind.boot.environment.translation.differences import FAR, differences_of, in_lines
from tradewind.boot.environment.translation.markers import Known, Needs, known_here, needs_of, of_environment
from tradewind.boot.environment.translation.memory import place_of, remember, remembered
from tradewind.boot.environment.translation.platforms import check, fits, marker_facts, minor_of, shown, tags_for
from tradewind.boot.environment.translation.relax import Case, Settled, settle
from tradewind.boot.environment.translation.uv import Resolver, find_program
from tradewind.errors import BadRequest, MissingExtra
from tradewind.model.environment import (
    OF_THE_CALLER,
    Difference,
    Environment,
    Package,
    Source,
    Target,
    Translation,
    seal,
)

log = logging.getLogger("tradewind")


def is_same(environment: Environment, target: Target) -> bool:
    """Whether what runs here runs there as it is."""
    return environment.platform == target.platform and (
        not target.python or minor_of(environment.python) == target.python
    )


def translate(
    environment: Environment,
    target: Target,
    *,
    cache: Path | None = None,
    ignore: Collection[str] = (),
    strict: bool = False,
    known: Mapping[str, Known] | None = None,
    addresses: Mapping[str, str] | None = None,
    say: Callable[[str], None] = log.info,
) -> Translation:
    """Return ``environment`` as it is to be on ``target``, and what differs.

    For the platform and the Python that it was captured on, that is the same one, and nobody is asked. Else uv and, for
    packages of conda, rattler are asked what there is: some seconds the first time, nothing the second.

    Parameters
    ----------
    environment : Environment
        Captured; before or after what is the caller's own was packed.
    target : Target
        The machines.
    cache : Path, optional
        The user's cache directory, where answers are remembered; none: nowhere.
    ignore : collection of str
        Packages that are left out already and must not come back because others require them.
    strict : bool
        Whether to refuse other versions and packages that are left out, instead of naming them.
    known : mapping, optional
        What the installed packages say of themselves; default: those of the Python that is running.
    addresses : mapping, optional
        Indexes as they are to be asked from here, with passwords, by their bare addresses; default: as they are set.
    say : callable
        Told in a sentence what takes long, and what was decided on the way.

    Raises
    ------
    BadRequest
        It can't be had there; names the packages, what there is of them, and ways out.
    MissingExtra
        uv or rattler isn't installed.
    """
    if is_same(environment, target):
        return Translation(environment=environment)
    check(target)
    target = replace(target, python=target.python or minor_of(environment.python))
    place = place_of(environment, target, ignore, cache) if cache is not None else None
    found = remembered(place) if place is not None else None
    if found is None:
        say(f"Looking for your {len(environment.packages):,} packages as they are for {shown(target.platform)}.")
        known = of_environment(known if known is not None else known_here(), environment)
        found = _translate(environment, target, frozenset(map(normalised, ignore)), known, addresses, say)
        if place is not None:
            remember(found, place)
    if strict and (far := [one for one in found.differences if one.confidence in FAR]):
        raise BadRequest(
            f"package_sync_strict allows no other packages on {shown(target.platform)} than here, and these differ:\n"
            f"{in_lines(far)}\nWays out: upgrade them here, name them in package_sync_ignore, or leave "
            "package_sync_strict out."
        )
    return found


def is_far(difference: Difference) -> bool:
    """Whether it is more than what differs between platforms anyway: another version, or something missing."""
    return difference.confidence in FAR


def check_carried(environment: Environment, target: Target) -> None:
    """Raise BadRequest where a wheel that travels doesn't run on ``target``: it was compiled for this platform."""
    if is_same(environment, target):
        return
    tags = tags_for(replace(target, python=target.python or minor_of(environment.python)))
    owners = {package.artifact: package.name for package in environment.packages if package.artifact}
    wrong = [one for one in environment.artifacts if one.file_name.endswith(".whl") and not fits(one.file_name, tags)]
    if wrong:
        _refuse_compiled({owners.get(one.sha256, one.file_name): one.file_name for one in wrong}, target)


def _translate(
    environment: Environment,
    target: Target,
    ignore: frozenset[str],
    known: Mapping[str, Known],
    addresses: Mapping[str, str] | None,
    say: Callable[[str], None],
) -> Translation:
    conda = [package for package in environment.packages if package.source is Source.CONDA]
    by_conda: Sequence[Package] = ()
    differences: list[Difference] = []
    if conda:
        by_conda, found = _conda().solve(conda, environment.channels, target, say)
        is_other_python = minor_of(environment.python) != target.python  # said below, with what follows of it
        differences += [one for one in found if one.package != "python" or not is_other_python]
    tags = tags_for(target)
    from_indexes: dict[str, Package] = {}
    carried: list[Package] = []
    for package in environment.packages:
        if package.source is Source.CONDA:
            continue
        if package.source is Source.ARCHIVE and not package.artifact:
            if fits(_file_name(package.url), tags):
                carried.append(package)
                continue
            package = replace(package, source=Source.INDEX, url="", sha256="")
        if package.source is Source.INDEX and not package.artifact:
            from_indexes[package.name] = package
        else:
            carried.append(package)
    _refuse_carried(carried, environment, known, target)
    needs = needs_of(
        [*from_indexes.values(), *carried],
        known,
        marker_facts(environment.platform, environment.python),
        marker_facts(target.platform, _python_there(environment, target)),
    )
    kept = {name: package for name, package in from_indexes.items() if name not in needs.dropped}
    case = Case(
        resolver=Resolver(
            program=find_program(),
            target=target,
            python=_python_there(environment, target),
            here=environment.python,
            indexes=_addresses(environment, addresses),
        ),
        packages=kept,
        known=known,
        needs=needs,
        excludes=frozenset(
            {package.name for package in carried}
            | {package.name.lower().replace("_", "-") for package in (*conda, *by_conda)}
            | {name for name, one in known.items() if one.is_of_conda}
            | ignore
            | needs.dropped.keys()
        ),
        added=_lines_of_carried(needs, {package.name for package in carried}, from_indexes),
        say=say,
    )
    settled = settle(case)
    packages = [*by_conda, *carried, *_packages(case, settled)]
    there = replace(
        environment,
        python=next((p.version for p in by_conda if p.name == "python"), _python_there(environment, target)),
        platform=target.platform,
        packages=tuple(sorted(packages, key=lambda package: (package.name, package.source.value))),
    )
    differences += differences_of(environment, case, settled, target)
    return Translation(
        environment=seal(there),
        differences=tuple(sorted(differences, key=lambda one: (-FAR.get(one.confidence, 0), one.package))),
    )


def _conda() -> ModuleType:
    try:
        # By name, for those who have conda packages: its library is big and need not be there.
        return importlib.import_module("tradewind.boot.environment.translation.conda")
    except ImportError:
        raise MissingExtra(
            "finding conda packages for another platform needs py-rattler, which isn't installed: "
            "pip install 'tradewind[software]', or pip install py-rattler"
        ) from None


def _packages(case: Case, settled: Settled) -> list[Package]:
    """Return what comes from indexes, and what is copied, for the target."""
    packages = [
        # It travels as what was copied from a directory does: as the files that are installed here.
        replace(package, source=Source.DIRECTORY, url="", sha256="")
        for name, package in case.packages.items()
        if name in case.copied
    ]
    for name, there in settled.available.items():
        known = case.packages.get(name, Package(name=name, version=there.version))
        # The hash was that of a file for this platform.
        packages.append(replace(known, version=there.version, sha256=""))
    return packages


def _lines_of_carried(needs: Needs, carried: Collection[str], here: Collection[str]) -> list[str]:
    """Return what the caller's own packages need there and not here: uv doesn't see them."""
    return sorted(
        {
            f"{edge.to}{edge.allows}"
            for edge in needs.edges
            if edge.by in carried and edge.there and not edge.here and not edge.is_extra
            if edge.to not in here and edge.to not in carried
        }
    )


def _refuse_carried(
    carried: Sequence[Package], environment: Environment, known: Mapping[str, Known], target: Target
) -> None:
    check_carried(environment, target)
    compiled = {
        package.name: ", ".join(known[package.name].tags)
        for package in carried
        if package.source in {*OF_THE_CALLER, Source.VCS} and not package.artifact
        if package.name in known and known[package.name].is_compiled
    }
    if compiled:
        _refuse_compiled(compiled, target)


def _refuse_compiled(wrong: Mapping[str, str], target: Target) -> None:
    lines = [f"{name} is compiled for this machine ({what})" for name, what in sorted(wrong.items())]
    raise BadRequest(
        f"{'; '.join(lines)}: it doesn't run on {shown(target.platform)}, and no index has it that the machines can "
        "ask. Ways out: publish wheels of it for both platforms on an index that machines can ask, make a conda "
        f"package of it, start from a {shown(target.platform)} machine, or leave it out with "
        f"package_sync_ignore={sorted(wrong)!r}."
    )


def _python_there(environment: Environment, target: Target) -> str:
    return environment.python if minor_of(environment.python) == target.python else f"{target.python}.0"


def _file_name(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _addresses(environment: Environment, addresses: Mapping[str, str] | None) -> list[str]:
    if not environment.indexes:
        return []
    known = addresses if addresses is not None else with_passwords()
    # The usual one last, whatever order they were written in.
    return [known.get(url, url) for url in sorted(environment.indexes, key=lambda url: url in PUBLIC)]
