"""Files from an address or a path, checked before anything uses them."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from typing import IO

from tradewind.boot.restore.addresses import bare, opener_for
from tradewind.boot.restore.report import CantRestore

TRIES = 4
"""Of one file, when the network breaks off or bytes are wrong; with 0.5, 1 and 2 s between them."""
FIRST_REST_S = 0.5
SILENCE_S = 30.0
"""Without a byte, then it counts as broken."""
PUT_SILENCE_S = 300.0
"""The same, of a store that has got a whole archive and says nothing before it has written it."""
BROKEN = (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, ConnectionError, TimeoutError)


class WrongBytes(Exception):
    """What came isn't what was asked for."""


def path_in(address: str) -> str:
    """Return the path that an address is, as ``/shared/x`` or ``file:///shared/x``; empty where it is no path."""
    if address.startswith("file://"):
        return urllib.request.url2pathname(address[len("file://") :])
    return "" if "://" in address else address


def opened(address: str, accept: str = "*/*") -> IO[bytes]:
    """Open an address or an absolute path for reading."""
    if path := path_in(address):
        return open(path, "rb")
    if not address.startswith(("http://", "https://")):
        raise CantRestore("broken_order", f"{address} is neither an http address nor a path: nothing can be read there")
    # Python's own reader takes a login in an address for a part of the host's name, and tells it in its error.
    address, opener = opener_for(address)
    request = urllib.request.Request(address, headers={"Accept": accept, "User-Agent": "tradewind"})
    answer: IO[bytes] = opener.open(request, timeout=SILENCE_S)
    return answer


def page_at(address: str, accept: str = "*/*") -> bytes:
    """Return what an address has; asked again where the answer breaks off, not where nobody answers.

    Raises as :func:`opened` at the last try.
    """
    for again in range(TRIES - 1):
        try:
            with opened(address, accept) as answer:
                return answer.read()
        except (http.client.HTTPException, ConnectionError):
            time.sleep(FIRST_REST_S * 2**again)
    with opened(address, accept) as answer:
        return answer.read()


def cause_of(error: BaseException) -> str:
    """Return what an error of the network says, for the user."""
    if isinstance(error, http.client.IncompleteRead):
        return "the answer broke off"
    code = getattr(error, "code", 0)
    return f"{f'{code} ' if code else ''}{getattr(error, 'reason', None) or error or 'the line broke off'}"


def put(path: str, address: str) -> None:
    """Write a file to an address that takes a PUT, or to a path, where it appears whole or not at all.

    The directory of a path must be there: who asks has made it, and where it isn't seen, it is on a disk that this
    machine doesn't have.
    """
    if target := path_in(address):
        beside = f"{target}.{socket.gethostname()}-{os.getpid()}"
        try:
            shutil.copyfile(path, beside)
            os.replace(beside, target)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(beside)
        return
    upload(address, lambda: open(path, "rb"), os.path.getsize(path))  # noqa: SIM115 - closed there, after each try


def upload(
    address: str,
    source: Callable[[], IO[bytes]],
    size: int,
    *,
    silence_s: float = PUT_SILENCE_S,
    rest: Callable[[float], object] = time.sleep,
) -> None:
    """Write to an address that takes a PUT; again where a store stumbles, since what is put is large and made already.

    Raises as :mod:`urllib` does at the last try, at once where the store refuses, and what ``source`` raises.

    Parameters
    ----------
    address : str
        Of http or https.
    source : callable
        Opens what is put, for each try; closed here.
    size : int
        Bytes.
    silence_s : float
        After so many seconds without a word a store counts as gone.
    rest : callable
        Called with seconds between two tries.
    """
    # Azure wants to be told of what kind a blob is; no other store minds.
    headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream", "x-ms-blob-type": "BlockBlob"}
    for again in range(TRIES):
        with closing(source()) as file:
            request = urllib.request.Request(address, data=file, method="PUT", headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=silence_s):
                    return
            except urllib.error.HTTPError as error:
                if error.code < 500 or again == TRIES - 1:
                    raise
            except BROKEN:
                if again == TRIES - 1:
                    raise
        rest(FIRST_REST_S * 2**again)


def sha256_of(path: str) -> str:
    """Return the hash of a file, hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fetched(address: str, directory: str, name: str, sha256: str = "") -> str:
    """Return the path of ``directory/name`` with the right bytes: what is there already, or what ``address`` gives.

    A path with that very name is used where it lies.
    """
    there = path_in(address)
    if there and os.path.basename(there) == name and os.path.exists(there):
        if sha256 and sha256_of(there) != sha256:
            raise _wrong(name, there)
        return there
    path = os.path.join(directory, name)
    if sha256 and os.path.exists(path) and sha256_of(path) == sha256:
        return path
    os.makedirs(directory, exist_ok=True)
    beside = f"{path}.{os.getpid()}"
    try:
        for again in range(TRIES):
            try:
                _copy(address, beside, sha256)
                os.replace(beside, path)
            except urllib.error.HTTPError as error:
                if error.code < 500 or again == TRIES - 1:
                    raise _unreachable(name, address, error) from None
            except WrongBytes:
                if again == TRIES - 1:
                    raise _wrong(name, address) from None
            except FileNotFoundError as error:
                raise _unreachable(name, address, error) from None
            except BROKEN as error:
                if again == TRIES - 1:
                    raise _unreachable(name, address, error) from None
            else:
                return path
            time.sleep(FIRST_REST_S * 2**again)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(beside)
    raise AssertionError("every try returns or raises")


def _copy(address: str, path: str, sha256: str) -> None:
    digest = hashlib.sha256()
    with opened(address) as source, open(path, "wb") as file:
        expected = getattr(source, "length", None)
        size = 0
        while block := source.read(1 << 18):
            digest.update(block)
            file.write(block)
            size += len(block)
    # http.client ends a body that broke off between two reads as if that were its end.
    if expected is not None and size != expected:
        raise http.client.IncompleteRead(b"", expected - size)
    if sha256 and digest.hexdigest() != sha256:
        raise WrongBytes


def _wrong(name: str, address: str) -> CantRestore:
    return CantRestore(
        "wrong_bytes",
        f"{name} from {without_signature(address)} isn't the file that was recorded: its sha256 differs. It wasn't "
        "used. Something between here and there changes or cuts files; if the file itself was replaced, capture again.",
    )


def _unreachable(name: str, address: str, error: Exception) -> CantRestore:
    code = getattr(error, "code", 0)
    if code in (401, 403):
        return CantRestore(
            "password",
            f"{name} can't be had from {without_signature(address)} without a password ({code}), and this machine has "
            "none. Let the machine read it, or let the packages travel with the cluster.",
        )
    return CantRestore(
        "unreachable",
        f"{name} can't be had from {without_signature(address)}: {cause_of(error)}. "
        "Let the machine reach that address, or let the file travel with the cluster.",
    )


def without_signature(address: str) -> str:
    """Return an address without its signature and its login."""
    return bare(address) if "://" in address else address
