"""A whole environment in one file, which the machines after the first unpack instead of installing.

It is a ``.tar.gz`` that any tar reads, of several gzip members: each is packed and unpacked by itself, on another
core. The header of each says how long it is, so that a reader cuts the stream into members without unpacking it. The
last one holds ``archive.json``: the sha256 of the members before it, and whose environment it is.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import struct
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from tradewind.boot.restore.fetch import opened
from tradewind.boot.restore.tools import minor_of

PORTION = 4 << 20
"""Bytes of files in one member: small enough for all cores to have work, and for memory."""
LEVEL = 1
"""Of zlib; higher ones take several times as long for a tenth less."""
MARK = b"TW"
"""Of the field in a member's header that holds its length, as RFC 1952 lets anybody add one."""
HEADER = struct.Struct("<10sH2sHI")
LAST = "archive.json"
NEVER_PACKED = ("bin/python", "bin/python3", "pyvenv.cfg")
"""Of a virtual environment: they name a Python of that machine, and are made anew on each."""


class BadArchive(Exception):
    """The archive can't be used; installing still can."""


def pack(directory: str, path: str, *, content_hash: str, python: str, is_conda: bool) -> int:
    """Write all files of ``directory`` to ``path``; return how many.

    Files of conda hold the directory's own path: they say where they can be unpacked.
    """
    names = sorted(_names(directory, set() if is_conda else {*NEVER_PACKED, f"bin/python{minor_of(python)}"}))
    facts = {"content_hash": content_hash, "python": python, "prefix": directory if is_conda else ""}
    hashes = []
    cores = os.cpu_count() or 1
    with open(path, "wb") as file, ThreadPoolExecutor(max_workers=cores) as pool:
        for group in _batches(list(_portions(directory, names)), 2 * cores):
            for member in pool.map(lambda portion: _packed(directory, portion), group):
                hashes.append(hashlib.sha256(member).hexdigest())
                file.write(member)
        last = io.BytesIO()
        with tarfile.open(fileobj=last, mode="w", format=tarfile.GNU_FORMAT) as tar:
            text = json.dumps({**facts, "members": hashes, "files": len(names)}).encode()
            told = tarfile.TarInfo(LAST)
            told.size = len(text)
            tar.addfile(told, io.BytesIO(text))
        file.write(_member(last.getvalue()))
        file.flush()
        os.fsync(file.fileno())
    return len(names)


def _batches(portions: Sequence[list[str]], size: int) -> Iterator[Sequence[list[str]]]:
    for start in range(0, len(portions), size):
        yield portions[start : start + size]


def _names(directory: str, left_out: set[str]) -> Iterator[str]:
    for place, folders, files in os.walk(directory):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        for name in [*files, *links]:
            inside = os.path.relpath(os.path.join(place, name), directory)
            if inside not in left_out:
                yield inside


def _portions(directory: str, names: Sequence[str]) -> Iterator[list[str]]:
    portion: list[str] = []
    size = 0
    for name in names:
        portion.append(name)
        size += os.lstat(os.path.join(directory, name)).st_size + 1024
        if size >= PORTION:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _packed(directory: str, names: Sequence[str]) -> bytes:
    text = io.BytesIO()
    tar = tarfile.TarFile(fileobj=text, mode="w", format=tarfile.GNU_FORMAT)
    for name in names:
        path = os.path.join(directory, name)
        facts = os.lstat(path)
        told = tarfile.TarInfo(name)
        told.mode = stat.S_IMODE(facts.st_mode)
        told.mtime = int(facts.st_mtime)  # compiled files are good only beside a source of that very time
        if stat.S_ISLNK(facts.st_mode):
            told.type, told.linkname = tarfile.SYMTYPE, os.readlink(path)
            tar.addfile(told)
        elif stat.S_ISREG(facts.st_mode):
            with open(path, "rb") as file:
                told.size = os.fstat(file.fileno()).st_size
                tar.addfile(told, file)
    # Not closed: that would write the end of the tar after each portion, and other programs would stop there.
    return _member(text.getvalue())


