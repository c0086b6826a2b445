"""uv's resolver, asked what packages there are for another platform."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tradewind.boot.environment.build import find_uv
from tradewind.boot.environment.indexes import bare
from tradewind.boot.environment.sources import normalised
from tradewind.boot.environment.translation.platforms import uv_platform
from tradewind.errors import BadRequest, MissingExtra
from tradewind.model.environment import Target

RESOLVE_S = 300.0
"""Seconds one question may take: a cold cache and a slow line need a minute for some hundred packages."""
LINES_QUOTED = 12
NOT_OURS = (
    *("UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_BUILD_CONSTRAINT", "UV_RESOLUTION", "UV_PRERELEASE"),
    *("UV_NO_BINARY", "UV_NO_BINARY_PACKAGE", "UV_NO_BUILD", "UV_PYTHON", "UV_PROJECT", "UV_WORKING_DIRECTORY"),
    *("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_COMPILE_BYTECODE", "UV_OUTPUT_FILE"),
)
"""Variables that would answer another question than the one that is asked."""
NO_ANSWER = re.compile(
    r"No solution found|unsatisfiable|no version of|not found in the package registry", re.IGNORECASE
)


class Unsatisfiable(Exception):
    """There is no answer; the message is uv's reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Available:
    """One package in an answer."""

    name: str
    version: str
    wheels: tuple[str, ...]
    """Their file names."""
    has_source: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What uv is asked for."""

    wanted: Sequence[str]
    """Lines, as ``numpy==1.26.4``."""
    overrides: Sequence[str] = ()
    """Lines that count instead of what packages say of each other."""
    excludes: Sequence[str] = ()
    """Names that nothing shall bring in."""
    with_dependencies: bool = True
    lowest: bool = False
    """Whether the lowest version of what is wanted is taken, and not the highest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """Asks uv; each call is a process of some tenths of a second once its cache knows the packages."""

    program: str
    target: Target
    """With a Python."""
    python: str
    """Version on the target, the last number too where it is known: packages may want a Python mended in between."""
    here: str
    """Version of the caller's Python."""
    indexes: Sequence[str] = field(default=(), repr=False)
    """Addresses with their passwords, the first one first, the usual one last; empty: uv's own settings."""

    def ask(self, question: Question) -> dict[str, Available]:
        """Return what is to be installed on the target, by name: wheels alone.

        Raises
        ------
        Unsatisfiable
            No versions fit.
        BadRequest
            uv failed otherwise: no index answers, one wants a password.
        """
        words = ["--python-platform", uv_platform(self.target), "--only-binary", ":all:"]
        return self._run(question, [*words, "--python-version", self.python])

    def listing(self, wanted: Sequence[str]) -> dict[str, Available]:
        """Return all wheels there are of these exact versions, for whatever platform. Raises as :meth:`ask` does."""
        # What is for older Pythons than it is told isn't listed, and may be why something isn't there.
        oldest = min(self.here, self.python, key=_numbers)
        words = ["--universal", "--python-version", oldest]
        return self._run(Question(wanted=wanted, with_dependencies=False), words)

    def _run(self, question: Question, words: Sequence[str]) -> dict[str, Available]:
        if not question.wanted:
            return {}
        with tempfile.TemporaryDirectory(prefix="tradewind-translate-") as directory:
            place = Path(directory)
            files = {"requirements.txt": question.wanted, "overrides.txt": question.overrides}
            files |= {"excludes.txt": question.excludes}
            for name, lines in files.items():
                (place / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            command = [self.program, "pip", "compile", "requirements.txt", *words]
            command += [
                "--python",
                sys.executable,
                "--format",
                "pylock.toml",
                "--no-header",
                "--no-progress",
                "--color",
                "never",
            ]
            command += [] if question.with_dependencies else ["--no-deps"]
            command += ["--overrides", "overrides.txt"] if question.overrides else []
            command += ["--excludes", "excludes.txt"] if question.excludes else []
            command += ["--resolution", "lowest-direct"] if question.lowest else []
            # As pip does, and so came to be what is captured: one index has a wheel for one platform, another for
            # others. That what comes from the usual one is no namesake is seen when the user's own is packed.
            command += ["--index-strategy", "unsafe-best-match"] if len(self.indexes) > 1 else []
            # Elsewhere than in the user's project: its settings are about what it locks, not about what is installed.
            return _answer(_output(command, place, _environ(self.indexes)))


def find_program() -> str:
    """Return the path of uv. Raises MissingExtra where there is none."""
    found = find_uv()
    if found is None and importlib.util.find_spec("uv") is not None:
        module = importlib.import_module("uv")
        try:
            found = str(module.find_uv_bin())
        except FileNotFoundError:
            found = None
    if found is None:
        raise MissingExtra(
            "finding packages for machines of another platform than this one needs uv, which isn't installed: "
            "pip install 'tradewind[software]', or pip install uv"
        )
    return found


def last_lines(text: str, count: int = LINES_QUOTED) -> str:
    """Return the end of what uv wrote, without what it says of itself and without passwords."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("warning:")]
    kept = "\n".join(lines[-count:])
    return re.sub(r"[a-z]+://[^\s`)]+", lambda found: bare(found[0]), kept)


def named_in(text: str) -> set[str]:
    """Return the names of all packages that uv's reason speaks of, normalised."""
    return {normalised(name) for name in re.findall(r"`?([A-Za-z0-9][A-Za-z0-9._-]*)`?(?=[\[<>=!~ ,])", text)}


def _output(command: Sequence[str], place: Path, environ: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=RESOLVE_S,
            cwd=place,
            env=environ,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise BadRequest(
            f"uv didn't find the packages for the machines within {RESOLVE_S:.0f} seconds: is the package index slow "
            "to answer from here?"
        ) from None
    except OSError as error:
        raise BadRequest(f"{command[0]} can't be run: {error.strerror}.") from None
    if done.returncode == 0:
        return done.stdout
    reason = last_lines(done.stderr)
    if NO_ANSWER.search(done.stderr) and "401 Unauthorized" not in done.stderr:
        raise Unsatisfiable(reason)
    raise BadRequest(f"uv can't find the packages for the machines. It says:\n{reason}")


def _answer(text: str) -> dict[str, Available]:
    packages: list[dict[str, Any]] = tomllib.loads(text).get("packages", [])
    found = {}
    for package in packages:
        found[normalised(package["name"])] = Available(
            name=normalised(package["name"]),
            version=str(package.get("version", "")),
            wheels=tuple(_name_of(wheel) for wheel in package.get("wheels", [])),
            has_source="sdist" in package,
        )
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _name_of(file: Mapping[str, Any]) -> str:
    if "name" in file:
        return str(file["name"])
    return unquote(urlsplit(str(file.get("url") or file.get("path") or "")).path.rpartition("/")[2])


def _environ(indexes: Sequence[str]) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    environ |= {"UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}
    if indexes:
        # By variables and not as arguments, which everybody on this machine can read.
        for name in ("UV_INDEX_URL", "UV_EXTRA_INDEX_URL"):
            environ.pop(name, None)
        environ["UV_INDEX"] = " ".join(indexes[:-1])
        environ["UV_DEFAULT_INDEX"] = indexes[-1]
    return environ
