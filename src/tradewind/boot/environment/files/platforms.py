"""For which machines a file is locked, where nobody says for which it is to be read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tradewind.boot.environment.files.job import holds
from tradewind.boot.environment.files.locked import subdirs_of
from tradewind.boot.environment.translation.platforms import TARGETS, conda_subdir, marker_facts
from tradewind.model.environment import Target

LINUX = tuple(platform for platform in TARGETS if platform.startswith("linux-"))


def of_project(lock: Path, usual: str, python: str) -> tuple[str, ...]:
    """Return those of a ``uv.lock``: what its project names, else all Linux, since it is for every platform."""
    markers = _toml(lock).get("supported-markers")
    return _first(usual, _where(markers, python) if markers else LINUX)


def of_pylock(file: Path, usual: str, python: str) -> tuple[str, ...]:
    """Return those of a ``pylock.toml``: what it names, else the usual one alone: it may be made for just that."""
    markers = _toml(file).get("environments")
    return _first(usual, _where(markers, python) if markers else (usual,))


def of_conda(file: Path, usual: str) -> tuple[str, ...]:
    """Return those of a ``pixi.lock`` or ``conda-lock.yml``."""
    subdirs = subdirs_of(file)
    return _first(usual, [one for one in TARGETS if conda_subdir(Target(platform=one)) in subdirs])


def _first(usual: str, found: Sequence[str]) -> tuple[str, ...]:
    """Return platforms, the usual one first; that alone where no Linux is among them: who reads then says why not."""
    if not any(one in LINUX for one in found):
        return (usual,)
    return tuple(sorted(found, key=lambda one: (one != usual, TARGETS.index(one))))


def _where(markers: object, python: str) -> list[str]:
    known = [str(one) for one in markers] if isinstance(markers, list) else []
    return [one for one in TARGETS if any(holds(marker, marker_facts(one, python)) for marker in known)]


def _toml(file: Path) -> Mapping[str, Any]:
    """Return the head of a lock file; empty for what can't be read: who reads all of it says why."""
    try:
        # Its packages aren't asked here, and are nearly all of it.
        head = re.split(r"^\[\[packages?\]\]", file.read_text(encoding="utf-8"), maxsplit=1, flags=re.MULTILINE)[0]
        return tomllib.loads(head)
    except (OSError, UnicodeError, tomllib.TOMLDecodeError):
        return {}
