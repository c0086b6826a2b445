"""What changes when a project moves from one way to run it to another, told from the facts of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A key of the settings file."""

    key: str
    """With its table: ``slurm.partitions``."""
    meaning: str
    is_needed: bool
    """Whether nothing runs without it."""
    is_given: bool
    """Whether this user has set it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to run clusters."""

    name: str
    facts: Mapping[str, bool | timedelta]
    settings: tuple[Setting, ...] = ()
    missing: str = ""
    """What must be installed first, in words; empty where all is there."""
    is_found: bool = False
    """Whether ``tradewind setup`` finds its settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A fact that isn't the same there."""

    fact: str
    says: str


def differences(here: Way, there: Way, words: Mapping[str, Mapping[str, str]]) -> tuple[Difference, ...]:
    """Return what is different there, in the order of ``words``, which say how each fact is told."""
    found = []
    for fact, told in words.items():
        before, after = here.facts.get(fact), there.facts.get(fact)
        if before is None or after is None or before == after:
            continue
        if isinstance(after, timedelta) and isinstance(before, timedelta):
            says = told["more" if after > before else "less"].format(here=_duration(before), there=_duration(after))
        else:
            says = told["yes" if after else "no"]
        found.append(Difference(fact=fact, says=says))
    return tuple(found)


def told_way(way: Way) -> dict[str, Any]:
    """Return a way as plain data; durations in seconds."""
    return {
        "name": way.name,
        "facts": {
            name: value.total_seconds() if isinstance(value, timedelta) else value for name, value in way.facts.items()
        },
        "settings": [
            {"key": one.key, "meaning": one.meaning, "needed": one.is_needed, "given": one.is_given}
            for one in way.settings
        ],
        "missing": way.missing,
    }


def _duration(value: timedelta) -> str:
    seconds = value.total_seconds()
    return "at once" if not seconds else f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"
