"""Whether an address holds what only its owner should know: all of a workspace could read it.

The caller's side has cut such things out already. What comes to a server may come from anything, so where it can't be
told whether something is secret, it is taken to be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from tradewind.errors import BadRequest
from tradewind.model.environment import Environment

HIDDEN = "***"
"""What the caller's side puts in the place of a token in a path."""
LOGIN = "a user or a password"
TOKEN = "a token"
QUERY = "a query (?…), as tokens and signatures stand in,"
UNREADABLE = "characters that no address has"
HARMLESS = frozenset({"egg", "md5", "sha1", "sha256", "sha384", "sha512", "subdirectory"})
"""What may stand behind the ``#``."""
SECRET_HOSTS = frozenset({"dl.cloudsmith.io", "packagecloud.io"})
"""Of these, the first part of a path is the key of a private index, where it isn't ``public`` or ``basic``."""
SSH = frozenset({"ssh", "git", ""})
"""Schemes where a user alone says nothing: his key opens. Without any it is ``git@host:path``, or a path."""

_DIRECTORY = re.compile(r"\Z|/|[A-Za-z]:[/\\]")
"""Of the caller's disk, or nothing."""
_KIND = re.compile(r"(?i)\A(git|hg|svn|bzr)\+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")
_HOST = re.compile(r"(?i)[a-z0-9][a-z0-9._-]*(:\d{1,5})?\Z|\[[0-9a-f:.]+\](:\d{1,5})?\Z|\Z")
_CHANNEL = re.compile(r"/t/([^/]+)")
_FACES = re.compile(
    r"\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl(pat|dt|rt|cbt|ptt|soat)-[\w-]{16,}|pypi-[\w-]{32,}"
    r"|hf_[A-Za-z0-9]{20,}|(AKIA|ASIA)[A-Z0-9]{16}|eyJ[\w-]{8,}\.[\w-]{8,})"
)


def check_addresses(environment: Environment) -> None:
    """Raise BadRequest for an address with a secret in it; names the field, the host, what it is and what to do."""
    known: dict[str, str] = {}
    for field, url in _addresses(environment):
        if url not in known:
            known[url] = secret_in(url)
        if known[url]:
            place = f" at {host}" if (host := _host_of(url)) else ""
            raise BadRequest(
                f"{field}: the address{place} has {known[url]} in it, and all of the workspace could read that. Write "
                "it without, and let machines sign in there by a netrc file of their own; or install the package where "
                "you are and name no environment: Cluster(…) brings what is of a private index along."
            )


def secret_in(url: str) -> str:
    """Return what in an address is secret, in words; empty: nothing."""
    if _DIRECTORY.match(url):
        return ""
    if not url.isprintable() or any(letter.isspace() for letter in url) or "\\" in url:
        return UNREADABLE
    address, _, fragment = url.partition("#")
    is_of_repository = _KIND.match(address) is not None
    address = _KIND.sub("", address)
    scheme, slashes, rest = address.partition("://")
    if not slashes:
        scheme, rest = "", address
    scheme = scheme.lower()
    if scheme and not _SCHEME.match(scheme):
        return LOGIN if "@" in url else UNREADABLE
    address, question, _ = rest.partition("?")
    if question:
        return QUERY
    authority, _, path = address.partition("/")
    user, at, host = authority.rpartition("@")
    if at and (":" in user or "@" in user or scheme not in SSH):
        return LOGIN
    if not slashes:
        host = host.partition(":")[0]
    # A password that is pasted as it is, with a slash in it, ends what looks like the host, and leaves its @ behind.
    if slashes and not _HOST.match(host):
        return LOGIN
    if scheme == "file":  # what it is called is nobody's secret
        return ""
    if _is_login_left(path, is_of_repository=is_of_repository):
        return LOGIN
    return _token_in(host, f"/{path}", fragment)


def _is_login_left(path: str, *, is_of_repository: bool) -> bool:
    """Whether what is behind an ``@`` in a path may be a host: of a repository, one is before the commit."""
    before, at, behind = path.rpartition("@")
    if not at:
        return False
    return not is_of_repository or "@" in before or "/" in behind


def _token_in(host: str, path: str, fragment: str) -> str:
    plain = unquote(path)
    for text in (path, plain):
        if any(token != HIDDEN for token in _CHANNEL.findall(text)) or _FACES.search(text):
            return TOKEN
    if host.partition(":")[0].lower() in SECRET_HOSTS:
        first, _, more = plain.lstrip("/").partition("/")
        if first not in {"public", "basic", HIDDEN} and more.count("/") > 1:
            return TOKEN
    words = [word.partition("=")[0].lower() for word in fragment.split("&") if word]
    return TOKEN if set(words) - HARMLESS or _FACES.search(unquote(fragment)) else ""


def _host_of(url: str) -> str:
    """Return the host, where it is sure that it is one and no part of a password; else nothing."""
    parts = re.split(r"[?#]", _KIND.sub("", url).partition("://")[2], maxsplit=1)
    authority, _, path = parts[0].partition("/")
    host = authority.rpartition("@")[2]
    is_sure = "@" not in "".join(parts[1:]) and not _is_login_left(path, is_of_repository=bool(_KIND.match(url)))
    return host if is_sure and _HOST.match(host) else ""


def _addresses(environment: Environment) -> Iterator[tuple[str, str]]:
    for name in ("indexes", "channels"):
        for number, url in enumerate(getattr(environment, name)):
            yield f"{name}[{number}]", url
    for package in environment.packages:
        if package.url:
            yield f"packages[{package.name[:60]}].url", package.url
