"""The first machine packs what it made, into an object store; the next one unpacks it."""

from __future__ import annotations

import json
import re
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hosts.bare import GATEWAY, BareHost, BareHosts
from tests.hosts.caller import Caller, caller

pytestmark = [pytest.mark.rig, pytest.mark.timeout(900)]
SECRET = "never-told-to-a-machine"
SIGNED = re.compile(rb"X-Amz-Signature=[0-9a-f]{64}")
"""An address that opens; programs that can sign have its words in them without a signature."""
VARIABLES = {"AWS_ACCESS_KEY_ID": "AKIATESTING", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    scientist: Caller
    endpoint: str

    def run(self, host: BareHost, *, until: str = "") -> dict[str, object]:
        """Run a cluster of one worker on one host, till an object is in the store; return what a task saw there."""
        return self.scientist.run(CLUSTER.format(host=host.name, until=until))

    def objects(self) -> list[str]:
        with urllib.request.urlopen(f"{self.endpoint}/depot?list-type=2") as answer:
            text = answer.read().decode()
        return [part.partition("</Key>")[0] for part in text.split("<Key>")[1:]]


CLUSTER = """
import json, os, time
with open(os.path.expanduser("~/store.json")) as file:  # not in this file, which travels
    os.environ.update(json.load(file))
from tradewind import Cluster
import my_science

def look():
    import sys, driftwood, harbour_master, tidemark
    return [tidemark.level(), harbour_master.berth(), driftwood.drift(), my_science.answer(1)], sys.prefix

def objects():
    import urllib.request
    with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/depot?list-type=2") as answer:
        return answer.read().decode()

if __name__ == "__main__":
    began = time.monotonic()
    with Cluster(provider="ssh", n_workers=1, show_widget=False,
                 worker_vm_types=["{host}"]) as cluster:
        with cluster.get_client() as client:
            client.wait_for_workers(1, timeout=240)
            said, prefix = client.submit(look).result(timeout=60)
            first = time.monotonic() - began
            while "{until}" not in objects() and time.monotonic() < began + 200:
                time.sleep(0.5)
    print(json.dumps(dict(said=said, prefix=prefix, first_s=first)))
"""


@pytest.fixture(scope="module")
def stage(hosts: BareHosts) -> Iterator[Stage]:
    moto = pytest.importorskip("moto.server", reason="moto[server], which stands in for S3, isn't installed")
    running = moto.ThreadedMotoServer(GATEWAY, port=0, verbose=False)
    running.start()
    endpoint = "http://{}:{}".format(*running.get_host_and_port())
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/depot", method="PUT")).close()
    with tempfile.TemporaryDirectory(prefix="tradewind-caller-") as root, caller(hosts, Path(root)) as made:
        with (made.home / "config.toml").open("a") as file:
            file.write('\n[software]\nartifacts_url = "s3://depot/lab"\n')
        (made.home / "store.json").write_text(json.dumps(VARIABLES | {"AWS_ENDPOINT_URL": endpoint}))
        yield Stage(scientist=made, endpoint=endpoint)
    running.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What came of a cluster on the first host, and then of one on the second."""

    on_first: dict[str, object]
    on_second: dict[str, object]
    objects: list[str]
    """In the store before the second one."""


@pytest.fixture(scope="module")
def ran(stage: Stage, hosts: BareHosts) -> Ran:
    first, second, _ = hosts.hosts
    on_first = stage.run(first, until="record.json")
    objects = stage.objects()
    return Ran(on_first=on_first, on_second=stage.run(second), objects=objects)


def test_the_second_host_unpacks_what_the_first_one_packed(ran: Ran, hosts: BareHosts) -> None:
    first, second, _ = hosts.hosts

    assert any(name.endswith("/record.json") for name in ran.objects), log_of(first)
    assert ran.on_second["said"] == ran.on_first["said"] == [42, 7, "as edited", 2]
    assert json.loads(marker(second, ran.on_second).read_text())["way"] == "archive", log_of(second)
    print(f"first result: installed {ran.on_first['first_s']:.2f} s, unpacked {ran.on_second['first_s']:.2f} s")


def test_machines_have_never_seen_what_signs_and_keep_no_address(ran: Ran, hosts: BareHosts) -> None:
    for host, on_host in zip(hosts.hosts, (ran.on_first, ran.on_second), strict=False):
        files = [path for path in host.home.rglob("*") if path.is_file() and not path.is_symlink()]
        assert marker(host, on_host) in files, "else nothing was searched"
        contents = {path: path.read_bytes() for path in files}
        assert not [path for path, content in contents.items() if SECRET.encode() in content]
        assert not [path for path, content in contents.items() if SIGNED.search(content)]


def marker(host: BareHost, seen: dict[str, object]) -> Path:
    return host.home / Path(str(seen["prefix"])).relative_to("/root") / "environment.json"


def log_of(host: BareHost) -> str:
    return host.run("sh", "-c", "tail -n 30 /root/.cache/tradewind/runs/*/log")
