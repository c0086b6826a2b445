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
