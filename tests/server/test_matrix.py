"""Every operation, asked by everybody: one table says who is let do what, and nobody sees another workspace's anything.

The cluster that is asked about is mia's, a member's; for the mentor it is asked about max's too, who agreed.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import insert

from tests.server.stage import API, Stage, new, spec
from tradewind import wire
from tradewind.config import ServeSettings, Settings
from tradewind.model.cluster import Scaling
from tradewind.model.computation import Computation
from tradewind.model.environment import Environment
from tradewind.model.people import MemberRole, Scope
from tradewind.server.app import OPERATIONS
from tradewind.server.operation import Door, Operation
from tradewind.store import rows
from tradewind.store import schema as tables
from tradewind.store.access.audit import By

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHO = {
    "owner": ("olga", ""),
    "admin": ("ana", ""),
    "mia": ("mia", ""),
    "max": ("max", ""),
    "viewer": ("vera", ""),
    "mentor": ("tom", ""),
    "agreed": ("tom", ""),
    "other": ("otto", ""),
    "operator": ("root", ""),
    "read": ("olga", "read"),
    "clusters": ("olga", "clusters"),
    "manage": ("olga", "manage"),
    "elsewhere": ("ana", "elsewhere"),
}
"""Columns of the table: a person, and by which token. ``other`` owns another workspace, ``operator`` is no member;
``read``, ``clusters`` and ``manage`` are the owner with a token of one scope; ``elsewhere`` the admin's for another
workspace."""

TABLE = """
                            owner admin mia max viewer mentor agreed other operator read clusters manage elsewhere
