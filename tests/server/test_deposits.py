"""Files of people's own code, put from afar into an object store that stands in for S3."""

from __future__ import annotations

import asyncio
import hashlib
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.server.stage import API, Stage, new
from tradewind import wire
from tradewind.boot.environment.carry import LIMIT
from tradewind.config import Settings, SoftwareSettings, artifact_file
from tradewind.model.environment import Artifact, Environment, Package, Source
from tradewind.model.people import MemberRole
from tradewind.planning.wishes import MOST_BYTES

CONTENT = b"ada's own code"
WHEEL = Artifact(file_name="mine-1.0-py3-none-any.whl", sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT))
SECRET = "never-told-to-anybody"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    moto = pytest.importorskip("moto.server", reason="moto[server], which stands in for S3, isn't installed")
    running = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


async def opened(directory: Path, url: str | None) -> Stage:
    stage = await Stage.open(directory, replace(Settings(), software=SoftwareSettings(artifacts_url=url)))
    fake = stage.shared.provider("fake")
    fake.capabilities = replace(fake.capabilities, runs_software=True)  # type: ignore[misc]  # of a class, but its own
    await stage.workspace("lab", {"olga": MemberRole.OWNER, "ada": MemberRole.MEMBER, "eve": MemberRole.MEMBER})
    await stage.workspace("other", {"otto": MemberRole.OWNER})
    return stage


