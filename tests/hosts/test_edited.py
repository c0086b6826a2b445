"""Code that a scientist edits reaches bare machines while a cluster runs on them."""

from __future__ import annotations

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


EDITS = """
import json, sys
from pathlib import Path
from tradewind import Cluster
import driftwood, my_science

def look():
    import os, driftwood, my_science
    return [os.getpid(), driftwood.drift(), my_science.answer(1)]

if __name__ == "__main__":
    with Cluster(provider="ssh", n_workers=2, worker_cpu=1, worker_memory="1 GiB", show_widget=False) as cluster:
        with cluster.get_client() as client:
            client.wait_for_workers(2, timeout=240)
            before = sorted(client.run(look).values())
            Path("my_science.py").write_text("def answer(x):\\n    return x + 100\\n\\ndef more(): return 5\\n")
            synced = cluster.sync_environment()
            module = sorted(client.run(look).values())
            Path(driftwood.__file__).write_text("def drift():\\n    return 'as edited again'\\n")
            again = cluster.sync_environment()
            project = sorted(client.run(look).values())
            submitted = client.submit(driftwood.drift, pure=False).result(timeout=60)
            cluster.scale(3)
            client.wait_for_workers(3, timeout=240)
            joined = sorted(client.run(look).values())
    print(json.dumps({
        "before": before, "module": module, "project": project, "joined": joined, "submitted": submitted,
        "files": [synced.files, again.files], "sizes": [synced.size, again.size],
        "seconds": [synced.seconds, again.seconds],
    }))
"""


def test_edited_modules_and_projects_reach_hosts_that_are_there_and_those_that_come(scientist: Caller) -> None:
    told = scientist.run(EDITS, timeout_s=600)

    assert [one[1:] for one in told["before"]] == [["as edited", 2]] * 2  # type: ignore[attr-defined]
    assert [one[1:] for one in told["module"]] == [["as edited", 101]] * 2  # type: ignore[attr-defined]
    assert [one[1:] for one in told["project"]] == [["as edited again", 101]] * 2  # type: ignore[attr-defined]
    assert [one[1:] for one in told["joined"]] == [["as edited again", 101]] * 3  # type: ignore[attr-defined]
    assert [one[0] for one in told["project"]] == [one[0] for one in told["before"]], "the same processes"  # type: ignore[attr-defined]
    assert told["submitted"] == "as edited again"
    assert told["files"] == [["my_science.py"], ["driftwood/__init__.py"]]
    assert all(0 < size < 1_000_000 for size in told["sizes"])  # type: ignore[attr-defined]
