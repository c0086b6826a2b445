"""Posts to URLs that people gave: to the outside alone, and never anywhere the answer sends it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from tornado.httpclient import HTTPRequest
from tornado.netutil import Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from tradewind.errors import BadRequest

PATIENCE_S = 10.0
ANSWER_LIMIT = 64 * 1024
"""Bytes of an answer that are read at most; nothing in it is of use to us."""
ADVICE = "or set private_addresses = true under [webhooks]"


class Undelivered(Exception):
    """It didn't arrive; the message says why."""


class Poster(Protocol):
    """Posts a body to a URL. Raises Undelivered."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Return once the receiver has answered that it took it."""


def check_url(url: str, *, private_addresses: bool) -> None:
    """Raise BadRequest for a URL that nothing is ever posted to."""
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise BadRequest(f"{url!r} can't be posted to: give a URL as https://example.org/hook")
    if parts.username is not None or parts.password is not None:
        raise BadRequest("a webhook's URL holds no password: check the signature instead, or use a path nobody guesses")
    if parts.scheme == "http" and not private_addresses:
        raise BadRequest(f"{url!r} would be read by everybody on the way: give a URL as https://example.org/hook")
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return
    if not private_addresses and not is_public(str(address)):
        raise BadRequest(f"{parts.hostname} is an address of this machine or of a private network: give a public one")


def is_public(address: str) -> bool:
    """Whether an IP address is one that everybody on the internet would reach as well."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        # An IPv4 address in the clothes of an IPv6 one.
        found = found.ipv4_mapped or (found.sixtofour or found)
    return found.is_global and not found.is_multicast


class HttpPoster:
    """The real one, on the running event loop.

    Names are looked up here and what they stand for is checked before it's connected to: a name that stood for a
    public address when it was given may stand for a private one now.
    """

    def __init__(self, *, private_addresses: bool = False) -> None:
        self._private = private_addresses
        self._http = SimpleAsyncHTTPClient(
            force_instance=True,
            max_clients=20,
            max_body_size=ANSWER_LIMIT,
            resolver=_Checked(private_addresses=private_addresses),
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """See :meth:`Poster.post`."""
        try:
            check_url(url, private_addresses=self._private)
        except BadRequest as error:
            raise Undelivered(str(error)) from None
        request = HTTPRequest(
            url,
            method="POST",
            body=body,
            headers=dict(headers),
            connect_timeout=PATIENCE_S,
            request_timeout=PATIENCE_S,
            # Where a redirect leads, nobody has allowed.
            follow_redirects=False,
            # Nothing in the answer is of use, least of all what it unpacks to.
            decompress_response=False,
        )
        try:
            response = await self._http.fetch(request, raise_error=False)
        except Exception as error:  # What a server that means harm can make a client raise, nobody can list.
            raise Undelivered(f"{urlsplit(url).hostname} doesn't answer: {error}") from None
        if not 200 <= response.code < 300:
            words = response.error if response.code == 599 else response.reason
            raise Undelivered(f"{urlsplit(url).hostname} answered {response.code}: {words}")

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()


class _Checked(Resolver):  # type: ignore[misc]  # tornado is read without its types
    """Looks names up, and gives no address that mustn't be posted to."""

    def initialize(self, *, private_addresses: bool) -> None:
        self._private = private_addresses

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, tuple[str, int]]]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        addresses = [(kind, where) for kind, _, _, _, where in found if self._private or is_public(str(where[0]))]
        if not addresses:
            raise OSError(f"{host} stands for a private address; give a public one, {ADVICE}")
        return addresses  # type: ignore[return-value]  # of an address, host and port come first in both families
