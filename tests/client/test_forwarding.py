"""What of a caller's credentials goes to a cluster, when, and what is said about it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tradewind.boot.credentials.grant import Caller, CantForward, Grant
from tradewind.client import forwarding as module
from tradewind.client.door import Place
from tradewind.client.forwarding import Forwarding, Policy, forwarding_for, policy_from
from tradewind.config import Settings
from tradewind.errors import BadRequest
from tradewind.model.cluster import ClusterSpec, Scaling
from tradewind.model.secret import Secret

NOBODY = Caller(environ={}, home=Path("/nonexistent"))


@pytest.mark.parametrize(
    ("credentials", "shares_home", "names", "is_asked"),
    [
        ("local", True, [], False),
        ("local", False, ["aws", "gcp", "azure"], False),
        (True, False, ["aws", "gcp", "azure"], False),
        ("machine", False, [], False),
        (None, False, [], False),
        (False, False, [], False),
        ([], False, [], True),
        ("aws", True, ["aws"], True),
        (["aws", "earthdata", "MY_TOKEN"], True, ["aws", "earthdata", "MY_TOKEN"], True),
        (("MY_TOKEN", "MY_TOKEN"), False, ["MY_TOKEN"], True),
    ],
)
def test_the_keyword_means(credentials: Any, shares_home: bool, names: list[str], is_asked: bool) -> None:
    policy = policy_from(credentials, None, shares_home=shares_home)
    assert ([source.name for source in policy.sources], policy.is_asked) == (names, is_asked)


@pytest.mark.parametrize("seconds", [899, 43201, True, "1h", float("nan")])
def test_a_duration_that_no_session_can_have_is_refused(seconds: Any) -> None:
    with pytest.raises(BadRequest, match="credentials_duration_seconds"):
        policy_from("local", seconds, shares_home=True)


@pytest.mark.parametrize("credentials", [3, {"aws": 1}])
def test_what_is_no_name_is_refused(credentials: Any) -> None:
    with pytest.raises(BadRequest, match=r"write names, such as credentials=\['aws', 'MY_TOKEN'\]"):
        policy_from(credentials, None, shares_home=True)


@dataclass
class Given:
    """A source in memory: each grant is the next of ``lives``; an error in their place is raised."""

    lives: list[timedelta | Exception]
    name: str = "aws"
    is_there: bool = True
    given: list[datetime] = field(default_factory=list)

    def find(self, caller: Caller) -> str | None:
        return "memory" if self.is_there else None

    def grant(self, caller: Caller, now: datetime) -> Grant:
        self.given.append(now)
        life = self.lives.pop(0) if len(self.lives) > 1 else self.lives[0]
        if isinstance(life, Exception):
            raise life
        secrets = {"Token": Secret(f"canary-{len(self.given)}")}
        return Grant(name=self.name, door="aws", secrets=secrets, issued_at=now, expires_at=now + life)


class Scheduler:
    """Takes what is handed over, as a cluster with one worker."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Grant]] = []
        self.line = SimpleNamespace(tradewind_credentials=self.take)

    async def take(self, grants: dict[str, Any]) -> dict[str, Any]:
        self.taken.append({name: sealed.data for name, sealed in grants.items()})
        return {"workers": 1, "failed": {}}


def forwarding(*sources: Given, is_asked: bool = True) -> Forwarding:
    return Forwarding("mine", Policy(sources=sources, is_asked=is_asked), caller=NOBODY)


