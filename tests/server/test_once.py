"""Creates that are sent again, after a server died over them or while another answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, func, select

from tests.engine.stage import killed
from tests.server.stage import API, Stage, new
from tradewind.config import Settings
from tradewind.engine import tidying
from tradewind.errors import StoreError
from tradewind.model.people import MemberRole, Workspace
from tradewind.server.app import OPERATIONS
from tradewind.store.access.audit import By
from tradewind.store.idempotency import Once
from tradewind.store.schema import budgets, clusters, environments, idempotency, workspaces

AWAITS = 150
"""More than a create has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """One operation that takes a key."""

    path: str
    body: Callable[[int], dict[str, Any]]
    """Of a different thing for each number."""
    table: Table


CREATES = {
    "clusters.create": Create(path="/workspaces/lab/clusters", body=lambda number: new(f"c{number}"), table=clusters),
    "people.create_workspace": Create(
        path="/workspaces", body=lambda number: {"name": f"w{number}", "title": "one more"}, table=workspaces
    ),
    "budgets.create": Create(
        path="/workspaces/lab/budgets",
        body=lambda number: {"limit": {"amount": "50", "currency": "USD"}, "scope": "tag", "key": f"project=p{number}"},
        table=budgets,
    ),
    "environments.create": Create(
        path="/workspaces/lab/environments",
        body=lambda number: {"name": f"n{number}", "image": f"ghcr.io/lab/ocean:{number}"},
        table=environments,
    ),
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tradewind.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
async def replicas(url: str, tmp_path: Path) -> AsyncIterator[tuple[Stage, Stage]]:
    """Two servers on one database, with an operator who owns a workspace."""
    first = await Stage.open(tmp_path, Settings(store=url))
    await first.user("ada", is_operator=True)
    await first.workspace("lab", {"ada": MemberRole.OWNER})
    second = await Stage.open(tmp_path, Settings(store=url))
    yield first, second
    await first.aclose()
    await second.aclose()


def test_every_operation_that_takes_a_key_is_tried_here() -> None:
    assert {operation.name for operation in OPERATIONS if operation.is_create} == CREATES.keys()


@pytest.mark.parametrize("name", CREATES)
async def test_a_create_killed_at_any_await_is_done_and_answered_or_neither(
    replicas: tuple[Stage, Stage], name: str
) -> None:
    first, second = replicas
    create = CREATES[name]
    async with first.client("ada") as ada, second.client("ada") as again:
        for at in range(AWAITS):
            key = {"Idempotency-Key": f"k{at}"}
            before = await made(first, create.table)

            reached = await killed(ada.post(API + create.path, json=create.body(at), headers=key), at)
            seen = await kept(first, create.table, f"k{at}")
            retry = await again.post(API + create.path, json=create.body(at), headers=key)
            once_more = await ada.post(API + create.path, json=create.body(at), headers=key)

            assert seen in {(before, False), (before + 1, True)}
            assert retry.status_code == 201, retry.text
            assert (once_more.status_code, once_more.content) == (201, retry.content)
            assert once_more.headers["idempotency-replayed"] == "true"
            assert await made(first, create.table) == before + 1
            if not reached:
                assert at > 3, "a create waits for the store"
                assert retry.headers["idempotency-replayed"] == "true"
                return
    raise AssertionError("a create has more awaits than that")


@pytest.mark.parametrize("name", CREATES)
async def test_two_replicas_asked_at_once_with_one_key_make_one_and_answer_the_same(
    replicas: tuple[Stage, Stage], name: str
) -> None:
    create = CREATES[name]
    before = await made(replicas[0], create.table)
    async with replicas[0].client("ada") as one, replicas[1].client("ada") as other:
        asks = [
            client.post(API + create.path, json=create.body(1), headers={"Idempotency-Key": "k"})
            for _ in range(4)
            for client in (one, other)
        ]
        answers = await asyncio.gather(*asks)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert await made(replicas[0], create.table) == before + 1


@pytest.mark.parametrize("name", CREATES)
async def test_two_different_requests_at_once_with_one_key_make_one_and_refuse_the_other(
    replicas: tuple[Stage, Stage], name: str
) -> None:
    create = CREATES[name]
    before = await made(replicas[0], create.table)
    async with replicas[0].client("ada") as one, replicas[1].client("ada") as other:
        answers = await asyncio.gather(
            one.post(API + create.path, json=create.body(1), headers={"Idempotency-Key": "k"}),
            other.post(API + create.path, json=create.body(2), headers={"Idempotency-Key": "k"}),
        )

    assert sorted(answer.status_code for answer in answers) == [201, 400]
    assert await made(replicas[0], create.table) == before + 1


async def test_a_create_whose_word_from_the_store_was_lost_is_answered_all_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stage.shared.assembly.store
    create_cluster = store.create_cluster

    async def and_lose_the_line(*args: Any, once: Once, **kwargs: Any) -> None:
        await create_cluster(*args, once=once, **kwargs)
        raise StoreError("PostgreSQL can't be reached; whether the last change was kept isn't known")

    monkeypatch.setattr(store, "create_cluster", and_lose_the_line)
    async with stage.client("mia") as mia:
        answer = await mia.post(f"{API}/workspaces/lab/clusters", json=new("enso"), headers={"Idempotency-Key": "k"})

    assert answer.status_code == 201
    assert answer.json()["spec"]["name"] == "enso"


async def test_a_server_forgets_by_itself_what_it_answered_more_than_a_day_ago(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "FIRST", timedelta(0))
    now = stage.shared.assembly.clock.now()
    owner = stage.users["olga"]
    for key, days in (("old", 2), ("new", 0)):
        once = Once(user_id=owner.id, key=key, request_hash="", status=201, at=now - timedelta(days=days))
        workspace = Workspace(name=key, created_at=now)
        await stage.people.create_workspace(workspace, owner, By(user="olga", at=now), once)

    await dict(stage.shared.assembly.engine._chores)["tidying"]()

    assert [(await kept(stage, idempotency, key))[1] for key in ("old", "new")] == [False, True]


async def made(stage: Stage, table: Table) -> int:
    """Return how many there are."""
    return (await kept(stage, table, ""))[0]


async def kept(stage: Stage, table: Table, key: str) -> tuple[int, bool]:
    """Return how many there are, and whether an answer is kept under the key, as of one moment."""

    def look(connection: Connection) -> tuple[int, bool]:
        count = connection.execute(select(func.count()).select_from(table)).scalar_one()
        return count, connection.execute(select(idempotency).where(idempotency.c.key == key)).first() is not None

    return await stage.shared.assembly.store._transactions.read(look)
