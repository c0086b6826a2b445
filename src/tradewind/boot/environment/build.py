"""A project of the caller, built into a wheel by its own builder, away from where it lies."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tradewind.boot.environment.listing import Listing, git_directory

BUILD_S = 300.0
"""Seconds a builder may take; a compiled project needs some minutes."""
LINES_QUOTED = 15


class BuildFailed(Exception):
    """A builder didn't make a wheel; the message is its last lines, or why there is no builder."""


def build(project: Path, files: Listing, into: Path) -> Path:
    """Build the wheel of ``project`` from a copy of ``files``, and return its path.

    From a copy, since builders leave directories in the project, and take up what older builds left there.

    Parameters
    ----------
    project : Path
        A directory with a ``pyproject.toml`` or ``setup.py``.
    files : Listing
        What of it is the user's.
    into : Path
        An empty directory.

    Raises
    ------
    BuildFailed
        It has no wheel, for the reason its builder gave.
    """
    with _copied(project, files) as copy:
        _run(_command(copy, into), into)
    wheels = sorted(into.glob("*.whl"))
    if len(wheels) != 1:
        raise BuildFailed(f"its builder made {len(wheels)} wheels, and one was asked for")
    return wheels[0]


def find_uv() -> str | None:
    """Return the path of uv: beside this Python, else on the path of commands; None where there is none."""
    beside = Path(sysconfig.get_path("scripts")) / ("uv.exe" if sys.platform == "win32" else "uv")
    return str(beside) if beside.is_file() else shutil.which("uv")


def _command(project: Path, into: Path) -> list[str]:
    uv = find_uv()
    if uv is not None:
        words = ["build", "--wheel", "--no-progress", "--color", "never", "--python", sys.executable]
        return [uv, *words, "--out-dir", str(into), str(project)]
    if importlib.util.find_spec("pip") is None:
        raise BuildFailed("there is neither uv nor pip to build it with: pip install uv")
    return [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-input", "--wheel-dir", str(into), str(project)]


def _run(command: list[str], into: Path) -> None:
    environ = {
        **os.environ,
        "GIT_OPTIONAL_LOCKS": "0",
        "SOURCE_DATE_EPOCH": "315532800",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    # What is on the path of modules here isn't the builder's.
    environ.pop("PYTHONPATH", None)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=BUILD_S, env=environ
        )
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"its builder didn't end within {BUILD_S:.0f} seconds") from None
    except OSError as error:
        raise BuildFailed(f"{command[0]} can't be run: {error.strerror}") from None
    if done.returncode != 0:
        lines = [line.rstrip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise BuildFailed("\n".join(lines[-LINES_QUOTED:]) or f"its builder ended with code {done.returncode}")


@contextmanager
def _copied(project: Path, files: Listing) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tradewind-build-") as directory:
        copy = Path(directory) / (project.name or "project")
        copy.mkdir()
        for name in files.names:
            to = copy / name
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project / name, to)
        repository = git_directory(project)
        if repository is not None:
            # Versions that are made of tags: git finds the repository through this file, as in a linked worktree.
            (copy / ".git").write_text(f"gitdir: {repository}\n", encoding="utf-8")
        yield copy
