"""What one can ask of the server: a table of operations, which routes, documentation and tests are all made from."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from tradewind import wire
from tradewind.engine.assembly import Assembly
from tradewind.engine.verbs import Verbs
from tradewind.errors import BadRequest, TradewindError, Unavailable
from tradewind.model.people import Caller, Signed
from tradewind.server import auth, body
from tradewind.server.context import about, request_id
from tradewind.store.idempotency import Idempotency, Once

B = TypeVar("B", covariant=True)
Q = TypeVar("Q", covariant=True)
R = TypeVar("R", bound=Callable[..., Awaitable[object]])

PREFIX = "/api/v1"
PATIENCE_S = 30.0
"""Seconds that an answer may take, where an operation doesn't say otherwise."""
ONCE = "idempotency-key"
"""The header by which a create is known again: it is done once, and the answer is kept for who asks again."""
_KEY = re.compile(r"[!-~]{1,200}\Z")


class Door(Enum):
    """Who is let in before the verb itself decides."""

    OPEN = "anybody"
    SIGNED = "who is signed in"
    MEMBER = "members of the workspace in the path"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """No body, or no parameters."""


@dataclass(frozen=True, kw_only=True)
class Asked(Generic[B, Q]):
    """One request, understood."""

    request: Request
    assembly: Assembly
    who: Signed | None
    member: Caller | None
    body: B
    query: Q
    once: Once | None = None
    """By what a create is known again; whatever takes a key hands it to the verb that makes the thing."""

    @property
    def signed(self) -> Signed:
        """Who is signed in; for operations whose door asks."""
        assert self.who is not None
        return self.who

    @property
    def caller(self) -> Caller:
        """Who asks, in the workspace of the path; for operations whose door asks."""
        assert self.member is not None
        return self.member

    @property
    def verbs(self) -> Verbs:
        """The engine's verbs, answered for who asks."""
        return self.assembly.as_(self.caller, request_id() or None)

    def path(self, name: str) -> str:
        """Return what stands in the path for ``{name}``."""
        text: str = self.request.path_params[name]
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    """With its prefix; ``{names}`` in braces are parameters."""
    run: Callable[[Any], Awaitable[object]]
    tag: str
    door: Door
    body: type | None
    query: type | None
    answer: Any
    """Type of the answer; None has no content."""
    status: int
    also: tuple[int, ...]
    """Other statuses of success, without content."""
    problems: tuple[type[TradewindError], ...]
    """What it raises beside what every operation may."""
    is_create: bool
    """Whether it takes an ``Idempotency-Key``."""
    media_type: str
    """Of the answer; several, where it may choose, with commas between."""
    patience_s: float | None
    """Seconds that an answer may take; None has no end of its own."""
    body_limit: int
    """Bytes of a body that are read, where the server's ``body_limit`` is less."""

    @property
    def name(self) -> str:
        """Unique among all: ``clusters.create``."""
        return f"{self.tag}.{self.run.__name__}"

    @property
    def summary(self) -> str:
        """What it does, in a sentence."""
        return (inspect.getdoc(self.run) or "").splitlines()[0]

    async def answer_to(self, request: Request) -> Response:
        """Answer a request."""
        request.scope["tradewind.path"] = self.path
        try:
            async with asyncio.timeout(self.patience_s):
                return await self._answered(request)
        except TimeoutError:
            raise Unavailable("this took too long and was given up; it may have been done all the same") from None

    async def _answered(self, request: Request) -> Response:
        who = await auth.signed_in(request) if self.door is not Door.OPEN else None
        member = await auth.caller(request, request.path_params["workspace"]) if self.door is Door.MEMBER else None
        if who is not None:
            about(user=who.user.name, workspace=member.workspace if member is not None else None)
            request.app.state.limits.vouch(request.scope, who.token_id)
        query = wire.load_texts(self.query, dict(request.query_params)) if self.query is not None else Nothing()
        raw = await body.read(request, limit=self.body_limit) if self.body is not None else b""
        assembly: Assembly = request.app.state.assembly
        known = None
        if self.is_create and who is not None:
            known = _once_of(request, who.user.id, raw, self.status, assembly.clock.now())
        asked: Asked[Any, Any] = Asked(
            request=request,
            assembly=assembly,
            who=who,
            member=member,
            body=wire.load_json(self.body, raw) if self.body is not None else Nothing(),
            query=query,
            once=known,
        )
        if known is not None:
            return await _answered_once(assembly.store.idempotency, known, lambda: self._done(asked))
        return await self._done(asked)

    async def _done(self, asked: Asked[Any, Any]) -> Response:
        result = await self.run(asked)
        if isinstance(result, Response):
            return result
        if self.answer is None:
            return Response(status_code=self.status)
        return Response(wire.dump_json(result), self.status, media_type="application/json")


