"""Notifications reach real receivers: an HTTP server and a mail server of this machine."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from tests.engine.purse import accounts, budgets, usd
from tests.engine.stage import Stage, is_stopped
from tradewind.config import MailSettings
from tradewind.engine.delivery.outbox import GIVEN_UP, Delivery, signature
from tradewind.engine.delivery.posting import HttpPoster, Undelivered, check_url, is_public
from tradewind.errors import BadRequest, NotFound
from tradewind.model.budget import BudgetScope
from tradewind.model.outbox import Message, MessageKind
from tradewind.model.people import User, Workspace
from tradewind.model.secret import Secret
from tradewind.store.access.audit import By
from tradewind.store.outbox import send


@dataclass(slots=True)
class Receiver:
    """What an HTTP server got, and what it answers."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


class Hook(RequestHandler):
    def initialize(self, receiver: Receiver) -> None:
        self.receiver = receiver

    def post(self) -> None:
        self.receiver.got.append((dict(self.request.headers), self.request.body))
        code = self.receiver.answers.pop(0) if self.receiver.answers else 204
        if code == 302:
            self.redirect(self.receiver.url + "/elsewhere")
        else:
            self.set_status(code)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = HTTPServer(Application([(r"/.*", Hook, {"receiver": receiver})]))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    receiver.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    yield receiver
    server.stop()
    await server.close_all_connections()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = await Stage.open("sqlite://")
    yield stage
    await stage.store.aclose()