def _member(text: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(text) + packer.flush()
    size = HEADER.size + len(body) + 8
    head = HEADER.pack(b"\x1f\x8b\x08\x04\0\0\0\0\0\xff", 8, MARK, 4, size)
    return head + body + struct.pack("<II", zlib.crc32(text), len(text) & 0xFFFFFFFF)


def unpack(address: str, directory: str, *, content_hash: str, final: str, sha256: str = "") -> int:
    """Unpack the archive at an address or path into ``directory``; return how many files it has.

    Raises
    ------
    BadArchive
        It is cut, changed, of another environment, or for another place; what was unpacked is of no use.
    """
    cores = os.cpu_count() or 1
    hashes: list[str] = []
    whole = hashlib.sha256()
    last = b""
    with opened(address) as source, ThreadPoolExecutor(max_workers=cores) as pool:
        waiting = []
        made: set[str] = set()
        for member in _members(source):
            whole.update(member)
            if last:
                hashes.append(hashlib.sha256(last).hexdigest())
                waiting.append(pool.submit(_unpacked, last, directory, made))
            last = member
            while len(waiting) > 2 * cores:
                waiting.pop(0).result()
        for one in waiting:
            one.result()
    if not last:
        raise BadArchive("it is empty")
    with tarfile.open(fileobj=io.BytesIO(_text_of(last))) as tar:
        try:
            file = tar.extractfile(LAST)
            told = json.loads(file.read()) if file is not None else {}
        except KeyError:
            raise BadArchive("its end is missing") from None
    if told.get("members") != hashes:
        raise BadArchive("its parts aren't the ones that were packed")
    if sha256 and whole.hexdigest() != sha256:
        raise BadArchive("its sha256 isn't the one that was told")
    if told.get("content_hash") != content_hash:
        raise BadArchive("it is of another environment")
    if told.get("prefix") and told["prefix"] != final:
        raise BadArchive(f"its files of conda belong to {told['prefix']}, and here they would be {final}")
    return int(told["files"])


def _members(source: IO[bytes]) -> Iterator[bytes]:
    while head := source.read(HEADER.size):
        if len(head) < HEADER.size:
            raise BadArchive("it is cut off")
        start, _, mark, _, size = HEADER.unpack(head)
        if start[:4] != b"\x1f\x8b\x08\x04" or mark != MARK or size > 4 * PORTION + (1 << 30):
            raise BadArchive("it wasn't packed by this program, or is damaged")
        body = source.read(size - HEADER.size)
        if len(body) < size - HEADER.size:
            raise BadArchive("it is cut off")
        yield head + body


def _text_of(member: bytes) -> bytes:
    checksum, size = struct.unpack("<II", member[-8:])
    if size > 1100 * len(member):  # zlib never packs that well: the number is damaged, and would be allocated
        raise BadArchive("it is damaged: a length is wrong")
    try:
        text = zlib.decompress(memoryview(member)[HEADER.size : -8], -zlib.MAX_WBITS, bufsize=max(size, 1))
    except zlib.error as error:
        raise BadArchive(f"it is damaged: {error}") from None
    if zlib.crc32(text) != checksum:
        raise BadArchive("it is damaged: a checksum is wrong")
    return text


def _unpacked(member: bytes, directory: str, made: set[str]) -> None:
    text = _text_of(member)
    view = memoryview(text)
    try:
        with tarfile.TarFile(fileobj=io.BytesIO(text)) as tar:
            for told in tar:
                path = os.path.join(directory, told.name)
                if told.name.startswith("/") or ".." in told.name.split("/"):
                    raise BadArchive(f"it has a file outside of itself: {told.name}")
                place = os.path.dirname(path)
                if place not in made:
                    os.makedirs(place, exist_ok=True)
                    made.add(place)
                if told.issym():
                    os.symlink(told.linkname, path)
                elif told.isreg():
                    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, told.mode | 0o200)
                    with open(number, "wb", buffering=0) as file:
                        rest = view[told.offset_data : told.offset_data + told.size]
                        while rest:
                            rest = rest[file.write(rest) :]
                    os.utime(path, (told.mtime, told.mtime))
    except tarfile.TarError as error:
        raise BadArchive(f"it is damaged: {error}") from None


def make_virtual(directory: str, python: str, version: str) -> None:
    """Make ``directory`` a virtual environment of ``python``: what an archive leaves out."""
    minor = minor_of(version)
    os.makedirs(os.path.join(directory, "bin"), exist_ok=True)
    for name, target in (("python", python), ("python3", "python"), (f"python{minor}", "python")):
        os.symlink(target, os.path.join(directory, "bin", name))
    with open(os.path.join(directory, "pyvenv.cfg"), "w", encoding="utf-8") as file:
        file.write(
            f"home = {os.path.dirname(python)}\nimplementation = CPython\nversion_info = {minor}\n"
            "include-system-site-packages = false\nrelocatable = true\n"
        )
