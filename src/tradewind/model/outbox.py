"""What is to be told to the outside, until it was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class MessageKind(StrEnum):
    """How a message travels."""

    WEBHOOK = "webhook"
    """JSON, posted to a URL."""
    EMAIL = "email"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing to tell one receiver. Written with what it tells of, delivered at least once."""

    id: str
    """Goes with it, so that a receiver knows what it got twice."""
    workspace: str | None
    kind: MessageKind
    target: str
    """The id of a webhook, or an e-mail address."""
    body: str
    """JSON of what happened: ``{"kind": …, "subject": …, "text": …, …}``."""
    created_at: datetime
    attempts: int = 0
