"""The line from the engine to the agent on a scheduler: JSON over TLS, and nothing else."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

from tornado.httpclient import HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from tradewind import wire
from tradewind.errors import BadRequest, Unavailable
from tradewind.model.instance import Contact
from tradewind.model.secret import Secret
from tradewind.model.status import StatusPage

T = TypeVar("T")

PAGE_LIMIT = 8 * 1024 * 1024
"""Bytes of a page that are read at most: users run their own code where it is made."""
LARGE = 256 * 1024
"""Bytes of a page that are read without letting others go on: what a thousand workers make, in some ten ms."""
PATIENCE_S = 5.0
"""Seconds one request may take."""
AT_ONCE = 1000
"""Requests under way at a time. One that hangs holds its place for as long as our patience: a few hundred schedulers
that mean harm must leave room for the others."""


PEEK_LIMIT = 2 * 1024 * 1024
"""Bytes of a page that is only shown: eight thousand workers, without what they computed."""
PEEK_PATIENCE_S = 1.0
"""Seconds that a page may take for which a person waits."""
PEEKS_AT_ONCE = 100
"""Peeks under way at a time, beside the requests that keep clusters alive and not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What it takes to talk to one cluster's agent."""

    cluster_id: str
    authority: str
    """PEM certificate that its own must be signed with."""
    token: Secret


class AgentLink(Protocol):
    """What the engine asks of agents. Each verb raises Unavailable where no sensible answer comes."""

    async def pull(
        self,
        contact: Contact,
        access: Access,
        *,
        cursor: int,
        target_duration: timedelta,
        paid_for: timedelta | None = None,
        renews: bool = True,
    ) -> StatusPage:
        """Return the status page, and by asking renew the cluster's lease on life: for ``paid_for`` at most.

        None is as long as its orphan timeout. An agent of an older version doesn't know the word, and keeps to that.
        Unless it ``renews``, the cluster lives for as long as it would have lived; an older agent renews all the same.
        """

    async def peek(self, contact: Contact, access: Access, *, target_duration: timedelta) -> StatusPage:
        """Return the status page without its computations, within a second; nothing lives on by it.

        An agent of an older version has no such page: Unavailable.
        """

    async def retire(
        self, contact: Contact, access: Access, *, names: tuple[str, ...] = (), count: int = 0
    ) -> tuple[str, ...]:
        """Let these workers, or any ``count``, hand over their results and leave; return who does."""

    async def say(self, contact: Contact, access: Access, message: str) -> None:
        """Tell every connected client."""

    def forget(self, cluster_id: str) -> None:
        """Let go of what is kept for a cluster; asked again, it is made again."""


class HttpAgentLink:
    """The real line, on the running event loop."""

    def __init__(self) -> None:
        self._http = SimpleAsyncHTTPClient(force_instance=True, max_clients=AT_ONCE, max_body_size=PAGE_LIMIT)
        self._peeks = SimpleAsyncHTTPClient(force_instance=True, max_clients=PEEKS_AT_ONCE, max_body_size=PEEK_LIMIT)
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._large = asyncio.Semaphore(1)

    async def pull(
        self,
        contact: Contact,
        access: Access,
        *,
        cursor: int,
        target_duration: timedelta,
        paid_for: timedelta | None = None,
        renews: bool = True,
    ) -> StatusPage:
        """See :meth:`AgentLink.pull`."""
        query: dict[str, float | str] = {"since": cursor, "target_duration": target_duration.total_seconds()}
        if paid_for is not None:
            query["paid_for"] = paid_for.total_seconds()
        if not renews:
            query["renews"] = "no"
        return await self._read_page(await self._ask(contact, access, f"/v1/status?{urlencode(query)}"), access)

    async def peek(self, contact: Contact, access: Access, *, target_duration: timedelta) -> StatusPage:
        """See :meth:`AgentLink.peek`."""
        path = f"/v1/peek?{urlencode({'target_duration': target_duration.total_seconds()})}"
        body = await self._ask(contact, access, path, through=self._peeks, patience_s=PEEK_PATIENCE_S)
        # What else a stranger says is of no use, and would be kept.
        return replace(await self._read_page(body, access), computations=(), cursor=0)

    async def _read_page(self, body: bytes, access: Access) -> StatusPage:
        try:
            return await self._elsewhere_if_large(partial(wire.parse_status_page, cluster_id=access.cluster_id), body)
        except BadRequest as error:
            raise Unavailable(f"the status page of {access.cluster_id} makes no sense: {error}") from None

    async def retire(
        self, contact: Contact, access: Access, *, names: tuple[str, ...] = (), count: int = 0
    ) -> tuple[str, ...]:
        """See :meth:`AgentLink.retire`."""
        wanted: dict[str, object] = {"workers": list(names)} if names else {"n": count}
        answer = await self._elsewhere_if_large(_json, await self._ask(contact, access, "/v1/retire", wanted))
        # Those that still move their results are on their way out as well; else others would be asked in their place.
        lists = [answer.get(key) for key in ("retired", "retiring")] if isinstance(answer, dict) else []
        return tuple(name for names in lists if isinstance(names, list) for name in names if isinstance(name, str))

    async def say(self, contact: Contact, access: Access, message: str) -> None:
        """See :meth:`AgentLink.say`."""
        await self._ask(contact, access, "/v1/say", {"message": message, "level": "warning"})

    def forget(self, cluster_id: str) -> None:
        """See :meth:`AgentLink.forget`."""
        self._contexts.pop(cluster_id, None)

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()
        self._peeks.close()

    async def _elsewhere_if_large(self, read: Callable[[bytes], T], body: bytes) -> T:
        if len(body) <= LARGE:
            return read(body)
        # A stranger's page of 8 MiB is a second's work: done elsewhere, and one at a time, so that nobody waits.
        async with self._large:
            return await asyncio.to_thread(read, body)

    async def _ask(
        self,
        contact: Contact,
        access: Access,
        path: str,
        body: object = None,
        *,
        through: SimpleAsyncHTTPClient | None = None,
        patience_s: float | None = None,
    ) -> bytes:
        patience_s = PATIENCE_S if patience_s is None else patience_s
        if not contact.agent.startswith("https://"):
            raise Unavailable(f"the agent of {access.cluster_id} has no https address: {contact.agent!r}")
        request = HTTPRequest(
            contact.agent + path,
            method="GET" if body is None else "POST",
            body=None if body is None else json.dumps(body),
            headers={"Authorization": f"Bearer {access.token.reveal()}", "Content-Type": "application/json"},
            connect_timeout=patience_s,
            request_timeout=patience_s,
            follow_redirects=False,
            # Ours compresses nothing, and what a stranger compresses may be a thousand times as large as the limit.
            decompress_response=False,
            ssl_options=self._context(access),
        )
        try:
            response = await (through or self._http).fetch(request)
        except Exception as error:  # What a server that means harm can make a client raise, nobody can list.
            raise Unavailable(f"the agent of {access.cluster_id} at {contact.agent} doesn't answer: {error}") from None
        return bytes(response.body)

    def _context(self, access: Access) -> ssl.SSLContext:
        if access.cluster_id not in self._contexts:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=access.authority)
            # The authority signs for this one cluster alone, so its signature says more than a host name could;
            # and where machines get their addresses late, no name is known when keys are made.
            context.check_hostname = False
            self._contexts[access.cluster_id] = context
        return self._contexts[access.cluster_id]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Unavailable("the agent's answer isn't JSON") from None