async def until(true: Any) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is waited for is another's list
            await asyncio.sleep(0.005)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renewals after milliseconds: the pace is data, and no rule of what happens."""
    monkeypatch.setattr("tradewind.boot.credentials.grant.SHORTEST_REST", timedelta(milliseconds=20))
    monkeypatch.setattr(module, "AGAIN", timedelta(milliseconds=20))


async def test_they_are_renewed_while_the_program_lives_and_no_longer(hurried: None) -> None:
    source, scheduler = Given([timedelta(milliseconds=40)]), Scheduler()
    mine = forwarding(source)
    await mine.send(scheduler.line, attached=False)
    await until(lambda: len(scheduler.taken) >= 3)
    await mine.stop()
    taken = len(scheduler.taken)
    await asyncio.sleep(0.1)
    assert len(scheduler.taken) == taken
    tokens = [one["aws"].secrets["Token"].reveal() for one in scheduler.taken]
    assert tokens == [f"canary-{n}" for n in range(1, taken + 1)]


async def test_a_renewal_that_fails_is_told_once_with_the_time_left_and_tried_again(
    hurried: None, caplog: pytest.LogCaptureFixture
) -> None:
    why = CantForward("the sign-in has ended: `aws sso login`.")
    lives: list[timedelta | Exception] = [timedelta(milliseconds=40), why, why, why, timedelta(hours=1)]
    source, scheduler = Given(lives), Scheduler()
    mine = forwarding(source)
    await mine.send(scheduler.line, attached=False)
    await until(lambda: len(scheduler.taken) == 2)
    await until(lambda: "renewed again" in caplog.text)
    await mine.stop()
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 2
    assert "aws credentials of cluster 'mine' end in 0 min and can't be renewed" in told[0]
    assert "`aws sso login`" in told[0]


async def test_what_was_asked_for_and_can_not_be_had_is_an_error() -> None:
    mine, scheduler = forwarding(Given([CantForward("no keys")])), Scheduler()
    with pytest.raises(CantForward, match="no keys"):
        await mine.send(scheduler.line, attached=False)
    assert scheduler.taken == []


async def test_what_goes_unasked_and_can_not_be_had_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    sources = (Given([CantForward("no keys")]), Given([timedelta(hours=1)], name="gcp"))
    mine, scheduler = forwarding(*sources, is_asked=False), Scheduler()
    await mine.send(scheduler.line, attached=False)
    await mine.stop()
    assert [list(one) for one in scheduler.taken] == [["gcp"]]
    assert "The aws credentials aren't forwarded to cluster 'mine': no keys" in caplog.text


async def test_nothing_is_said_of_what_goes_unasked_and_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    mine, scheduler = forwarding(Given([timedelta(hours=1)], is_there=False), is_asked=False), Scheduler()
    await mine.send(scheduler.line, attached=False)
    await mine.stop()
    assert scheduler.taken == []
    assert caplog.records == []


def test_what_was_asked_for_and_is_not_there_is_refused_before_anything_starts() -> None:
    with pytest.raises(BadRequest, match="aws can't be found on this machine"):
        forwarding(Given([timedelta(hours=1)], is_there=False)).check()


@pytest.mark.parametrize(("is_asked", "handed"), [(True, 1), (False, 0)])
async def test_who_attaches_leaves_the_starters_credentials_unless_told_otherwise(is_asked: bool, handed: int) -> None:
    mine, scheduler = forwarding(Given([timedelta(hours=1)]), is_asked=is_asked), Scheduler()
    await mine.send(scheduler.line, attached=True)
    await mine.stop()
    assert len(scheduler.taken) == handed


async def test_what_is_said_names_them_and_shows_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    mine, scheduler = forwarding(Given([timedelta(hours=1)])), Scheduler()
    await mine.send(scheduler.line, attached=False)
    await mine.send_variables({"MY_TOKEN": "canary"})
    await mine.stop()
    assert "Cluster 'mine' was handed these credentials: aws." in caplog.text
    assert "canary" not in caplog.text + repr(scheduler.taken)
    assert mine.names == ("MY_TOKEN", "aws")


@pytest.mark.parametrize("name", ["", "A=B", "A\0B"])
async def test_a_name_that_can_be_no_variable_is_refused(name: str) -> None:
    mine, scheduler = forwarding(), Scheduler()
    await mine.send(scheduler.line, attached=False)
    with pytest.raises(BadRequest, match="can't be a variable"):
        await mine.send_variables({name: "x"})


async def test_a_cluster_that_was_not_started_can_be_handed_nothing() -> None:
    with pytest.raises(BadRequest, match="hasn't been started"):
        await forwarding().send_variables({"A": "b"})


@pytest.mark.parametrize(
    ("server", "provider", "needs_software", "goes"),
    [
        (None, "local", False, False),
        (None, "ssh", True, True),
        ("http://127.0.0.1:8886", "local", False, False),
        ("http://127.0.0.1:8886", "ssh", False, True),
        ("https://hub.example.org", "local", False, True),
        ("https://hub.example.org", "ssh", False, True),
    ],
)
def test_sign_ins_go_unasked_where_the_home_is_another(
    server: str | None, provider: str, needs_software: bool, goes: bool
) -> None:
    spec = ClusterSpec(name="mine", workspace="default", provider=provider, scaling=Scaling.fixed(1))
    given = {"credentials": "local", "credentials_duration_seconds": None}
    api: Any = SimpleNamespace(needs_software=lambda provider: needs_software)
    mine = forwarding_for(spec, given, Place(settings=Settings(), server=server), api)
    assert bool(mine._policy.sources) is goes
