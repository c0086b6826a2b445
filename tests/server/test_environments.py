"""Named environments over HTTP: what is answered once, refused, and told in the audit log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from tests.server.stage import API, Stage, new
from tradewind import wire
from tradewind.model.environment import Environment, Target, seal
from tradewind.model.exchange import NewEnvironment
from tradewind.model.people import Caller, MemberRole

ALL = f"{API}/workspaces/glacier/environments"


@pytest.fixture
async def lab(stage: Stage) -> Stage:
    """A workspace with an owner and a member."""
    await stage.workspace("glacier", {"olga": MemberRole.OWNER, "mia": MemberRole.MEMBER})
    await stage.workspace("firn", {"otto": MemberRole.OWNER})
    return stage


def wanted(version: str = "1.0", **more: Any) -> dict[str, Any]:
    packages = [{"name": "distributed", "version": "2026.8.0"}, {"name": "melt", "version": version}]
    environment = {"python": "3.11", "platform": "linux-x86_64", "packages": packages, "content_hash": "made up"}
    return {"name": "climate", "environments": [environment | more]}


async def test_a_request_that_is_sent_again_makes_one_version_and_has_one_answer(lab: Stage) -> None:
    async with lab.client("mia") as mia:
        key = {"Idempotency-Key": "k1"}
        first = await mia.post(ALL, json=wanted(), headers=key)
        await mia.post(ALL, json=wanted("2.0"))
        again = await mia.post(ALL, json=wanted(), headers=key)
        lines = (await mia.get(ALL, params={"name": "climate"})).json()["items"]

    assert first.json() == again.json()
    assert first.json()["is_new"] is True
    assert [line["version"] for line in lines] == [2, 1]


def conda(number: int) -> dict[str, Any]:
    """Return a package as a lock file of conda has it."""
    return {
        "name": f"library-number-{number}",
        "version": "2.31.0",
        "source": "conda",
        "url": "https://conda.anaconda.org/conda-forge",
        "sha256": f"{number:064x}",
        "build": f"py311h0123456_{number}",
        "subdir": "linux-64",
        "extras": [],
        "is_requested": False,
        "artifact": "",
    }


async def test_what_is_locked_for_four_platforms_of_a_thousand_packages_gets_a_name(lab: Stage) -> None:
    first = wanted()["environments"][0]
    one = first | {"packages": [*first["packages"], *(conda(number) for number in range(1000))]}
    platforms = ("linux-x86_64", "linux-aarch64", "macosx-x86_64", "macosx-arm64")
    large = {"name": "climate", "environments": [one | {"platform": platform} for platform in platforms]}
    async with lab.client("mia") as mia:
        made = await mia.post(ALL, json=large)
        elsewhere = await mia.post(f"{API}/workspaces/glacier/clusters", json=large)
        beyond = await mia.post(ALL, json=large | {"note": "x" * 2**23})

    assert made.status_code == 201
    assert elsewhere.status_code == 413
    assert "larger body_limit" in elsewhere.json()["detail"]
    assert beyond.status_code == 413
    assert beyond.json()["detail"].endswith("which is the most this server reads here; send less")


class Watched(tuple[Environment, ...]):
    """Environments that know which threads have gone through them."""

    by: ClassVar[set[int]] = set()

    def __iter__(self) -> Iterator[Environment]:
        self.by.add(threading.get_ident())
        return super().__iter__()


async def test_while_a_large_version_is_checked_others_get_their_answers(lab: Stage) -> None:
    mia = Caller(user_id="u-mia", user="mia", workspace="glacier", role=MemberRole.MEMBER)
    asked = wire.load(NewEnvironment, wanted())
    Watched.by.clear()

    await lab.shared.assembly.as_(mia).environments.create_environment(
        replace(asked, environments=Watched(asked.environments)),
    )

    assert Watched.by
    assert threading.get_ident() not in Watched.by, "the thread that everybody's answers come from"


async def test_a_hash_that_a_client_makes_up_counts_for_nothing(lab: Stage) -> None:
    async with lab.client("mia") as mia:
        made = await mia.post(ALL, json=wanted())
        again = await mia.post(ALL, json=wanted(content_hash="made up anew"))
        shown = (await mia.get(f"{ALL}/climate")).json()

    assert again.json()["version"] == made.json()["version"]
    assert len(shown["environments"][0]["content_hash"]) == 64


async def test_who_made_and_deleted_what_stands_in_the_audit_log(lab: Stage) -> None:
    async with lab.client("mia") as mia, lab.client("olga") as olga:
        await mia.post(ALL, json=wanted())
        await olga.delete(f"{ALL}/climate")
        entries = (await olga.get(f"{API}/workspaces/glacier/audit")).json()["items"]

    told = [(one["user"], one["action"], one["subject"]) for one in entries if "environment" in one["action"]]
    assert told == [("olga", "environment.deleted", "climate"), ("mia", "environment.created", "climate@1")]


async def test_a_name_of_another_workspace_is_none_here(lab: Stage) -> None:
    async with lab.client("mia") as mia, lab.client("otto") as otto:
        await mia.post(ALL, json=wanted())
        there = await otto.get(f"{API}/workspaces/firn/environments/climate")
        cluster = await otto.post(f"{API}/workspaces/firn/clusters", json=new("theirs", "firn", software="climate"))

    assert (there.status_code, cluster.status_code) == (404, 404)
    assert "none was made yet" in cluster.json()["detail"]


async def test_what_a_live_cluster_runs_is_told_with_its_name(lab: Stage) -> None:
    async with lab.client("mia") as mia, lab.client("olga") as olga:
        await mia.post(ALL, json=wanted())
        made = await mia.post(f"{API}/workspaces/glacier/clusters", json=new("tides", "glacier", software="climate"))
        refused = await olga.delete(f"{ALL}/climate", params={"version": 1})

    assert made.json()["environment"]["name"] == "climate@1"
    assert refused.status_code == 409
    assert "climate@1 is what cluster tides runs now; stop it first" in refused.json()["detail"]


def on_machines(stage: Stage, machines: Target) -> None:
    """Let all that can be had be of one kind."""
    stage.world.sizes = tuple(replace(size, target=machines) for size in stage.world.sizes)


def of_platforms(*packages: dict[str, Any]) -> dict[str, Any]:
    """Return software that is locked for two platforms."""
    one = wanted()["environments"][0]
    both = [one | {"platform": platform} for platform in ("linux-x86_64", "linux-aarch64")]
    return {"name": "climate", "environments": [it | {"packages": [*it["packages"], *packages]} for it in both]}


@pytest.mark.parametrize("platform", ["linux-x86_64", "linux-aarch64"])
async def test_a_cluster_runs_what_is_locked_for_the_machines_that_it_gets(platform: str, lab: Stage) -> None:
    on_machines(lab, Target(platform=platform))
    async with lab.client("mia") as mia:
        await mia.post(ALL, json=of_platforms())
        asked = new("tides", "glacier", software="climate")
        planned = (await mia.post(f"{API}/workspaces/glacier/dry-runs", json=asked)).json()
        made = (await mia.post(f"{API}/workspaces/glacier/clusters", json=asked)).json()

    assert (made["environment"]["platform"], made["environment"]["name"]) == (platform, "climate@1")
    assert f"climate@1 is taken as it is locked for {platform}, with Python 3.11." in planned["notes"]


UNFIT = [
    (Target(platform="macosx-arm64"), {}, "locked for linux-x86_64, linux-aarch64, and this cluster's machines are"),
    (
        Target(platform="linux-aarch64"),
        {"source": "archive", "url": "https://lab.example/rime-1-cp311-cp311-manylinux_2_17_x86_64.whl"},
        "rime (rime-1-cp311-cp311-manylinux_2_17_x86_64.whl)",
    ),
    (
        Target(platform="linux-x86_64", glibc="2.17"),
        {"source": "archive", "url": "https://lab.example/rime-1-cp311-cp311-manylinux_2_28_x86_64.whl"},
        "which are Linux x86_64 with glibc 2.17: rime (rime-1",
    ),
    (
        Target(platform="linux-aarch64"),
        {"source": "conda", "url": "https://lab.example/ice", "subdir": "linux-64"},
        "rime (a conda package for linux-64)",
    ),
]


@pytest.mark.parametrize(("machines", "package", "words"), UNFIT, ids=[words for *_, words in UNFIT])
async def test_what_can_not_be_had_there_is_refused_before_anything_starts(
    machines: Target, package: dict[str, str], words: str, lab: Stage
) -> None:
    on_machines(lab, machines)
    async with lab.client("mia") as mia:
        await mia.post(ALL, json=of_platforms(*([{"name": "rime", "version": "1"} | package] if package else [])))
        asked = new("tides", "glacier", software="climate")
        answers = [await mia.post(f"{API}/workspaces/glacier/{noun}", json=asked) for noun in ("dry-runs", "clusters")]
        clusters = (await mia.get(f"{API}/workspaces/glacier/clusters")).json()["items"]

    for answer in answers:
        assert answer.status_code == 400
        assert words in answer.json()["detail"]
        assert "Create it again" in answer.json()["detail"] or "create it again" in answer.json()["detail"]
    assert (clusters, lab.world.alive()) == ([], ())


FILE = {"file_name": "ours-0.7-py3-none-any.whl", "sha256": "ab" * 32, "size": 9}
REFUSED = [
    (wanted() | {"name": "Climate"}, "can't be an environment's name"),
    (wanted() | {"image": "a"}, "either of packages or an image"),
    ({"name": "climate"}, "either of packages or an image"),
    (wanted(platform="linux x"), "write each once"),
    (wanted() | {"environments": wanted()["environments"] * 2}, "write each once"),
    (wanted(python="snake"), "is no version of Python"),
    (wanted(packages=[]), "has no distributed"),
    (wanted(artifacts=[FILE]), "only your computer has (ours-0.7-py3-none-any.whl)"),
    (wanted(indexes=["https://ada:hush@lab.example/simple"]), "indexes[0]: the address at lab.example has a user"),
    (wanted(channels=["https://token@lab.example/t"]), "channels[0]: the address at lab.example has a user"),
    (wanted() | {"note": "x" * 201}, "write one line of up to 200"),
    (wanted() | {"image": "a", "environments": [], "name": "a\0b"}, "NUL"),
]


@pytest.mark.parametrize(("body", "words"), REFUSED, ids=[words for _, words in REFUSED])
async def test_what_can_get_no_name_is_told_why(lab: Stage, body: dict[str, Any], words: str) -> None:
    async with lab.client("mia") as mia:
        answer = await mia.post(ALL, json=body)

    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert "hush" not in answer.text


SECRETS = {
    "a login": {"indexes": ["https://ada:hush@lab.example/simple"]},
    "a token": {"channels": ["https://lab.example/t/hush/climate"]},
    "a query": {"packages": [{"name": "melt", "version": "1", "url": "https://lab.example/melt.whl?token=hush"}]},
    "a user of Mercurial": {"packages": [{"name": "melt", "version": "1", "url": "hg+https://hush@lab.example/m@1"}]},
}


@pytest.mark.parametrize("more", SECRETS.values(), ids=SECRETS)
async def test_software_without_a_name_is_refused_for_the_same_secrets(lab: Stage, more: dict[str, Any]) -> None:
    software = wanted(**more)["environments"][0]
    clusters = f"{API}/workspaces/glacier/clusters"
    async with lab.client("mia") as mia:
        made = (await mia.post(clusters, json=new("tides", "glacier"))).json()
        asked = await mia.post(clusters, json={**new("other", "glacier"), "environment": software})
        changed = await mia.put(f"{clusters}/{made['id']}/environment", json={"environment": software})

    for answer in (asked, changed):
        assert answer.status_code == 400, answer.text
        assert "the address at lab.example has a" in answer.json()["detail"]
        assert "hush" not in answer.text


async def test_a_cluster_has_the_hash_of_what_it_runs_whatever_its_client_says(lab: Stage) -> None:
    software = wanted(content_hash="../../made up")["environments"][0]
    clusters = f"{API}/workspaces/glacier/clusters"
    async with lab.client("mia") as mia:
        made = (await mia.post(clusters, json={**new("tides", "glacier"), "environment": software})).json()
        await mia.put(f"{clusters}/{made['id']}/environment", json={"environment": software | {"python": "3.12"}})
        changed = (await mia.get(f"{clusters}/{made['id']}/view")).json()["cluster"]

    for record in (made, changed):
        kept = wire.load(Environment, record["environment"])
        assert kept.content_hash == seal(kept).content_hash
    assert made["environment"]["content_hash"] != changed["environment"]["content_hash"]


@pytest.mark.parametrize("version", [-1, 0, 2**31, 2**80])
async def test_a_version_that_no_database_can_hold_isnt_there(lab: Stage, version: int) -> None:
    async with lab.client("olga") as olga:
        await olga.post(ALL, json=wanted())
        answers = [await olga.request(way, f"{ALL}/climate", params={"version": version}) for way in ("GET", "DELETE")]

    assert [answer.status_code for answer in answers] == [404, 404]
