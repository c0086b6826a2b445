"""Slurm through SSH: a login node that shares nothing with us but its sshd passes what every provider passes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.line import sshd as servers
from tests.line.sshd import Sshd
from tests.providers.batch.rigs import SLURM
from tests.providers.batch.test_faults import eventually
from tests.providers.slurm import test_contract
from tests.providers.slurm.conftest import cancel
from tradewind.providers.base import Provider, ProviderSettings
from tradewind.providers.batch.letters import name_of
from tradewind.providers.slurm import SlurmProvider
from tradewind.testing.provider_tests import MINE

pytestmark = [pytest.mark.rig, pytest.mark.timeout(300)]
PROGRAM = """
import sys, time
from tradewind import Cluster
if __name__ == "__main__":
    small = {"worker_cpu": 1, "worker_memory": "400 MiB"}
    cluster = Cluster(provider="slurm", n_workers=2, name=sys.argv[1], wait_for_workers=True, **small)
    with cluster.get_client() as client:
        while True:
            try:
                print("result", client.submit(sum, [40, 2], pure=False).result(timeout=5), flush=True)
            except Exception as error:
                print("none", repr(error), flush=True)
            time.sleep(0.3)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if servers.MISSING:
        pytest.skip(servers.MISSING)
    with servers.sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return servers.environment(tmp_path_factory.mktemp("login") / "environment")


def options(server: Sshd, there: Path, environment: Path) -> dict[str, object]:
    return {
        "interface": "lo",
        "login": f"{servers.USER}@127.0.0.1:{server.port}",
        "key": str(server.key),
        "known_hosts": str(server.known_hosts),
        "ssh_config": str(there / "no_ssh_config"),
        "directory": str(there),
        "environment": str(environment),
    }


class TestSlurmThroughSsh(test_contract.TestSlurm):
    @pytest.fixture(autouse=True)
    def _login(self, server: Sshd, environment: Path, tmp_path: Path) -> None:
        self.there = tmp_path / "slurm"
        self.table = options(server, self.there, environment)
        self.laptop = tmp_path / "laptop"

    def make_provider(self, installation: str = MINE) -> Provider:
        settings = ProviderSettings(installation=installation, state_directory=str(self.laptop), options=self.table)
        return SlurmProvider.from_settings(settings)

    def batch_file(self, batch: str) -> Path:
        return next(iter(self.laptop.glob(f"slurm-*/batches/{batch}/batch.json")), self.laptop / "none")


@pytest.fixture
def caller(slurm: None, server: Sshd, environment: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Return a program on another machine, with a cluster of two workers."""
    (tmp_path / "program.py").write_text(PROGRAM)
    table = options(server, tmp_path / "there", environment)
    (tmp_path / "config.toml").write_text("[slurm]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in table.items()))
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path / "home"),
        "TRADEWIND_DATA_DIR": str(tmp_path / "data"),
        "TRADEWIND_CONFIG_DIR": str(tmp_path),
        "TRADEWIND_ORPHAN_TIMEOUT": "15",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, str(tmp_path / "program.py"), f"far-{time.time_ns()}"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()
    cancel(*live(tmp_path))


def live(directory: Path) -> list[str]:
    """Return the live jobs of a caller's clusters."""
    found = set()
    for record in directory.glob("data/slurm-*/batches/*/batch.json"):
        found |= {name_of(marks["cluster"]) for marks in json.loads(record.read_text())["marks"]}
    return [one.id for one in SLURM.of("tradewind:") if one.name in found]


def results(caller: "subprocess.Popen[str]", count: int) -> list[str]:
    """Return what a caller says until it has computed so often."""
    assert caller.stdout is not None
    said: list[str] = []
    while sum(line.startswith("result 42") for line in said) < count:
        line = caller.stdout.readline()
        assert line, said
        said.append(line)
    return said


async def test_a_cluster_outlives_its_connection_and_not_its_caller(
    server: Sshd, caller: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    results(caller, 3)
    before = set(live(tmp_path))
    assert len(before) == 3

    server.cut()
    said = results(caller, 5)

    assert set(live(tmp_path)) == before, said
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    await eventually(lambda: not live(tmp_path), 15 + 60 + 15)
    assert not list((tmp_path / "there").rglob("order-*.json"))
