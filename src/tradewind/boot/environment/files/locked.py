"""Locked conda environments: ``pixi.lock`` and ``conda-lock.yml``, read by rattler."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tradewind.boot.environment.files.job import Job
from tradewind.boot.environment.files.local import wheel_of
from tradewind.boot.environment.files.pylock import Locked
from tradewind.boot.environment.files.rattler_door import rattler
from tradewind.boot.environment.indexes import bare
from tradewind.boot.environment.sources import normalised
from tradewind.boot.environment.translation.platforms import conda_subdir
from tradewind.errors import BadRequest
from tradewind.model.environment import Artifact, Package, Source

PUBLIC_FILES = "https://files.pythonhosted.org/"
"""Where the usual index has its files: what is from there is of that index."""


def read_locked(file: Path, job: Job) -> Locked:
    """Return what the environment ``default`` of a lock file says for the job.

    Raises
    ------
    BadRequest
        It can't be read, or it wasn't locked for that platform.
    """
    by_platform = _by_platform(file)
    subdir = conda_subdir(job.target)
    if subdir not in by_platform:
        there = ", ".join(sorted(by_platform)) or "none"
        raise BadRequest(
            f"{file.name} isn't locked for {subdir}, but for: {there}. Add the platform and lock it again."
        )
    packages: list[Package] = []
    artifacts: list[Artifact] = []
    for one in by_platform[subdir]:
        package, artifact = _package(one, file, job)
        packages += [package] if package is not None else []
        artifacts += [artifact] if artifact is not None else []
    return Locked(packages=tuple(packages), artifacts=tuple(artifacts))


def subdirs_of(file: Path) -> frozenset[str]:
    """Return what a lock file is locked for, as ``linux-64``. Raises as :func:`read_locked` does."""
    return frozenset(_by_platform(file))


def _by_platform(file: Path) -> dict[str, Any]:
    door = rattler(file)
    try:
        environment = door.LockFile.from_path(str(file)).default_environment()
    except Exception as error:  # each of its errors is a class of its own, and all say what is wrong and where
        raise BadRequest(f"{file.name} can't be read: {error}. Lock it again.") from None
    if environment is None:
        raise BadRequest(f"{file.name} has no environment 'default', which is the one that is read.")
    return {str(platform.name): found for platform, found in environment.packages_by_platform().items()}


def conda_package(name: str, version: str, url: str, sha256: str) -> Package:
    """Return a package of a channel, by the address of its file: ``…/channel/linux-64/name-version-build.conda``."""
    channel, subdir, file = url.rsplit("/", 2)
    stem = re.sub(r"\.(conda|tar\.bz2)$", "", file)
    return Package(
        name=name,
        version=version,
        source=Source.CONDA,
        url=bare(channel),
        sha256=sha256,
        build=stem.rpartition("-")[2],
        subdir=subdir,
    )


def _package(one: Any, file: Path, job: Job) -> tuple[Package | None, Artifact | None]:
    url, sha256 = str(one.location), _sha256_of(one)
    if re.search(r"\.(conda|tar\.bz2)$", url) and url.count("/") > 2:
        name = str(getattr(one.name, "source", one.name))
        return conda_package(name, str(one.version), url, sha256), None
    name, version = normalised(str(one.name)), str(one.version)
    if not url.startswith(("http://", "https://", "git+")):
        artifact, version = wheel_of((file.parent / url.removeprefix("file://")).resolve(), name, job)
        if artifact is None:
            return None, None
        return Package(name=name, version=version, source=Source.DIRECTORY, artifact=artifact.sha256), artifact
    if url.startswith("git+"):
        return Package(name=name, version=version, source=Source.VCS, url=_repository(url)), None
    if url.startswith(PUBLIC_FILES) and url.endswith(".whl"):
        return Package(name=name, version=version, sha256=sha256), None
    return Package(name=name, version=version, source=Source.ARCHIVE, url=bare(url), sha256=sha256), None


def _repository(url: str) -> str:
    """Return an address of a repository as installers read it: the commit, which pixi puts at the end, behind an @."""
    address, _, commit = url.partition("#")
    address, _, query = address.partition("?")
    asked = parse_qs(query)
    commit = commit or next((asked[word][0] for word in ("rev", "tag", "branch") if word in asked), "")
    inside = f"#subdirectory={asked['subdirectory'][0]}" if "subdirectory" in asked else ""
    if not commit and "@" in address.rpartition("/")[2]:
        address, _, commit = address.rpartition("@")
    return f"git+{bare(address.removeprefix('git+'))}{f'@{commit}' if commit else ''}{inside}"


def _sha256_of(one: Any) -> str:
    try:
        found = one.hashes.sha256 if one.hashes is not None else None
    except AttributeError:  # what it returns for a package without hashes has nothing in it
        return ""
    return bytes(found).hex() if found is not None else ""