clusters.list_all           200   200   200 200 200    200    200    404   404      200  403      403    404
clusters.create             201   201   201 201 403    201    201    404   404      403  201      403    404
clusters.dry_run            200   200   200 200 403    200    200    404   404      403  200      403    404
clusters.find               200   200   200 200 200    200    200    404   404      200  403      403    404
clusters.view               200   200   200 200 200    200    200    404   404      200  403      403    404
clusters.scale              204   204   204 403 403    403    403    404   404      403  204      403    404
clusters.set_environment    403   403   204 403 403    403    403    404   404      403  403      403    404
clusters.stop               204   204   204 403 403    403    403    404   404      403  204      403    404
artifacts.deposit           200   200   200 200 403    200    200    404   404      403  200      403    404
clusters.keys               403   403   200 403 403    403    403    404   404      403  403      403    404
clusters.events             200   200   200 403 403    403    200    404   404      200  403      403    404
clusters.logs               200   200   200 403 403    403    200    404   404      200  403      403    404
clusters.computations       200   200   200 403 403    403    200    404   404      200  403      403    404
clusters.insights           200   200   200 403 403    403    200    404   404      200  403      403    404
clusters.receipt            200   200   200 403 403    403    200    404   404      200  403      403    404
history.computations        200   200   200 200 200    200    200    404   404      200  403      403    404
history.computation         200   200   200 404 404    404    200    404   404      200  403      403    404
history.usage               200   200   200 200 200    200    200    404   404      200  403      403    404
history.export              200   200   403 403 403    403    403    404   404      200  403      403    404
budgets.list_all            200   200   200 200 200    200    200    404   404      200  403      403    404
budgets.create              201   201   403 403 403    403    403    404   404      403  403      201    404
budgets.show                200   200   200 200 200    200    200    404   404      200  403      403    404
budgets.change              200   200   403 403 403    403    403    404   404      403  403      200    404
budgets.remove              204   204   403 403 403    403    403    404   404      403  403      204    404
budgets.webhooks            200   200   403 403 403    403    403    404   404      403  403      200    404
budgets.add_webhook         201   201   403 403 403    403    403    404   404      403  403      201    404
budgets.remove_webhook      404   404   403 403 403    403    403    404   404      403  403      404    404
environments.list_all       200   200   200 200 200    200    200    404   404      200  403      403    404
environments.create         201   201   201 201 403    201    201    404   404      403  201      403    404
environments.show           200   200   200 200 200    200    200    404   404      200  403      403    404
environments.remove         204   204   403 403 403    403    403    404   404      403  403      204    404
stream.stream               200   200   200 200 200    200    200    404   404      200  403      403    404
people.me                   200   200   200 200 200    200    200    200   200      200  200      200    200
people.tokens               200   200   200 200 200    200    200    200   200      200  403      403    200
people.create_token         201   201   201 201 201    201    201    201   201      403  403      201    404
people.revoke_token         404   404   404 404 404    404    404    404   404      403  403      403    404
people.agree                204   204   204 204 204    204    204    404   404      403  403      204    404
people.workspaces           200   200   200 200 200    200    200    200   200      200  200      200    200
people.create_workspace     403   403   403 403 403    403    403    403   201      403  403      403    403
people.workspace            200   200   200 200 200    200    200    404   404      200  403      403    404
people.members              200   200   200 200 200    200    200    404   404      200  403      403    404
people.change_role          204   204   403 403 403    403    403    404   404      403  403      204    404
people.remove               204   204   403 403 403    403    403    404   404      403  403      204    404
people.audit                200   200   403 403 403    403    403    404   404      200  403      403    404
people.invitations          200   200   403 403 403    403    403    404   404      403  403      200    404
people.invite               201   201   403 403 403    403    403    404   404      403  403      201    404
people.withdraw             404   404   403 403 403    403    403    404   404      403  403      404    404
people.accept               404   404   404 404 404    404    404    404   404      403  403      404    403
people.users                403   403   403 403 403    403    403    403   200      403  403      403    403
people.change_user          403   403   403 403 403    403    403    403   200      403  403      403    403
people.appoint              403   403   403 403 403    403    403    403   400      403  403      403    403
people.server_audit         403   403   403 403 403    403    403    403   200      403  403      403    403
logins.begin                201   201   201 201 201    201    201    201   201      201  201      201    201
logins.poll                 400   400   400 400 400    400    400    400   400      400  400      400    400
logins.with_hub             400   400   400 400 400    400    400    400   400      400  400      400    400
logins.claim                403   403   403 403 403    403    403    403   403      403  403      403    403
logins.sign_up              404   404   404 404 404    404    404    404   404      404  404      404    404
reviews.list_all            200   200   200 200 200    200    200    200   200      200  403      403    200
reviews.summary             200   200   200 200 200    200    200    200   200      200  403      403    200
reviews.write               200   200   200 200 200    200    200    200   200      403  403      200    403
reviews.withdraw            404   404   404 404 404    404    404    404   404      403  403      404    403
reviews.decide              403   403   403 403 403    403    403    403   200      403  403      403    403
reviews.answer              400   400   400 400 400    400    400    400   400      403  403      400    403
reviews.speakers            200   200   200 200 200    200    200    200   200      200  403      403    200
reviews.appoint             403   403   403 403 403    403    403    403   400      403  403      403    403
reviews.dismiss             403   403   403 403 403    403    403    403   404      403  403      403    403
advisor.partners            200   200   200 200 200    200    200    200   200      200  200      200    200
advisor.partner             200   200   200 200 200    200    200    200   200      200  200      200    200
advisor.questions           200   200   200 200 200    200    200    200   200      200  200      200    200
advisor.advice              200   200   200 200 200    200    200    200   200      200  200      200    200
"""


def expected() -> dict[str, dict[str, int]]:
    """Return the table, row by row."""
    head, *lines = TABLE.strip().splitlines()
    columns = head.split()
    assert columns == list(WHO)
    found = {}
    for line in lines:
        name, *numbers = line.split()
        found[name] = dict(zip(columns, map(int, numbers), strict=True))
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    limits = ServeSettings(requests_per_second=1e6, burst=1_000_000)
    stage = await Stage.open(tmp_path_factory.mktemp("matrix"), replace(Settings(), serve=limits))
    roles = {"olga": "owner", "ana": "admin", "mia": "member", "max": "member", "vera": "viewer", "tom": "mentor"}
    await stage.workspace("lab", {name: MemberRole(role) for name, role in roles.items()}, agreed=("max",))
    await stage.workspace("other", {"otto": MemberRole.OWNER})
    await stage.user("root", is_operator=True)
    for scope in Scope:
        await stage.token("olga", scope.value, scopes=frozenset({scope}))
    await stage.token("ana", "elsewhere", workspace="other")
    await stage.token("olga", "expired", life=timedelta(seconds=-1))
    await stage.token("olga", "revoked")
    now = stage.shared.assembly.clock.now()
    await stage.people.revoke_token("u-olga", "t-olga-revoked", By(user="olga", at=now))
    for name in ("mia", "max"):
        async with stage.client(name) as client:
            made = (await client.post(f"{API}/workspaces/lab/clusters", json=new(f"of-{name}"))).json()
        computation = Computation(
            id=f"span-{name}", cluster_id=made["id"], name="mean", started_at=now, stopped_at=now, done=True
        )
        row = insert(tables.computations).values(rows.computation_values(computation, "lab"))
        await stage.shared.assembly.store._transactions.write(lambda connection, row=row: connection.execute(row))
    await stage.user("rita")  # who is in no workspace, and wrote a review that is published
    async with stage.client("rita") as rita, stage.client("root") as root:
        written = (await rita.put(f"{API}/partners/2i2c/review", json=REVIEW)).json()
        await root.post(f"{API}/reviews/{written['id']}/decision", json={"publish": True})
    stage.review = written["id"]
    yield stage
    stage.app.state.ending.set()
    await stage.aclose()


NUMBERS = itertools.count()
SCALING = {"scaling": wire.dump(Scaling.fixed(2)), "dismiss": []}
SOFTWARE = Environment(python="3.12.1", platform="linux-x86_64", packages=(), content_hash="c")
BODIES = {"clusters.scale": SCALING, "clusters.set_environment": {"environment": wire.dump(SOFTWARE)}}
"""Of what is put to a cluster."""
QUERIES = {"advisor.advice": {"a": "1~2026-11-01~hub.must"}}
NEWCOMER = {"secret": "made-up", "name": "eve"}
REVIEW = {"used_for": "research", "used_from": "2024-01-01", "interest": "none", "points": {"ease": 4}}


async def ask(stage: Stage, operation: Operation, column: str) -> httpx.Response:
    """Ask as somebody for something that changes nothing the others ask about."""
    owner = "max" if column == "agreed" else "mia"
    number = next(NUMBERS)
    bodies: dict[str, Any] = {
        "clusters.create": new(f"n{number}"),
        "clusters.dry_run": {"spec": wire.dump(spec())},
        **BODIES,
        "artifacts.deposit": {"provider": "fake", "artifacts": []},
        "budgets.create": {"limit": {"amount": "5", "currency": "USD"}, "scope": "user", "key": f"n{number}"},
        "budgets.change": {"is_hard": False},
        "budgets.add_webhook": {"url": f"https://example.org/{number}"},
        "environments.create": {"name": f"n{number}", "image": "ghcr.io/lab/ocean:1"},
        "people.create_token": {"label": f"n{number}", "scopes": []},
        "people.agree": {"agreed_to_mentoring": column == "max"},
        "people.create_workspace": {"name": f"n{number}"},
        "people.change_role": {"role": "member"},
        "people.invite": {"role": "viewer"},
        "people.accept": {"secret": "made-up"},
        "people.change_user": {"is_operator": False},
        "people.appoint": {"user": "mia"},
        "logins.poll": {"secret": "made-up"},
        "logins.with_hub": {"token": "made-up"},
        "logins.claim": NEWCOMER,
        "logins.sign_up": NEWCOMER,
        "reviews.write": REVIEW,
        "reviews.decide": {"publish": True},
        "reviews.answer": {"text": "Thank you."},
        "reviews.appoint": {"user": "rita"},
    }
    names = {
        "workspace": "lab",
        "cluster": (await cluster_of(stage, owner, f"s{number}" if operation.name == "clusters.stop" else None)),
        "computation": f"span-{owner}",
        "user": "mia",
        "token": "made-up",
        "budget": await budget_of(stage),
        "environment": await environment_of(stage, f"e{number}" if operation.name == "environments.remove" else "kept"),
        "webhook": "made-up",
        "invitation": "made-up",
        "partner": "nebari" if operation.name == "reviews.withdraw" else "2i2c",
        "review": stage.review,
    }
    if operation.name == "people.remove":
        names["user"] = await spare(stage, number)
    if operation.name == "stream.stream":
        stage.app.state.ending.set()
    user, label = WHO.get(column, ("olga", column))
    async with stage.client(None if column == "none" else user, label) as client:
        return await client.request(
            operation.method,
            operation.path.format(**names),
            json=bodies.get(operation.name),
            params=QUERIES.get(operation.name),
        )


async def cluster_of(stage: Stage, owner: str, name: str | None) -> str:
    """Return the id of somebody's cluster, a new one if it has a name."""
    async with stage.client(owner) as client:
        if name is not None:
            made = await client.post(f"{API}/workspaces/lab/clusters", json=new(name))
        else:
            made = await client.get(f"{API}/workspaces/lab/clusters/of-{owner}")
    return str(made.json()["id"])


