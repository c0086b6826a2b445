"""A conda channel in a directory: this test's own Python as a package, and small ones that need it."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

from tradewind.model.environment import Package, Source

SUBDIR = "linux-64"
MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
LEFT_OUT = {"site-packages", "test", "tests", "__pycache__", "idlelib", "lib2to3", "ensurepip", "tkinter", "turtledemo"}


def add_python(channel: Path) -> Package:
    """Pack the Python that runs this, without what nobody needs here; any other would do as well."""
    base = Path(sys.base_prefix)
    files = {f"bin/python{MINOR}": (base / "bin" / f"python{MINOR}").read_bytes()}
    for library in (base / "lib").glob("libpython*.so.*"):
        files[f"lib/{library.name}"] = library.read_bytes()
    home = base / "lib" / f"python{MINOR}"
    for path in home.rglob("*"):
        inside = path.relative_to(home)
        if path.is_file() and not LEFT_OUT & set(inside.parts) and not inside.parts[0].startswith("config-"):
            files[f"lib/python{MINOR}/{inside}"] = path.read_bytes()
    version = ".".join(str(number) for number in sys.version_info[:3])
    links = {"bin/python": f"python{MINOR}", "bin/python3": f"python{MINOR}"}
    return add(channel, "python", version, files, links=links, executable={f"bin/python{MINOR}"})


def add_pure(channel: Path, name: str, *, text: str = "") -> Package:
    """Pack a module that runs on any platform, with a file that holds the place where it is installed."""
    facts = f"site-packages/{name}-1.0.dist-info"
    files = {
        f"site-packages/{name}.py": (text or "version = '1.0'\n").encode(),
        f"{facts}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{facts}/INSTALLER": b"conda",
        f"share/{name}.txt": b"/placeholder/placeholder/placeholder/share",
    }
    return add(channel, name, "1.0", files, noarch="python", placeholder=f"share/{name}.txt")


def add(
    channel: Path,
    name: str,
    version: str,
    files: dict[str, bytes],
    *,
    links: dict[str, str] | None = None,
    executable: frozenset[str] | set[str] = frozenset(),
    noarch: str = "",
    placeholder: str = "",
) -> Package:
    """Write a package of the older form (``.tar.bz2``, here hardly packed) and return it as captured."""
    subdir = "noarch" if noarch else SUBDIR
    told = {"name": name, "version": version, "build": "py_0", "build_number": 0, "depends": [], "subdir": subdir}
    if noarch:
        told |= {"noarch": noarch, "depends": ["python"]}
    paths: list[dict[str, object]] = []
    for path, text in files.items():
        one: dict[str, object] = {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(text).hexdigest(),
            "size_in_bytes": len(text),
        }
        if path == placeholder:
            one |= {"prefix_placeholder": "/placeholder/placeholder/placeholder", "file_mode": "text"}
        paths.append(one)
    paths += [{"_path": path, "path_type": "softlink", "size_in_bytes": 0} for path in links or {}]
    inside = {
        "info/index.json": json.dumps(told).encode(),
        "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}).encode(),
        "info/files": "\n".join([*files, *(links or {})]).encode(),
        "info/about.json": b"{}",
    }
    if noarch:
        inside["info/link.json"] = json.dumps({"noarch": {"type": noarch}, "package_metadata_version": 1}).encode()
    place = channel / subdir / f"{name}-{version}-py_0.tar.bz2"
    place.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(place, "w:bz2", compresslevel=1) as tar:
        for path, text in {**inside, **files}.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text), 0o755 if path in executable else 0o644
            tar.addfile(entry, io.BytesIO(text))
        for path, target in (links or {}).items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return Package(
        name=name,
        version=version,
        source=Source.CONDA,
        build="py_0",
        subdir=subdir,
        sha256=hashlib.sha256(place.read_bytes()).hexdigest(),
    )
