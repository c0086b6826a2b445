"""Why a package is there: who asked for it, who requires it, and what they allow."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from tradewind.boot.environment.sources import Found, Installed, normalised


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One installed package that requires another."""

    by: str
    version: str
    """Of who wishes it."""
    allows: str
    """Versions, as ``>=1.24,<3``; empty: any."""
    extra: str = ""
    """Of who wishes it, where it is only for that one."""
    is_met: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """All that can be said of one package without asking anybody."""

    name: str
    version: str
    source: str
    url: str
    is_requested: bool
    wishes: tuple[Wish, ...]
    """Sorted by name."""
    chain: tuple[str, ...]
    """From a package that a person asked for to this one; empty where none leads here."""
    tags: tuple[str, ...]
    """Of the wheel it was installed from, as ``cp311-cp311-manylinux_2_17_x86_64``."""

    @property
    def is_for_any_platform(self) -> bool | None:
        """Whether its wheel is; None where that isn't known."""
        return any(tag.endswith("-any") for tag in self.tags) if self.tags else None


def why(name: str, found: Found) -> Why | None:
    """Return why ``name`` is there; None where it isn't.

    Requirements of other platforms are left out. Those of an extra count as wishes of that extra where all
    that it asks for is here: nobody wrote down whether it was wanted.
    """
    name = normalised(name)
    installed = {one.name: one for one in found.installed}
    one = installed.get(name)
    if one is None:
        return None
    wishes = {other.name: tuple(_wishes(other, installed)) for other in found.installed}
    return Why(
        name=one.name,
        version=one.version,
        source=one.source.value,
        url=one.url,
        is_requested=one.is_requested,
        wishes=tuple(wish for wanted in wishes.values() for target, wish in wanted if target == name),
        chain=_chain(name, installed, {by: {target for target, _ in wanted} for by, wanted in wishes.items()}),
        tags=tags_of(one),
    )


def size_of(one: Installed) -> int | None:
    """Return the bytes of what was installed, by the list of its files; None without one."""
    try:
        text = (one.directory / "RECORD").read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return None
    return sum(int(size) for size in re.findall(r",(\d+)\s*$", text, re.MULTILINE))


def tags_of(one: Installed) -> tuple[str, ...]:
    """Return for which Pythons and platforms the wheel of ``one`` is; empty where it doesn't say."""
    return tuple(re.findall(r"^Tag: *(\S+)", _text(one.directory / "WHEEL"), re.MULTILINE))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _wishes(by: Installed, installed: Mapping[str, Installed]) -> Iterator[tuple[str, Wish]]:
    requirements = list(_requirements(by))
    # An extra that lacks something was never asked for.
    lacking = {extra for asked, extra in requirements if normalised(asked.name) not in installed}
    for asked, extra in requirements:
        target = installed.get(normalised(asked.name))
        if target is None or (extra and extra in lacking):
            continue
        is_met = asked.specifier.contains(target.version, prereleases=True)
        allows = ",".join(sorted(str(asked.specifier).split(","), reverse=True))
        yield target.name, Wish(by=by.name, version=by.version, allows=allows, extra=extra, is_met=is_met)


def _requirements(by: Installed) -> Iterator[tuple[Requirement, str]]:
    """Yield what a package requires here, and for which of its extras."""
    head = _text(by.directory / "METADATA").partition("\n\n")[0]
    for line in re.findall(r"^Requires-Dist: *(.+)$", head, re.MULTILINE):
        try:
            asked = Requirement(line)
        except InvalidRequirement:
            continue
        if asked.marker is None or asked.marker.evaluate({"extra": ""}):
            yield asked, ""
            continue
        words = re.findall(r"""extra *== *["']([^"']+)""", str(asked.marker))
        if extra := next((word for word in words if asked.marker.evaluate({"extra": word})), ""):
            yield asked, extra


def _chain(name: str, installed: Mapping[str, Installed], requires: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Return the shortest way from what was asked for: breadth first, names in order, so that it is always the same."""
    starts = sorted(one.name for one in installed.values() if one.is_requested)
    if name in starts:
        return (name,)
    came: dict[str, str] = dict.fromkeys(starts, "")
    queue = deque(starts)
    while queue:
        at = queue.popleft()
        for target in sorted(requires.get(at, ())):
            if target in came:
                continue
            came[target] = at
            if target == name:
                chain = [target]
                while came[chain[-1]]:
                    chain.append(came[chain[-1]])
                return tuple(reversed(chain))
            queue.append(target)
    return ()
