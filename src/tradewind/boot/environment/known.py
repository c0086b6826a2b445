"""Whether the usual index has exactly what is installed here, so that a machine may fetch it there.

Where a private index is set beside the usual one, nobody writes down which of the two a package is from. A name says
nothing: somebody may have given theirs the same. The metadata's hash does.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tradewind.boot.environment.indexes import PYPI
from tradewind.boot.environment.sources import Installed

ASK_S = 20.0
"""Seconds for one answer."""
AT_ONCE = 16
LARGEST = 64 * 2**20
"""Bytes of one answer; the longest list of files has some 20 MB."""
NO_LASTS_S = 7 * 86400.0
"""Seconds that a no is believed: names of private packages aren't shown to the usual index more often than needed."""
JSON_PAGE = "application/vnd.pypi.simple.v1+json"


def known_to(
    installed: Sequence[Installed],
    cache: Path,
    *,
    index: str = PYPI,
    clock: Callable[[], float] = time.time,
    say: Callable[[str], None] = lambda text: None,
) -> frozenset[str]:
    """Return the names of those that ``index`` has: the same version, with the same metadata.

    A yes is remembered for ever, since files of an index don't change. Where it doesn't answer, the answer is no.

    Parameters
    ----------
    installed : sequence of Installed
        What is asked for.
    cache : Path
        The user's cache directory.
    index : str
        Address of its simple API.
    clock : callable
        Returns the time as seconds since 1970.
    say : callable
        Told in a sentence when it doesn't answer.
    """
    failures: list[str] = []

    def ask(one: Installed) -> bool:
        digest = _metadata_hash(one)
        note = cache / "known" / hashlib.sha256(f"{index}\n{one.name}\n{one.version}\n{digest}".encode()).hexdigest()
        remembered = _remembered(note, clock())
        if remembered is not None:
            return remembered
        try:
            answer = _has(_page(f"{index}/{one.name}/"), digest)
        except (OSError, ValueError) as error:
            failures.append(str(error))
            return False
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text("yes" if answer else f"no {int(clock())}", encoding="utf-8")
        return answer

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, installed))
    if failures:
        say(
            f"{index} doesn't say whether it has {len(failures)} of your packages ({failures[0]}): they are taken for "
            "those of a private index, and travel."
        )
    return frozenset(one.name for one, answer in zip(installed, answers, strict=True) if answer)


def lacked_by(
    installed: Sequence[Installed],
    cache: Path,
    addresses: Mapping[str, str],
    *,
    clock: Callable[[], float] = time.time,
) -> frozenset[str]:
    """Return the names of those that none of some private indexes has heard of: they came from elsewhere.

    Asked before the usual index is: a mirror seldom tells the hashes that :func:`known_to` goes by, and no name of a
    private package is shown to anybody. Where one doesn't answer, all may be of it.

    Parameters
    ----------
    installed : sequence of Installed
        What is asked for.
    cache : Path
        The user's cache directory; it is written there that an index lacks a version, never with a password.
    addresses : mapping of str to str
        Of the private indexes: without a password to as they are written.
    clock : callable
        Returns the time as seconds since 1970.
    """

    def lacks(one: Installed, url: str) -> bool:
        note = cache / "known" / hashlib.sha256(f"lacks\n{url}\n{one.name}\n{one.version}".encode()).hexdigest()
        if _remembered(note, clock()) is False:
            return True
        if not _is_absent(f"{url}/{one.name}/", addresses[url]):
            return False
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(f"no {int(clock())}", encoding="utf-8")
        return True

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda one: all(lacks(one, url) for url in addresses), installed))
    return frozenset(one.name for one, answer in zip(installed, answers, strict=True) if answer)


def _is_absent(page: str, written: str) -> bool:
    """Whether an index says that it has no such page; ``written`` is its address with the password, if it has one."""
    request = urllib.request.Request(page)  # not HEAD, which some of them refuse; the body is left unread
    parts = urlsplit(written)
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=ASK_S):
            return False
    except urllib.error.HTTPError as error:
        return error.code in {404, 410}
    except (OSError, ValueError):
        return False


def _metadata_hash(one: Installed) -> str:
    try:
        return hashlib.sha256((one.directory / "METADATA").read_bytes()).hexdigest()
    except OSError:
        return ""


def _remembered(note: Path, now: float) -> bool | None:
    try:
        word, _, at = note.read_text(encoding="utf-8").partition(" ")
        if word == "yes":
            return True
        return False if word == "no" and 0 <= now - float(at) < NO_LASTS_S else None
    except (OSError, ValueError):
        return None


def _page(address: str) -> Iterable[Any]:
    """Return the files that an index lists; none where it doesn't know the name."""
    request = urllib.request.Request(address, headers={"Accept": JSON_PAGE, "Accept-Encoding": "gzip"})
    try:
        with urllib.request.urlopen(request, timeout=ASK_S) as answer:
            if JSON_PAGE not in answer.headers.get("Content-Type", ""):
                raise ValueError("its pages aren't JSON")
            body = answer.read(LARGEST)
            if answer.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return ()
        raise
    page = json.loads(body)
    files = page.get("files") if isinstance(page, dict) else None
    return files if isinstance(files, list) else ()


def _has(files: Iterable[Any], metadata_hash: str) -> bool:
    for file in files:
        hashes = (file.get("core-metadata") or file.get("data-dist-info-metadata")) if isinstance(file, dict) else None
        if isinstance(hashes, dict) and metadata_hash and hashes.get("sha256") == metadata_hash:
            return True
    return False
