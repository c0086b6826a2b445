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
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from tradewind.boot.restore.tools import minor_of, own_glibc

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


class CantPack(Exception):
    """What lies there has no place in an archive."""


def pack(
    directory: str, path: str, *, content_hash: str, python: str, is_conda: bool, left_out: Collection[str] = ()
) -> int:
    """Write the files of ``directory`` to ``path``; return how many.

    What is ``left_out`` is a file, a directory with all in it, or what was compiled of a module, without its ending.

    Files of conda hold the directory's own path, so it goes along. So does what was compiled: that is what instances
    have imported until now, and saves the next machines two thirds of their first import. Raises
    CantPack for a link that leads out of it.
    """
    of_one_machine = () if is_conda else (*NEVER_PACKED, f"bin/python{minor_of(python)}")
    names = sorted(_names(directory, {*of_one_machine, *left_out}))
    facts = {
        "content_hash": content_hash,
        "python": python,
        "prefix": directory if is_conda else "",
        "glibc": own_glibc(),
    }
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
        above = os.path.relpath(place, directory)
        above = "" if above == "." else f"{above}/"
        folders[:] = [name for name in folders if above + name not in left_out]
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        is_compiled = above.endswith("__pycache__/")
        for name in [*files, *links]:
            if above + name not in left_out and not (is_compiled and above + name.split(".")[0] in left_out):
                yield above + name


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
            if not _stays_inside(name, told.linkname):
                raise CantPack(f"{name} is a link to {told.linkname}, which isn't part of the environment")
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


def unpack(path: str, directory: str, *, content_hash: str, final: str, sha256: str) -> int:
    """Unpack the archive at ``path`` into ``directory``, which is new; return how many files it has.

    Links are made when all files are written and known to be the ones that were packed, so that nothing is ever written
    through one.

    Raises
    ------
    BadArchive
        It is cut, changed, of another environment, or for another place; what was unpacked is of no use.
    """
    cores = os.cpu_count() or 1
    hashes: list[str] = []
    whole = hashlib.sha256()
    links: dict[str, str] = {}
    last = b""
    told = _facts_in(_last_of(path))
    if told.get("content_hash") != content_hash:
        raise BadArchive("it is of another environment")
    if _numbers(told.get("glibc") or "") > _numbers(own_glibc()):
        raise BadArchive(
            f"it was packed where the C library is {told['glibc']}, newer than here ({own_glibc() or '?'})"
        )
    moved = _moved(str(told.get("prefix") or ""), final)
    with open(path, "rb") as source, ThreadPoolExecutor(max_workers=cores) as pool:
        waiting = []
        made: set[str] = set()
        for member in _members(source):
            whole.update(member)
            if last:
                hashes.append(hashlib.sha256(last).hexdigest())
                waiting.append(pool.submit(_unpacked, last, directory, made, moved))
            last = member
            while len(waiting) > 2 * cores:
                links.update(waiting.pop(0).result())
        for one in waiting:
            links.update(one.result())
    if whole.hexdigest() != sha256:
        raise BadArchive("its sha256 isn't the one that was told")
    if _facts_in(last) != told or told.get("members") != hashes:
        raise BadArchive("its parts aren't the ones that were packed")
    _link(links, directory)
    return int(told["files"])


def _last_of(path: str) -> bytes:
    last = b""
    with open(path, "rb") as source:
        for size in _sizes(source):
            last = b""
            source.seek(-HEADER.size, os.SEEK_CUR)
            if source.tell() + size >= os.fstat(source.fileno()).st_size:
                last = source.read(size)
            else:
                source.seek(size, os.SEEK_CUR)
    return last


def _moved(prefix: str, final: str) -> tuple[bytes, bytes]:
    """Return what is to be replaced by what in every file: conda's hold their own directory, also within programs."""
    old, new = os.fsencode(prefix), os.fsencode(final)
    if old and len(old) != len(new):
        raise BadArchive(f"its files of conda belong to {prefix}, and {final} is longer or shorter")
    return old, new


