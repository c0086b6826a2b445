"""Mail over a line that is made secret first, to a real server with a certificate of its own."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.client.servers import certificate_of, new_authority
from tradewind.config import MailSettings
from tradewind.engine.delivery.mail import send
from tradewind.engine.delivery.posting import Undelivered
from tradewind.model.outbox import Message, MessageKind
from tradewind.model.secret import Secret

NEWS = {"kind": "test", "subject": "50 %", "text": "half is spent", "workspace": "lab", "at": "now"}
MESSAGE = Message(
    id="m",
    workspace="lab",
    kind=MessageKind.EMAIL,
    target="ada@lab.example",
    body=json.dumps(NEWS),
    created_at=datetime(2026, 3, 1, tzinfo=UTC),
)


class Inbox:
    """Takes mail over a secret line, and notes who signed in."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.signed_in: list[tuple[bytes, bytes]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        assert session.ssl is not None
        self.mails.append(envelope)
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        self.signed_in.append((given.login, given.password))
        return AuthResult(success=given.password == b"right")


@contextmanager
def secret_mail_server(directory: Path, *hosts: str) -> Iterator[tuple[Inbox, MailSettings, Path]]:
    """Run a mail server with a certificate for ``hosts``; yields its settings, and the file of its authority."""
    authority = new_authority("the lab's authority")
    trusted = directory / "authority.crt"
    trusted.write_text(authority.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate_of(authority, directory, hosts=hosts))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    inbox = Inbox()
    controller = Controller(
        inbox,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        authenticator=inbox.authenticate,
    )
    controller.start()
    try:
        yield inbox, MailSettings(host="127.0.0.1", port=port, user="tradewind", password=Secret("right")), trusted
    finally:
        controller.stop()


def test_a_mail_is_taken_over_a_secret_line_by_a_server_that_the_system_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with secret_mail_server(tmp_path, "127.0.0.1") as (inbox, settings, trusted):
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        send(settings, MESSAGE)
    (mail,) = inbox.mails
    assert mail.rcpt_tos == ["ada@lab.example"]
    assert b"half is spent" in mail.content
    assert inbox.signed_in == [(b"tradewind", b"right")]


def test_nothing_is_said_to_a_mail_server_whose_authority_nobody_trusts(tmp_path: Path) -> None:
    with (
        secret_mail_server(tmp_path, "127.0.0.1") as (inbox, settings, _),
        pytest.raises(Undelivered, match="certificate"),
    ):
        send(settings, MESSAGE)
    assert (inbox.mails, inbox.signed_in) == ([], [])


def test_nothing_is_said_to_a_mail_server_that_shows_anothers_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with secret_mail_server(tmp_path, "mail.elsewhere.example") as (inbox, settings, trusted):
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        with pytest.raises(Undelivered, match=r"127\.0\.0\.1"):
            send(settings, MESSAGE)
    assert (inbox.mails, inbox.signed_in) == ([], [])
