"""What people and workspaces may be called."""

from __future__ import annotations

import re
import unicodedata

from tradewind.errors import BadRequest

LONGEST = 39
RESERVED = frozenset({"tradewind", "me", "nobody"})
"""Names that stand for something else in records or addresses."""

_USER = re.compile(r"[a-z0-9][a-z0-9._-]{0,38}\Z")
_WORKSPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,38}\Z")
_ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")
_REFERENCE = re.compile(r"([^@]+)(?:@([1-9][0-9]{0,8}))?\Z")
_IMAGE = re.compile(r"(?=.{1,255}\Z)[a-zA-Z0-9][a-zA-Z0-9._:/-]*(@[a-z0-9+._-]+:[0-9a-f]{32,128})?\Z")
"""What stands behind an ``@`` is a digest: before one, a password could stand."""
_EMAIL = re.compile(r"[^\s@<>,;:\"\\\x00-\x20\x7f]+@[^\s@<>,;:\"\\\x00-\x20\x7f]+\Z")
LONGEST_EMAIL = 254
LONGEST_TEXT = 200


def user_name(name: str) -> str:
    """Return ``name`` if it can be a user's. Raises BadRequest."""
    if name in RESERVED:
        raise BadRequest(f"the name {name!r} stands for something else here; choose another")
    if not _USER.match(name):
        rule = "take a letter or digit, then up to 38 of a-z, 0-9, dot, dash and underscore"
        raise BadRequest(f"{name[:60]!r} can't be a user's name; {rule}")
    return name


def workspace_name(name: str) -> str:
    """Return ``name`` if it can be a workspace's. Raises BadRequest."""
    if not _WORKSPACE.match(name):
        rule = "take a letter or digit, then up to 38 of a-z, 0-9, dash and underscore"
        raise BadRequest(f"{name[:60]!r} can't be a workspace's name; {rule}")
    return name


def environment_name(name: str) -> str:
    """Return ``name`` if it can be an environment's. Raises BadRequest."""
    if not _ENVIRONMENT.match(name):
        rule = "take a letter or digit, then up to 62 of a-z, 0-9, dot, dash and underscore"
        raise BadRequest(f"{name[:80]!r} can't be an environment's name; {rule}")
    return name


def environment_reference(text: str) -> tuple[str, int | None]:
    """Return the name and the version of ``climate@3``; None is the newest. Raises BadRequest."""
    found = _REFERENCE.match(text)
    if found is None:
        raise BadRequest(f"{text[:80]!r} names no environment: write its name, or name and version, as climate@3")
    return environment_name(found[1]), int(found[2]) if found[2] else None


def image_name(text: str) -> str:
    """Return ``text`` if it can be a container image's name. Raises BadRequest."""
    if not _IMAGE.match(text):
        raise BadRequest(f"{text[:80]!r} can't be an image; write it as ghcr.io/lab/climate:2, without a password")
    return text


def fitting_name(wanted: str) -> str:
    """Return a name for here that is near to what somebody is called elsewhere: ``Zoë@x.org`` is zoe."""
    plain = unicodedata.normalize("NFKD", wanted.partition("@")[0]).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._-]+", "-", plain).strip("._-")[:LONGEST] or "user"


def email_address(text: str | None) -> str | None:
    """Return ``text`` if mail can go there; None and nothing are nobody's. Raises BadRequest."""
    text = (text or "").strip()
    if not text:
        return None
    if len(text) > LONGEST_EMAIL or not _EMAIL.match(text):
        raise BadRequest(f"{text[:60]!r} isn't an e-mail address; write it as ada@example.org, or leave it out")
    return text


def short_text(text: str, what: str) -> str:
    """Return ``text`` for people, on one line. Raises BadRequest where it is too long or can't be printed."""
    text = text.strip()
    if len(text) > LONGEST_TEXT or not text.isprintable():
        raise BadRequest(f"{what} {text[:60]!r} can't be kept; write one line of up to {LONGEST_TEXT} characters")
    return text
