"""Conda packages of another platform, by conda's own solver."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import rattler
from rattler.exceptions import FetchRepoDataError, GatewayError, SolverError

from tradewind.boot.environment.indexes import bare
from tradewind.boot.environment.translation.platforms import GLIBC, conda_subdir, machine_of, shown, system_of
from tradewind.errors import BadRequest
from tradewind.model.environment import Confidence, Difference, Package, Source, Target

log = logging.getLogger("tradewind")

SOLVE = timedelta(minutes=5)
TRIES = 40
"""How often something is let go of: each is a solve of a second or less once the channels' listings are there."""
NO_CHANNEL = "https://conda.anaconda.org/conda-forge"
"""Of records that don't say where they are from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How near to its version here a package must be."""

    parts: int | None
    """That many numbers of the version are as here; None: all of it."""
    confidence: Confidence

    def spec(self, package: Package) -> str:
        """Return what the solver is told of ``package``."""
        if self.parts is None:
            return f"{package.name} =={package.version}"
        numbers = re.split(r"[._-]", package.version)[: self.parts]
        return f"{package.name} {'.'.join(numbers)}.*" if numbers else package.name


LEVELS = (
    Level(parts=None, confidence=Confidence.SURE),
    Level(parts=2, confidence=Confidence.LIKELY),
    Level(parts=1, confidence=Confidence.GUESS),
    Level(parts=0, confidence=Confidence.GUESS),
)


def solve(
    packages: Sequence[Package], channels: Sequence[str], target: Target, say: Callable[[str], None] = log.info
) -> tuple[tuple[Package, ...], list[Difference]]:
    """Return the packages for ``target``, and what differs.

    What a person asked for is wanted in its version; what came along is held at its version where it is needed there
    too. What can't be had so is let go of, one by one: first the last number of its version, then the next.

    Raises
    ------
    BadRequest
        There is no answer, or a channel doesn't answer.
    """
    say(f"Asking conda's channels for {len(packages):,} packages as they are for {shown(target.platform)}.")
    return asyncio.run(_solve(packages, [*channels] or [NO_CHANNEL], target, say))


async def _solve(
    packages: Sequence[Package], channels: Sequence[str], target: Target, say: Callable[[str], None]
) -> tuple[tuple[Package, ...], list[Difference]]:
    subdir: Any = conda_subdir(target)
    gateway = rattler.Gateway()
    there_are = await _versions(gateway, channels, subdir, packages)
    asked = {package.name for package in packages if package.is_requested} or {package.name for package in packages}
    asked.add("python")
    wanted = {package.name: package for package in packages if package.name in there_are}
    level = {
        name: next(
            (n for n, one in enumerate(LEVELS[:-1]) if _is_had(one, package, there_are[name])),
            len(LEVELS) - 1,
        )
        for name, package in wanted.items()
    }
    for _ in range(TRIES):
        specs = {name: LEVELS[level[name]].spec(package) for name, package in wanted.items()}
        if target.python and "python" in wanted:
            specs["python"] = _python(wanted["python"], target, level["python"])
        try:
            records = await rattler.solve(
                list(channels),
                [spec for name, spec in specs.items() if name in asked],
                gateway=gateway,
                platforms=[subdir, "noarch"],
                virtual_packages=machine(target),
                timeout=SOLVE,
                constraints=[spec for name, spec in specs.items() if name not in asked and level[name] < 3],
            )
            break
        except SolverError as error:
            reason = str(error)
            let_go = _next(reason, level, asked)
            if not let_go:
                raise BadRequest(_no_answer(reason, target)) from None
            for name in let_go:
                level[name] += 1
                say(f"{name} {wanted[name].version} of conda doesn't go with the others there: another is tried.")
    else:
        raise BadRequest(_no_answer(reason, target))
    requested = {package.name for package in packages if package.is_requested}
    found = tuple(sorted((package_of(record, requested) for record in records), key=lambda package: package.name))
    return found, _differences(packages, found, there_are, asked, target)


async def _versions(
    gateway: rattler.Gateway, channels: Sequence[str], subdir: Any, packages: Sequence[Package]
) -> dict[str, set[str]]:
    """Return the versions of each that are there for the target; a name that isn't a key has none."""
    names = sorted({package.name for package in packages})
    try:
        answers = await gateway.query(list(channels), [subdir, "noarch"], names, recursive=False)
    except (GatewayError, FetchRepoDataError, OSError) as error:
        raise BadRequest(
            f"the conda channels can't be asked ({', '.join(channels)}): {_last(str(error))}. Can they be reached "
            "from this machine?"
        ) from None
    found: dict[str, set[str]] = {}
    for answer in answers:
        for record in answer:
            found.setdefault(record.name.source, set()).add(str(record.version))
    return found


