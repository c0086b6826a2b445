"""What a machine is told to have, of what the caller's side sent."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.engine.stage import Stage
from tradewind.config import SoftwareSettings, artifact_file
from tradewind.engine import depot
from tradewind.engine.depot import Depots
from tradewind.engine.rounds import software as fetching
from tradewind.engine.rounds.leases import RENEWED
from tradewind.engine.rounds.software import from_here, software_for
from tradewind.errors import Rejected, Unavailable
from tradewind.model.cluster import Cluster, ClusterSpec, ClusterStatus, Intent, ScaleMemory, Scaling
from tradewind.model.environment import Artifact, Environment, Package, Source, seal
from tradewind.testing.clock import START

WHEEL = Artifact(file_name="mine-1.0-py3-none-any.whl", sha256="a" * 64, size=10)
MINE = Package(name="mine", version="1.0", source=Source.EDITABLE, artifact=WHEEL.sha256)
NUMPY = Package(name="numpy", version="2.0")


def cluster(*packages: Package, artifacts: tuple[Artifact, ...] = ()) -> Cluster:
    environment = Environment(
        python="3.11.7", platform="linux-x86_64", packages=packages, content_hash="", artifacts=artifacts
    )
    spec = ClusterSpec(name="c", workspace="lab", provider="fake", scaling=Scaling.fixed(1))
    return Cluster(
        id="c1",
        spec=spec,
        intent=Intent(scaling=spec.scaling),
        owner="ada",
        created_at=START,
        scale=ScaleMemory(wanted=1),
        environment=seal(environment),
    )


def test_a_package_whose_file_is_there_is_given_with_it() -> None:
    asked = cluster(MINE, NUMPY, artifacts=(WHEEL,))

    software = from_here(asked)

    assert software is not None
    assert software.environment == asked.environment
    assert set(software.files) == {WHEEL.sha256}


def test_a_package_whose_file_its_caller_brings_later_is_left_out() -> None:
    software = from_here(cluster(MINE, NUMPY))

    assert software is not None
    assert software.environment.packages == (NUMPY,)
    other = from_here(cluster(replace(MINE, artifact="b" * 64), NUMPY))
    assert other is not None
    assert other.environment == software.environment, "edited code makes no other environment of a machine"


def test_tradewind_itself_can_not_be_brought_later() -> None:
    with pytest.raises(Rejected, match="tradewind is installed from a directory"):
        from_here(cluster(replace(MINE, name="tradewind"), NUMPY))


def write(address: str, text: str) -> None:
    Path(address.removeprefix("file://")).write_text(text)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """Return an artifact that lies in the caller's cache."""
    monkeypatch.setenv("TRADEWIND_CACHE_DIR", str(tmp_path / "cache"))
    sha256 = hashlib.sha256(b"a wheel").hexdigest()
    made = Artifact(file_name="mine-1.0-py3-none-any.whl", sha256=sha256, size=7)
    place = artifact_file(made)
    place.parent.mkdir(parents=True)
    place.write_bytes(b"a wheel")
    return made


async def test_without_a_depot_machines_get_files_from_here_and_pack_nothing(kept: Artifact) -> None:
    found = await software_for(cluster(NUMPY, artifacts=(kept,)), Depots(SoftwareSettings()))

    assert found is not None
    assert not found.trouble
    assert found.software.files == {kept.sha256: str(artifact_file(kept))}
    assert found.software.publishing is None


