"""Sends one e-mail."""

from __future__ import annotations

import hashlib
import json
import smtplib
import ssl
from email.message import EmailMessage

from tradewind.config import MailSettings
from tradewind.engine.delivery.posting import Undelivered
from tradewind.model.outbox import Message

MAIL_TIMEOUT_S = 20.0


def send(settings: MailSettings, message: Message) -> None:
    """Send one e-mail; blocks. Raises Undelivered."""
    if settings.host is None:
        raise Undelivered("there is no mail server: set [mail] host")
    news = json.loads(message.body)
    mail = EmailMessage()
    # A title holds names that people chose: a line break in one would begin another header.
    mail["Subject"] = " ".join(f"Tradewind: {news['subject']}".split())
    mail["From"], mail["To"] = settings.sender, message.target
    mail["Message-ID"] = f"<{hashlib.sha256(message.id.encode()).hexdigest()[:32]}@tradewind>"
    mail.set_content(f"{news['text']}\n\nWorkspace {news['workspace']}, at {news['at']}.\n")
    try:
        with smtplib.SMTP(settings.host, settings.port, timeout=MAIL_TIMEOUT_S) as server:
            if settings.starttls:
                server.starttls(context=ssl.create_default_context())
            if settings.user is not None:
                server.login(settings.user, settings.password.reveal() if settings.password is not None else "")
            server.send_message(mail)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise Undelivered(f"{settings.host}:{settings.port} didn't take the mail: {error}") from None