class Inbox:
    """Takes every mail."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(envelope)
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[tuple[Inbox, MailSettings]]:
    inbox = Inbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield inbox, MailSettings(host="127.0.0.1", port=port, starttls=False, sender="tradewind@lab.example")
    finally:
        controller.stop()


def delivery(stage: Stage, mail: MailSettings | None = None, *, private_addresses: bool = True) -> Delivery:
    return Delivery(
        store=stage.store,
        clock=stage.clock,
        mail=mail or MailSettings(),
        poster=HttpPoster(private_addresses=private_addresses),
    )


async def queue(stage: Stage, target: str, kind: MessageKind = MessageKind.WEBHOOK, subject: str = "50 %") -> None:
    now = stage.clock.now()
    body = json.dumps({"kind": "test", "subject": subject, "text": "half is spent", "workspace": "lab", "at": "now"})
    message = Message(id=f"m/{target}", workspace="lab", kind=kind, target=target, body=body, created_at=now)
    await stage.store._transactions.write(send, [message])


async def hook(stage: Stage, url: str) -> tuple[str, Secret]:
    verbs = budgets(stage)
    verbs._private_addresses = True
    made = await verbs.add_webhook(url)
    return made.webhook.id, Secret(made.signing_key)


async def test_a_step_of_a_budget_is_posted_and_signed(stage: Stage, receiver: Receiver) -> None:
    _, key = await hook(stage, f"{receiver.url}/hook")
    await budgets(stage).create_budget(usd("0.01"))
    await stage.create("c1")
    engine, look = stage.engine(), accounts(stage)
    for _ in range(200):
        await engine.round("c1")
        await look.look_at_all()
        stage.clock.advance(1)
        if is_stopped(await stage.store.get_cluster("c1")):
            break
    assert await delivery(stage).deliver_all() == 1
    ((headers, body),) = receiver.got
    news = json.loads(body)
    assert (news["kind"], news["step"], news["limit"]) == (
        "budget.step_passed",
        50,
        {"amount": "0.01", "currency": "USD"},
    )
    signed = hmac.new(key.reveal().encode(), headers["Tradewind-Timestamp"].encode() + b"." + body, hashlib.sha256)
    assert headers["Tradewind-Signature"] == f"sha256={signed.hexdigest()}"
    assert await delivery(stage).deliver_all() == 0


async def test_who_manages_budgets_and_whose_spending_it_limits_hear_of_it(stage: Stage) -> None:
    now = stage.clock.now()
    by = By(at=now, user="ada")
    for name in ("ada", "bea", "cem"):
        user = User(id=f"u-{name}", name=name, email=f"{name}@lab.example", created_at=now)
        await stage.store.people.create_user(user, by, joins=None if name == "ada" else "lab")
        if name == "ada":
            await stage.store.people.create_workspace(Workspace(name="lab", created_at=now), user, by)
    whole = await budgets(stage).create_budget(usd("1"))
    of_bea = await budgets(stage).create_budget(usd("1"), scope=BudgetScope.USER, key="bea")
    money = stage.store.money
    assert await money.addresses(whole.budget) == ("ada@lab.example",)
    assert await money.addresses(of_bea.budget) == ("ada@lab.example", "bea@lab.example")


async def test_a_mail_arrives_and_a_name_in_it_adds_no_header(stage: Stage) -> None:
    with mail_server() as (inbox, settings):
        await queue(stage, "ada@lab.example", MessageKind.EMAIL, subject="50 %\nBcc: all@example.org")
        assert await delivery(stage, settings).deliver_all() == 1
    (mail,) = inbox.mails
    assert mail.rcpt_tos == ["ada@lab.example"]
    assert b"half is spent" in mail.content
    assert b"\nBcc" not in mail.content


async def test_no_mail_is_sent_over_an_open_line_that_should_be_secret(stage: Stage) -> None:
    with mail_server() as (inbox, settings):
        await queue(stage, "ada@lab.example", MessageKind.EMAIL)
        assert await delivery(stage, replace(settings, starttls=True)).deliver_all() == 0
    assert inbox.mails == []


async def test_what_fails_is_tried_again_later_and_given_up_after_a_day(stage: Stage, receiver: Receiver) -> None:
    receiver.answers = [500] * 1000
    id_, _ = await hook(stage, receiver.url)
    await queue(stage, id_)
    deliver = delivery(stage).deliver_all
    assert await deliver() == 0
    stage.clock.advance(5)
    assert await deliver() == 0
    assert len(receiver.got) == 1
    stage.clock.advance(6)
    await deliver()
    assert len(receiver.got) == 2
    for _ in range(24):
        stage.clock.advance(timedelta(hours=2))
        await deliver()
    tries = len(receiver.got)
    assert 10 < tries < 25
    stage.clock.advance(GIVEN_UP)
    await deliver()
    assert len(receiver.got) == tries


async def test_a_message_whose_deliverer_died_is_delivered_by_another(stage: Stage, receiver: Receiver) -> None:
    id_, _ = await hook(stage, receiver.url)
    await queue(stage, id_)
    now = stage.clock.now()
    assert len(await stage.store.outbox.take(now, now + timedelta(seconds=60))) == 1
    assert await delivery(stage).deliver_all() == 0
    stage.clock.advance(61)
    assert await delivery(stage).deliver_all() == 1


async def test_a_redirect_is_not_followed(stage: Stage, receiver: Receiver) -> None:
    receiver.answers = [302]
    id_, _ = await hook(stage, receiver.url)
    await queue(stage, id_)
    assert await delivery(stage).deliver_all() == 0
    assert len(receiver.got) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_private_address_is_not_posted_to(receiver: Receiver, host: str) -> None:
    port = receiver.url.rpartition(":")[2]
    with pytest.raises(Undelivered, match="private|address|answer"):
        await HttpPoster().post(f"https://{host}:{port}/", b"{}", {})
    assert receiver.got == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
    ],
)
def test_only_what_the_internet_reaches_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org",
        "https://",
        "http://example.org",
        "https://u:p@example.org",
        "https://10.1.2.3/x",
        "nonsense",
    ],
)
def test_a_url_that_is_no_webhook_is_refused(url: str) -> None:
    with pytest.raises(BadRequest):
        check_url(url, private_addresses=False)


async def test_a_removed_webhook_gets_nothing_more(stage: Stage, receiver: Receiver) -> None:
    id_, _ = await hook(stage, receiver.url)
    await queue(stage, id_)
    await budgets(stage).remove_webhook(id_)
    await delivery(stage).deliver_all()
    assert receiver.got == []
    with pytest.raises(NotFound):
        await budgets(stage).remove_webhook(id_)


def test_a_signature_depends_on_the_time() -> None:
    key = Secret("key")
    assert signature(key, "1", b"{}") != signature(key, "2", b"{}")


async def test_two_deliverers_deliver_once(stage: Stage, receiver: Receiver) -> None:
    id_, _ = await hook(stage, receiver.url)
    await queue(stage, id_)
    assert sum(await asyncio.gather(delivery(stage).deliver_all(), delivery(stage).deliver_all())) == 1
    assert len(receiver.got) == 1