async def test_the_first_is_told_where_to_put_an_archive_and_who_comes_later_where_it_is(
    kept: Artifact, tmp_path: Path
) -> None:
    pytest.importorskip("obstore")
    asked, depots = (
        cluster(NUMPY, artifacts=(kept,)),
        Depots(SoftwareSettings(artifacts_url=f"file://{tmp_path}/depot")),
    )
    first = await software_for(asked, depots)
    assert first is not None
    assert first.software.publishing is not None
    assert not first.software.archive
    record = {"name": first.software.publishing.name, "sha256": "c" * 64, "size": 3}
    write(first.software.publishing.archive, "all")
    write(first.software.publishing.record, json.dumps(record))

    later = await software_for(asked, depots)
    of_another = await software_for(replace(asked, owner="eve"), depots)

    assert later is not None
    assert (later.software.archive, later.software.archive_sha256) == (first.software.publishing.archive, "c" * 64)
    assert later.software.publishing is None
    assert of_another is not None
    assert not of_another.software.archive, "who packs decides what runs: nobody runs what another one's machine packed"
    assert of_another.software.files == first.software.files, "its own hash says what a file is, whoever put it there"


async def test_a_server_lets_nobody_pack_on_a_disk_where_others_might_put_what_they_like(
    kept: Artifact, tmp_path: Path
) -> None:
    pytest.importorskip("obstore")
    asked, settings = cluster(NUMPY, artifacts=(kept,)), SoftwareSettings(artifacts_url=f"file://{tmp_path}/depot")
    mine = await software_for(asked, Depots(settings))
    assert mine is not None
    assert mine.software.publishing is not None
    write(mine.software.publishing.archive, "bad")
    record = {"name": mine.software.publishing.name, "sha256": "c" * 64, "size": 3}
    write(mine.software.publishing.record, json.dumps(record))

    found = await software_for(asked, Depots(settings, is_shared=True))

    assert found is not None
    assert (found.software.archive, found.software.publishing) == ("", None)
    assert found.software.files == mine.software.files, "what a hash names may lie there"


async def test_who_has_the_same_name_elsewhere_gets_none_of_ones_archives(kept: Artifact, tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    asked, settings = cluster(NUMPY, artifacts=(kept,)), SoftwareSettings(artifacts_url=f"file://{tmp_path}/depot")

    here = await software_for(asked, Depots(settings, installation="here"))
    there = await software_for(asked, Depots(settings, installation="there"))

    assert here is not None
    assert there is not None
    assert here.software.publishing is not None
    assert there.software.publishing is not None
    assert Path(here.software.publishing.record).parent != Path(there.software.publishing.record).parent


async def test_a_depot_that_can_not_be_used_is_told_and_machines_get_files_from_here(
    kept: Artifact, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no directory")
    settings = SoftwareSettings(artifacts_url=f"file://{tmp_path}/file/depot")

    found = await software_for(cluster(NUMPY, artifacts=(kept,)), Depots(settings))

    assert found is not None
    assert found.trouble
    assert found.software.files == {kept.sha256: str(artifact_file(kept))}


def test_what_its_owner_deposited_is_never_looked_for_here(kept: Artifact) -> None:
    asked = cluster(replace(MINE, artifact=kept.sha256), artifacts=(replace(kept, is_deposited=True),))

    software = from_here(asked)

    assert software is not None
    assert software.files == {}
    assert software.environment == asked.environment, "a package that was deposited isn't left out"


@pytest.mark.parametrize("url", [None, "file://{tmp_path}/file/depot"])
async def test_a_cluster_whose_code_lies_in_a_store_that_is_gone_is_refused(
    url: str | None, kept: Artifact, tmp_path: Path
) -> None:
    pytest.importorskip("obstore")
    (tmp_path / "file").write_text("no directory")
    settings = SoftwareSettings(artifacts_url=url and url.format(tmp_path=tmp_path))

    with pytest.raises(Rejected, match="the code of ada"):
        await software_for(cluster(NUMPY, artifacts=(replace(kept, is_deposited=True),)), Depots(settings))


async def test_what_was_deposited_and_what_lies_here_are_each_had_from_where_they_are(
    kept: Artifact, tmp_path: Path
) -> None:
    pytest.importorskip("obstore")
    deposited = replace(WHEEL, is_deposited=True)
    depots = Depots(SoftwareSettings(artifacts_url=f"file://{tmp_path}/depot"))

    found = await software_for(cluster(NUMPY, artifacts=(kept, deposited)), depots)
    of_another = await software_for(replace(cluster(NUMPY, artifacts=(kept, deposited)), owner="eve"), depots)

    assert found is not None
    assert of_another is not None
    assert f"/depot/artifacts/{kept.sha256}/" in found.software.files[kept.sha256]
    assert "/depot/deposits/" in found.software.files[WHEEL.sha256]
    assert found.software.files[WHEEL.sha256] != of_another.software.files[WHEEL.sha256]


class Slow(BaseHTTPRequestHandler):
    """A bucket that has nothing and takes everything, each a while after it was asked."""

    after_s = 0.0

    def do_HEAD(self) -> None:
        self._answer(404)

    def do_GET(self) -> None:
        self._answer(404)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200)

    def _answer(self, status: int) -> None:
        time.sleep(self.after_s)
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Depots]:
    """Return a depot in a bucket that answers each question within its time."""
    pytest.importorskip("obstore")
    running = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=running.serve_forever, args=(0.05,)).start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{running.server_port}",
        "AWS_ACCESS_KEY_ID": "AKIATESTING",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Slow, "after_s", 0.4)
    yield Depots(SoftwareSettings(artifacts_url="s3://b/p"))
    running.shutdown()
    running.server_close()


