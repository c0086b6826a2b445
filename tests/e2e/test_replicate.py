"""The same example in two places gives the same: the proof that one can leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.line import sshd as servers
from tests.line.sshd import Sshd
from tests.providers.slurm.conftest import slurm
from tests.served import Served
from tradewind.cli import main
from tradewind.model.resources import GIB

__all__ = ["slurm"]

EXAMPLE = Path(__file__).parents[2] / "examples" / "replicate.py"
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own directories."""
    for name in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"TRADEWIND_{name}_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "src"))
    return tmp_path


@pytest.fixture
def host(own: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """A host to log in to, as the settings know it."""
    if servers.MISSING:
        pytest.skip(servers.MISSING)
    (own / "sshd").mkdir()
    with servers.sshd(own / "sshd") as running:
        table = {
            "address": "127.0.0.1",
            "name": "ws1",
            "port": running.port,
            "cores": 4,
            "memory": 8 * GIB,
            "key": str(running.key),
            "environment": str(servers.environment(own / "environment")),
            "directory": str(own / "ws1"),
        }
        monkeypatch.setenv("TRADEWIND_SSH__HOSTS", json.dumps([table]))
        monkeypatch.setenv("TRADEWIND_SSH__KNOWN_HOSTS", str(running.known_hosts))
        monkeypatch.setenv("TRADEWIND_SSH__CONFIG", str(own / "no_ssh_config"))
        yield running


def replicate(script: Path, *names: str, exit_code: int = 0) -> Any:
    """Ask for it as a program does."""
    words = [word for name in names for word in ("--replicate", name)]
    result = CliRunner().invoke(main, ["freedom", str(script), *words, "--json"])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout) if result.stdout.startswith("{") else result.output


def test_own_machine_and_a_shared_server_give_the_same_bit_for_bit(own: Path, served: Served) -> None:
    served.sign_in(own)

    told = replicate(EXAMPLE, "local", "server")

    assert [run["way"] for run in told["runs"]] == ["local", "server"]
    assert all(run["clusters"] for run in told["runs"])
    assert told["comparisons"][0]["identical"] is True
    assert told["comparisons"][0]["lines"] == 3


@pytest.mark.slow
def test_own_machine_and_a_host_reached_by_ssh_give_the_same_bit_for_bit(own: Path, host: Sshd) -> None:
    # With what it computes with alone: whatever else is installed here would have to travel where no index is near.
    script = own / "small.py"
    needs = "package_sync_only=['dask', 'distributed', 'numpy'], n_workers=2"
    script.write_text(EXAMPLE.read_text().replace("n_workers=2", needs))

    told = replicate(script, "local", "ssh")

    assert [run["way"] for run in told["runs"]] == ["local", "ssh"]
    assert told["comparisons"][0]["identical"] is True


@pytest.mark.rig
def test_own_machine_and_slurm_give_the_same_bit_for_bit(own: Path, slurm: None) -> None:
    told = replicate(EXAMPLE, "local", "slurm")

    assert told["comparisons"][0]["identical"] is True


def test_what_differs_is_found(own: Path, served: Served) -> None:
    served.sign_in(own)
    script = own / "differs.py"
    script.write_text(
        "import os\nfrom tradewind import Cluster\n"
        "with Cluster(n_workers=0, show_widget=False):\n    print('on', os.environ['TRADEWIND_SERVER'][:4])\n"
    )

    told = replicate(script, "local", "server", exit_code=1)

    assert told["same"] is False
    assert told["comparisons"][0]["first"] == {"line": 1, "values": ["on solo", "on http"]}


def test_a_script_that_says_itself_where_proves_nothing(own: Path, served: Served) -> None:
    served.sign_in(own)
    script = own / "stubborn.py"
    script.write_text(
        "from tradewind import Cluster\nCluster(provider='local', n_workers=0, show_widget=False)\nprint(1)\n"
    )

    told = replicate(script, "ssh", "local", exit_code=1)

    assert "ran on local, not on ssh: it says itself where" in told


def test_a_script_that_starts_no_cluster_proves_nothing(own: Path) -> None:
    script = own / "alone.py"
    script.write_text("print(1)\n")

    assert "started no cluster on local" in replicate(script, "local", "ssh", exit_code=1)
