"""Requirements and projects of uv: uv itself locks them, and says what it locked."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tradewind.boot.environment.files.job import Job
from tradewind.boot.environment.files.pylock import Locked, parse_pylock
from tradewind.boot.environment.translation.platforms import uv_platform
from tradewind.boot.environment.translation.uv import find_program
from tradewind.errors import BadRequest

PATIENCE_S = 600.0
"""Seconds: a resolver that goes back over many versions fetches the metadata of each."""
NEEDED = "distributed"
"""Without it no worker starts; who forgets it gets the version that is here."""
LINES_QUOTED = 12


def read_uv_lock(project: Path, job: Job) -> Locked:
    """Return what ``uv.lock`` in the directory ``project`` says; nothing is resolved and no network is used.

    Groups for development are left out. Raises BadRequest.
    """
    lock = project / "uv.lock"
    if not (project / "pyproject.toml").is_file():
        raise BadRequest(f"{lock} needs the pyproject.toml it was made from beside it, and there is none.")
    words = ["export", "--frozen", "--no-dev", "--format", "pylock.toml", "--no-header", "--no-annotate"]
    return parse_pylock(_ask(words, lock, project), lock, job)


def lock_requirements(file: Path, job: Job, constraints: Sequence[str] = (), *, is_whole: bool = True) -> Locked:
    """Return what the requirements of a ``requirements.txt`` or ``pyproject.toml`` come to on the job.

    Wheels alone, since machines have no compilers. What isn't asked for but needed is added, and said.

    Parameters
    ----------
    file : Path
        Read in its own directory, with the settings of uv that hold there.
    job : Job
        For what.
    constraints : sequence of str
        Requirements that hold where something asks for the package at all.
    is_whole : bool
        Whether a machine installs nothing besides.

    Raises
    ------
    BadRequest
        It can't be read, or there is no set of versions that agree; in uv's words.
    """
    locked = _compiled(file, job, constraints, ())
    if not is_whole or any(package.name == NEEDED for package in locked.packages):
        return locked
    here = f"{NEEDED}=={importlib.metadata.version(NEEDED)}"
    job.say(f"{here} was added, as it is here: {file.name} doesn't ask for it, and without it no worker starts.")
    return _compiled(file, job, constraints, (here,))


def _compiled(file: Path, job: Job, constraints: Sequence[str], added: Sequence[str]) -> Locked:
    words = ["pip", "compile", str(file), "--format", "pylock.toml", "--no-header", "--no-annotate"]
    words += [
        "--python-version",
        job.python,
        "--python-platform",
        uv_platform(job.target),
    ]
    # This Python will do for reading what wheels say; to look for another, uv would go to the network.
    words += ["--only-binary", ":all:", "--python", sys.executable]
    with tempfile.TemporaryDirectory(prefix="tradewind-lock-") as directory:
        for name, lines, option in (("added.txt", added, None), ("constraints.txt", constraints, "--constraints")):
            if lines:
                path = Path(directory) / name
                path.write_text("\n".join(lines) + "\n", encoding="utf-8")
                words += [option, str(path)] if option else [str(path)]
        text = _ask(words, file, file.parent)
    return parse_pylock(text, file, job)


def _ask(words: Sequence[str], file: Path, directory: Path) -> str:
    uv = find_program()
    environ = {**os.environ, "NO_COLOR": "1", "UV_NO_PROGRESS": "1"}
    environ.pop("VIRTUAL_ENV", None)
    try:
        done = subprocess.run(
            [uv, "--quiet", *words],
            cwd=directory,
            env=environ,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BadRequest(
            f"{file.name} couldn't be locked within {PATIENCE_S:.0f} seconds: give versions to what it asks for."
        ) from None
    except OSError as error:
        raise BadRequest(f"{file.name} is read by uv, and {uv} can't be run: {error.strerror}") from None
    if done.returncode != 0:
        raise BadRequest(_explained(done.stderr or done.stdout, file))
    return done.stdout


def _explained(text: str, file: Path) -> str:
    """Return uv's words, with the line where it says a position; what isn't needed of them is left out."""
    lines = [re.sub(r"^error: ", "", line.strip()) for line in text.splitlines() if line.strip()]
    said = "\n".join(lines[-LINES_QUOTED:]) or "it says nothing"
    place = ""
    if (found := re.search(r"at position (\d+)", said)) and file.is_file():
        lines_before = file.read_bytes()[: int(found[1])].count(b"\n")
        place = f", line {lines_before + 1}"
    elif (found := re.search(rf"{re.escape(file.name)}:(\d+)", said)) or (found := re.search(r"at line (\d+)", said)):
        place = f", line {found[1]}"
    return f"{file.name}{place} can't be locked; mend it, or ask for other versions. uv says:\n{said}"