@pytest_asyncio.fixture
async def stage(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    pytest.importorskip("obstore")
    bucket = f"b{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:20]}"
    put(f"{endpoint}/{bucket}", b"")
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIATESTING",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "TRADEWIND_CACHE_DIR": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    one = await opened(tmp_path, f"s3://{bucket}/lab")
    yield one
    await one.aclose()


def software(*artifacts: Artifact) -> dict[str, Any]:
    packages = (
        *(Package(name="mine", version="1.0", source=Source.EDITABLE, artifact=one.sha256) for one in artifacts),
        Package(name="numpy", version="2.0"),
    )
    environment = Environment(
        python="3.11.7", platform="linux-x86_64", packages=packages, content_hash="", artifacts=artifacts
    )
    return {"environment": wire.dump(environment)}


async def ask(stage: Stage, user: str, *artifacts: Artifact, workspace: str = "lab") -> Any:
    """Ask where files may be put."""
    body = {"provider": "fake", "artifacts": [wire.dump(one) for one in artifacts]}
    async with stage.client(user) as client:
        return await client.post(f"{API}/workspaces/{workspace}/artifacts", json=body)


async def create(stage: Stage, user: str, *artifacts: Artifact, name: str = "c1") -> Any:
    async with stage.client(user) as client:
        return await client.post(f"{API}/workspaces/lab/clusters", json=new(name) | software(*artifacts))


async def told_of_depot(stage: Stage, cluster_id: str) -> list[str]:
    """Return what ada reads of the depot among a cluster's events."""
    async with stage.client("ada") as ada:
        events = (await ada.get(f"{API}/workspaces/lab/clusters/{cluster_id}/events")).json()["items"]
    return [one["event"]["message"] for one in events if one["event"]["kind"] == "software.depot"]


def put(url: str, content: bytes = CONTENT) -> None:
    headers = {"Content-Type": "application/octet-stream"}
    urllib.request.urlopen(urllib.request.Request(url, data=content, method="PUT", headers=headers)).close()


def read(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return bytes(answer.read())


async def test_what_was_deposited_is_had_by_the_machines_of_whose_it_is(stage: Stage) -> None:
    told = (await ask(stage, "ada", WHEEL)).json()
    assert (told["is_taken"], [one["sha256"] for one in told["uploads"]]) == (True, [WHEEL.sha256])
    put(told["uploads"][0]["url"])
    again = (await ask(stage, "ada", WHEEL)).json()
    assert (again["is_taken"], again["uploads"]) == (True, []), "it is there: nothing is put twice"

    made = await create(stage, "ada", WHEEL)

    assert made.status_code == 201, made.text
    assert made.json()["environment"]["artifacts"][0]["is_deposited"] is True
    async with asyncio.timeout(10):
        while not stage.world.machines:  # noqa: ASYNC110 - the fake world calls nobody
            await asyncio.sleep(0.02)
    given = [machine.boot.software for machine in stage.world.machines.values()]
    assert {read(one.files[WHEEL.sha256]) for one in given if one is not None} == {CONTENT}
    assert SECRET not in str(told)


async def test_nobody_is_let_have_what_another_one_deposited(stage: Stage) -> None:
    put((await ask(stage, "ada", WHEEL)).json()["uploads"][0]["url"])

    of_eve = (await ask(stage, "eve", WHEEL)).json()["uploads"]
    made = await create(stage, "eve", WHEEL)

    assert len(of_eve) == 1, "she has a place of her own, and whether ada has the file isn't told"
    assert made.status_code == 400
    assert "isn't in the depot" in made.json()["detail"]


async def test_bytes_that_eve_puts_under_adas_hash_are_never_given_to_adas_machines(stage: Stage) -> None:
    theirs = (await ask(stage, "eve", WHEEL)).json()["uploads"][0]["url"]
    put(theirs, b"eve's evil code"[: WHEEL.size])

    mine = (await ask(stage, "ada", WHEEL)).json()["uploads"]

    assert len(mine) == 1
    assert mine[0]["url"].partition("?")[0] != theirs.partition("?")[0]


async def test_a_file_of_the_server_is_given_to_nobody_by_its_hash(stage: Stage) -> None:
    there = artifact_file(WHEEL)
    there.parent.mkdir(parents=True)
    there.write_bytes(CONTENT)

    made = await create(stage, "ada", replace(WHEEL, is_deposited=False))
    forged = await create(stage, "ada", replace(WHEEL, is_deposited=True), name="c2")

    assert [made.status_code, forged.status_code] == [400, 400]


async def test_what_has_another_size_than_was_said_counts_as_not_there(stage: Stage) -> None:
    put((await ask(stage, "ada", WHEEL)).json()["uploads"][0]["url"], CONTENT + b" and a film")

    made = await create(stage, "ada", WHEEL)

    assert made.status_code == 400
    assert f"not with {WHEEL.size:,} bytes" in made.json()["detail"]


async def test_an_address_to_write_to_is_good_for_that_file_and_for_writing(stage: Stage) -> None:
    url = (await ask(stage, "ada", WHEEL)).json()["uploads"][0]["url"]
    put(url)

    assert "X-Amz-Expires=900&" in url + "&"
    assert WHEEL.sha256 in url


@pytest.mark.parametrize(
    ("artifact", "words"),
    [
        (replace(WHEEL, sha256="../" * 20 + "etcd"), "can't be a file that travels"),
        (replace(WHEEL, file_name="../mine.whl"), "can't be a file that travels"),
        (replace(WHEEL, file_name="a/b.whl"), "can't be a file that travels"),
        (replace(WHEEL, size=MOST_BYTES + 1), "has 104,857,601 bytes"),
        (replace(WHEEL, size=-1), "has -1 bytes"),
    ],
)
async def test_what_no_file_of_ones_own_code_is_gets_no_address(stage: Stage, artifact: Artifact, words: str) -> None:
    answers = [await ask(stage, "ada", artifact), await create(stage, "ada", artifact)]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert all(words in answer.json()["detail"] for answer in answers)


async def test_files_are_limited_together_too(stage: Stage) -> None:
    many = [replace(WHEEL, sha256=f"{number:064x}", size=MOST_BYTES // 2) for number in range(3)]

    answer = await ask(stage, "ada", *many)

    assert answer.status_code == 400
    assert "together" in answer.json()["detail"]


def test_the_server_takes_what_the_callers_side_carries() -> None:
    assert MOST_BYTES == LIMIT


@pytest.mark.parametrize("url", [None, "file://{tmp_path}/depot"])
async def test_without_a_store_that_signs_the_caller_is_told_to_bring_his_code_himself(
    url: str | None, tmp_path: Path
) -> None:
    pytest.importorskip("obstore")
    stage = await opened(tmp_path, url and url.format(tmp_path=tmp_path))
    try:
        told, made = await ask(stage, "ada", WHEEL), await create(stage, "ada", WHEEL)
    finally:
        await stage.aclose()

    assert (told.status_code, told.json()["is_taken"], told.json()["uploads"]) == (200, False, [])
    assert told.json()["detail"]
    assert made.status_code == 400
    assert "can't read files of your computer" in made.json()["detail"]


async def test_a_store_that_nobody_can_sign_in_to_stops_no_cluster_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("obstore")
    pytest.importorskip("boto3")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_PROFILE", "absent")
    stage = await opened(tmp_path, "s3://b/p")
    try:
        told = await ask(stage, "ada", WHEEL)
        made = (await create(stage, "ada")).json()
        async with asyncio.timeout(10):
            while not (said := await told_of_depot(stage, made["id"])):  # noqa: ASYNC110 - events are asked for
                await asyncio.sleep(0.05)
        machines = len(stage.world.machines)
    finally:
        await stage.aclose()

    assert (told.status_code, told.json()["is_taken"]) == (200, False)
    assert "(absent) could not be found" in told.json()["detail"]
    assert machines
    assert len(said) == 1
    assert "(absent) could not be found" in said[0]


async def test_what_an_owner_deposits_gets_into_no_cluster_of_another(stage: Stage) -> None:
    made = (await create(stage, "ada")).json()
    put((await ask(stage, "olga", WHEEL)).json()["uploads"][0]["url"])
    place = f"{API}/workspaces/lab/clusters/{made['id']}/environment"

    async with stage.client("olga") as olga, stage.client("ada") as ada:
        by_owner, by_herself = await olga.put(place, json=software(WHEEL)), await ada.put(place, json=software(WHEEL))

    assert by_owner.status_code == 403
    assert by_herself.status_code == 400
    assert "isn't in the depot" in by_herself.json()["detail"]