async def test_a_store_that_answers_each_question_in_time_and_all_of_them_too_late_holds_no_launch_up(
    kept: Artifact, slow: Depots, monkeypatch: pytest.MonkeyPatch
) -> None:
    await slow.of("lab")  # open
    monkeypatch.setattr(fetching, "SETTLED_WITHIN_S", 1.0)  # of 0.4 s for each of three
    deposited, began = replace(WHEEL, is_deposited=True), time.monotonic()

    found = await software_for(cluster(NUMPY, artifacts=(kept, deposited)), slow)

    assert found is not None
    assert "answers slowly" in found.trouble
    assert time.monotonic() - began < 1.2
    assert found.software.publishing is None
    assert WHEEL.sha256 in found.software.files, "where it was deposited is signed, not asked"
    assert found.software.files[kept.sha256]


async def test_who_needs_what_was_deposited_waits_for_a_sign_in_that_is_slow_and_is_told(
    kept: Artifact, slow: Depots, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("boto3")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{os.environ['AWS_ENDPOINT_URL']}/credentials")
    monkeypatch.setattr(fetching, "SETTLED_WITHIN_S", 0.1)
    ours, theirs = cluster(NUMPY, artifacts=(kept,)), cluster(NUMPY, artifacts=(replace(kept, is_deposited=True),))

    found = await software_for(ours, slow)
    with pytest.raises(Unavailable, match="answers slowly"):
        await software_for(theirs, slow)

    assert found is not None
    assert found.trouble
    assert found.software.files == {kept.sha256: str(artifact_file(kept))}


def test_a_round_that_settles_its_software_has_time_left_to_launch() -> None:
    assert depot.GIVEN_WITHIN_S < fetching.SETTLED_WITHIN_S < RENEWED.total_seconds()


async def test_while_files_are_on_their_way_a_clusters_people_are_told_so_once(
    stage: Stage, kept: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("obstore")
    monkeypatch.setattr(depot, "GIVEN_WITHIN_S", 0.0)
    engine = stage.engine()
    engine.depots = Depots(SoftwareSettings(artifacts_url=f"file://{tmp_path}/depot"))
    await stage.create(environment=cluster(NUMPY, artifacts=(kept,)).environment)

    await stage.go(engine, lambda now: now.status is ClusterStatus.RUNNING)

    told = [event.message for _, event in await stage.store.events("c1") if event.kind == "software.depot"]
    assert told == [
        f"{kept.file_name}: on the way to file://{tmp_path}/depot; machines are launched once that is done."
    ]
