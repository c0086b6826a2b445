"""A small conda channel, made of this machine's Python and of packages of a few lines, served over HTTP."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import sysconfig
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SUBDIRS = ("linux-64", "noarch")


@dataclass(slots=True)
class Channel:
    """The directory of a channel; serve it with any file server.

    Parameters
    ----------
    root : Path
        Made when the first package is added.
    """

    root: Path
    _listed: dict[str, dict[str, object]] = field(default_factory=lambda: {subdir: {} for subdir in SUBDIRS})

    def add_module(self, name: str, version: str, source: str) -> str:
        """Add a package of one Python module, for any platform; return its file name."""
        distribution = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        files = {
            f"site-packages/{name}.py": source.encode(),
            f"site-packages/{distribution}/METADATA": metadata.encode(),
            f"site-packages/{distribution}/INSTALLER": b"conda",
            f"site-packages/{distribution}/RECORD": b"",
        }
        index = {"depends": [f"python >={PYTHON},<{_next(PYTHON)}"], "noarch": "python", "build": "py_0"}
        link = {"info/link.json": json.dumps({"noarch": {"type": "python"}, "package_metadata_version": 1}).encode()}
        return self._add("noarch", name, version, files, index, link)

    def add_python(self) -> str:
        """Add the Python that runs this, without its packages; return its file name."""
        base = Path(sys.base_prefix)
        library = Path(sysconfig.get_path("stdlib"))
        left_out = {"site-packages", "test", "idlelib", "tkinter", "turtledemo", "ensurepip", "__pycache__", "lib2to3"}
        found = [base / "bin" / f"python{PYTHON}"]
        found += [
            path
            for path in library.rglob("*")
            if path.is_file()
            and not path.is_symlink()
            and not left_out & set(path.relative_to(library).parts)
            and not path.relative_to(library).parts[0].startswith("config-")
        ]
        found += base.glob(f"lib/libpython{PYTHON}*.so*")
        files = {path.relative_to(base).as_posix(): path.read_bytes() for path in found}
        program = f"bin/python{PYTHON}"
        files[program] = _looking_beside_itself(files[program], base / "lib")
        # The names that conda's own Python has as well.
        files |= dict.fromkeys(("bin/python", "bin/python3"), f"../bin/python{PYTHON}".encode())
        version = sys.version.split()[0]
        return self._add("linux-64", "python", version, files, {"depends": [], "build": "0_cpython"}, {})

    def _add(
        self,
        subdir: str,
        name: str,
        version: str,
        files: Mapping[str, bytes],
        index: Mapping[str, object],
        info: Mapping[str, bytes],
    ) -> str:
        build = str(index["build"])
        record: dict[str, object] = {"name": name, "version": version, "build_number": 0, "subdir": subdir, **index}
        paths = [
            {
                "_path": path,
                "path_type": "softlink" if _is_link(path) else "hardlink",
                "sha256": hashlib.sha256(data).hexdigest(),
                "size_in_bytes": len(data),
            }
            for path, data in files.items()
        ]
        whole = {
            "info/index.json": json.dumps(record).encode(),
            "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}).encode(),
            "info/files": "\n".join(files).encode(),
            **info,
            **files,
        }
        file_name = f"{name}-{version}-{build}.tar.bz2"
        target = self.root / subdir / file_name
        target.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(target, "w:bz2", compresslevel=1) as archive:
            for path, data in whole.items():
                archive.addfile(*_member(path, data))
        self._listed[subdir][file_name] = record | {
            "md5": hashlib.md5(target.read_bytes()).hexdigest(),
            "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
            "size": target.stat().st_size,
        }
        for known in SUBDIRS:
            listing = self.root / known / "repodata.json"
            listing.parent.mkdir(parents=True, exist_ok=True)
            listing.write_text(json.dumps({"info": {"subdir": known}, "packages": self._listed[known]}))
        return file_name


def _looking_beside_itself(program: bytes, library: Path) -> bytes:
    """Return a program that was told at its making where its library lies, told to look beside itself."""
    there, beside = bytes(library) + b"\0", b"$ORIGIN/../lib"
    return program.replace(there, beside.ljust(len(there), b"\0"))


def _is_link(path: str) -> bool:
    return path in {"bin/python", "bin/python3"}


def _member(path: str, data: bytes) -> tuple[tarfile.TarInfo, io.BytesIO | None]:
    member = tarfile.TarInfo(path)
    if _is_link(path):
        member.type = tarfile.SYMTYPE
        member.linkname = Path(data.decode()).name
        return member, None
    member.size = len(data)
    member.mode = 0o755 if path.startswith("bin/") or ".so" in path else 0o644
    return member, io.BytesIO(data)


def _next(version: str) -> str:
    major, minor = version.split(".")
    return f"{major}.{int(minor) + 1}"
