"""``pylock.toml`` (PEP 751), which is also what uv answers with."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tradewind.boot.environment.files.job import Job
from tradewind.boot.environment.files.local import copy_of, wheel_of
from tradewind.boot.environment.indexes import PUBLIC, bare
from tradewind.boot.environment.sources import normalised
from tradewind.errors import BadRequest
from tradewind.model.environment import Artifact, Package, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What a file says for one job."""

    packages: tuple[Package, ...]
    artifacts: tuple[Artifact, ...] = ()


def read_pylock(file: Path, job: Job) -> Locked:
    """Return what a ``pylock.toml`` says. Raises BadRequest; names the line."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadRequest(f"{file.name} isn't text in UTF-8: is it the file you meant?") from None
    return parse_pylock(text, file, job)


def parse_pylock(text: str, file: Path, job: Job, requested: frozenset[str] = frozenset()) -> Locked:
    """Return what the text of a ``pylock.toml`` says; ``file`` is what it was made from, for messages and paths."""
    try:
        lock = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRequest(f"{file.name} is no TOML: {error}. Lock it again, or mend that line.") from None
    if "packages" not in lock or str(lock.get("lock-version", "")).partition(".")[0] != "1":
        raise BadRequest(f"{file.name} is no pylock.toml of version 1: make one with `uv export --format pylock.toml`.")
    pythons = str(lock.get("requires-python", ""))
    if not job.runs(pythons):
        raise BadRequest(f"{file.name} is for Python {pythons}, and this is for {job.python}: give another --python.")
    packages: list[Package] = []
    artifacts: list[Artifact] = []
    for entry in lock["packages"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise BadRequest(f"{file.name}: one of its packages has no name; lock it again.")
        if not job.is_for(str(entry.get("marker", ""))):
            continue
        package, artifact = _package(entry, file, job)
        if artifact is not None:
            artifacts.append(artifact)
        if package is not None:
            packages.append(package)
    return Locked(packages=tuple(packages), artifacts=tuple(artifacts))


def _package(entry: Mapping[str, Any], file: Path, job: Job) -> tuple[Package | None, Artifact | None]:
    name, version = normalised(entry["name"]), str(entry.get("version", ""))
    if "directory" in entry:
        directory = (file.parent / str(entry["directory"].get("path", "."))).resolve()
        artifact, version = wheel_of(directory, name, job)
        if artifact is None:
            return None, None
        return Package(name=name, version=version, source=Source.DIRECTORY, artifact=artifact.sha256), artifact
    if "vcs" in entry:
        vcs = entry["vcs"]
        inside = f"#subdirectory={vcs['subdirectory']}" if vcs.get("subdirectory") else ""
        url = f"git+{bare(str(vcs.get('url', '')))}@{vcs.get('commit-id', '')}{inside}"
        return Package(name=name, version=version, source=Source.VCS, url=url), None
    if "archive" in entry:
        return _of_archive(name, version, entry["archive"], file, job), None
    wheels = {_file_name(one): one for one in entry.get("wheels", ())}
    fitting = job.fitting(sorted(wheels))
    if not fitting:
        raise BadRequest(_without_wheel(name, version, sorted(wheels), file, job))
    here = _on_this_computer(wheels[fitting[-1]], file)
    if here is not None:
        artifact = copy_of(here, job)
        return Package(name=name, version=version, artifact=artifact.sha256), artifact
    index = bare(str(entry.get("index", ""))).rstrip("/")
    # Which of several a machine takes, its system decides: only of one the hash is known.
    sha256 = str(wheels[fitting[0]].get("hashes", {}).get("sha256", "")) if len(fitting) == 1 else ""
    return Package(name=name, version=version, url="" if index in PUBLIC else index, sha256=sha256), None


def _of_archive(name: str, version: str, archive: Mapping[str, Any], file: Path, job: Job) -> Package:
    url = bare(str(archive.get("url", "")))
    if not url.startswith(("http://", "https://")):
        raise BadRequest(f"{file.name}: {name} is the file {archive.get('path', url)}, which only this computer has.")
    wheel = url.rsplit("/", 1)[-1]
    if wheel.endswith(".whl"):
        if not job.fitting([wheel]):
            raise BadRequest(_without_wheel(name, version, [wheel], file, job))
        version = version or wheel.split("-")[1]
    return Package(
        name=name,
        version=version,
        source=Source.ARCHIVE,
        url=url,
        sha256=str(archive.get("hashes", {}).get("sha256", "")),
    )


def _file_name(wheel: Mapping[str, Any]) -> str:
    return str(
        wheel.get("name") or re.split(r"[?#]", str(wheel.get("url") or wheel.get("path", "")))[0].rsplit("/", 1)[-1]
    )


def _on_this_computer(wheel: Mapping[str, Any], file: Path) -> Path | None:
    """Return where a wheel of a directory's index lies; None for one that machines can fetch."""
    url = urlsplit(str(wheel.get("url", "")))
    if url.scheme == "file":
        return Path(unquote(url.path))
    return file.parent / str(wheel["path"]) if "path" in wheel else None


def _without_wheel(name: str, version: str, wheels: list[str], file: Path, job: Job) -> str:
    there = f"its wheels are for others ({', '.join(wheels[:3])}{', …' if len(wheels) > 3 else ''})"
    fact = there if wheels else "it has none at all, and machines have no compilers"
    return (
        f"{file.name}: {name} {version} has no wheel for Python {job.target.python} on {job.platform}; {fact}. "
        "Take another version, or another --python or --platform."
    )