def _is_had(level: Level, package: Package, versions: Iterable[str]) -> bool:
    if level.parts is None:
        return package.version in versions
    numbers = re.split(r"[._-]", package.version)[: level.parts]
    return any(re.split(r"[._-]", version)[: level.parts] == numbers for version in versions)


def _python(package: Package, target: Target, level: int) -> str:
    """Return what the solver is told of Python: the target's minor version, and the very one if it may be."""
    is_exact = level == 0 and ".".join(package.version.split(".")[:2]) == target.python
    return LEVELS[0].spec(package) if is_exact else f"python {target.python}.*"


def _next(reason: str, level: Mapping[str, int], asked: set[str]) -> set[str]:
    """Return what is let go of: what the solver names and nobody asked for, else what it names, else the rest."""
    can = {name for name, at in level.items() if at < len(LEVELS) - 1 and name != "python"}
    named = can & set(re.findall(r"[A-Za-z0-9_][A-Za-z0-9._-]*", reason))
    return named - asked or named or can - asked or can


def machine(target: Target) -> list[rattler.GenericVirtualPackage]:
    """Return what conda takes for granted of the machines."""
    glibc = target.glibc or ".".join(map(str, GLIBC))
    facts = {"__unix": "0", "__archspec": "1"}
    if system_of(target.platform) == "linux":
        facts |= {"__linux": "5.10", "__glibc": glibc}
    else:
        facts["__osx"] = "14.0"
    builds = {"__archspec": machine_of(target.platform)}
    return [
        rattler.GenericVirtualPackage(
            rattler.PackageName(name), rattler.Version(version), rattler.BuildString(builds.get(name, "0"))
        )
        for name, version in facts.items()
    ]


def package_of(record: rattler.RepoDataRecord, requested: set[str]) -> Package:
    """Return what the solver found as our own value; ``requested`` are the names that a person asked for."""
    name = record.name.source
    subdir = str(record.subdir)
    channel = bare(str(record.url)).rpartition("/")[0].removesuffix(f"/{subdir}")
    return Package(
        name=name,
        version=str(record.version),
        source=Source.CONDA,
        url=channel,
        sha256=record.sha256.hex() if record.sha256 else "",
        build=str(record.build),
        subdir=subdir,
        is_requested=name in requested,
    )


def _differences(
    packages: Sequence[Package],
    found: Sequence[Package],
    there_are: Mapping[str, set[str]],
    asked: set[str],
    target: Target,
) -> list[Difference]:
    platform = shown(target.platform)
    here = {package.name: package for package in packages}
    there = {package.name: package for package in found}
    differences = []
    for name, package in here.items():
        other = there.get(name)
        if other is None:
            is_there = name in there_are
            reason = (
                f"nothing needs it on {platform}" if is_there else f"conda has it for other platforms than {platform}"
            )
            was_asked = name in asked and package.is_requested
            confidence = Confidence.GUESS if was_asked else Confidence.SURE
            differences.append((name, package.version, "", reason, confidence))
        elif other.version != package.version:
            has = package.version in there_are.get(name, ())
            reason = (
                f"{package.version} doesn't go with the others there"
                if has
                else f"conda has no {package.version} for {platform}"
            )
            level = next((one for one in LEVELS[1:] if _is_had(one, package, [other.version])), LEVELS[-1])
            differences.append((name, package.version, other.version, reason, level.confidence))
    for name, package in there.items():
        if name not in here:
            reason = f"conda's packages need it on {platform}"
            differences.append((name, "", package.version, reason, Confidence.SURE))
    return [
        Difference(package=name, here=before, there=after, reason=reason, confidence=confidence)
        for name, before, after, reason, confidence in differences
    ]


def _no_answer(reason: str, target: Target) -> str:
    lines = [line.rstrip() for line in reason.splitlines() if line.strip()]
    quoted = "\n".join(lines[-12:])
    return (
        f"your conda packages can't be had together on {shown(target.platform)}. The solver says:\n{quoted}\n"
        "Ways out: upgrade those packages here, or leave some out with package_sync_ignore."
    )


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"[a-z]+://[^\s`)]+", lambda found: bare(found[0]), lines[-1]) if lines else "no reason was given"
