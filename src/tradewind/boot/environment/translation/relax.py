"""Versions for another platform: the same where there is a wheel, else the nearest that fits all others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from packaging.version import InvalidVersion, Version

from tradewind.boot.environment.translation.markers import Known, Needs, absent, unmet
from tradewind.boot.environment.translation.platforms import (
    TARGETS,
    describe,
    fits,
    shown,
    system_of,
    systems_of,
    tags_for,
)
from tradewind.boot.environment.translation.uv import Available, Question, Resolver, Unsatisfiable, named_in
from tradewind.errors import BadRequest
from tradewind.model.environment import Package

log = logging.getLogger("tradewind")

TOGETHER = frozenset({"dask", "distributed", "cloudpickle", "tradewind"})
"""Of these the caller's version and the machines' must be one: they speak with each other."""
WIDENINGS = 10
"""How often more packages are let go of, before it is said that there is no answer."""
MOST_GONE = 50


class Step(StrEnum):
    """How far a version is from the one here."""

    BUILD = "build"
    """The same, built with something else."""
    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One try: versions that would do, and which of them first."""

    step: Step
    allows: str
    """As ``>1.2.3,==1.2.*``."""
    lowest: bool
    """Whether the lowest is the nearest."""


@dataclass(slots=True, kw_only=True)
class Case:
    """What is to be settled, and what is known of it up to now."""

    resolver: Resolver
    packages: Mapping[str, Package]
    """Those that indexes have, by name."""
    known: Mapping[str, Known]
    needs: Needs
    excludes: frozenset[str]
    """Names that must not come in: carried, of conda, or not wanted."""
    added: Sequence[str] = ()
    """Lines of what the carried ones need there alone."""
    say: Callable[[str], None] = log.info
    listed: dict[str, Available] = field(default_factory=dict)
    """All wheels of the versions here."""
    loose: dict[str, str] = field(default_factory=dict)
    """Packages that can't stay at their version, with why, as a half sentence."""
    copied: set[str] = field(default_factory=set)
    """Packages whose installed files travel."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Packages of other systems, with which those are."""
    holds_all: bool = False
    """Whether pins win over what packages say of each other: they don't agree here either."""

    @property
    def platform(self) -> str:
        """Of the target, for sentences."""
        return shown(self.resolver.target.platform)

    def question(self, allows: Mapping[str, str], *, lowest: bool = False) -> Question:
        """Return what is asked when the loose packages may have these versions; those that aren't named, any."""
        pinned = {name: p for name, p in self.packages.items() if name not in self.gone and name not in self.loose}
        lines = [f"{_with_extras(package)}=={package.version}" for package in pinned.values()]
        lines += [f"{_with_extras(self.packages[name])}{allows.get(name, '')}" for name in self.loose]
        versions = {name: package.version for name, package in pinned.items()}
        held = pinned.keys() if self.holds_all else unmet(self.needs, versions)
        out = absent(self.needs, self.packages.keys()) | self.excludes | self.gone
        return Question(
            wanted=[*lines, *self.added, *self._bounds()],
            overrides=[f"{name}=={versions[name]}" for name in sorted(held)],
            excludes=sorted(out - pinned.keys() - self.loose.keys()),
            lowest=lowest,
        )

    @property
    def gone(self) -> set[str]:
        """What uv isn't asked for."""
        return self.copied | self.left_out.keys()

    def _bounds(self) -> list[str]:
        """Return what the carried ones, which uv doesn't see, want of loose ones."""
        return [
            f"{edge.to}{edge.allows}"
            for edge in self.needs.edges
            if edge.to in self.loose and edge.there and not edge.is_extra and edge.by not in self.packages
            if str(edge.allows)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The answer."""

    available: Mapping[str, Available]
    """By name: what is to be installed from indexes."""
    steps: Mapping[str, Step]
    """Of those that are of another version."""


def settle(case: Case) -> Settled:
    """Return the versions for the target. ``case`` says afterwards what was let go, copied and left out, and why.

    Raises
    ------
    BadRequest
        It can't be; names the packages, what there is of them, and ways out.
    """
    _sort_out(case)
    if not case.known:
        _see_whether_they_agree(case)
    answer = _loosened(case)
    if not case.loose:
        return Settled(available=answer, steps={})
    fixed: dict[str, str] = {}
    steps: dict[str, Step] = {}
    for name in list(case.loose):
        before = case.packages[name].version
        for rung in rungs(before):
            if not _is_anywhere(case, f"{name}{rung.allows}"):  # a twentieth of the time that all together take
                continue
            try:
                answer = case.resolver.ask(case.question({**fixed, name: rung.allows}, lowest=rung.lowest))
            except Unsatisfiable:
                continue
            break
        else:  # versions that no rung knows: take what fits
            answer = case.resolver.ask(case.question(fixed))
        fixed[name] = f"=={answer[name].version}"
        if answer[name].version != before:
            steps[name] = step_between(before, answer[name].version)
            case.say(f"{name} {before} {case.loose[name]}: {answer[name].version} is taken there.")
    return Settled(available=answer, steps=steps)


def rungs(version: str) -> Iterator[Rung]:
    """Yield what is tried in place of ``version``, the nearest first; of two as near, the newer."""
    try:
        parsed = Version(version)
    except InvalidVersion:
        return
    public, release = parsed.public, parsed.release
    if parsed.local:
        yield Rung(step=Step.BUILD, allows=f"=={public}", lowest=False)
    near = [(Step.PATCH, f",=={_prefix(release, 2)}.*")] if len(release) > 2 else []
    for step, within in [*near, (Step.MINOR, f",=={_prefix(release, 1)}.*"), (Step.MAJOR, "")]:
        yield Rung(step=step, allows=f">{public}{within}", lowest=True)
        yield Rung(step=step, allows=f"<{public}{within}", lowest=False)


def step_between(here: str, there: str) -> Step:
    """Return how far two different versions are apart."""
    one, other = Version(here), Version(there)
    if one.public == other.public:
        return Step.BUILD
    if one.epoch != other.epoch or one.release[:1] != other.release[:1]:
        return Step.MAJOR
    padded = [(*version.release, 0, 0)[:2] for version in (one, other)]
    return Step.PATCH if padded[0] == padded[1] else Step.MINOR


def _prefix(release: Sequence[int], count: int) -> str:
    return ".".join(str(part) for part in release[:count])


def _sort_out(case: Case) -> None:
    """Find what has no wheel for the target, and what becomes of it: copied, loosened or left out."""
    _list(case)
    tags = tags_for(case.resolver.target)
    refused = []
    for name, package in case.packages.items():
        listed = case.listed.get(name)
        if listed is not None and any(fits(wheel, tags) for wheel in listed.wheels):
            continue
        if _is_anywhere(case, f"{name}=={package.version}"):  # of several indexes, each lists its own wheels alone
            continue
        known = case.known.get(name)
        if known is not None and known.is_pure:
            case.copied.add(name)
            continue
        why = _why_loose(case, listed)
        if _is_anywhere(case, name):
            case.loose[name] = why
            continue
        if listed is not None and _is_of_others(case, listed):
            systems = {shown(f"{system}-").strip() for system in systems_of(listed.wheels)}
            case.left_out[name] = " and ".join(sorted(systems))
            continue
        refused.append((package, why))
    if refused:
        raise BadRequest(refusal(refused, case))


def _list(case: Case) -> None:
    """Ask which wheels there are of the versions here; what is asked for and isn't there at all is left out."""
    wanted = {name: package.version for name, package in case.packages.items()}
    for _ in range(MOST_GONE):
        try:
            case.listed = case.resolver.listing([f"{name}=={version}" for name, version in wanted.items()])
        except Unsatisfiable as reason:
            missing = named_in(str(reason)) & wanted.keys()
            if not missing:
                raise BadRequest(f"uv can't find the packages for the machines. It says:\n{reason}") from None
            for name in missing:
                del wanted[name]
        else:
            return


def _why_loose(case: Case, listed: Available | None) -> str:
    if listed is None:
        return "isn't on the index"
    if not listed.wheels:
        return "has no wheel, only its source"
    tags = tags_for(case.resolver.target)
    machine = {tag.platform for tag in tags}
    from_any = any(part in machine for wheel in listed.wheels for part in wheel[:-4].rpartition("-")[2].split("."))
    if from_any:
        return f"has no wheel for Python {case.resolver.target.python} on {case.platform}"
    return f"has no wheel for {case.platform}"


def _is_of_others(case: Case, listed: Available) -> bool:
    """Whether a package means nothing on the target's system: nobody ever built it there.

    What was built for two others, and whose source there is, was just not built for this one.
    """
    system = system_of(case.resolver.target.platform)
    others = systems_of(listed.wheels)
    if not others or others & {system, "any"} or (len(others) > 1 and listed.has_source):
        return False
    kin = [platform for platform in TARGETS if system_of(platform) == system]
    return not any(
        _is_anywhere(case, listed.name, replace(case.resolver, target=replace(case.resolver.target, platform=platform)))
        for platform in kin
        if platform != case.resolver.target.platform
    )


def _is_anywhere(case: Case, line: str, resolver: Resolver | None = None) -> bool:
    """Whether there is a wheel for the target of what a line allows, whatever it requires."""
    try:
        (resolver or case.resolver).ask(Question(wanted=[line], with_dependencies=False))
    except Unsatisfiable:
        return False
    return True


def _see_whether_they_agree(case: Case) -> None:
    """Where nobody knows what packages say of each other: whether the pins that stay agree at all."""
    loose, case.loose = case.loose, {}
    left_out, case.left_out = case.left_out, {**case.left_out, **loose}
    try:
        case.resolver.ask(case.question({}))
    except Unsatisfiable:
        case.holds_all = True
    finally:
        case.loose, case.left_out = loose, left_out


def _loosened(case: Case) -> dict[str, Available]:
    """Return an answer; let go of more packages where the ones that have to change need that."""
    for _ in range(WIDENINGS):
        try:
            return case.resolver.ask(case.question({}))
        except Unsatisfiable as reason:
            named = named_in(str(reason)) & case.packages.keys() - case.loose.keys() - case.gone
            more = named - TOGETHER
            if not more:
                raise BadRequest(_no_answer(case, str(reason), named)) from None
            for name in sorted(more):
                case.loose[name] = "doesn't go with what has to be of another version there"
    raise BadRequest(_no_answer(case, "too many packages would have to change", set()))


def refusal(refused: Sequence[tuple[Package, str]], case: Case) -> str:
    """Return why packages can't be had there, what there is of them, and what to do."""
    lines = []
    for package, why in refused:
        listed = case.listed.get(package.name)
        there_is = describe(listed.wheels) if listed is not None else ""
        lines.append(
            f"{package.name} {package.version} {why}, and no other version has one that fits"
            + (f" (its wheels are for {there_is})." if there_is else ".")
        )
    names = [package.name for package, _ in refused]
    return (
        "\n".join(lines)
        + f"\nWays out: leave it out, if your code there can do without (package_sync_ignore={names!r}); take it from "
        "conda, which has more packages built; install another version here that has a wheel for "
        f"{case.platform}; or take machines of your own platform."
    )


def _no_answer(case: Case, reason: str, held: set[str]) -> str:
    stay = f" {', '.join(sorted(held))} must be the same there as here." if held else ""
    loose = ", ".join(f"{name} {case.packages[name].version} ({why})" for name, why in case.loose.items())
    return (
        f"your packages can't be had together on {case.platform} with Python {case.resolver.target.python}.{stay}"
        + (f" These can't stay as they are: {loose}." if loose else "")
        + f" uv says:\n{reason}\nWays out: upgrade those packages here, or leave some out with package_sync_ignore."
    )


def _with_extras(package: Package) -> str:
    return package.name + (f"[{','.join(package.extras)}]" if package.extras else "")