async def budget_of(stage: Stage) -> str:
    """Return the id of a budget that is there."""
    async with stage.client("olga") as olga:
        known = (await olga.get(f"{API}/workspaces/lab/budgets")).json()["items"]
        if known:
            return str(known[0]["budget"]["id"])
        made = await olga.post(f"{API}/workspaces/lab/budgets", json={"limit": {"amount": "1000", "currency": "USD"}})
    return str(made.json()["budget"]["id"])


async def environment_of(stage: Stage, name: str) -> str:
    """Return the name of an environment that is there."""
    async with stage.client("olga") as olga:
        wanted = {"name": name, "image": "ghcr.io/lab/climate:2"}
        made = await olga.post(f"{API}/workspaces/lab/environments", json=wanted)
    return str(made.json()["version"]["name"])


async def spare(stage: Stage, number: int) -> str:
    """Return a new member's name."""
    user = await stage.user(f"spare{number}")
    by = By(user="test", at=stage.shared.assembly.clock.now())
    await stage.people.join("lab", user, MemberRole.MEMBER, by)
    return str(user.name)


async def test_every_operation_has_its_row() -> None:
    assert {operation.name for operation in OPERATIONS} == set(expected())


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_each_is_let_do_what_the_table_says(stage: Stage, operation: Operation) -> None:
    stage.app.state.ending.clear()
    answers = {column: await ask(stage, operation, column) for column in WHO}
    stage.app.state.ending.clear()

    assert {column: answer.status_code for column, answer in answers.items()} == expected()[operation.name]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_who_isnt_signed_in_is_let_in_nowhere(stage: Stage, operation: Operation) -> None:
    answers = {column: await ask(stage, operation, column) for column in ("none", "expired", "revoked", "forged")}

    refused = {column: answer.status_code == 401 for column, answer in answers.items()}
    assert operation.door is Door.OPEN or all(refused.values()), refused
    if operation.door is not Door.OPEN:
        words = {answer.json()["detail"] for column, answer in answers.items() if column != "none"}
        assert len(words) == 1, "the words say which of a token's faults it is"


