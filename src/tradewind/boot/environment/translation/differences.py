"""What isn't the same there as here, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tradewind.boot.environment.translation.platforms import minor_of, shown
from tradewind.boot.environment.translation.relax import Case, Settled, Step
from tradewind.model.environment import Confidence, Difference, Environment, Target

FAR: Mapping[Confidence, int] = {Confidence.LIKELY: 1, Confidence.GUESS: 2}
"""Which are more than another build of the same; the worst has the highest number."""
SURE_OF = {
    Step.BUILD: Confidence.LIKELY,
    Step.PATCH: Confidence.LIKELY,
    Step.MINOR: Confidence.GUESS,
    Step.MAJOR: Confidence.GUESS,
}
MOST_NAMED = 3


def differences_of(environment: Environment, case: Case, settled: Settled, target: Target) -> list[Difference]:
    """Return what differs of Python and of what pip installed."""
    here = shown(environment.platform)
    found = []
    if minor_of(environment.python) != target.python:
        reason = (
            f"functions that you define here travel as code of Python {minor_of(environment.python)}, which "
            f"{target.python} can't run; only what both import from files works"
        )
        found.append(_difference("python", environment.python, target.python, reason, Confidence.GUESS))
    versions = {package.name: package.version for package in environment.packages}
    for name, by in case.needs.dropped.items():
        reason = f"{_listed(by)} {_need(by)} it on {here} only"
        found.append(_difference(name, versions[name], "", reason, Confidence.SURE))
    for name, systems in case.left_out.items():
        by = case.needs.by(name)
        reason = f"it is for {systems} only"
        if by:
            reason += f"; what needs it in {_listed(by)} won't work there"
        is_missed = bool(by) or case.packages[name].is_requested
        confidence = Confidence.GUESS if is_missed else Confidence.LIKELY
        found.append(_difference(name, versions[name], "", reason, confidence))
    for name in sorted(case.copied):
        reason = f"no index has a wheel of it for {case.platform}: its installed files travel, which are plain Python"
        found.append(_difference(name, versions[name], versions[name], reason, Confidence.LIKELY))
    for name, step in settled.steps.items():
        there = settled.available[name].version
        reason = f"{versions[name]} {case.loose[name]}"
        found.append(_difference(name, versions[name], there, reason, SURE_OF[step]))
    for name in settled.available.keys() - case.packages.keys():
        by = case.needs.only_there(name)
        reason = f"{_listed(by)} {_need(by)} it on {case.platform}" if by else "what is installed there needs it"
        found.append(_difference(name, "", settled.available[name].version, reason, Confidence.SURE))
    return found


def in_lines(differences: Iterable[Difference]) -> str:
    """Return a line for each, to be shown where there is no table."""
    lines = []
    for one in differences:
        if not one.there:
            change = f"{one.package} {one.here} is left out"
        elif not one.here:
            change = f"{one.package} {one.there} comes in"
        elif one.here == one.there:
            change = f"{one.package} {one.here}"
        else:
            change = f"{one.package} {one.here} → {one.there}"
        lines.append(f"  {change}: {one.reason} ({one.confidence}).")
    return "\n".join(lines)


def _difference(package: str, here: str, there: str, reason: str, confidence: Confidence) -> Difference:
    return Difference(package=package, here=here, there=there, reason=reason, confidence=confidence)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _need(names: Sequence[str]) -> str:
    return "needs" if len(names) == 1 else "need"
