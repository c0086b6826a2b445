"""A file of packages, whichever it is, read into an environment for each platform."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tradewind.boot.environment.files.conda import lock_conda
from tradewind.boot.environment.files.job import Job
from tradewind.boot.environment.files.locked import read_locked
from tradewind.boot.environment.files.platforms import of_conda, of_project, of_pylock
from tradewind.boot.environment.files.pylock import Locked, read_pylock
from tradewind.boot.environment.files.uv import lock_requirements, read_uv_lock
from tradewind.boot.environment.indexes import configured
from tradewind.boot.environment.translation.platforms import check
from tradewind.errors import BadRequest, NotFound
from tradewind.model.environment import Artifact, Environment, Source, seal

FORMATS = "pyproject.toml, uv.lock, pylock.toml, requirements.txt, environment.yml, pixi.lock, conda-lock.yml"
INSTEAD = {
    "poetry.lock": "poetry export -o requirements.txt",
    "Pipfile.lock": "pipenv requirements > requirements.txt",
    "Pipfile": "pipenv requirements > requirements.txt",
    "pixi.toml": "name its pixi.lock",
    "setup.py": "uv pip freeze > requirements.txt",
}
"""Files that aren't read, and what to do."""
Way = Callable[[Path, Job], Locked]
BIGGEST = 50 * 2**20
"""Bytes; the largest lock files have a tenth."""


def read(
    file: Path,
    *,
    platforms: Sequence[str],
    python: str,
    cache: Path,
    usual: str = "linux-x86_64",
    with_local: bool = True,
    say: Callable[[str], None],
) -> tuple[Environment, ...]:
    """Return what a file says for each platform, locked where it isn't yet.

    Parameters
    ----------
    file : Path
        One of :data:`FORMATS`.
    platforms : sequence of str
        As ``linux-x86_64``. None: those that the file is locked for, as far as it can be had there, the usual one
        first; a file that is locked now is locked for the usual one.
    python : str
        As ``3.11``; where the file brings its own Python, that counts.
    cache : Path
        The user's cache directory.
    usual : str
        What machines most likely are.
    with_local : bool
        Whether projects in directories are built and come along.
    say : callable
        Told in a sentence what was done otherwise than the file says.

    Raises
    ------
    NotFound
        There is no such file.
    BadRequest
        It can't be used: names the file, the line where there is one, and what to do.
    MissingExtra
        The tool that reads it isn't installed.
    """
    file = file.absolute()
    if not file.is_file():
        raise NotFound(f"there is no file {file}; packages are read from {FORMATS}.")
    if file.stat().st_size > BIGGEST:
        raise BadRequest(f"{file.name} is larger than any list of packages: is it the file you meant?")
    way = way_of(file)
    if not re.fullmatch(r"3\.\d{1,2}(\.\d{1,2})?", python):
        raise BadRequest(f"--python {python} can't be used: write it as 3.11.")
    found: list[Environment] = []
    built: dict[Path, Artifact] = {}
    for platform in platforms or _locked_for(file, way, usual, python):
        job = Job(platform=platform, python=python, cache=cache, with_local=with_local, say=say, built=built)
        check(job.target)
        try:
            found.append(_environment(way(file, job), job, file))
        except BadRequest as error:
            # What nobody asked for by name may be missing; the first is what machines most likely are.
            if platforms or not found:
                raise
            say(f"It isn't kept for {platform}, for which it can't be had: {error}")
    return tuple(found)


def _locked_for(file: Path, way: Way, usual: str, python: str) -> tuple[str, ...]:
    """Return the platforms to read a file for where nobody names any."""
    if way is _read_project:
        return of_project(file.parent / "uv.lock", usual, python)
    if way is read_pylock:
        return of_pylock(file, usual, python)
    return of_conda(file, usual) if way is read_locked else (usual,)


def way_of(file: Path) -> Way:
    """Return how a file is read, by its name, and for YAML by what is in it. Raises BadRequest."""
    name = file.name
    if name == "uv.lock" or (name == "pyproject.toml" and (file.parent / "uv.lock").is_file()):
        return _read_project
    if name == "pyproject.toml" or file.suffix in {".txt", ".in"}:
        return lock_requirements
    if re.fullmatch(r"pylock(\.[^.]+)?\.toml", name):
        return read_pylock
    if name == "pixi.lock":
        return read_locked
    if file.suffix in {".yml", ".yaml"}:
        return read_locked if _is_locked(file) else lock_conda
    hint = f"instead: {INSTEAD[name]}." if name in INSTEAD else f"give one of {FORMATS}."
    raise BadRequest(f"{name} isn't a file that packages are read from; {hint}")


def _read_project(file: Path, job: Job) -> Locked:
    return read_uv_lock(file.parent, job)


def _is_locked(file: Path) -> bool:
    """Whether a YAML file is conda-lock's: some have another name than conda-lock.yml."""
    head = file.read_text(encoding="utf-8", errors="replace")
    return bool(re.search(r"^metadata:", head, re.MULTILINE) and re.search(r"^package:", head, re.MULTILINE))


def _environment(locked: Locked, job: Job, file: Path) -> Environment:
    if not locked.packages:
        raise BadRequest(f"{file.name} has no packages for {job.platform}.")
    of_conda = {package.name: package for package in locked.packages if package.source is Source.CONDA}
    channels = Counter(package.url for package in of_conda.values() if package.url)
    python = of_conda["python"].version if "python" in of_conda else job.python
    # What is in a directory's index travels: machines can't ask it.
    indexes = [one for one in configured(working_directory=file.parent).asked if one.url.startswith("http")]
    for index in indexes:
        if index.needs_password:
            job.say(f"machines ask {index.url} without the password that is set here: they must get in by themselves.")
    return seal(
        Environment(
            python=python,
            platform=job.platform,
            packages=tuple(sorted(locked.packages, key=lambda package: (package.name, package.source.value))),
            content_hash="",
            artifacts=tuple(
                sorted({one.sha256: one for one in locked.artifacts}.values(), key=lambda one: one.file_name)
            ),
            indexes=() if all(index.is_public for index in indexes) else tuple(index.url for index in indexes),
            channels=tuple(sorted(channels, key=lambda channel: (-channels[channel], channel))),
        )
    )
