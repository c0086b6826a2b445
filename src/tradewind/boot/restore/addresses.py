"""Addresses, and what may be secret in them."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import unquote, urlsplit

PYPI = "https://pypi.org/simple"
SECRET_HOSTS = frozenset({"dl.cloudsmith.io", "packagecloud.io"})
"""Of these, the first part of a path is the key of a private index, where it isn't ``public`` or ``basic``."""
HIDDEN = "***"
IN_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s'\"`<>]+)")


def bare(url: str) -> str:
    """Return an address without what may be secret in it: user, password, query, tokens in the path.

    Never raises. People paste passwords unquoted, with ``/``, ``#`` and ``@`` in them: all before the last ``@`` goes.
    """
    url = "".join(letter for letter in url if letter.isprintable()).strip()
    scheme, slashes, rest = url.partition("://")
    if scheme.lower() == "file":
        return re.split(r"[?#]", url)[0]
    if not slashes:
        scheme, rest = "", url  # git@host:path, or a path
    rest = re.split(r"[?#]", rest.rpartition("@")[2])[0]
    host, slash, path = rest.partition("/")
    return scheme.rpartition("@")[2] + slashes + host + bare_path(host, slash + path)


def bare_path(host: str, path: str) -> str:
    """Return the path of an address on ``host`` without tokens."""
    path = re.sub(r"/t/[^/]+", f"/t/{HIDDEN}", path)  # conda's way: https://host/t/<token>/channel
    if host.lower().partition(":")[0] in SECRET_HOSTS:
        path = re.sub(r"^/+(?!public/|basic/)[^/]+(?=/[^/]+/[^/]+/)", f"/{HIDDEN}", path)
    return path


def without_passwords(text: str) -> str:
    """Return ``text`` with what may be secret in every address in it left out, but for queries: files have names there.

    Of a repository's address the last ``@`` may be before its revision; of others, it is after a password.
    """

    def hidden(found: re.Match[str]) -> str:
        scheme, rest = found.groups()
        _, at, left = rest.rpartition("@")
        if scheme.startswith("git+") and _is_revision(rest):
            before, _, revision = rest.rpartition("@")
            _, at, left = before.rpartition("@")
            left = f"{left}@{revision}"
        host, slash, path = left.partition("/")
        return f"{scheme}://{HIDDEN + at if at else ''}{host}{bare_path(host, slash + path)}"

    return IN_TEXT.sub(hidden, text)


def _is_revision(rest: str) -> bool:
    """Whether what is behind the last ``@`` of a repository's address is one; where that isn't sure, it is a host."""
    before, at, behind = rest.rpartition("@")
    return bool(at) and "/" in before and (before.endswith(".git") or "/" not in behind.partition("#")[0])


def login_in(url: str) -> tuple[str, str, str]:
    """Return an address without its login, and user and password, decoded; both empty where it has none.

    The bare host decides where it goes: of several ``@``, the last one ends the login.
    """
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, "", ""
    user, _, password = login.partition(":")
    return parts._replace(netloc=host).geturl(), unquote(user), unquote(password)


def opener_for(url: str) -> tuple[str, urllib.request.OpenerDirector]:
    """Return an address without its login, and what opens it with that, there and on no other host it leads to."""
    address, user, password = login_in(url)
    if not user and not password:
        return address, urllib.request.build_opener()
    known = urllib.request.HTTPPasswordMgrWithPriorAuth()
    parts = urlsplit(address)
    known.add_password(None, f"{parts.scheme}://{parts.netloc}/", user, password, is_authenticated=True)
    return address, urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(known), StaysSecret)


class StaysSecret(urllib.request.HTTPRedirectHandler):
    """Follows no way from https to http: urllib knows a login's host alone, and would tell the login to all between."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Return what is asked instead. Raises HTTPError where others would hear it."""
        if req.type == "https" and urlsplit(newurl).scheme.lower() != "https":
            why = f"it leads to {bare(newurl)}, where the login would be sent unencrypted"
            raise urllib.error.HTTPError(req.full_url, code, why, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def with_login_of(page: str, address: str) -> str:
    """Return an address that ``page`` names with the page's login, where it is on the same host and has none."""
    of_page, named = urlsplit(page), urlsplit(address)
    login, at, host = of_page.netloc.rpartition("@")
    if not at or (named.scheme, named.netloc) != (of_page.scheme, host):
        return address
    return named._replace(netloc=f"{login}@{host}").geturl()