@pytest.mark.parametrize(
    ("user", "sees"),
    [
        ("olga", {"span-mia", "span-max"}),
        ("mia", {"span-mia"}),
        ("max", {"span-max"}),
        ("vera", set()),
        ("tom", {"span-max"}),
    ],
)
async def test_a_list_of_computations_holds_those_that_one_may_read(stage: Stage, user: str, sees: set[str]) -> None:
    async with stage.client(user) as client:
        answer = await client.get(f"{API}/workspaces/lab/computations")

    assert {item["id"] for item in answer.json()["items"]} == sees


async def test_others_see_that_a_cluster_runs_and_not_what_is_in_it(stage: Stage) -> None:
    async with stage.client("mia") as mia, stage.client("vera") as vera:
        secretive = new("told", environ={"STATION": "Zackenberg"}, working_directory="/home/mia")
        made = await mia.post(f"{API}/workspaces/lab/clusters", json=secretive)
        own = await mia.get(f"{API}/workspaces/lab/clusters/told/view".replace("told", made.json()["id"]))
        shown = [
            await vera.get(f"{API}/workspaces/lab/clusters"),
            await vera.get(f"{API}/workspaces/lab/clusters/told"),
            await vera.get(f"{API}/workspaces/lab/clusters/{made.json()['id']}/view"),
        ]

    assert "Zackenberg" in own.text
    assert [answer.status_code for answer in shown] == [200, 200, 200]
    assert not any("Zackenberg" in answer.text or "/home/mia" in answer.text for answer in shown)


async def test_a_cluster_isnt_reached_through_another_workspace(stage: Stage) -> None:
    async with stage.client("mia") as mia, stage.client("otto") as otto:
        cluster_id = (await mia.get(f"{API}/workspaces/lab/clusters/of-mia")).json()["id"]
        answers = [
            await otto.request(
                operation.method, operation.path.format(workspace="other", cluster=cluster_id), json=body
            )
            for operation in OPERATIONS
            if "{cluster}" in operation.path
            for body in [BODIES.get(operation.name)]
        ]
        made_there = await otto.post(f"{API}/workspaces/other/clusters", json=new("theirs", "lab"))

    assert {answer.status_code for answer in answers} == {404}
    assert made_there.status_code == 400


async def test_waiting_for_news_of_another_workspaces_cluster_takes_no_time(stage: Stage) -> None:
    async with stage.client("mia") as mia, stage.client("otto") as otto:
        cluster_id = (await mia.get(f"{API}/workspaces/lab/clusters/of-mia")).json()["id"]
        asks = {"after_revision": 10**9, "timeout_s": 20}
        async with asyncio.timeout(3):
            answer = await otto.get(f"{API}/workspaces/other/clusters/{cluster_id}/view", params=asks)

    assert answer.status_code == 404
