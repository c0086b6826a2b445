"""A cluster's life, over HTTP."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.stage import API, Stage, new, spec, token_of
from tradewind import wire
from tradewind.errors import Forbidden
from tradewind.model.cluster import Scaling
from tradewind.model.environment import Artifact, Environment

LAB = f"{API}/workspaces/lab"


async def test_a_cluster_is_made_seen_scaled_and_stopped(stage: Stage) -> None:
    async with stage.client("mia") as mia:
        made = await mia.post(f"{LAB}/clusters", json=new("enso"))
        cluster_id = made.json()["id"]
        view = await mia.get(f"{LAB}/clusters/{cluster_id}/view")
        while view.json()["cluster"]["status"] != "running":
            asks = {"after_revision": view.json()["revision"], "timeout_s": 5}
            view = await mia.get(f"{LAB}/clusters/{cluster_id}/view", params=asks)
        scaled = await mia.put(
            f"{LAB}/clusters/{cluster_id}/scaling", json={"scaling": wire.dump(Scaling.fixed(3)), "dismiss": []}
        )
        found = await mia.get(f"{LAB}/clusters/enso")
        keys = await mia.post(f"{LAB}/clusters/{cluster_id}/keys")
        stopped = await mia.delete(f"{LAB}/clusters/{cluster_id}", params={"detail": "done"})
        while view.json()["cluster"]["status"] != "stopped":
            asks = {"after_revision": view.json()["revision"], "timeout_s": 5}
            view = await mia.get(f"{LAB}/clusters/{cluster_id}/view", params=asks)
        again = await mia.delete(f"{LAB}/clusters/{cluster_id}")
        gone = await mia.get(f"{LAB}/clusters/enso")
        kept = await mia.get(f"{LAB}/clusters/enso", params={"live": "false"})
        receipt = await mia.get(f"{LAB}/clusters/{cluster_id}/receipt")
        events = await mia.get(f"{LAB}/clusters/{cluster_id}/events")
        logs = await mia.get(f"{LAB}/clusters/{cluster_id}/logs", params={"lines": 5})

    assert made.status_code == 201
    assert made.json()["owner"] == "mia"
    assert scaled.status_code == 204
    assert found.json()["intent"]["scaling"]["maximum"] == 3
    assert "BEGIN" in keys.json()["key"]
    assert (stopped.status_code, again.status_code) == (204, 204)
    assert gone.status_code == 404
    assert kept.json()["stop_detail"] == "done"
    assert receipt.json()["cluster_name"] == "enso"
    assert [item["seq"] for item in events.json()["items"]] == sorted(item["seq"] for item in events.json()["items"])
    assert logs.json()["items"][0]["lines"]


@pytest.mark.parametrize("is_removed", [True, False])
async def test_who_is_removed_while_waiting_for_news_gets_none(stage: Stage, is_removed: bool) -> None:
    async with stage.client("mia") as mia, stage.client("ana") as ana, stage.client("olga") as olga:
        cluster_id = (await mia.post(f"{LAB}/clusters", json=new(environ={"A": "b"}))).json()["id"]
        one = f"{LAB}/clusters/{cluster_id}"
        waiting = asyncio.create_task(ana.get(f"{one}/view?after_revision={2**40}&timeout_s=1"))
        await asyncio.sleep(0.3)
        if is_removed:
            assert (await olga.delete(f"{LAB}/members/ana")).status_code == 204
        else:
            change = {"role": "viewer"}
            assert (await olga.patch(f"{LAB}/members/ana", json=change)).status_code == 204
        answer = await waiting

    assert answer.status_code == (404 if is_removed else 200)
    if not is_removed:
        assert answer.json()["cluster"]["spec"]["environ"] == {}


async def test_a_name_that_is_taken_is_a_conflict(stage: Stage) -> None:
    async with stage.client("mia") as mia:
        await mia.post(f"{LAB}/clusters", json=new("enso"))
        second = await mia.post(f"{LAB}/clusters", json=new("enso"))

    assert second.status_code == 409
    assert second.headers["content-type"] == "application/problem+json"
    assert second.json()["type"] == "urn:tradewind:NameTaken"
    assert second.json()["request_id"] == second.headers["x-request-id"]


@pytest.mark.parametrize("path", ["clusters", "dry-runs"])
async def test_who_is_charged_and_what_runs_before_a_job_is_the_operators_to_say(stage: Stage, path: str) -> None:
    body = new("enso")
    body["spec"]["backend_options"] = {"account": "somebody-elses", "prologue": ["touch /tmp/mine"]}
    async with stage.client("mia") as mia:
        answer = await mia.post(f"{LAB}/{path}", json=body)

    assert answer.status_code == 400
    assert "its operator says" in answer.json()["detail"]
    assert stage.world.alive() == ()


async def test_a_dry_run_launches_nothing(stage: Stage) -> None:
    async with stage.client("mia") as mia:
        answer = await mia.post(f"{LAB}/dry-runs", json=new())

    assert answer.json()["instances"][1]["count"] == 2
    assert stage.world.alive() == ()


async def test_nobody_sees_a_workspace_that_isnt_theirs_nor_whether_there_is_one(stage: Stage) -> None:
    async with stage.client("otto") as otto:
        answers = [await otto.get(f"{API}/workspaces/{name}/clusters") for name in ("lab", "nowhere")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json()["detail"].replace("lab", "nowhere") == answers[1].json()["detail"]


async def test_the_audit_log_says_who_made_scaled_and_stopped_a_cluster(stage: Stage) -> None:
    async with stage.client("mia") as mia, stage.client("ana") as ana:
        made = await mia.post(f"{LAB}/clusters", json=new("enso"))
        one = f"{LAB}/clusters/{made.json()['id']}"
        body = {"scaling": wire.dump(Scaling.fixed(3))}
        assert (await mia.put(f"{one}/scaling", json=body)).status_code == 204
        for _ in range(2):
            assert (await ana.delete(f"{one}?detail=too%20dear")).status_code == 204
        entries = (await ana.get(f"{LAB}/audit?limit=3")).json()["items"]

    assert [(one["user"], one["action"], one["detail"]) for one in entries] == [
        ("ana", "cluster.stopped", "'enso' of mia: too dear"),
        ("mia", "cluster.scaled", "'enso' of mia: to 3-3 workers"),
        ("mia", "cluster.created", "'enso' of mia: on fake"),
    ]
    assert entries[2]["request_id"] == made.headers["x-request-id"]


async def test_dismissing_what_isnt_there_leaves_no_trace(stage: Stage) -> None:
    async with stage.client("mia") as mia:
        made = (await mia.post(f"{LAB}/clusters", json=new())).json()
        one = f"{LAB}/clusters/{made['id']}"
        for number in range(3):
            body = {"scaling": wire.dump(Scaling.fixed(1)), "dismiss": [f"{number}-{i}" * 100 for i in range(100)]}
            assert (await mia.put(f"{one}/scaling", json=body)).status_code == 204
        assert (await mia.get(one)).json()["intent"]["dismiss"] == []
        for _ in range(200):
            if workers := [
                i["id"] for i in (await mia.get(f"{one}/view")).json()["instances"] if i["role"] == "worker"
            ]:
                break
            await asyncio.sleep(0.05)
        body["dismiss"] = [workers[0]]
        assert (await mia.put(f"{one}/scaling", json=body)).status_code == 204
        assert (await mia.get(one)).json()["intent"]["dismiss"] == [workers[0]]


async def test_who_was_removed_a_moment_ago_makes_no_cluster(stage: Stage) -> None:
    people = stage.shared.assembly.people
    signed = await people.let_in(token_of("mia"))
    before = await people.as_(signed).caller("lab")
    async with stage.client("olga") as olga:
        assert (await olga.delete(f"{LAB}/members/mia")).status_code == 204
        with pytest.raises(Forbidden, match="no member of workspace 'lab' any more"):
            await stage.shared.assembly.as_(before).clusters.create(spec())
        assert (await olga.get(f"{LAB}/clusters")).json()["items"] == []


@pytest.mark.parametrize(
    ("sha256", "file_name", "says"),
    [
        ("a" * 64, "mine-1.0-py3-none-any.whl", "can't read files of your computer"),
        ("../../../.ssh", "id_ed25519", "can't be a file that travels"),
        ("/etc", "passwd", "can't be a file that travels"),
        ("a" * 64, "../../../../etc/passwd", "can't be a file that travels"),
    ],
)
async def test_nobody_makes_a_server_read_a_file_of_its_own(
    sha256: str, file_name: str, says: str, stage: Stage
) -> None:
    software = Environment(
        python="3.12.1",
        platform="linux-x86_64",
        packages=(),
        content_hash="c",
        artifacts=(Artifact(file_name=file_name, sha256=sha256, size=1),),
    )
    async with stage.client("mia") as mia:
        made = await mia.post(
            f"{API}/workspaces/lab/clusters", json=new("first") | {"environment": wire.dump(software)}
        )
        cluster = (await mia.post(f"{API}/workspaces/lab/clusters", json=new("second"))).json()["id"]
        changed = await mia.put(
            f"{API}/workspaces/lab/clusters/{cluster}/environment", json={"environment": wire.dump(software)}
        )

    assert (made.status_code, changed.status_code) == (400, 400)
    assert says in made.json()["detail"]
    assert says in changed.json()["detail"]
