"""What is installed, and where each distribution came from, as installers wrote it down."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tradewind.boot.environment.indexes import bare
from tradewind.model.environment import Source

# Of conda's records, the lists of files are nearly all: cut before they are read, they cost a twentieth.
LISTS = re.compile(rb'"(files|paths|depends_files)"\s*:\s*\[[^\]]*\]')
OWNED = re.compile(rb"site-packages/([^/\"]+\.(?:dist|egg)-info)[/\"]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One distribution, as it lies there."""

    name: str
    """Normalised."""
    version: str
    directory: Path
    """Its ``.dist-info``, or what stands in for one."""
    files: frozenset[str]
    """Names in that directory; empty where it is a file."""
    source: Source = Source.INDEX
    url: str = ""
    """Bare: without what may be secret in it."""
    sha256: str = ""
    is_requested: bool = False
    is_whole_address: bool = True
    """Whether ``url`` is all that is needed to fetch it: no password was cut from it."""

    @property
    def project(self) -> Path | None:
        """The directory of the caller that it came from; None where it came from elsewhere."""
        if self.source not in {Source.DIRECTORY, Source.EDITABLE}:
            return None
        return path_of(self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaRecord:
    """One package that conda, mamba or pixi installed."""

    name: str
    version: str
    build: str
    subdir: str
    channel: str
    """Address without its subdir, bare."""
    sha256: str
    is_requested: bool
    owns: frozenset[str] = field(default_factory=frozenset)
    """Names of the ``.dist-info`` directories it brought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All that is installed."""

    installed: tuple[Installed, ...] = ()
    """Sorted by name; conda's among them."""
    conda: tuple[CondaRecord, ...] = ()
    """Sorted by name."""
    broken: tuple[str, ...] = ()
    """Paths of what half an installation or half a removal left."""


def look(path: Sequence[str] | None = None, prefix: str = sys.prefix) -> Found:
    """Return what is installed on ``path`` (default: of this Python), and what conda put under ``prefix``.

    Reads directories' names and a small file here and there: a tenth of a second for a thousand packages. Of two
    distributions of a name, Python takes the first on the path, and so does this.
    """
    found: dict[str, Installed] = {}
    broken: list[str] = []
    for distribution in distributions(path=list(path)) if path is not None else distributions():
        one = _read(distribution)
        if one is None:
            broken.append(str(getattr(distribution, "_path", distribution)))
            continue
        before = found.get(one.name)
        if before is not None and (
            before.directory.parent != one.directory.parent or _wholeness(before) >= _wholeness(one)
        ):
            # Two in one directory: an update that was cut short. The whole one, or the newest, is what is imported.
            broken.append(str(one.directory))
            continue
        if before is not None:
            broken.append(str(before.directory))
        found[one.name] = one
    return Found(
        installed=tuple(found[name] for name in sorted(found)),
        conda=tuple(sorted(conda_records(prefix), key=lambda record: record.name)),
        broken=tuple(sorted(set(broken) - {str(one.directory) for one in found.values()})),
    )


def normalised(name: str) -> str:
    """Return a distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def path_of(url: str) -> Path | None:
    """Return the path of a ``file:`` address; None of any other."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    path = unquote(parts.path)
    if sys.platform == "win32":
        path = path.lstrip("/")
    return Path(path)


def _wholeness(one: Installed) -> tuple[bool, float]:
    try:
        return "RECORD" in one.files, one.directory.stat().st_mtime
    except OSError:
        return False, 0.0


def _read(distribution: Distribution) -> Installed | None:
    """Return what is known of a distribution; None where nothing sure is."""
    directory = getattr(distribution, "_path", None)
    if not isinstance(directory, Path):  # in a zip, or of a finder that we don't know: Python has it, we can't carry it
        return _without_directory(distribution)
    try:
        files = frozenset(os.listdir(directory)) if directory.suffix == ".dist-info" else frozenset[str]()
    except OSError:
        return None
    if directory.suffix != ".dist-info":
        return _of_setuptools(distribution, directory)
    if "METADATA" not in files or directory.name.startswith("~"):  # pip renames so what it is about to remove
        return None
    # The directory's own name says what METADATA would: opening each takes 20 times as long.
    name, _, version = directory.name.removesuffix(".dist-info").partition("-")
    if not version:
        name, version = _said(distribution)
    if not name or not version:
        return None
    source, url, sha256, is_whole = Source.INDEX, "", "", True
    if "direct_url.json" in files:
        origin = _json(directory / "direct_url.json")
        source, url, sha256 = _origin(origin)
        is_whole = bare(str(origin.get("url", ""))) == origin.get("url")
    return Installed(
        name=normalised(name),
        version=version,
        directory=directory,
        files=files,
        source=source,
        url=url,
        sha256=sha256,
        is_requested="REQUESTED" in files,
        is_whole_address=is_whole,
    )


def _without_directory(distribution: Distribution) -> Installed | None:
    name, version = _said(distribution)
    if not name or not version:
        return None
    return Installed(name=normalised(name), version=version, directory=Path(), files=frozenset())


def _of_setuptools(distribution: Distribution, directory: Path) -> Installed | None:
    """Return what an ``.egg-info`` says; one that lies beside its code is a project that is run where it is."""
    name, version = _said(distribution)
    if not name or not version:
        return None
    parent = directory.parent
    project = next((place for place in (parent, parent.parent) if _is_project(place)), None)
    if directory.is_dir() and project is not None and parent.name not in {"site-packages", "dist-packages"}:
        return Installed(
            name=normalised(name),
            version=version,
            directory=directory,
            files=frozenset(),
            source=Source.EDITABLE,
            url=project.resolve().as_uri(),
            is_requested=True,
        )
    return Installed(name=normalised(name), version=version, directory=directory, files=frozenset())


def _is_project(directory: Path) -> bool:
    return any((directory / name).is_file() for name in ("pyproject.toml", "setup.py", "setup.cfg"))


def _said(distribution: Distribution) -> tuple[str, str]:
    """Return name and version from the metadata; empty where they can't be read."""
    try:
        metadata = distribution.metadata
    except (OSError, UnicodeError):  # not UTF-8: some old ones are Latin-1
        metadata = None
    if metadata is None:
        place = Path(getattr(distribution, "_path", ""))
        text = _text(place / "METADATA") or _text(place / "PKG-INFO") or _text(place)
        fields = dict(re.findall(r"^(Name|Version): *(.+)$", text, re.MULTILINE))
        return fields.get("Name", "").strip(), fields.get("Version", "").strip()
    fields = {key: metadata[key] for key in ("Name", "Version") if key in metadata}
    return fields.get("Name", ""), fields.get("Version", "")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _origin(origin: Mapping[str, Any]) -> tuple[Source, str, str]:
    """Return source, bare address and sha256 of what ``direct_url.json`` says.

    See https://packaging.python.org/en/latest/specifications/direct-url/
    """
    url = origin.get("url")
    if not isinstance(url, str) or not url:
        return Source.INDEX, "", ""
    address = bare(url)
    inside = origin.get("subdirectory")
    fragment = f"#subdirectory={bare(inside)}" if isinstance(inside, str) and inside else ""
    if isinstance(vcs := origin.get("vcs_info"), dict):
        return Source.VCS, f"{vcs.get('vcs', 'git')}+{address}@{vcs.get('commit_id', '')}{fragment}", ""
    if isinstance(directory := origin.get("dir_info"), dict):
        return Source.EDITABLE if directory.get("editable") is True else Source.DIRECTORY, address, ""
    if isinstance(archive := origin.get("archive_info"), dict):
        hashes = archive.get("hashes")
        sha256 = hashes.get("sha256", "") if isinstance(hashes, dict) else ""
        old = archive.get("hash")  # before 2023: "sha256=…"
        if not sha256 and isinstance(old, str):
            sha256 = old.removeprefix("sha256=") if old.startswith("sha256=") else ""
        return Source.ARCHIVE, address + fragment, sha256 if re.fullmatch("[0-9a-f]{64}", str(sha256)) else ""
    return Source.INDEX, "", ""


def conda_records(prefix: str) -> Iterable[CondaRecord]:
    """Yield what conda, mamba or pixi installed under ``prefix``; nothing where none of them did."""
    try:
        names = [entry.path for entry in os.scandir(Path(prefix) / "conda-meta") if entry.name.endswith(".json")]
    except OSError:
        return
    for name in names:
        try:
            text = Path(name).read_bytes()
        except OSError:
            continue
        record = _record(text)
        if record.get("name") and record.get("version"):
            yield _conda(record, frozenset(found.decode(errors="replace") for found in OWNED.findall(text)))


def _record(text: bytes) -> dict[str, Any]:
    for part in (LISTS.sub(rb'"\1":[]', text), text):  # the second where a file's name holds a bracket
        try:
            value = json.loads(part)
        except (ValueError, RecursionError):
            continue
        return value if isinstance(value, dict) else {}
    return {}


def _conda(record: Mapping[str, Any], owns: frozenset[str]) -> CondaRecord:
    subdir = str(record.get("subdir") or "")
    # The address of the file is sure; the channel may be a word, as "conda-forge".
    address = bare(str(record.get("url") or "")).rpartition("/")[0] or bare(str(record.get("channel") or ""))
    asked = record.get("requested_spec") or record.get("requested_specs")
    return CondaRecord(
        name=str(record["name"]),
        version=str(record["version"]),
        build=str(record.get("build") or ""),
        subdir=subdir,
        channel=address.rstrip("/").removesuffix(f"/{subdir}"),
        sha256=str(record.get("sha256") or ""),
        is_requested=bool(asked) and asked != "None",
        owns=owns,
    )
