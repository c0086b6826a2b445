"""Whether a server is who it says: what this machine trusts, or what its user accepted at first contact."""

from __future__ import annotations

import hashlib
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from tradewind.errors import ServerError

HELLO_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A certificate that nothing on this machine vouches for."""

    fingerprints: tuple[str, ...]
    """sha256 of each certificate shown: the server's own first, then of who signed it."""
    authority: str
    """PEM to pin: of who signed, where it was shown, so that a renewed certificate is trusted too; else its own."""

    @property
    def fingerprint(self) -> str:
        """The one to compare: of the server's own certificate."""
        return self.fingerprints[0]

    def is_known_as(self, fingerprint: str) -> bool:
        """Whether ``fingerprint``, however written, is of one of its certificates."""
        return _bare(fingerprint) in {_bare(own) for own in self.fingerprints}


def context_for(authority: str | None) -> ssl.SSLContext:
    """Return what checks a server: against one pinned certificate and nothing else, or as this machine does."""
    if authority is None:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority)
    # What was pinned may be the server's own certificate, which is nobody's authority.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def meet(url: str) -> Stranger:
    """Return what a server shows of itself. Nothing is sent to it, and nothing it shows is believed yet.

    Raises
    ------
    ServerError
        Nobody answers there, or not with TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 443)
    try:
        with (
            socket.create_connection(address, HELLO_WITHIN_S) as line,
            context.wrap_socket(line, server_hostname=parts.hostname) as secured,
        ):
            chain = _chain(secured)
    except ssl.SSLError:
        raise ServerError(f"{url} doesn't speak TLS: is the port right, and is it https?") from None
    except OSError as error:
        raise ServerError(f"nobody answers at {url}: {error.strerror or error}.") from None
    return Stranger(
        fingerprints=tuple(_shown(certificate) for certificate in chain),
        authority=ssl.DER_cert_to_PEM_cert(chain[-1]),
    )


def _chain(line: ssl.SSLSocket) -> list[bytes]:
    """Return all certificates shown, as DER, the server's own first."""
    public = getattr(line, "get_unverified_chain", None)
    if public is not None:
        return list(public())
    # Before Python 3.13 the same stands one floor below.
    hidden = getattr(getattr(line, "_sslobj", None), "get_unverified_chain", None)
    shown = [ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in hidden() or ()] if hidden is not None else []
    own = line.getpeercert(binary_form=True)
    assert own is not None  # a server without one can't have shaken hands
    return shown or [own]


def _shown(certificate: bytes) -> str:
    digest = hashlib.sha256(certificate).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def _bare(fingerprint: str) -> str:
    text = fingerprint.lower().rpartition("=")[2].strip()  # openssl writes "sha256 Fingerprint=AB:CD…"
    return text.removeprefix("sha256").replace(":", "").replace(" ", "")
