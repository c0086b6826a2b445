"""Texts that we gave out and know again, of which no more than a hash is kept."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

from tradewind.errors import BadRequest

SKEW = timedelta(minutes=2)
"""How far the clocks of replicas may be apart."""


class Signer:
    """Signs short contents with a key that all replicas share. Not a secret's place: contents can be read.

    Parameters
    ----------
    key : str
        Random, of at least 32 characters.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def sign(self, purpose: str, content: bytes, now: datetime) -> str:
        """Return ``content`` as text for addresses and cookies, good for this purpose alone."""
        body = int(now.timestamp()).to_bytes(8, "big") + content
        return base64.urlsafe_b64encode(self._mac(purpose, body) + body).rstrip(b"=").decode()

    def read(self, purpose: str, text: str, now: datetime, lifetime: timedelta) -> bytes:
        """Return the content of a text that was signed for ``purpose`` less than ``lifetime`` ago.

        Raises
        ------
        BadRequest
            It wasn't, or is too old: in the same words.
        """
        try:
            raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raw = b""
        mac, body = raw[:16], raw[16:]
        if len(body) >= 8 and hmac.compare_digest(mac, self._mac(purpose, body)):
            try:
                signed_at = datetime.fromtimestamp(int.from_bytes(body[:8], "big"), UTC)
            except (ValueError, OverflowError, OSError):
                signed_at = datetime.min.replace(tzinfo=UTC)
            if signed_at - SKEW <= now < signed_at + lifetime:
                return body[8:]
        raise BadRequest("this link isn't good, or is too old; start again")

    def _mac(self, purpose: str, body: bytes) -> bytes:
        # 128 bits: nobody guesses them, and a link stays short enough for a terminal.
        return hmac.new(self._key, purpose.encode() + b"\0" + body, hashlib.sha256).digest()[:16]


def new_token() -> str:
    """Return the text of a token that nobody had before."""
    return f"tw_{secrets.token_urlsafe(32)}"


def hash_of(text: str) -> str:
    """Return what is kept of a secret. Looking it up by this tells nothing by its timing."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def code_of(secret_hash: str) -> str:
    """Return the short code of a program's sign-in, for people to compare: ``KX4T-9PQR``."""
    text = base64.b32encode(hashlib.sha256(bytes.fromhex(secret_hash)).digest()).decode()[:8]
    return f"{text[:4]}-{text[4:]}"
