"""Software with a name on bare machines: what a file said, and not what its user has."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.bare import BareHosts
from tests.hosts.caller import Caller, caller

pytestmark = [pytest.mark.rig, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def scientist(hosts: BareHosts) -> Iterator[Caller]:
    with tempfile.TemporaryDirectory(prefix="tradewind-caller-") as root, caller(hosts, Path(root)) as made:
        yield made


def tradewind(scientist: Caller, *words: str) -> subprocess.CompletedProcess[str]:
    """Call a command there."""
    return subprocess.run(
        [scientist.prefix / "bin" / "tradewind", *words],
        cwd=scientist.work,
        # Of its own files, only those of the public index.
        env={name: text for name, text in scientist.environ.items() if name != "UV_INDEX"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


NAMED = """
import json
from tradewind import Cluster

def look():
    import importlib.util, sys
    import distributed, toolz
    return {"toolz": toolz.__version__, "python": sys.version_info[:2], "prefix": sys.prefix,
            "numpy": importlib.util.find_spec("numpy") is not None}

if __name__ == "__main__":
    with Cluster(provider="ssh", software="small", n_workers=2, worker_cpu=1, worker_memory="1 GiB",
                 wait_for_workers=True, show_widget=False) as cluster:
        with cluster.get_client() as client:
            print(json.dumps({"seen": list(client.run(look).values())}))
"""


def test_workers_have_what_the_name_says_and_nothing_else(scientist: Caller) -> None:
    (scientist.work / "requirements.txt").write_text("distributed\ntoolz==0.12.1\n")
    made = tradewind(scientist, "env", "create", "small", "--from", "requirements.txt")
    assert made.returncode == 0, made.stderr

    seen = scientist.run(NAMED)["seen"]

    assert isinstance(seen, list)
    assert len(seen) == 2
    assert all(one["toolz"] == "0.12.1" and not one["numpy"] for one in seen)


def test_machines_that_it_isnt_locked_for_are_told_before_anything_starts(scientist: Caller, hosts: BareHosts) -> None:
    (scientist.work / "requirements.txt").write_text("distributed\n")
    words = ("--from", "requirements.txt", "--platform", "linux-aarch64")
    made = tradewind(scientist, "env", "create", "small", *words)
    assert made.returncode == 0, made.stderr

    refused = scientist.try_run(NAMED)

    assert refused.returncode == 1
    assert "is locked for linux-aarch64, and this cluster's machines are linux-x86_64" in refused.stderr
    assert "--platform linux-aarch64 --platform linux-x86_64" in refused.stderr
    assert all(host.processes() == [] for host in hosts.hosts)
