"""The whole way: a scientist's computer, three bare machines, and nothing typed about software."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.bare import BareHosts
from tests.hosts.caller import SECRET, Caller, caller

pytestmark = [pytest.mark.rig, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def scientist(hosts: BareHosts) -> Iterator[Caller]:
    with tempfile.TemporaryDirectory(prefix="tradewind-caller-") as root, caller(hosts, Path(root)) as made:
        yield made


EVERYTHING = """
import json, time
from tradewind import Cluster
import my_science

def look():
    import os, socket, sys
    import driftwood, harbour_master, keelson, tidemark, numpy, my_science
    return {
        "host": socket.gethostname(),
        "prefix": sys.prefix,
        "said": [tidemark.level(), harbour_master.berth(), driftwood.drift(), keelson.keel(), my_science.answer(1)],
        "numpy": numpy.__version__,
    }

if __name__ == "__main__":
    began = time.monotonic()
    with Cluster(provider="ssh", n_workers=3, worker_cpu=1, worker_memory="1 GiB", show_widget=False) as cluster:
        with cluster.get_client() as client:
            client.wait_for_workers(3, timeout=240)
            first = time.monotonic() - began
            seen = list(client.run(look).values())
            assert client.submit(my_science.answer, 41).result(timeout=60) == 42
            from tradewind.demo import run_demo
            from pathlib import Path
            demo = run_demo(Path("demo.png"))
    receipt = cluster.receipt()
    print(json.dumps({"seen": seen, "first_s": first, "off": demo.difference, "receipt": str(receipt)}))
"""


def test_the_demo_runs_on_bare_hosts_with_the_callers_own_software(scientist: Caller, hosts: BareHosts) -> None:
    told = scientist.run(EVERYTHING, timeout_s=600)

    seen = told["seen"]
    assert isinstance(seen, list)
    assert len(seen) == 3
    assert {one["host"] for one in seen} <= {host.name for host in hosts.hosts}
    assert all(one["said"] == [42, 7, "as edited", "laid", 2] for one in seen)
    assert float(str(told["off"])) < 1e-9
    assert " USD" in str(told["receipt"]), "three workers of a host at 36 cents an hour"
    assert all(host.processes() == [] for host in hosts.hosts)


def test_no_host_has_seen_the_password_of_the_private_index(scientist: Caller, hosts: BareHosts) -> None:
    del scientist
    for host in hosts.hosts:
        files = [path for path in host.home.rglob("*") if path.is_file() and not path.is_symlink()]
        assert files, "nothing was ever brought there: the test before this one says why"
        assert not [path for path in files if SECRET.split(":")[1].encode() in path.read_bytes()]
