"""Conda packages on a bare machine: the very builds, Python among them, and pip's packages on top."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.boot.restore.channel import add_pure, add_python
from tests.boot.restore.machine import Machine, environment, pins
from tradewind.model.environment import Environment, Package

pytest.importorskip("rattler", reason="conda packages are put down by py-rattler, of the extra `software`")
pytestmark = pytest.mark.skipif(
    sys.base_prefix == "/usr" or sys.platform != "linux", reason="a system's own Python can't be packed"
)


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Package, Package]:
    directory = tmp_path_factory.mktemp("channel")
    return directory, add_python(directory), add_pure(directory, "sea")


@pytest.fixture
def address(channel: tuple[Path, Package, Package]) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(channel[0])))
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def bare(machine: Machine) -> Machine:
    """A machine whose tools for conda are made: else each test would fetch them from the usual index."""
    tools = machine.cache / "tools"
    tools.mkdir(parents=True)
    (tools / "conda").symlink_to(sys.prefix)
    return machine


def of_conda(address: str, *packages: Package) -> Environment:
    python = next((package.version for package in packages if package.name == "python"), "")
    return replace(environment(*packages, python=python), channels=(address,))


def test_conda_packages_and_pins_on_top(bare: Machine, channel: tuple[Path, Package, Package], address: str) -> None:
    bare.index.add("alpha")
    wanted = of_conda(address, channel[1], channel[2], *pins("alpha"))

    lines = bare.run(wanted)

    assert lines[-1].get("way") == "install", lines
    home = bare.directory(wanted)
    code = "import sea, alpha, sys; print(sea.version, alpha.version, sys.base_prefix)"
    told = subprocess.run([lines[-1]["python"], "-I", "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["1.0", "1.0", str(home)]
    assert (home / "share" / "sea.txt").read_text() == f"{home}/share", "files know where they lie in the end"


def test_the_packed_environment_is_used_where_it_belongs(
    bare: Machine, channel: tuple[Path, Package, Package], address: str, tmp_path: Path
) -> None:
    wanted = of_conda(address, channel[1], channel[2])
    place = str(tmp_path / "packed.tar.gz")
    bare.run(wanted)
    sha256 = bare.run(wanted, task="pack", publish=place)[-1]["sha256"]
    bare.directory(wanted).rename(tmp_path / "gone")

    assert bare.run(wanted, archive=place, archive_sha256=sha256)[-1]["way"] == "archive"


@pytest.mark.parametrize("fault", ["hash", "absent", "no channel", "no python"])
def test_a_conda_package_that_cannot_be_had_is_named(
    bare: Machine, channel: tuple[Path, Package, Package], address: str, fault: str
) -> None:
    _, python, sea = channel
    packages, channels, code = {
        "hash": ((python, replace(sea, sha256="0" * 64)), address, "wrong_bytes"),
        "absent": ((python, replace(sea, name="ocean")), address, "unreachable"),
        "no channel": ((python, sea), "http://127.0.0.1:9", "unreachable"),
        "no python": ((sea,), address, "conda"),
    }[fault]

    last = bare.run(of_conda(channels, *packages))[-1]

    assert last["failed"] == code
    named = {"hash": "sea 1.0", "absent": "ocean 1.0", "no channel": "127.0.0.1:9", "no python": "no Python of conda"}
    assert named[fault] in last["reason"]
    assert not list((bare.cache / "environments").glob("*.making"))
