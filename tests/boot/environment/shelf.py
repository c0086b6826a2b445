"""A package index of a few lines, whose wheels are for the platforms that a test says."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.index import served

ANY = "py3-none-any"
MAC = "cp311-cp311-macosx_11_0_arm64"
LINUX = "cp311-cp311-manylinux_2_17_x86_64"
LINUX_ARM = "cp311-cp311-manylinux_2_17_aarch64"
WINDOWS = "cp311-cp311-win_amd64"


@dataclass
class Shelf:
    """The index; it can be added to while it is served."""

    root: Path
    address: str = ""
    asked: Sequence[str] = ()
    """Paths, as they come in."""

    def add(self, name: str, version: str, *tags: str, requires: Sequence[str] = ()) -> None:
        """Add one version of a package, with a wheel for each of ``tags``; without any, its source alone."""
        said = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        said += "".join(f"Requires-Dist: {line}\n" for line in requires)
        directory = self.root / "simple" / name
        directory.mkdir(parents=True, exist_ok=True)
        for tag in tags:
            (directory / f"{name.replace('-', '_')}-{version}-{tag}.whl").write_bytes(_wheel(name, version, tag, said))
        if not tags:
            (directory / f"{name}-{version}.tar.gz").write_bytes(_source(name, version, said))
        files = sorted(path.name for path in directory.iterdir() if path.suffix != ".html")
        (directory / "index.html").write_text("".join(f'<a href="{file}">{file}</a>\n' for file in files))


@contextmanager
def shelf(root: Path, *, secret: str | None = None) -> Iterator[Shelf]:
    """Serve an index until the block ends."""
    root.mkdir(parents=True)
    with served(root, "127.0.0.1", secret=secret) as (address, asked):
        yield Shelf(root, f"{address}/simple", asked)


def _wheel(name: str, version: str, tag: str, said: str) -> bytes:
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    files: Mapping[str, str] = {
        f"{module}.py": f"version = {version!r}\n",
        f"{info}/METADATA": said,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items())
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return data.getvalue()


def _source(name: str, version: str, said: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for path, text in {"PKG-INFO": said, "setup.py": "raise SystemExit('must not be run')\n"}.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return data.getvalue()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
