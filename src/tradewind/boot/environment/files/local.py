"""Projects in directories, built into wheels that travel."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from tradewind.boot.environment.build import BuildFailed, build
from tradewind.boot.environment.capture import this_platform
from tradewind.boot.environment.carry import ADVICE, LIMIT, place_of
from tradewind.boot.environment.files.job import Job
from tradewind.boot.environment.listing import listing, refuse_too_big, sizes_of
from tradewind.boot.environment.wheels import rewrite
from tradewind.errors import BadRequest
from tradewind.model.environment import Artifact


def wheel_of(project: Path, name: str, job: Job) -> tuple[Artifact | None, str]:
    """Return the wheel of a project, kept in the cache directory, and its version.

    None where local projects are left out.

    Raises
    ------
    BadRequest
        It can't be built, it is too big, or its wheel is for this computer's platform alone.
    """
    if not job.with_local:
        job.say(f"{name} in {project} is left out, as asked.")
        return None, ""
    if project not in job.built:
        job.built[project] = _built(project, name, job)
    artifact = job.built[project]
    if not artifact.file_name.endswith("-any.whl") and job.platform != this_platform():
        raise BadRequest(
            f"{name} is compiled, and what is built here ({artifact.file_name}) doesn't run on {job.platform}: create "
            "the environment on such a machine, or leave it out with --without-local."
        )
    return artifact, artifact.file_name.split("-")[1]


def _built(project: Path, name: str, job: Job) -> Artifact:
    if not any((project / file).is_file() for file in ("pyproject.toml", "setup.py")):
        raise BadRequest(
            f"{name} shall come from {project}, and there is no project: neither pyproject.toml nor setup.py."
        )
    files = listing(project)
    refuse_too_big(f"The project {name} in {project}", sizes_of(project, files.names), LIMIT, ADVICE)
    job.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=job.cache, prefix="making-") as directory:
        into = Path(directory) / "made"
        into.mkdir()
        try:
            made = build(project, files, into)
        except BuildFailed as failure:
            raise BadRequest(
                f"{name} can't be built from {project}; leave it out with --without-local, or mend it. "
                f"Its builder says:\n{failure}"
            ) from None
        wheel = Path(directory) / made.name
        rewrite(made, wheel)  # the same files are the same wheel, whenever they were built
        return _kept(wheel, job.cache)


def copy_of(wheel: Path, job: Job) -> Artifact:
    """Return a wheel that lies on this computer as a file that travels. Raises BadRequest where it isn't there."""
    if not wheel.is_file():
        raise BadRequest(f"{wheel} isn't there, and what is to be installed needs it.")
    job.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=job.cache, prefix="making-") as directory:
        return _kept(Path(shutil.copy(wheel, directory)), job.cache)


def _kept(wheel: Path, cache: Path) -> Artifact:
    with wheel.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    artifact = Artifact(file_name=wheel.name, sha256=sha256, size=wheel.stat().st_size)
    to = place_of(artifact, cache)
    to.parent.mkdir(parents=True, exist_ok=True)
    wheel.replace(to)
    return artifact