class Table:
    """The operations on one noun."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.operations: list[Operation] = []

    def on(
        self,
        method: str,
        path: str,
        *,
        answer: Any = None,
        body: type | None = None,
        query: type | None = None,
        door: Door = Door.MEMBER,
        status: int | None = None,
        also: tuple[int, ...] = (),
        problems: tuple[type[TradewindError], ...] = (),
        is_create: bool = False,
        media_type: str = "application/json",
        patience_s: float | None = PATIENCE_S,
        body_limit: int = 0,
    ) -> Callable[[R], R]:
        """Add the decorated coroutine function, which takes one :class:`Asked`.

        Parameters
        ----------
        method, path : str
            As in ``"GET", "/workspaces/{workspace}/clusters"``; the prefix is added.
        answer : type, optional
            Of what it returns, for the documentation; None has no content. It may also return a Response as it is.
        body, query : type, optional
            Model dataclasses that the JSON body, and the parameters behind the question mark, are read as.
        door : Door
            Who is let in before the verb itself decides.
        status : int, optional
            Of the answer; default 200, or 204 without content.
        also : tuple of int
            Other statuses of success, without content.
        problems : tuple of error classes
            What it raises beside what every operation may.
        is_create : bool
            Whether it takes an ``Idempotency-Key``.
        media_type : str
            Of the answer.
        patience_s : float, optional
            Seconds that an answer may take; None has no end of its own.
        body_limit : int
            Bytes of a body that are read, where the server's ``body_limit`` is less.
        """

        def add(run: R) -> R:
            self.operations.append(
                Operation(
                    method=method,
                    path=PREFIX + path,
                    run=run,
                    tag=self.tag,
                    door=door,
                    body=body,
                    query=query,
                    answer=answer,
                    status=status or (200 if answer is not None else 204),
                    also=also,
                    problems=problems,
                    is_create=is_create,
                    media_type=media_type,
                    patience_s=patience_s,
                    body_limit=body_limit,
                )
            )
            return run

        return add


def parameters(path: str) -> tuple[str, ...]:
    """Return the names in braces of a path."""
    return tuple(part[1:-1] for part in path.split("/") if part.startswith("{"))


def by_path(operations: Sequence[Operation]) -> Mapping[str, list[Operation]]:
    """Return the operations of each path."""
    grouped: dict[str, list[Operation]] = {}
    for operation in operations:
        grouped.setdefault(operation.path, []).append(operation)
    return grouped


def _once_of(request: Request, user_id: str, raw: bytes, status: int, now: datetime) -> Once | None:
    """Return by what a request is known again, None where it has no key. Raises BadRequest for one that can't be."""
    key = request.headers.get(ONCE)
    if key is None:
        return None
    if not _KEY.match(key):
        raise BadRequest("an Idempotency-Key has 1 to 200 letters, digits and signs of ASCII, without spaces")
    asked = f"{request.method} {request.url.path}\n".encode() + raw
    return Once(user_id=user_id, key=key, request_hash=hashlib.sha256(asked).hexdigest(), status=status, at=now)


async def _answered_once(kept: Idempotency, once: Once, do: Callable[[], Awaitable[Response]]) -> Response:
    """Return the answer of ``do``, which keeps it with what it makes, or the one that was given to the same before.

    A request that fails keeps nothing, and may be sent again with the same key.

    Raises
    ------
    BadRequest
        The key was used for another request.
    """
    before = await kept.answer(once)
    if before is None:
        try:
            return await do()
        except TradewindError:
            # The same may have been done elsewhere meanwhile, and be why this one failed: by its name, which is taken
            # now, or its money, which is spent. Or it was done here, and the store's word on it was lost on the way.
            before = await kept.answer(once)
            if before is None:
                raise
    return Response(before.body, before.status, headers={"Idempotency-Replayed": "true"}, media_type="application/json")
