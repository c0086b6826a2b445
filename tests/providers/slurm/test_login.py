"""Slurm through SSH: a login node that shares nothing with us but its sshd passes what every provider passes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.providers.slurm import test_contract
from tests.providers.ssh import sshd as servers
from tests.providers.ssh.sshd import Sshd
from tradewind.providers.base import Provider, ProviderSettings
from tradewind.providers.slurm import SlurmProvider
from tradewind.testing.provider_tests import MINE

pytestmark = [pytest.mark.rig, pytest.mark.timeout(300)]


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
