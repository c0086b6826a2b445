"""The server's own certificate, where nobody gave it one: signed by an authority kept in the data directory."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tradewind.boot import tls
from tradewind.boot.tls import Authority
from tradewind.config import ServeSettings
from tradewind.errors import ConfigError
from tradewind.model.secret import Secret

AUTHORITY_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=365)
RENEW = timedelta(days=30)
"""A certificate that ends within this is made anew when the server starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Files that a TLS server reads."""

    chain: Path
    """PEM: the certificate, and who signed it."""
    key: Path
    """PEM; only this user may read it."""
    fingerprint: str
    """sha256 of the certificate, as ``AB:CD:…``: what people compare when they first sign in."""


def certificate_for(serve: ServeSettings, directory: Path, now: datetime) -> Certificate:
    """Return the certificate that was given, or one of our own authority, made or renewed where need be.

    The authority stays the same for ten years: clients that trusted it once go on doing so.

    Raises
    ------
    ConfigError
        A file can't be read or written, or isn't what it should be; names it.
    """
    if (serve.certificate is None) != (serve.key is None):
        raise ConfigError("[serve] certificate and key go together: give both, or none of them.")
    try:
        if serve.certificate is not None and serve.key is not None:
            chain = Path(serve.certificate).expanduser()
            return Certificate(chain=chain, key=Path(serve.key).expanduser(), fingerprint=_fingerprint(chain))
        return _own(serve, directory / "tls", now)
    except OSError as error:
        raise ConfigError(f"{error.filename}: the server's keys can't be kept there: {error.strerror}.") from None


def names_of(serve: ServeSettings) -> tuple[str, ...]:
    """Return the names and addresses by which this machine may be called."""
    names = {"localhost", "127.0.0.1", "::1", socket.gethostname(), socket.getfqdn()}
    if serve.host not in {"0.0.0.0", "::"}:
        names.add(serve.host)
    if serve.public_url is not None:
        names.add(urlsplit(serve.public_url).hostname or "localhost")
    families = {socket.AF_INET, socket.AF_INET6}
    for addresses in psutil.net_if_addrs().values():
        names |= {each.address for each in addresses if each.family in families and "%" not in each.address}
    return tuple(sorted(name for name in names if name and name.isascii()))


def _own(serve: ServeSettings, directory: Path, now: datetime) -> Certificate:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    chain, key = directory / "server.pem", directory / "server.key"
    names = names_of(serve)
    if not (chain.exists() and key.exists() and tls.is_good_for(chain.read_text(), names, now + RENEW)):
        authority = _authority(directory, now)
        pair = authority.issue("tradewind server", now, hosts=names, lifetime=LIFETIME)
        _write(key, pair.key.reveal())
        _write(chain, pair.certificate + authority.certificate)
    return Certificate(chain=chain, key=key, fingerprint=_fingerprint(chain))


def _authority(directory: Path, now: datetime) -> Authority:
    certificate, key = directory / "authority.pem", directory / "authority.key"
    if not (certificate.exists() and key.exists()):
        made = Authority.create("server authority", now, AUTHORITY_LIFETIME)
        _write(key, made.key.reveal())
        _write(certificate, made.certificate)
    return Authority(certificate=certificate.read_text(), key=Secret(key.read_text()))


def _write(file: Path, text: str) -> None:
    """Write a file that only this user may read, as a whole or not at all."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    partial.replace(file)


def _fingerprint(chain: Path) -> str:
    try:
        return tls.fingerprint(chain.read_text())
    except ValueError:
        raise ConfigError(f"{chain} holds no certificate in PEM; it begins with -----BEGIN CERTIFICATE-----.") from None
