"""Looks for secrets in everything that was written or can be seen, in the forms in which bytes are written.

It bypasses what it searches: files as bytes, processes by /proc. Whoever uses it plants a secret first and lets it be
found, since a search that finds nothing may be looking at nothing.
"""

from __future__ import annotations

import base64
import gzip
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

LARGEST = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One place where a secret stands."""

    secret: str
    """Its name, not itself: this is shown when a test fails."""
    form: str
    place: str


def forms(secret: str) -> dict[str, bytes]:
    """Return the bytes by which a secret is known, by the name of the form."""
    plain = secret.encode()
    found = {
        "plain": plain,
        "url": quote(secret, safe="").encode(),
        "form": quote_plus(secret).encode(),
        "hex": plain.hex().encode(),
        "utf-16": secret.encode("utf-16-le"),
    }
    # Base64 of a text that holds the secret: it may begin at any of three places, and its ends mix with the neighbours.
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + plain)
        start, end = (0, 2, 3)[shift], len(plain + b"\0" * shift) // 3 * 4
        found[f"base64+{shift}"] = coded[start:end]
        found[f"base64url+{shift}"] = base64.urlsafe_b64encode(b"\0" * shift + plain)[start:end]
    return found


def search(pieces: Iterable[tuple[str, bytes]], secrets: Mapping[str, str]) -> list[Found]:
    """Return where the secrets stand in ``pieces``, which are places with their bytes."""
    needles = [(name, form, text) for name, secret in secrets.items() for form, text in forms(secret).items()]
    found = []
    for place, data in pieces:
        for name, form, text in needles:
            if text in data:
                found.append(Found(secret=name, form=form, place=place))
    return found


def files(*roots: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each file below ``roots``, its name, and what is packed in it where it is an archive."""
    for root in roots:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            yield f"name of {path}", str(path).encode()
            try:
                if not path.is_file() or path.stat().st_size > LARGEST:
                    continue
                data = path.read_bytes()
            except OSError:
                continue  # it went, or isn't ours: nobody of this user wrote it
            yield str(path), data
            yield from _unpacked(path, data)


def _unpacked(path: Path, data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[:2] == b"\x1f\x8b":
        try:
            yield f"{path} (unpacked)", gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            return
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield f"{path}: {name}", archive.read(name)


def processes(*, environ_of: Iterable[int] = ()) -> Iterator[tuple[str, bytes]]:
    """Yield the arguments of every process, and the variables that some were started with."""
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            yield from _read(directory / "cmdline")
    for pid in environ_of:
        yield from _read(Path("/proc", str(pid), "environ"))


def _read(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        yield str(path), path.read_bytes()
    except OSError:
        return
