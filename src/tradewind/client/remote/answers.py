"""What a server's answers mean: ours, or one of our errors, or somebody else's page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tradewind import __version__, errors, wire
from tradewind.errors import ServerError, SignInNeeded, TooMany, TradewindError
from tradewind.model.exchange import Problem

T = TypeVar("T")

URN = "urn:tradewind:"
VERSION = "tradewind-version"
PASSING = frozenset({429, 502, 503, 504})
"""Statuses that may say nothing of the question, only of the moment."""
LONGEST_WORDS = 2000
"""Characters of a message that are passed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, read to its end."""

    url: str
    """Of the server."""
    status: int
    headers: Mapping[str, str]
    """By name in small letters."""
    body: bytes

    @property
    def is_ours(self) -> bool:
        """Whether a Tradewind server wrote it, and not a proxy or a stranger."""
        return VERSION in self.headers or self.headers.get("content-type", "").startswith("application/problem+json")

    @property
    def is_passing(self) -> bool:
        """Whether the same question may be answered otherwise in a moment."""
        return self.status in PASSING and (not self.is_ours or self.retry_after_s is not None)

    @property
    def version(self) -> str:
        """Of the server; empty where it doesn't say."""
        return wire.printable(self.headers.get(VERSION, ""))[:40]

    @property
    def retry_after_s(self) -> float | None:
        """Seconds that it asks to wait; None where it doesn't."""
        try:
            return max(0.0, float(self.headers["retry-after"]))
        except (KeyError, ValueError):
            return None

    def load(self, kind: type[T]) -> T:
        """Return what it holds.

        Raises
        ------
        TradewindError
            The error that the server met, of its own class.
        ServerError
            It isn't an answer of a Tradewind server, or of a version that this one doesn't understand.
        """
        if not 200 <= self.status < 300:
            raise self.error()
        if kind is type(None):
            return None  # kind says so
        try:
            return wire.load_json(kind, self.body)
        except errors.BadRequest:
            raise ServerError(self._not_understood()) from None

    def error(self) -> TradewindError:
        """Return what went wrong, as the error that the same verb raises in this process."""
        try:
            problem = wire.load_json(Problem, self.body)
        except errors.BadRequest:
            problem = Problem(type="about:blank", title="", status=self.status, detail="", request_id="")
        said = wire.printable(problem.detail or problem.title)[:LONGEST_WORDS]
        name = problem.type.removeprefix(URN) if problem.type.startswith(URN) else ""
        kind = getattr(errors, name, None) if name.isidentifier() else None
        if self.status == 401:
            told = said or "nobody is signed in; sign in: tradewind login URL"
            return SignInNeeded(told.replace("tradewind login URL", f"tradewind login {self.url}"))
        if self.status == 429 or kind is TooMany:
            wait = timedelta(seconds=self.retry_after_s or 1.0)
            return TooMany(said or f"{self.url} was asked too often; again in {wait.total_seconds():.0f} s.", wait)
        if self.status != 500 and isinstance(kind, type) and issubclass(kind, TradewindError) and said:
            return kind(said)
        reference = f" (its log has it as request {problem.request_id[:64]})" if problem.request_id else ""
        if not self.is_ours and not said:
            return ServerError(self._stranger())
        if self.status == 404:
            return ServerError(self._not_understood())
        return ServerError(f"{self.url} answered {self.status}: {said or 'no words'}{wire.printable(reference)}")

    def skew(self, now_s: float) -> timedelta | None:
        """Return how far the server's clock is ahead of ``now_s``, seconds since 1970; None if it doesn't say."""
        try:
            return timedelta(seconds=parsedate_to_datetime(self.headers["date"]).timestamp() - now_s)
        except (KeyError, ValueError, TypeError):
            return None

    def _stranger(self) -> str:
        if self.status in {502, 503, 504}:
            return f"{self.url}: the proxy in front of the server says {self.status}: the server itself is down."
        if 300 <= self.status < 400:
            where = wire.printable(self.headers.get("location", "another place"))[:200]
            return f"{self.url} sends us to {where}: if that is the server, sign in there with `tradewind login`."
        return f"{self.url} answered {self.status}, and not as a Tradewind server does: is the address right?"

    def _not_understood(self) -> str:
        if not self.is_ours:
            return self._stranger()
        if self.version and self.version != __version__:
            return (
                f"{self.url} runs Tradewind {self.version} and this is {__version__}, and they don't understand each "
                f"other here: pip install 'tradewind=={self.version}', or ask its operator to upgrade."
            )
        return f"{self.url} answered {self.status} with something that isn't in the books of this version."
