"""Wheels made of what is installed, and wheels made the same again: one content, one file, one hash.

See https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import ast
import base64
import configparser
import csv
import hashlib
import io
import os
import re
import stat
import sys
import sysconfig
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tradewind.boot.environment.listing import listing
from tradewind.boot.environment.sources import Installed
from tradewind.errors import BadRequest

LOCAL_NOTES = frozenset(
    {
        "INSTALLER",
        "REQUESTED",
        "RECORD",
        "RECORD.jws",
        "RECORD.p7s",
        "direct_url.json",
        "uv_cache.json",
        "uv_build.json",
    }
)
"""Written by installers, about this machine."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment a ZIP knows: times would make the same content another file."""
NOT_OF_A_PACKAGE = frozenset({"tests", "test", "docs", "doc", "examples", "benchmarks", "scripts", "notebooks"})
EXTENSIONS = (".so", ".pyd", ".dylib")

Content = Path | bytes


def write_zip(to: Path, members: Mapping[str, Content]) -> None:
    """Write a ZIP that has the same bytes for the same members, whenever and wherever they were made."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        # Of a wheel, its .dist-info comes last: readers look from the end.
        for name in sorted(members, key=lambda name: (".dist-info/" in name, name)):
            content = members[name]
            runs = isinstance(content, Path) and bool(content.stat().st_mode & stat.S_IXUSR)
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, also from Windows
            entry.external_attr = (stat.S_IFREG | (0o755 if runs or ".data/scripts/" in name else 0o644)) << 16
            archive.writestr(entry, content.read_bytes() if isinstance(content, Path) else content)


def rewrite(wheel: Path, to: Path) -> None:
    """Write a built wheel again without what differs from build to build: times, order, compression."""
    with zipfile.ZipFile(wheel) as archive:
        write_zip(to, {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()})


def installed_files(one: Installed) -> dict[str, Path]:
    """Return what an installer put there, by its name in a wheel.

    Raises
    ------
    BadRequest
        It left no list, or not all of the list is there.
    """
    record = one.directory / "RECORD"
    try:
        lines = [row[0] for row in csv.reader(io.StringIO(record.read_text(encoding="utf-8"))) if row]
    except (OSError, UnicodeError, csv.Error):
        raise BadRequest(
            f"{one.name} {one.version} must travel, and {one.directory} has no list of its files (RECORD): install it "
            "again with pip or uv."
        ) from None
    base = one.directory.parent
    # <root>/lib/python3.x/site-packages; on Windows <root>/Lib/site-packages.
    above = 1 if base.parent.name.lower() == "lib" else 2
    root = base.parents[above] if len(base.parents) > above else base
    data = f"{one.directory.name.removesuffix('.dist-info')}.data"
    generated = _generated(one.directory)
    files: dict[str, Path] = {}
    for line in lines:
        path = Path(os.path.normpath(base / line))
        if path.suffix == ".pyc" or (path.parent == one.directory and path.name in LOCAL_NOTES):
            continue
        if path.is_relative_to(base):
            name = path.relative_to(base).as_posix()
        elif path.is_relative_to(root):
            inside = path.relative_to(root)
            if inside.parts[0] in {"bin", "Scripts"}:
                if re.sub(r"(\.exe(\.manifest)?|-script\.pyw?)$", "", path.name) in generated:
                    continue  # every installer makes these anew
                name = f"{data}/scripts/{path.name}"
            else:
                name = f"{data}/data/{inside.as_posix()}"
        else:
            raise BadRequest(f"{one.name} {one.version} must travel, and has a file outside its environment: {path}.")
        if not path.is_file():
            raise BadRequest(
                f"{one.name} {one.version} must travel, and {path} is missing: install it again "
                f"(pip install --force-reinstall --no-deps {one.name})."
            )
        files[name] = path
    return files


def repack(one: Installed, files: Mapping[str, Path], into: Path) -> Path:
    """Write the wheel of what is installed, and return its path.

    Parameters
    ----------
    one : Installed
        A whole one.
    files : mapping
        As :func:`installed_files` returns them.
    into : Path
        A directory.
    """
    members: dict[str, Content] = dict(files)
    for name in files:
        if ".data/scripts/" in name:
            members[name] = _of_any_python(files[name].read_bytes())
    text = (one.directory / "WHEEL").read_text(encoding="utf-8") if "WHEEL" in one.files else ""
    tags = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("Tag:")]
    if not tags:
        raise BadRequest(
            f"{one.name} {one.version} must travel, and doesn't say for which platforms it is (no WHEEL file): "
            "install it again with pip or uv."
        )
    return _write(one, members, tags, into)


def repack_sources(one: Installed, into: Path) -> Path:
    """Write the wheel of a project that is run where it lies, without its builder, and return its path.

    Raises
    ------
    BadRequest
        Where its code lies isn't written down in a way that we know.
    """
    members: dict[str, Content] = {}
    for name, place in sorted(linked(one)):
        if place.is_file():
            members[place.name] = place
        else:
            members |= {f"{name}/{inner}": place / inner for inner in listing(place).names}
    if not members:
        raise BadRequest(f"where the code of {one.name} lies isn't written in {one.directory}")
    info = one.directory.name
    for note in sorted(one.files - LOCAL_NOTES - {"WHEEL", "top_level.txt"}):
        if (one.directory / note).is_file():
            members[f"{info}/{note}"] = one.directory / note
    tag = "py3-none-any"
    if any(name.endswith(EXTENSIONS) for name in members):
        python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        tag = f"{python}-{python}-{re.sub('[-.]', '_', sysconfig.get_platform())}"
    pure = str(tag == "py3-none-any").lower()
    members[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: tradewind\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode()
    )
    return _write(one, members, [tag], into)


def _write(one: Installed, members: dict[str, Content], tags: list[str], into: Path) -> Path:
    info = one.directory.name
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for name in sorted(members):
        content = members[name]
        body = content.read_bytes() if isinstance(content, Path) else content
        digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
        writer.writerow([name, f"sha256={digest}", len(body)])
    writer.writerow([f"{info}/RECORD", "", ""])
    members[f"{info}/RECORD"] = text.getvalue().encode()
    columns = zip(*(tag.split("-") for tag in tags), strict=True)
    compressed = "-".join(".".join(sorted(set(column))) for column in columns)
    to = into / f"{re.sub('[-_.]+', '_', one.name)}-{one.version.replace('-', '_')}-{compressed}.whl"
    write_zip(to, members)
    return to


def _generated(directory: Path) -> frozenset[str]:
    """Return the names of the commands that installers make from entry points."""
    parser = configparser.RawConfigParser(delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names of commands have capitals
    try:
        parser.read(directory / "entry_points.txt", encoding="utf-8")
    except (configparser.Error, UnicodeError):
        return frozenset()
    sections = [name for name in ("console_scripts", "gui_scripts") if parser.has_section(name)]
    return frozenset(option for section in sections for option in parser.options(section))


def _of_any_python(script: bytes) -> bytes:
    """Return a script whose first line installers replace with their own Python."""
    first, _, rest = script.partition(b"\n")
    if first == b"#!/bin/sh" and rest.startswith(b"'''exec' "):  # how installers write paths that are too long for #!
        return b"#!python\n" + rest.partition(b"\n' '''\n")[2]
    return b"#!python\n" + rest if first.startswith(b"#!") and b"python" in first else script


def linked(one: Installed) -> Iterator[tuple[str, Path]]:
    """Yield each importable thing of an editable project: its name and where it lies."""
    base = one.directory.parent
    try:
        lines = [row[0] for row in csv.reader(io.StringIO((one.directory / "RECORD").read_text("utf-8"))) if row]
    except (OSError, UnicodeError, csv.Error):
        return
    for path in (base / line for line in lines if "/" not in line):
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if path.suffix == ".pth":
            for line in text.splitlines():
                if line and not line.startswith(("import ", "import\t", "#")):
                    yield from _importable(Path(os.path.normpath(base / line)), one.name)
        elif path.suffix == ".py" and (found := re.search(r"^MAPPING[^=\n]*= *(\{.*\})", text, re.MULTILINE)):
            # As setuptools writes it: {"package": "/where/it/lies"}
            for name, place in ast.literal_eval(found[1]).items():
                lies = Path(place) if Path(place).is_dir() else Path(f"{place}.py")
                yield name.replace(".", "/"), lies


def _importable(directory: Path, project: str) -> Iterator[tuple[str, Path]]:
    if not directory.is_dir():
        return
    for path in directory.iterdir():
        if path.is_dir() and (path / "__init__.py").is_file() and path.name not in NOT_OF_A_PACKAGE:
            yield path.name, path
        elif path.suffix == ".py" and path.stem == project.replace("-", "_"):
            yield path.stem, path
