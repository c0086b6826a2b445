"""A server that others run, and bare hosts: the caller's own code gets there by way of an object store."""

from __future__ import annotations

import asyncio
import json
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hosts.bare import GATEWAY, BareHosts
from tests.hosts.caller import Caller, caller
from tests.served import Served, end_server, first_user, meet_server, start_server

pytestmark = [pytest.mark.rig, pytest.mark.timeout(900)]
VARIABLES = {"AWS_ACCESS_KEY_ID": "AKIATESTING", "AWS_SECRET_ACCESS_KEY": "the-server's", "AWS_REGION": "us-east-1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    scientist: Caller
    server: Served
    endpoint: str

    def objects(self) -> list[str]:
        with urllib.request.urlopen(f"{self.endpoint}/depot?list-type=2") as answer:
            text = answer.read().decode()
        return [part.partition("</Key>")[0] for part in text.split("<Key>")[1:]]


@pytest.fixture(scope="module")
def stage(hosts: BareHosts) -> Iterator[Stage]:
    moto = pytest.importorskip("moto.server", reason="moto[server], which stands in for S3, isn't installed")
    running = moto.ThreadedMotoServer(GATEWAY, port=0, verbose=False)
    running.start()
    endpoint = "http://{}:{}".format(*running.get_host_and_port())
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/depot", method="PUT")).close()
    with (
        tempfile.TemporaryDirectory(prefix="tradewind-caller-") as root,
        tempfile.TemporaryDirectory(prefix="tradewind-server-") as data,
        pytest.MonkeyPatch.context() as patch,
        caller(hosts, Path(root)) as made,
    ):
        for name, value in (VARIABLES | {"AWS_ENDPOINT_URL": endpoint}).items():
            patch.setenv(name, value)
        directory = Path(data)
        (directory / "config.toml").write_text(
            hosts.settings() + '\n[software]\nartifacts_url = "s3://depot/lab"\n[serve]\nproviders = ["ssh"]\n'
        )
        process, url = start_server(directory)
        try:
            server = meet_server(directory, process, url, asyncio.run(first_user(directory)))
            (made.home / "config.toml").write_text("")  # who asks knows neither hosts nor stores
            server.sign_in(made.home)
            yield Stage(scientist=made, server=server, endpoint=endpoint)
        finally:
            end_server(process)
    running.stop()


CLUSTER = """
import json, logging, time
from tradewind import Cluster
import my_science

def look():
    import driftwood, harbour_master, tidemark
    return [tidemark.level(), harbour_master.berth(), driftwood.drift(), my_science.answer(1)]

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    began = time.monotonic()
    with Cluster(provider="ssh", n_workers=1, show_widget=False) as cluster:
        streamed = cluster._session.to_bring is not None
        with cluster.get_client() as client:
            client.wait_for_workers(1, timeout=240)
            said = client.submit(look).result(timeout=60)
            first = time.monotonic() - began
    print(json.dumps(dict(said=said, streamed=streamed, first_s=first)))
"""


def test_a_servers_machines_have_the_callers_code_before_the_first_task(stage: Stage) -> None:
    done = stage.scientist.try_run(CLUSTER)
    assert done.returncode == 0, done.stderr[-6000:] + (stage.server.directory / "log").read_text()[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])

    assert told["said"] == [42, 7, "as edited", 2]
    assert told["streamed"] is False
    assert "Your code was uploaded" in done.stderr
    deposits = [name for name in stage.objects() if name.startswith("lab/deposits/")]
    assert any("driftwood" in name for name in deposits)
    assert any("modules-" in name for name in deposits)
    print(f"first result: {told['first_s']:.2f} s")


def test_what_lies_there_is_not_uploaded_again(stage: Stage) -> None:
    before = stage.objects()
    (stage.scientist.work / "my_science.py").write_text("def answer(x):\n    return x + 2\n")

    done = stage.scientist.try_run(CLUSTER)

    assert done.returncode == 0, done.stderr[-6000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["said"] == [42, 7, "as edited", 3]
    new = [name for name in stage.objects() if name not in before and name.startswith("lab/deposits/")]
    assert [name.rpartition("/")[2].partition("-")[0] for name in new] == ["modules"]
    print(f"first result: {told['first_s']:.2f} s")
