"""What goes wrong with hosts, as their user reads it: soon, with what to do, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.boot.restore.index import serving
from tests.hosts.bare import GATEWAY, SCRIPT, BareHost, BareHosts
from tests.hosts.caller import SECRET, Caller, caller
from tests.hosts.index import muted

pytestmark = [pytest.mark.rig, pytest.mark.timeout(900)]

SOON_S = 45.0
"""A minute is what a person waits for before they look elsewhere; most of this is the making of an environment."""
OLD_PYTHON = """#!/bin/sh
exec /usr/bin/python3 -c "import sys;sys.argv=sys.argv[1:];sys.version_info=(3,8,2);sys.version='3.8.2 (old)'
exec(sys.argv[sys.argv.index('-c')+1],globals())" "$@"
"""
PROGRAM = """
import sys, time
from tradewind import Cluster
from tradewind.errors import TradewindError
if __name__ == "__main__":
    try:
        Cluster(provider="ssh", n_workers=1, {more}, show_widget=False)
    except TradewindError as error:
        sys.exit(f"{{type(error).__name__}}: {{error}}")
"""


SIZE = 'worker_cpu=1, worker_memory="1 GiB"'


@pytest.fixture(scope="module")
def scientist(hosts: BareHosts) -> Iterator[Caller]:
    with tempfile.TemporaryDirectory(prefix="tradewind-caller-") as root, caller(hosts, Path(root)) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def tool(hosts: BareHosts) -> None:
    """Give the first host a uv, so that what is fetched is what the case is about."""
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    place = hosts.hosts[0].home / ".local" / "bin"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(uv, place / "uv")


@contextmanager
def settings_of(
    scientist: Caller, hosts: BareHosts, known_hosts: Path | None = None, **host: str
) -> Iterator[BareHost]:
    """Have the first host alone in the settings."""
    one = hosts.hosts[0]
    table = {"name": one.name, "address": one.address, "user": "root", "key": str(hosts.key), **host}
    lines = ["[ssh]", f'known_hosts = "{known_hosts or hosts.known_hosts}"', "[[ssh.hosts]]", "cores = 2"]
    lines += ['memory = "4 GiB"', *(f'{name} = "{value}"' for name, value in table.items())]
    config = scientist.home / "config.toml"
    before = config.read_text()
    config.write_text("\n".join(lines) + "\n")
    try:
        yield one
    finally:
        config.write_text(before)


def refusal(
    scientist: Caller, hosts: BareHosts, *, more: str = SIZE, known_hosts: Path | None = None, **host: str
) -> str:
    """Return what the terminal shows of a cluster on the first host alone."""
    with settings_of(scientist, hosts, known_hosts, **host) as one:
        began = time.monotonic()
        done = scientist.try_run(PROGRAM.format(more=more), timeout_s=120)
        took = time.monotonic() - began
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert took < SOON_S, done.stderr
    assert SECRET.partition(":")[2] not in done.stderr
    until = time.monotonic() + 10
    while one.processes():
        assert time.monotonic() < until, one.processes()
        time.sleep(0.2)
    return done.stderr


def left(directory: Path) -> list[str]:
    """Return what is neither whole nor a record: half an environment, a draft of a file."""
    environments = directory / "environments"
    halves = [path.name for path in environments.glob("*") if path.is_dir() and not (path / "bin" / "python").exists()]
    return halves + [str(path) for path in (directory / "artifacts").rglob("*.????????") if path.is_file()]


def other_key(tmp_path: Path, host: BareHost) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    kind, key, *_ = (tmp_path / "other.pub").read_text().split()
    (tmp_path / "known").write_text(f"{host.address} {kind} {key}\n")
    return tmp_path / "known"


def no_key(tmp_path: Path, _: BareHost) -> Path:
    (tmp_path / "known").write_text("")
    return tmp_path / "known"


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (no_key, ("the key of bare1 isn't known", "SHA256:", "ssh-keyscan -p 22 {address} >> ")),
        (other_key, ("bare1 shows another key", "somebody may stand in between", "ssh-keygen -R {address}")),
    ],
)
def test_a_host_whose_key_is_not_the_known_one_is_refused(
    scientist: Caller,
    hosts: BareHosts,
    tmp_path: Path,
    known: Callable[[Path, BareHost], Path],
    words: tuple[str, ...],
) -> None:
    said = refusal(scientist, hosts, known_hosts=known(tmp_path, hosts.hosts[0]))
    assert all(word.format(address=hosts.hosts[0].address) in said for word in words), said


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ({"user": "nobody-here"}, ("bare1 lets nobody in as user nobody-here", "nobody-here@{address} true` works")),
        ({"python": "/opt/none/python3"}, ("bare1 has no /opt/none/python3", "install Python 3.9 or newer there")),
        ({"python": "/root/old"}, ("bare1 can't be used: Python 3.9 or newer is needed, and this is 3.8.2",)),
    ],
)
def test_a_host_that_can_not_be_used_says_why(
    scientist: Caller, hosts: BareHosts, host: dict[str, str], words: tuple[str, ...]
) -> None:
    old = hosts.hosts[0].home / "old"
    old.write_text(OLD_PYTHON)
    old.chmod(0o755)
    said = refusal(scientist, hosts, **host)
    assert all(word.format(address=hosts.hosts[0].address) in said for word in words), said


def test_a_host_that_is_not_in_the_inventory_is_not_asked_for(scientist: Caller, hosts: BareHosts) -> None:
    said = refusal(scientist, hosts, more='worker_vm_types=["bare9"]')
    assert "bare9" in said
    assert "bare1" in said, "what there is instead"


@contextmanager
def small_disk(_: Caller, host: BareHost) -> Iterator[None]:
    directory = "/root/full"
    host.run("mkdir", "-p", directory)
    host.run("mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", directory)
    try:
        yield
    finally:
        host.run("umount", "-l", directory)


@contextmanager
def asks(host: BareHost, index: str) -> Iterator[None]:
    """Have a host's own settings name an index."""
    pip = host.home / ".config" / "pip"
    pip.mkdir(parents=True, exist_ok=True)
    (pip / "pip.conf").write_text(f"[global]\nindex-url = {index}\n")
    try:
        yield
    finally:
        (pip / "pip.conf").unlink()


