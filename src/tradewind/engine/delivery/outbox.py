"""Tells the outside what waits in the outbox: webhooks are posted to, e-mails are sent."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import importlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from tradewind.config import MailSettings
from tradewind.engine.clock import Clock
from tradewind.engine.delivery.posting import Poster, Undelivered
from tradewind.model.outbox import Message, MessageKind
from tradewind.model.secret import Secret
from tradewind.store.store import Store

log = logging.getLogger(__name__)

ATTEMPT = timedelta(seconds=60)
"""Who takes a message and dies leaves it to others after this; one attempt is over long before."""
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=2)
GIVEN_UP = timedelta(days=1)
"""A receiver that was away for longer has other worries."""


@dataclass(slots=True, kw_only=True)
class Delivery:
    """Delivers what is due. Any number of processes may: each takes messages that no other has."""

    store: Store
    clock: Clock
    mail: MailSettings
    poster: Poster

    async def deliver_all(self) -> int:
        """Try every message that is due once; return how many arrived."""
        now = self.clock.now()
        due = await self.store.outbox.take(now, now + ATTEMPT)
        return sum(await asyncio.gather(*(self._deliver(message) for message in due)))

    async def _deliver(self, message: Message) -> bool:
        try:
            if message.kind is MessageKind.WEBHOOK:
                await self._post(message)
            else:
                # Few ever send mail, and everybody would wait for its library at start.
                mail = importlib.import_module("tradewind.engine.delivery.mail")
                await asyncio.to_thread(mail.send, self.mail, message)
        except Undelivered as error:
            now = self.clock.now()
            wake_at = retry_at(message, now)
            log.warning("message %s wasn't delivered%s: %s", message.id, "" if wake_at else ", given up", error)
            await self.store.outbox.failed(message.id, str(error), wake_at)
            return False
        await self.store.outbox.delivered(message.id, self.clock.now())
        return True

    async def _post(self, message: Message) -> None:
        found = await self.store.outbox.webhook(message.target)
        if found is None:
            return  # It was removed meanwhile: nobody waits for this any more.
        webhook, key = found
        body = message.body.encode()
        timestamp = str(int(self.clock.now().timestamp()))
        await self.poster.post(
            webhook.url,
            body,
            {
                "Content-Type": "application/json",
                "User-Agent": "tradewind",
                "Tradewind-Delivery": message.id,
                "Tradewind-Timestamp": timestamp,
                "Tradewind-Signature": signature(key, timestamp, body),
            },
        )


def signature(key: Secret, timestamp: str, body: bytes) -> str:
    """Return what proves that a delivery is ours and when it was made: HMAC-SHA256 over ``timestamp.body``."""
    signed = hmac.new(key.reveal().encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


def retry_at(message: Message, now: datetime) -> datetime | None:
    """Return when to try a message again that failed now; None once it's too old to be news."""
    wait: timedelta = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(message.attempts - 1, 12))
    return now + wait if now + wait < message.created_at + GIVEN_UP else None
