"""``environment.yml``: specs of conda packages, solved by rattler, with a section of pip's that uv locks."""

from __future__ import annotations

import asyncio
import importlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import yaml

from tradewind.boot.environment.files.job import Job
from tradewind.boot.environment.files.pylock import Locked
from tradewind.boot.environment.files.rattler_door import rattler
from tradewind.boot.environment.files.uv import NEEDED, lock_requirements
from tradewind.boot.environment.sources import normalised
from tradewind.boot.environment.translation.platforms import conda_subdir
from tradewind.errors import BadRequest
from tradewind.model.environment import Package

USUAL_CHANNEL = "conda-forge"
PATIENCE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What such a file asks for."""

    specs: tuple[str, ...]
    channels: tuple[str, ...]
    pip: tuple[str, ...]


def lock_conda(file: Path, job: Job) -> Locked:
    """Return what an ``environment.yml`` comes to on the job. Raises BadRequest; in the solver's words."""
    wishes = read_wishes(file)
    specs = [*wishes.specs]
    if not any(_name_of(spec) == "python" for spec in specs):
        specs.append(f"python {job.target.python}.*")
    everything = {_name_of(spec) for spec in specs} | {normalised(_name_of(line)) for line in wishes.pip}
    if not {NEEDED, "dask"} & everything:
        job.say(f"{NEEDED} was added: {file.name} doesn't ask for it, and without it no worker starts.")
        specs.append(NEEDED)
    packages = asyncio.run(_solved(file, specs, wishes.channels, job))
    python = next((package.version for package in packages if package.name == "python"), None)
    if python is None:
        raise BadRequest(f"{file.name} comes to an environment without Python; add python to its dependencies.")
    if not wishes.pip:
        return Locked(packages=packages)
    of_pip = _locked_by_pip(wishes.pip, packages, file, replace(job, python=python))
    return Locked(packages=(*packages, *of_pip.packages), artifacts=of_pip.artifacts)


def read_wishes(file: Path) -> Wishes:
    """Return what the file asks for. Raises BadRequest; names the line."""
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark is not None else ""
        raise BadRequest(
            f"{file.name}{place} is no YAML: {getattr(error, 'problem', error)}. Mend that line."
        ) from None
    except UnicodeDecodeError:
        raise BadRequest(f"{file.name} isn't text in UTF-8: is it the file you meant?") from None
    if not isinstance(said, dict) or not isinstance(said.get("dependencies"), list):
        raise BadRequest(f"{file.name} has no list 'dependencies': write it as conda does, or name another file.")
    specs: list[str] = []
    pip: list[str] = []
    for one in said["dependencies"]:
        match one:
            case str():
                specs.append(_as_rattler(one))
            case {"pip": [*lines]} if len(one) == 1 and all(isinstance(line, str) for line in lines):
                pip += lines
            case _:
                raise BadRequest(
                    f"{file.name}: {one!r} is no dependency; write it as 'name', 'name=1.2' or 'pip: [name]'."
                )
    channels = [str(channel) for channel in said.get("channels") or () if channel != "nodefaults"]
    return Wishes(specs=tuple(specs), channels=tuple(channels) or (USUAL_CHANNEL,), pip=tuple(pip))


async def _solved(file: Path, specs: Sequence[str], channels: Sequence[str], job: Job) -> tuple[Package, ...]:
    door = rattler(file)
    solver = importlib.import_module("tradewind.boot.environment.translation.conda")
    subdir = conda_subdir(job.target)
    try:
        records = await door.solve(
            list(channels),
            list(specs),
            platforms=[subdir, "noarch"],
            virtual_packages=solver.machine(job.target),
            timeout=PATIENCE,
        )
    except Exception as error:  # each of its errors is a class of its own, and all say what can't be had
        asked = ", ".join(channels)
        raise BadRequest(
            f"{file.name} can't be solved for {subdir} from {asked}; mend it, or ask for other versions. "
            f"rattler says:\n{error}"
        ) from None
    wanted = {_name_of(spec) for spec in specs}
    return tuple(solver.package_of(record, wanted) for record in records)


def _locked_by_pip(lines: Sequence[str], conda: Sequence[Package], file: Path, job: Job) -> Locked:
    """Return what pip's section adds to what conda brings: of that, it takes the versions that are there."""
    there = {normalised(package.name): package.version for package in conda}
    with tempfile.TemporaryDirectory(prefix="tradewind-pip-", dir=file.parent) as directory:
        # In a directory beside, so that relative paths in it are those of the file.
        listed = Path(directory) / f"{file.name}-pip.txt"
        listed.write_text("\n".join(lines) + "\n", encoding="utf-8")
        pins = [f"{name}=={version}" for name, version in there.items() if name != "python"]
        locked = lock_requirements(listed, job, pins, is_whole=NEEDED not in there)
    return replace(locked, packages=tuple(one for one in locked.packages if one.name not in there))


def _as_rattler(spec: str) -> str:
    """Return a spec as conda writes it in these files, ``python=3.11``, as the solver reads it: ``python 3.11.*``."""
    name, equals, rest = spec.strip().partition("=")
    if not equals or rest.startswith("=") or name.rstrip()[-1:] in "<>!~":
        return spec.strip()
    version, _, build = rest.partition("=")
    version = version.strip()
    return f"{name.strip()} {version if version.endswith('*') else f'{version}.*'} {build}".strip()


def _name_of(spec: str) -> str:
    name = spec.rpartition("::")[2].strip()
    for index, letter in enumerate(name):
        if letter in " =<>!~[;@":
            return name[:index].lower()
    return name.lower()