@contextmanager
def breaking_downloads(_: Caller, host: BareHost) -> Iterator[None]:
    """Let what is fetched first, to have conda packages at all, break off in the middle."""
    with serving(GATEWAY) as index:
        index.add("py-rattler", "0.30.0", size=200_000)
        index.cut.add("py-rattler")
        with asks(host, f"{index.url}/simple"):
            yield


@contextmanager
def a_package_of_nowhere(scientist: Caller, _: BareHost) -> Iterator[None]:
    site = next(scientist.prefix.glob("lib/python3*/site-packages"))
    facts = site / "frobnicator_of_nowhere-1.2.3.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: frobnicator-of-nowhere\nVersion: 1.2.3\n")
    (facts / "INSTALLER").write_text("pip\n")
    (facts / "RECORD").write_text("frobnicator_of_nowhere-1.2.3.dist-info/METADATA,,\n")
    try:
        yield
    finally:
        shutil.rmtree(facts)


@pytest.mark.parametrize(
    ("case", "fault", "words"),
    [
        ("full", small_disk, ("on bare1: The disk of the machine is full", "/root/full has ", "Free some")),
        (
            "cut",
            breaking_downloads,
            ("on bare1: py-rattler 0.30.0 came broken from the index (", "its download broke off"),
        ),
        (
            "missing",
            a_package_of_nowhere,
            ("on bare1: frobnicator-of-nowhere 1.2.3 isn't in the index (", "Ways out: set"),
        ),
    ],
)
def test_software_that_can_not_be_made_there_says_why(
    scientist: Caller,
    hosts: BareHosts,
    case: str,
    fault: Callable[[Caller, BareHost], AbstractContextManager[None]],
    words: tuple[str, ...],
) -> None:
    host = hosts.hosts[0]
    with fault(scientist, host):
        said = refusal(scientist, hosts, directory=f"/root/{case}")
        assert all(word.format(address=hosts.hosts[0].address) in said for word in words), said
        assert host.run("sh", "-c", f"ls -A /root/{case}/environments 2>/dev/null | grep -v lock || true") == ""
    assert left(host.home / case) == []


def test_no_login_stands_in_the_arguments_of_any_process_there(scientist: Caller, hosts: BareHosts) -> None:
    """The host's own settings name an index with a login, which its uv asks, and waits for."""
    watch = 'while [ ! -e /root/enough ]; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " "; echo; done'
    with (
        muted(GATEWAY) as silent,
        settings_of(scientist, hosts, directory="/root/watched") as host,
        asks(host, f"http://{SECRET}@{silent}/simple"),
    ):
        command = [str(SCRIPT), "run", str(host.number), "sh", "-c", watch]
        environ = os.environ | {"RIG": str(host.rig)}
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as watching:

            def try_it() -> None:
                try:
                    scientist.try_run(PROGRAM.format(more=f'{SIZE}, timeout="30s"'))
                finally:
                    # It is stopped by a file, and may say more than a pipe holds.
                    (host.home / "enough").touch()

            trying = threading.Thread(target=try_it, daemon=True)
            trying.start()
            seen = watching.communicate(timeout=300)[0]
            trying.join(90)
    assert "uv pip install" in seen, "its uv was seen"
    assert SECRET.partition(":")[2] not in seen
