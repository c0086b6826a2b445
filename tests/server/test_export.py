"""Exports over HTTP: who may have them, and what is in them."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from tests.server.stage import API, Stage, new

LAB = f"{API}/workspaces/lab"


@pytest.mark.parametrize("what", ["focus-csv", "focus-parquet", "csv", "everything"])
async def test_owners_and_admins_may_export_and_nobody_else(stage: Stage, what: str) -> None:
    statuses = {}
    for user in ("olga", "ana", "mia", "vera", "tom", "otto", "root"):
        async with stage.client(user) as client:
            answer = await client.get(f"{LAB}/export", params={"format": what})
        statuses[user] = answer.status_code
    assert statuses == {"olga": 200, "ana": 200, "mia": 403, "vera": 403, "tom": 403, "otto": 404, "root": 404}


async def test_everything_is_of_one_workspace(stage: Stage) -> None:
    async with stage.client("mia") as mia, stage.client("otto") as otto:
        await mia.post(f"{LAB}/clusters", json=new("enso"))
        theirs = new("hidden")
        theirs["spec"]["workspace"] = "other"
        made = await otto.post(f"{API}/workspaces/other/clusters", json=theirs)
    assert made.status_code == 201
    async with stage.client("ana") as ana:
        answer = await ana.get(f"{LAB}/export", params={"format": "everything"})
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="tradewind-everything.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as files:
        texts = {name: files.read(name).decode() for name in files.namelist()}
    assert [json.loads(line)["spec"]["name"] for line in texts["clusters.jsonl"].splitlines()] == ["enso"]
    members = [json.loads(line)["user"] for line in texts["members.jsonl"].splitlines()]
    assert sorted(members) == ["ana", "max", "mia", "olga", "tom", "vera"]
    assert not [name for name, text in texts.items() if "otto" in text or "hidden" in text]


async def test_whoever_takes_everything_stands_in_the_audit_log_and_who_only_tries_does_not(stage: Stage) -> None:
    async with stage.client("ana") as ana, stage.client("mia") as mia:
        taken = await ana.get(f"{LAB}/export", params={"format": "everything"})
        assert (await mia.get(f"{LAB}/export", params={"format": "everything"})).status_code == 403
        assert (await ana.get(f"{LAB}/export", params={"format": "csv"})).status_code == 200
        entries = (await ana.get(f"{LAB}/audit")).json()["items"]
    found = [entry for entry in entries if entry["action"] == "workspace.exported"]
    assert [(entry["user"], entry["workspace"], entry["subject"], entry["detail"]) for entry in found] == [
        ("ana", "lab", "lab", "everything")
    ]
    assert found[0]["request_id"] == taken.headers["x-request-id"]


@pytest.mark.parametrize(
    "query",
    [
        {"format": "excel"},
        {"format": "csv", "since": "2026-03-01T00:00:00"},
        {"format": "everything", "since": "2026-03-01T00:00:00Z"},
    ],
)
async def test_what_cant_be_exported_is_said(stage: Stage, query: dict[str, str]) -> None:
    async with stage.client("olga") as olga:
        answer = await olga.get(f"{LAB}/export", params=query)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:tradewind:BadRequest"


async def test_costs_by_computation_name_only_what_one_may_read(stage: Stage) -> None:
    async with stage.client("max") as max_:
        made = await max_.post(f"{LAB}/clusters", json=new("enso"))
        where = f"{LAB}/clusters/{made.json()['id']}/view"
        view = await max_.get(where)
        while view.json()["cluster"]["status"] != "running":
            view = await max_.get(where, params={"after_revision": view.json()["revision"], "timeout_s": 5})
        own = await max_.get(f"{LAB}/usage", params={"by": "user,computation"})
    seen = {}
    for user in ("mia", "tom", "olga"):
        async with stage.client(user) as client:
            answer = await client.get(f"{LAB}/usage", params={"by": "user,computation"})
        seen[user] = {tuple(line["keys"]) for line in answer.json()["items"]}
    told = {tuple(line["keys"]) for line in own.json()["items"]}
    assert told == {("max", "not computing")}
    assert seen == {"mia": {("max", "of others")}, "tom": told, "olga": told}