def _facts_in(last: bytes) -> dict[str, Any]:
    if not last:
        raise BadArchive("it is empty")
    try:
        with tarfile.open(fileobj=io.BytesIO(_text_of(last))) as tar:
            file = tar.extractfile(LAST)
            told = json.loads(file.read()) if file is not None else None
    except (KeyError, ValueError, tarfile.TarError):
        told = None
    if not isinstance(told, dict):
        raise BadArchive("its end is missing")
    return told


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def _link(links: Mapping[str, str], directory: str) -> None:
    for name, target in links.items():
        parts = name.split("/")
        if any("/".join(parts[:length]) in links for length in range(1, len(parts))):
            raise BadArchive(f"it has a link below a link: {name}")
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            os.symlink(target, path)
        except FileExistsError:
            raise BadArchive(f"it has {name} twice") from None
    # Asked of the disk, once all are there: a link may lead through another one.
    home = os.path.realpath(directory)
    for name, target in links.items():
        reached = os.path.realpath(os.path.join(directory, name))
        if os.path.commonpath((home, reached)) != home:
            raise BadArchive(f"it has a link that leads outside: {name} to {target}")


def _stays_inside(name: str, target: str) -> bool:
    """Whether a link of this name leads to something of the same directory."""
    reached = os.path.normpath(os.path.join(os.path.dirname(name), target))
    return not os.path.isabs(target) and reached != ".." and not reached.startswith("../")


def _members(source: IO[bytes]) -> Iterator[bytes]:
    for size in _sizes(source):
        source.seek(-HEADER.size, os.SEEK_CUR)
        member = source.read(size)
        if len(member) < size:
            raise BadArchive("it is cut off")
        yield member


def _sizes(source: IO[bytes]) -> Iterator[int]:
    """Yield how long each member is, its header just read; who asks goes on to the next before asking again."""
    while head := source.read(HEADER.size):
        if len(head) < HEADER.size:
            raise BadArchive("it is cut off")
        start, _, mark, _, size = HEADER.unpack(head)
        if start[:4] != b"\x1f\x8b\x08\x04" or mark != MARK or not HEADER.size + 8 <= size <= 4 * PORTION + (1 << 30):
            raise BadArchive("it wasn't packed by this program, or is damaged")
        yield size


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


def _unpacked(member: bytes, directory: str, made: set[str], moved: tuple[bytes, bytes]) -> dict[str, str]:
    """Write the files of one member; return its links, which are made last."""
    text = _text_of(member)
    if moved[0] and moved[0] != moved[1]:
        text = text.replace(*moved)  # names in the headers are relative, so those stay as they are
    view = memoryview(text)
    links: dict[str, str] = {}
    try:
        with tarfile.TarFile(fileobj=io.BytesIO(text)) as tar:
            for told in tar:
                path = os.path.join(directory, told.name)
                if told.name.startswith("/") or ".." in told.name.split("/"):
                    raise BadArchive(f"it has a file outside of itself: {told.name}")
                if told.issym():
                    if not _stays_inside(told.name, told.linkname):
                        raise BadArchive(f"it has a link that leads outside: {told.name} to {told.linkname}")
                    links[told.name] = told.linkname
                elif told.isreg():
                    place = os.path.dirname(path)
                    if place not in made:
                        os.makedirs(place, exist_ok=True)
                        made.add(place)
                    _write(path, view[told.offset_data : told.offset_data + told.size], told)
    except tarfile.TarError as error:
        raise BadArchive(f"it is damaged: {error}") from None
    return links


def _write(path: str, rest: memoryview, told: tarfile.TarInfo) -> None:
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, told.mode & 0o777 | 0o200)
    except FileExistsError:
        raise BadArchive(f"it has {told.name} twice") from None
    with open(number, "wb", buffering=0) as file:
        while rest:
            rest = rest[file.write(rest) :]
    os.utime(path, (told.mtime, told.mtime))


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
